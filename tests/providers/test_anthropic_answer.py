"""Anthropic's answers as chat completions: whole, and as a stream that may be cut anywhere."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.anthropic_wire import (
    MODEL,
    PING,
    block,
    call,
    call_block,
    end,
    error,
    event,
    message,
    start,
    text,
    text_block,
    thinking_block,
)
from rondo.errors import UpstreamCut, UpstreamError
from rondo.providers.anthropic_answer import chunks_of, completion_of

THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "sig=="}
REDACTED = {"type": "redacted_thinking", "data": "EmwK"}


def whole(*content: dict[str, Any], **fields: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(completion_of(json.dumps(message(*content, **fields)).encode()))
    return read


def said(*content: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = whole(*content)["choices"][0]["message"]
    return read


def test_a_text() -> None:
    answer = whole(text("Hello"), text(" there"))
    assert answer["object"] == "chat.completion"
    assert answer["id"] == "chatcmpl-msg_01XFDUDYJgAACzvnptvVoYEL"
    assert answer["model"] == MODEL
    (choice,) = answer["choices"]
    assert choice["message"] == {"role": "assistant", "content": "Hello there"}
    assert choice["finish_reason"] == "stop"
    assert answer["usage"] == {
        "prompt_tokens": 20,
        "completion_tokens": 9,
        "total_tokens": 29,
        "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 3},
    }


def test_calls() -> None:
    answer = said(call("toolu_1", "weather", city="Oslo"), call("toolu_2", "now"))
    assert answer["content"] is None
    calls = [(one["id"], one["function"]["name"], one["function"]["arguments"]) for one in answer["tool_calls"]]
    assert calls == [("toolu_1", "weather", '{"city": "Oslo"}'), ("toolu_2", "now", "{}")]


def test_thoughts() -> None:
    answer = said(THOUGHT, REDACTED, {**THOUGHT, "thinking": "Yes."}, text("Hi"))
    assert answer["reasoning_content"] == "Hm.\n\nYes."
    assert answer["thinking_blocks"] == [THOUGHT, REDACTED, {**THOUGHT, "thinking": "Yes."}]
    assert answer["content"] == "Hi"


def test_thinking_is_counted_apart() -> None:
    usage = {"input_tokens": 1, "output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}}
    assert whole(text("x"), usage=usage)["usage"]["completion_tokens_details"] == {"reasoning_tokens": 4}


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "stop"),
        ("refusal", "content_filter"),
        ("model_context_window_exceeded", "length"),
        ("something_new", "stop"),
        (None, "stop"),
    ],
)
def test_why_it_stopped(reason: Any, finish: str) -> None:
    assert whole(text("x"), reason=reason)["choices"][0]["finish_reason"] == finish


def test_the_text_that_stopped_it() -> None:
    assert whole(text("x"), reason="stop_sequence", stop_sequence="END")["choices"][0]["stop_sequence"] == "END"
    assert "stop_sequence" not in whole(text("x"))["choices"][0]


def test_blocks_that_are_new_to_us_say_nothing() -> None:
    assert said({"type": "hologram", "text": "?"}, text("Hi"))["content"] == "Hi"


@pytest.mark.parametrize(
    "body", [b"", b"oops", b"[]", b'{"content": 5}', b'{"type": "error"}', b'{"content": ' + b"[" * 100_000]
)
def test_what_is_no_message(body: bytes) -> None:
    with pytest.raises(UpstreamCut, match="cannot be read"):
        completion_of(body)


async def _parts(data: Sequence[bytes]) -> AsyncIterator[bytes]:
    for part in data:
        yield part


async def streamed(*parts: bytes) -> list[Any]:
    chunks = [chunk async for chunk in chunks_of(_parts(parts)) if chunk != b": ping\n\n"]
    assert all(chunk.startswith(b"data: ") and chunk.endswith(b"\n\n") for chunk in chunks)
    assert chunks.pop() == b"data: [DONE]\n\n"
    return [json.loads(chunk[6:]) for chunk in chunks]


def deltas(events: list[Any]) -> list[Any]:
    return [one["choices"][0]["delta"] for one in events if one["choices"]]


def together(events: list[Any]) -> dict[str, Any]:
    """What the events amount to, as a message."""
    made: dict[str, Any] = {"content": "", "reasoning_content": "", "thinking_blocks": [], "tool_calls": {}}
    for delta in deltas(events):
        made["content"] += delta.get("content") or ""
        made["reasoning_content"] += delta.get("reasoning_content") or ""
        made["thinking_blocks"] += delta.get("thinking_blocks", [])
        for one in delta.get("tool_calls", ()):
            known = made["tool_calls"].setdefault(one["index"], {"arguments": ""})
            known.update({"id": one["id"], "name": one["function"]["name"]} if "id" in one else {})
            known["arguments"] += one["function"]["arguments"]
    return made


ALL = [
    start(cache_read_input_tokens=4),
    PING,
    *thinking_block(0, "sig==", "Let me", " see."),
    *block(1, REDACTED),
    *thinking_block(2, "sig2", "Yes."),
    *text_block(3, "Hel", "lo ", "Ä👋"),
    *call_block(4, "toolu_1", "weather", '{"city":', ' "Oslo"}'),
    *call_block(5, "toolu_2", "now"),
    event("something_new", index=7),
    *end("tool_use", output_tokens=30),
]


async def test_a_stream() -> None:
    events = await streamed(*ALL)
    assert deltas(events)[0] == {"role": "assistant", "reasoning_content": "Let me"}
    assert all("role" not in delta for delta in deltas(events)[1:])
    made = together(events)
    assert made["content"] == "Hello Ä👋"
    assert made["reasoning_content"] == "Let me see.\n\nYes."
    assert made["thinking_blocks"] == [
        {"type": "thinking", "thinking": "Let me see.", "signature": "sig=="},
        REDACTED,
        {"type": "thinking", "thinking": "Yes.", "signature": "sig2"},
    ]
    assert made["tool_calls"] == {
        0: {"id": "toolu_1", "name": "weather", "arguments": '{"city": "Oslo"}'},
        1: {"id": "toolu_2", "name": "now", "arguments": "{}"},
    }
    assert {one["model"] for one in events} == {MODEL}
    assert [one["choices"][0]["finish_reason"] for one in events if one["choices"]][-1] == "tool_calls"
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["prompt_tokens"] == 29
    assert events[-1]["usage"]["completion_tokens"] == 30


async def test_a_stop_sequence_in_a_stream() -> None:
    events = await streamed(start(), *text_block(0, "a"), *end("stop_sequence", "END"))
    assert events[-2]["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop", "stop_sequence": "END"}]


async def test_an_answer_that_says_nothing() -> None:
    events = await streamed(start(), *end())
    assert deltas(events) == [{"role": "assistant"}]


async def test_blocks_that_come_whole() -> None:
    """Some servers put everything into the start of a block."""
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    parts = [*block(0, thought), *block(1, text("Hi")), *block(2, call("t", "f", a=1))]
    made = together(await streamed(start(), *parts, *end("tool_use")))
    assert made["reasoning_content"] == "Hm."
    assert made["thinking_blocks"] == [thought]
    assert made["content"] == "Hi"
    assert json.loads(made["tool_calls"][0]["arguments"]) == {"a": 1}


async def test_thoughts_that_are_not_shown() -> None:
    made = together(await streamed(start(), *thinking_block(0, "sig"), *text_block(1, "Hi"), *end()))
    assert made["reasoning_content"] == ""
    assert made["thinking_blocks"] == [{"type": "thinking", "thinking": "", "signature": "sig"}]


@given(st.lists(st.integers(0, len(b"".join(ALL))), max_size=20), st.booleans())
async def test_every_cut_gives_the_same_answer(cuts: list[int], crlf: bool) -> None:
    data = b"".join(ALL)
    if crlf:
        data = data.replace(b"\n", b"\r\n")
    edges = [0, *sorted(cuts), len(data)]
    events = await streamed(*(data[one:other] for one, other in itertools.pairwise(edges)))
    assert together(events) == together(await streamed(*ALL))


@pytest.mark.parametrize("kept", range(len(ALL) - 1))
async def test_an_end_before_the_end(kept: int) -> None:
    with pytest.raises(UpstreamCut):
        await streamed(*ALL[:kept])


async def test_an_end_in_the_middle_of_an_event() -> None:
    with pytest.raises(UpstreamCut, match="middle of an event"):
        await streamed(*ALL[:-1], ALL[-1][:-9])


@pytest.mark.parametrize(
    ("kind", "status"),
    [("overloaded_error", 529), ("rate_limit_error", 429), ("api_error", 500), ("brand_new_error", None)],
)
async def test_an_error_in_the_stream(kind: str, status: int | None) -> None:
    parts = [start(), event("error", **{**error(kind, "Overloaded"), "type": "error"})]
    with pytest.raises(UpstreamError, match="Overloaded") as caught:
        await streamed(*parts)
    assert caught.value.status == status
    assert kind in str(caught.value)


async def test_an_early_error_comes_before_any_event() -> None:
    """So that the gateway, which has sent nothing yet, may try again."""
    early = event("error", error={"type": "overloaded_error"})
    with pytest.raises(UpstreamError):
        await anext(chunks_of(_parts([start(), early])))


async def test_a_ping_keeps_connections_open() -> None:
    assert await anext(chunks_of(_parts([start(), PING]))) == b": ping\n\n"


@pytest.mark.parametrize("data", [b"data: oops\n\n", b"data: []\n\n", b"data: " + b"[" * 100_000 + b"\n\n"])
async def test_an_event_that_is_none(data: bytes) -> None:
    with pytest.raises(UpstreamCut, match="cannot be read"):
        await streamed(start(), data)
