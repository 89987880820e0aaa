"""Legacy text completions: requests inside, answers and chunks out, checked against the SDK's types."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st
from openai.types import Completion

from rondo.errors import InvalidRequest, UpstreamCut
from rondo.gateway.wires.base import Given
from rondo.gateway.wires.completions import Completions

WIRE = Completions()
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "prompt": "Once", **fields}).encode()


def given(**fields: Any) -> Given:
    return Given(trace_id="a" * 32, created_at=1_700_000_000_000_000, request=WIRE.parse(body(**fields)))


def choice(text: str | None, finish: str | None = "stop", index: int = 0, **more: Any) -> dict[str, Any]:
    return {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": finish, **more}


def answered(*choices: Any, **fields: Any) -> dict[str, Any]:
    data = json.dumps({"model": "served", "choices": choices, "usage": USAGE}).encode()
    answer: dict[str, Any] = json.loads(WIRE.answer(given(**fields), data))
    Completion.model_validate(answer)
    return answer


def chunk(text: str | None = None, finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    delta = {} if text is None else {"content": text}
    choices = [{"index": index, "delta": delta, "finish_reason": finish, **more}]
    return b"data: " + json.dumps({"model": "served", "choices": choices}).encode() + b"\n\n"


def streamed(*chunks: bytes, **fields: Any) -> list[dict[str, Any]]:
    stream = WIRE.stream(given(**fields))
    data = b"".join([stream.begin(), *(stream.event(one) for one in chunks), stream.end()])
    *events, done, rest = data.decode().split("\n\n")
    assert (done, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in events]


@pytest.mark.parametrize(
    ("fields", "inside"),
    [
        ({}, {"max_tokens": 16}),
        ({"max_tokens": 5, "temperature": 0, "stop": ["\n"]}, {"max_tokens": 5, "temperature": 0, "stop": ["\n"]}),
        ({"max_tokens": None, "suffix": None, "logprobs": None}, {"max_tokens": 16}),
        ({"logprobs": 3}, {"max_tokens": 16, "logprobs": True, "top_logprobs": 3}),
        ({"n": 2, "best_of": 2}, {"max_tokens": 16, "n": 2}),
        ({"best_of": 1, "echo": False, "suffix": ""}, {"max_tokens": 16}),
        ({"seed": 1, "x_vendor": [1.0]}, {"max_tokens": 16, "seed": 1, "x_vendor": [1.0]}),
        ({"prompt": ["Once"]}, {"max_tokens": 16}),
    ],
)
def test_fields(fields: Any, inside: Any) -> None:
    request = WIRE.parse(body(**fields))
    made = {name: json.loads(bytes(raw)) for name, raw in request.fields.items()}
    assert made == {"model": "m", "messages": [{"role": "user", "content": "Once"}], **inside}
    assert request.question == "Once"


def test_what_rondo_reads() -> None:
    request = WIRE.parse(
        body(
            stream=True,
            stream_options={"include_usage": True},
            n=3,
            user="u",
            session="s",
            metadata={"a": 1},
            inputs={"b": 2},
        )
    )
    assert (request.stream, request.wants_usage, request.choices) == (True, True, 3)
    assert (request.user, request.session, request.tags, request.inputs) == ("u", "s", {"a": "1"}, {"b": 2})
    listed = WIRE.parse(b'{"models":["a","b"],"prompt":"x"}')
    assert (listed.model, listed.models) == ("a", ["a", "b"])


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": None}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2, 3]}, "prompt"),
        ({"prompt": [[1, 2], [3]]}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt"),
        ({"model": 3}, "model"),
        ({"suffix": "the end"}, "suffix"),
        ({"best_of": 3}, "best_of"),
        ({"n": 2, "best_of": 3}, "best_of"),
        ({"echo": True, "logprobs": 1}, "echo"),
        ({"tools": []}, "tools"),
        ({"messages": []}, "messages"),
        ({"max_completion_tokens": 5}, "max_completion_tokens"),
        ({"stream": "yes"}, "stream"),
        ({"n": "two"}, "n"),
        ({"metadata": 7}, "metadata"),
    ],
)
def test_refusals_name_the_field(fields: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        WIRE.parse(body(**fields))
    assert raised.value.param == param


@pytest.mark.parametrize("data", [b"", b"[]", b'{"prompt":"\xff"}', b'{"model":"m","prompt":' + b"[" * 100_000])
def test_hostile_bodies_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        WIRE.parse(data)


def test_an_answer() -> None:
    assert answered(choice(" upon a time")) == {
        "id": "cmpl-" + "a" * 32,
        "object": "text_completion",
        "created": 1_700_000_000,
        "model": "served",
        "choices": [{"index": 0, "text": " upon a time", "logprobs": None, "finish_reason": "stop"}],
        "usage": USAGE,
    }


def test_several_choices_and_echo() -> None:
    choices = answered(choice(" a"), choice(" b", "length", 1), n=2, echo=True)["choices"]
    assert [(c["index"], c["text"], c["finish_reason"]) for c in choices] == [
        (0, "Once a", "stop"),
        (1, "Once b", "length"),
    ]


@pytest.mark.parametrize(
    ("finish", "told"), [("tool_calls", "stop"), (None, "stop"), ("content_filter", "content_filter")]
)
def test_reasons_to_finish(finish: str | None, told: str) -> None:
    assert answered(choice(None, finish))["choices"][0] == {
        "index": 0,
        "text": "",
        "logprobs": None,
        "finish_reason": told,
    }


def test_a_refusal_is_text() -> None:
    refused = {"index": 0, "message": {"content": None, "refusal": "No."}, "finish_reason": "stop"}
    assert answered(refused)["choices"][0]["text"] == "No."


TOKENS = [
    {"token": "Hi", "logprob": -0.1, "top_logprobs": [{"token": "Ho", "logprob": -2.0}, 7]},
    {"token": "!", "logprob": -0.2, "top_logprobs": None},
]


def test_log_probabilities_are_columns() -> None:
    columns = answered(choice("Hi!", logprobs={"content": TOKENS}), logprobs=1)["choices"][0]["logprobs"]
    assert columns == {
        "tokens": ["Hi", "!"],
        "token_logprobs": [-0.1, -0.2],
        "top_logprobs": [{"Ho": -2.0}, {}],
        "text_offset": [0, 2],
    }


def test_offsets_go_on_in_a_stream() -> None:
    events = streamed(
        chunk("Hi", logprobs={"content": TOKENS[:1]}), chunk("!", logprobs={"content": TOKENS[1:]}), logprobs=1
    )
    assert [event["choices"][0]["logprobs"]["text_offset"] for event in events] == [[0], [2]]


def test_a_stream() -> None:
    usage = b"data: " + json.dumps({"choices": [], "usage": USAGE}).encode() + b"\n\n"
    events = streamed(chunk(""), chunk(" upon"), chunk(" a"), chunk(finish="stop"), usage)
    assert [(e["choices"][0]["text"], e["choices"][0]["finish_reason"]) for e in events] == [
        (" upon", None),
        (" a", None),
        ("", "stop"),
    ]
    assert {event["object"] for event in events} == {"text_completion"}
    *_, last = streamed(chunk("x"), chunk(finish="stop"), usage, stream_options={"include_usage": True})
    assert (last["choices"], last["usage"]) == ([], USAGE)


def test_other_events() -> None:
    stream = WIRE.stream(given())
    assert stream.event(b": ping\n\n") == b": ping\n\n"
    assert stream.event(b"event: x\n\n") == b""


def test_a_stream_that_dies_says_so_as_openai_does() -> None:
    error = WIRE.stream(given()).error(UpstreamCut("It broke off."))
    assert json.loads(error.removeprefix(b"data: "))["error"]["message"] == "It broke off."
    assert json.loads(WIRE.error(InvalidRequest("No.", param="prompt")))["error"]["param"] == "prompt"


@for_all(st.lists(st.tuples(st.integers(0, 2), st.text(max_size=4)), max_size=8), st.booleans())
def test_any_stream_says_what_the_plain_answer_says(pieces: list[tuple[int, str]], echo: bool) -> None:
    chunks = [chunk(text, index=index) for index, text in pieces] + [chunk(finish="stop", index=i) for i in range(3)]
    texts = {index: "".join(text for at, text in pieces if at == index) for index in range(3)}
    plain = answered(*(choice(text, index=index) for index, text in texts.items()), n=3, echo=echo)
    said = dict.fromkeys(range(3), "")
    for event in streamed(*chunks, n=3, echo=echo):
        for one in event["choices"]:
            said[one["index"]] += one["text"]
    assert said == {one["index"]: one["text"] for one in plain["choices"]}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"completion_tokens": 7, "total_tokens": 12}, None),
        ({**USAGE, "prompt_tokens": "many"}, None),
        ({**USAGE, "prompt_tokens_details": True, "cost": 0.1}, USAGE),
        (
            {**USAGE, "prompt_tokens_details": {"cached_tokens": 3, "audio_tokens": []}},
            {**USAGE, "prompt_tokens_details": {"cached_tokens": 3}},
        ),
    ],
)
def test_usage_is_what_clients_can_read_or_nothing(usage: dict[str, Any], expected: Any) -> None:
    data = json.dumps({"model": "served", "choices": [choice("x")], "usage": usage}).encode()
    answer = json.loads(WIRE.answer(given(), data))
    Completion.model_validate(answer)
    assert answer["usage"] == expected
