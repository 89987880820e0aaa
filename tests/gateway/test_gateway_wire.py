"""Requests in OpenAI's dialect: what is read, what goes through untouched, what is refused and how."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.errors import InvalidRequest, UpstreamError
from rondo.gateway import request_body
from rondo.gateway.request import text_of
from rondo.gateway.wire import OWN_FIELDS, error_body, parse_answer, parse_chat, parse_embeddings, status_of
from rondo.providers.base import ModelSpec

HELLO = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
_READ = {"model", "messages", "stream", "stream_options", "user", "metadata", "n"}
names = st.text(min_size=1).filter(lambda name: name not in _READ | OWN_FIELDS)


@given(st.dictionaries(names, json_values, max_size=5))
def test_unknown_fields_go_through_byte_for_byte(extra: dict[str, object]) -> None:
    request = parse_chat(msgspec.json.encode({**HELLO, **extra}))
    body = request_body.for_model(request.fields, ModelSpec(name="m", provider="openai", model="upstream"))
    sent = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    assert msgspec.json.decode(sent["model"]) == "upstream"
    for name, value in extra.items():
        assert bytes(sent[name]) == msgspec.json.encode(value)


def test_numbers_keep_their_spelling() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":1.0,"seed":12345678901234567890123}'
    sent = request_body.for_model(parse_chat(body).fields, ModelSpec(name="m", provider="openai", model="u"))
    assert b'"temperature":1.0' in sent
    assert b'"seed":12345678901234567890123' in sent


def test_own_fields_stay_here() -> None:
    request = parse_chat(msgspec.json.encode({**HELLO, "inputs": {"a": 1}, "session": "s"}))
    body = request_body.for_model(request.fields, ModelSpec(name="m", provider="openai", model="u"))
    assert b"inputs" not in body
    assert b"session" not in body
    assert (request.inputs, request.session) == ({"a": 1}, "s")


def test_a_models_defaults_give_way_to_the_client() -> None:
    request = parse_chat(msgspec.json.encode({**HELLO, "temperature": 0.9}))
    spec = ModelSpec(name="m", provider="openai", model="u", params={"temperature": 0.1, "max_tokens": 5})
    sent = msgspec.json.decode(request_body.for_model(request.fields, spec))
    assert (sent["temperature"], sent["max_tokens"]) == (0.9, 5)


def test_usage_is_asked_for_and_other_stream_options_stay() -> None:
    request = parse_chat(msgspec.json.encode({**HELLO, "stream": True, "stream_options": {"x": 1}}))
    spec = ModelSpec(name="m", provider="openai", model="u")
    sent = msgspec.json.decode(request_body.for_model(request.fields, spec, request_body.Terms(ask_usage=True)))
    assert sent["stream_options"] == {"x": 1, "include_usage": True}


def test_the_question_is_the_last_users_text() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:,"}}
    messages = [
        {"role": "user", "content": "first"},
        {"role": "assistant", "content": "yes"},
        {"role": "user", "content": [{"type": "text", "text": "second"}, image]},
        {"role": "assistant", "content": None, "tool_calls": []},
    ]
    assert parse_chat(msgspec.json.encode({"model": "m", "messages": messages})).question == "second"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b"{", None),
        (b"\xff", None),
        (b"[" * 100_000, None),
        (b'{"a":' * 100_000, None),
        (b'{"messages":[]}', "model"),
        (b'{"model":1,"messages":[]}', "model"),
        (b'{"model":"m"}', "messages"),
        (b'{"model":"m","messages":[]}', "messages"),
        (b'{"model":"m","messages":"hi"}', "messages"),
        (b'{"model":"m","messages":[{"content":"no role"}]}', "messages"),
        (b'{"model":"m","messages":[{"role":"user","content":' + b"[" * 100_000 + b"}]}", None),
        (b'{"model":"m","messages":[{"role":"user"}],"stream":"yes"}', "stream"),
        (b'{"model":"m","messages":[{"role":"user"}],"user":7}', "user"),
        (b'{"model":"m","messages":[{"role":"user"}],"metadata":[]}', "metadata"),
        (b'{"model":"m","messages":[{"role":"user"}],"inputs":"x"}', "inputs"),
    ],
)
def test_a_bad_request_names_the_field(body: bytes, param: str | None) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_chat(body)
    assert caught.value.param == param
    assert msgspec.json.decode(error_body(caught.value))["error"]["type"] == "invalid_request_error"


@given(st.binary(max_size=100))
def test_any_bytes_are_a_request_or_an_error(body: bytes) -> None:
    for parse in (parse_chat, parse_embeddings, parse_answer):
        with suppress(InvalidRequest):
            parse(body)


def test_an_answer_needs_a_question_or_inputs() -> None:
    assert parse_answer(b'{"question":"q"}').question == "q"
    assert parse_answer(b'{"inputs":{"a":1}}').inputs == {"a": 1}
    for body in (b"{}", b'{"question":""}', b'{"question":"q","typo":1}'):
        with pytest.raises(InvalidRequest):
            parse_answer(body)


def test_text_of_odd_contents() -> None:
    assert text_of(None) == ""
    assert text_of([{"type": "text", "text": "a"}, {"type": "text", "text": 5}, "b", {"type": "image_url"}]) == "a"


def test_a_providers_refusal_of_our_key_is_not_the_clients() -> None:
    assert status_of(UpstreamError("x", status=401)) == 502
    assert status_of(UpstreamError("x", status=400)) == 400
    assert status_of(UpstreamError("x", status=429)) == 429
    assert status_of(UpstreamError("x", status=500)) == 502
