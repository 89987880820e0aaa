"""Streams are split into whole events whatever the packets, read along the way, and passed on unchanged."""

from collections.abc import AsyncIterator
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.errors import UpstreamCut
from rondo.gateway.stream import StreamedAnswer, _whole_events, batches, split
from rondo.providers.dialect import completion_events

EVENTS = completion_events(["Hello", " wörld", " 👋"], model="m", prompt_tokens=3)
WHOLE = b"".join(EVENTS)


async def cut_at(data: bytes, cuts: list[int]) -> AsyncIterator[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        yield data[start:end]


@given(st.lists(st.integers(0, 10_000), max_size=12))
async def test_any_packets_give_the_same_events(cuts: list[int]) -> None:
    assert [event async for batch in batches(cut_at(WHOLE, cuts)) for event in batch] == EVENTS


@given(st.lists(st.sampled_from([b"\n", b"data: x", b":", b"y"])).map(b"".join))
def test_lines_without_carriage_returns_are_split_as_all_others_are(data: bytes) -> None:
    whole, rest = split(data)
    assert (whole, rest) == (list(_whole_events(data)), data[sum(map(len, whole)) :])


@given(st.binary(max_size=200))
def test_splitting_loses_no_byte(data: bytes) -> None:
    whole, rest = split(data)
    assert b"".join(whole) + rest == data


async def test_line_ends_may_be_crlf() -> None:
    data = b'data: {"choices":[]}\r\n\r\ndata: [DONE]\r\n\r\n'
    assert len([event async for batch in batches(cut_at(data, [])) for event in batch]) == 2


async def test_an_end_in_the_middle_of_an_event_is_a_cut() -> None:
    with pytest.raises(UpstreamCut, match="middle of an event"):
        _ = [batch async for batch in batches(cut_at(WHOLE + b'data: {"cho', []))]


async def test_a_last_event_without_its_blank_line_still_ends_the_stream() -> None:
    data = WHOLE.rstrip()
    assert [event async for batch in batches(cut_at(data, [])) for event in batch][-1] == b"data: [DONE]\n\n"


def read_all(*parts: bytes) -> StreamedAnswer:
    answer = StreamedAnswer()
    for part in parts:
        answer.read(part)
    return answer


def test_text_usage_and_finish_are_read() -> None:
    answer = read_all(*EVENTS)
    assert answer.text == "Hello wörld 👋"
    assert answer.finish_reason == "stop"
    assert answer.done
    assert answer.usage == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    assert msgspec.json.decode(answer.output()) == {"role": "assistant", "content": "Hello wörld 👋"}


def event(delta: object, finish: str | None = None, index: int = 0) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return b"data: " + msgspec.json.encode({"choices": [choice]}) + b"\n\n"


def test_a_fragment_that_is_no_function_costs_only_itself() -> None:
    """A list in the place of a function once ended the whole answer."""
    answer = StreamedAnswer()
    functions: list[object] = [[], None, {"name": "f", "arguments": "{}"}, "x"]
    for function in functions:
        answer.read(event({"tool_calls": [{"index": 0, "id": "a", "function": function}]}))
    made = msgspec.json.decode(answer.output())["tool_calls"]
    assert made == [{"type": "function", "id": "a", "function": {"name": "f", "arguments": "{}"}}]


def test_tool_calls_are_put_together_from_their_fragments() -> None:
    answer = read_all(
        event(
            {"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]}
        ),
        event({"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]}),
        event({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "{}"}}]}),
        event({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}, "tool_calls"),
    )
    calls = msgspec.json.decode(answer.output())["tool_calls"]
    assert [(call["id"], call["function"]) for call in calls] == [
        ("a", {"name": "f", "arguments": '{"x":1}'}),
        ("b", {"name": "g", "arguments": "{}"}),
    ]
    assert answer.finish_reason == "tool_calls"


def test_several_choices_are_kept_apart() -> None:
    answer = read_all(event({"content": "a"}), event({"content": "b"}, index=1), event({"content": "c"}, "stop"))
    assert [m["content"] for m in msgspec.json.decode(answer.output())] == ["ac", "b"]


@pytest.mark.parametrize(
    "part",
    [
        b"data: nonsense\n\n",
        b"data: [1]\n\n",
        b"data: " + b"[" * 10_000 + b"\n\n",
        b'data: {"error": {"message": "x"}}\n\n',
    ],
)
def test_garbage_and_errors_are_cuts(part: bytes) -> None:
    with pytest.raises(UpstreamCut):
        StreamedAnswer().read(part)


def test_comments_are_passed_over() -> None:
    assert StreamedAnswer().read(b": keep-alive\n\n") is False


def test_a_stream_has_ended_when_all_that_was_asked_for_is_finished() -> None:
    answer = StreamedAnswer(2)
    answer.read(event({"content": "a"}, "stop"))
    assert not answer.ended
    answer.read(event({"content": "b"}, "stop", index=1))
    assert answer.ended
