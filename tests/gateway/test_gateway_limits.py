"""Requests that are wrong, too large or too deep get an error in OpenAI's format that names what is wrong."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway_house import HELLO, KEY, House

CHAT = "/v1/chat/completions"


def refused(response: httpx2.Response, status: int = 400) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert error["type"] == "invalid_request_error"
    return error


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b"\x00", b'{"model":NaN}', b'{"model":"echo","messages":[]'],
)
async def test_what_is_no_json_object(house: House, body: bytes) -> None:
    refused(await house.post(CHAT, body))
    assert not house.upstream.heard


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 7}, "model"),
        ({"model": "echo", "messages": "hello"}, "messages"),
        ({"model": "echo", "messages": []}, "messages"),
        ({"model": "echo", "messages": [{"content": "x"}]}, "messages"),
        ({"model": "echo", "messages": [7]}, "messages"),
        ({"model": "echo", "messages": HELLO, "stream": "yes"}, "stream"),
        ({"model": "echo", "messages": HELLO, "stream_options": 1, "stream": True}, "stream_options"),
        ({"model": "echo", "messages": HELLO, "user": 7}, "user"),
        ({"model": "echo", "messages": HELLO, "session": []}, "session"),
        ({"model": "echo", "messages": HELLO, "metadata": "x"}, "metadata"),
        ({"model": "bot", "messages": HELLO, "inputs": "x"}, "inputs"),
        ({"model": "echo"}, "messages"),
        ({"messages": HELLO}, "model"),
    ],
)
async def test_a_wrong_field_is_named(house: House, fields: dict[str, object], param: str) -> None:
    error = refused(await house.post(CHAT, fields))
    assert error["param"] == param
    assert param in error["message"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"model":"echo","messages":[{"role":"user","content":"', b'"}]}'),
        (b'{"model":"echo","messages":[{"role":"user","content":"x"}],"unknown":"', b'"}'),
        (b'{"model":"', b'","messages":[{"role":"user","content":"x"}]}'),
        (b'{"model":"echo","messages":[{"role":"user","content":"x"}],"user":"', b'"}'),
        (b'{"model":"bot","messages":[{"role":"user","content":"x"}],"inputs":{"a":"', b'"}}'),
        (b'{"model":"echo","messages":[{"role":"user","content":"x"}],"metadata":{"', b'":"x"}}'),
    ],
)
@pytest.mark.parametrize("odd", [b"\xff", b"\xed\xa0\x80", b"\\ud800", b"\\ud800x", b"\\udc00\\ud800"])
async def test_text_that_is_no_text_is_refused_or_recorded(
    house: House, before: bytes, after: bytes, odd: bytes
) -> None:
    """Bytes that are no UTF-8, and halves of surrogate pairs: never a 500, never an answer without its record."""
    response = await house.post(CHAT, before + odd + after)
    if response.status_code == 200:
        assert house.call.status == 200
    else:
        assert response.status_code in (400, 404), response.text
        assert not house.upstream.heard


@pytest.mark.parametrize("path", [CHAT, "/v1/embeddings", "/v1/apps/bot/answer", "/v1/feedback"])
async def test_deep_nesting_is_refused(house: House, path: str) -> None:
    for field in ("messages", "input", "question", "trace_id", "unknown"):
        body = b'{"model":"echo","' + field.encode() + b'":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
        refused(await house.post(path, body))
    deep = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
    refused(await house.post(path, deep))


@pytest.mark.parametrize("depth", [100, 500, 990, 2_000])
async def test_what_is_nested_as_deep_as_we_can_read_is_answered_or_refused(house: House, depth: int) -> None:
    body = b'{"model":"bot","messages":[{"role":"user","content":"x","extra":' + b"[" * depth + b"]" * depth + b"}]}"
    response = await house.post(CHAT, body)
    assert response.status_code in (200, 400), response.text


async def test_a_body_over_the_limit_is_too_large(house: House) -> None:
    body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "x" * (1 << 20)}]}).encode()
    error = refused(await house.post(CHAT, body), 413)
    assert "1 MB" in error["message"]
    assert "max_body_mb" in error["message"]
    assert not house.upstream.heard


async def test_a_body_of_unknown_length_is_too_large_as_soon_as_it_is(house: House) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        for _ in range(1_000):
            sent += 1
            yield b" " * 100_000

    transport = httpx2.ASGITransport(house.gateway)
    async with httpx2.AsyncClient(transport=transport, base_url="http://r") as client:
        response = await client.post(CHAT, content=endless(), headers={"authorization": f"Bearer {KEY}"})
    refused(response, 413)
    assert sent < 15


async def test_a_body_just_within_the_limit_is_answered(house: House) -> None:
    body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "x" * ((1 << 20) - 100)}]}).encode()
    assert (await house.post(CHAT, body)).status_code == 200


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
fields = st.dictionaries(
    st.sampled_from(
        ["model", "messages", "stream", "stream_options", "user", "metadata", "inputs", "session", "input", "question",
         "conversation_history", "context", "trace_id", "value", "name", "tools"]
    ),
    values | st.just(HELLO) | st.just("echo") | st.just("bot") | st.just({"include_usage": True}),
)  # fmt: skip


@given(path=st.sampled_from([CHAT, "/v1/embeddings", "/v1/apps/bot/answer", "/v1/feedback"]), body=fields)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_no_request_whatever_is_an_internal_error(house: House, path: str, body: dict[str, object]) -> None:
    response = await house.post(path, msgspec.json.encode(body))
    assert response.status_code in (200, 400, 404), response.text
    if response.status_code != 200:
        assert response.json()["error"]["message"]
