"""An answer as a stream and back: nothing is lost, whatever the answer holds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answer_makers import completion
from rondo.cache import replay
from rondo.cache.model import may_be_kept
from rondo.cache.replay import Collector, events
from rondo.gateway.stream import StreamedAnswer
from scripted_upstream import COMPLETION

CALLS = [
    {"id": "c1", "type": "function", "function": {"name": "find", "arguments": '{"q": "a"}'}},
    {"id": "c2", "type": "function", "function": {"name": "tell", "arguments": ""}},
]
THINKING = [{"type": "thinking", "thinking": "Hm.", "signature": "abc"}, {"type": "redacted_thinking", "data": "x"}]


def collected(parts: Any) -> bytes | None:
    collector = Collector()
    for part in parts:
        collector.add(part)
    return collector.completion()


def there_and_back(whole: bytes) -> Any:
    joined = collected(events(whole))
    assert joined is not None
    return json.loads(joined)


@pytest.mark.parametrize(
    "whole",
    [
        completion(),
        completion("One two three four five six seven eight nine ten.\n\nAnd a new line.  "),
        completion(" leading", refusal="no"),
        completion("", refusal="I will not."),
        completion(None, finish="tool_calls", tool_calls=CALLS),
        completion("Let me look.", finish="tool_calls", tool_calls=CALLS),
        completion("So.", reasoning_content="First this, then that, and so on.", thinking_blocks=THINKING),
        completion("x", annotations=[{"type": "url_citation"}], audio={"id": "a"}),
    ],
)
def test_there_and_back(whole: bytes) -> None:
    assert there_and_back(whole) == json.loads(whole)


def test_several_choices_with_their_own_ends_and_probabilities() -> None:
    whole = json.loads(completion())
    probabilities = {"content": [{"token": "Hello", "logprob": -0.5}], "refusal": None}
    whole["choices"] = [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello"},
            "logprobs": probabilities,
            "finish_reason": "stop",
        },
        {
            "index": 1,
            "message": {"role": "assistant", "content": "Bye"},
            "finish_reason": "stop",
            "stop_sequence": "END",
        },
    ]
    whole["system_fingerprint"] = "fp"
    assert there_and_back(json.dumps(whole).encode()) == whole


def test_the_gateway_reads_the_events_as_it_reads_a_models() -> None:
    answer = StreamedAnswer()
    for event in events(completion("So it is, as I have always said to you.", finish="tool_calls", tool_calls=CALLS)):
        answer.read(event)
    assert answer.ended
    said = json.loads(answer.output())
    assert said["content"] == "So it is, as I have always said to you."
    assert said["tool_calls"] == CALLS
    assert answer.usage == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


def test_text_comes_in_pieces_between_words() -> None:
    parts = [json.loads(event[6:]) for event in events(completion("word " * 100))]
    pieces = [part["choices"][0]["delta"].get("content") for part in parts if part["choices"]]
    texts = [piece for piece in pieces if piece]
    assert "".join(texts) == "word " * 100
    assert len(texts) == 20
    assert all(text.endswith("word ") for text in texts)
    assert parts[-1] == {**parts[-1], "choices": [], "usage": parts[-1]["usage"]}
    assert {part["object"] for part in parts} == {"chat.completion.chunk"}


def test_bytes_of_a_provider() -> None:
    whole = there_and_back(COMPLETION)
    assert whole["choices"][0]["message"]["content"] == "Hello ä👋"
    assert whole["x_unknown"] == [1.0, {"deep": 1e40}]


def test_pieces_of_every_kind_one_after_the_other() -> None:
    """Bare text is read by a shorter way: what comes between must neither be lost nor change places."""
    deltas: list[dict[str, Any]] = [
        {"delta": {"role": "assistant", "content": "One "}},
        {"delta": {"content": "two "}},
        {"delta": {"content": "three ", "annotations": [{"at": 1}]}},
        {"delta": {"content": "four "}},
        {"delta": {"content": "five "}, "logprobs": {"content": [{"token": "five "}]}},
        {"delta": {"content": "six"}, "stop_sequence": "END"},
        {"delta": {}, "finish_reason": "stop"},
    ]
    frame = {"id": "c", "object": "chat.completion.chunk", "model": "m"}
    parts = [{**frame, "choices": [{"index": 0, **each}]} for each in deltas]
    joined = collected(b"data: " + json.dumps(part).encode() + b"\n\n" for part in parts)
    assert joined is not None
    assert json.loads(joined)["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "One two three four five six", "annotations": [{"at": 1}]},
            "logprobs": {"content": [{"token": "five "}]},
            "stop_sequence": "END",
            "finish_reason": "stop",
        }
    ]


@pytest.mark.parametrize(
    "parts",
    [
        [],
        [b": comment\n\n"],
        [b"data: [DONE]\n\n"],
        [b'data: {"choices":[]}\n\n'],
        [b'data: {"choices":[{"index":0,"delta":{"content":"no end"}}]}\n\n'],
        [b"data: {broken\n\n"],
        [b'data: {"choices":[3]}\n\n'],
        [b'data: {"choices":[{"index":0,"delta":{"tool_calls":[7]},"finish_reason":"stop"}]}\n\n'],
        [b'data: {"choices":[{"index":{},"delta":{},"finish_reason":"stop"}]}\n\n'],
        [b'data: {"choices":{"a":1}}\n\n'],
        [b"data: " + b"[" * 5_000 + b"\n\n"],
        [b'data: "\xff"\n\n'],
    ],
)
def test_what_is_no_whole_answer_is_none(parts: list[bytes]) -> None:
    assert collected(parts) is None


def test_too_much_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "MOST_BYTES", 1_000)
    collector = Collector()
    for event in events(completion("word " * 100)):
        collector.add(event)
    assert collector.completion() is None
    assert collector._events == []


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        (completion(), True),
        (completion(None, finish="tool_calls", tool_calls=CALLS), True),
        (completion("", refusal="no"), True),
        (completion("cut of", finish="length"), False),
        (completion("", finish="content_filter"), False),
        (completion("no end", finish=None), False),
        (completion(""), False),
        (completion(None), False),
        (b'{"choices": []}', False),
        (b'{"error": {"message": "no"}}', False),
        (b"", False),
        (b"[" * 5_000, False),
        (completion("x" * 2_000_001), False),
    ],
)
def test_what_may_be_kept(whole: bytes, expected: bool) -> None:
    assert may_be_kept(whole) is expected


TEXT = st.text(st.characters(codec="utf-8"))
MESSAGES = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": TEXT.filter(bool)},
    optional={
        "refusal": TEXT.filter(bool),
        "reasoning_content": TEXT.filter(bool),
        "tool_calls": st.lists(
            st.fixed_dictionaries(
                {
                    "id": TEXT,
                    "type": st.just("function"),
                    "function": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT}),
                }
            ),
            min_size=1,
            max_size=3,
        ),
    },
)


@given(st.lists(MESSAGES, min_size=1, max_size=3))
def test_any_answer_there_and_back(messages: list[dict[str, Any]]) -> None:
    choices = [{"index": at, "message": each, "finish_reason": "stop"} for at, each in enumerate(messages)]
    whole = {"id": "c", "object": "chat.completion", "model": "m", "choices": choices}
    assert there_and_back(json.dumps(whole).encode()) == whole


@given(st.lists(st.binary(max_size=60) | st.sampled_from(list(events(completion("a b c")))), max_size=8))
def test_any_events(parts: list[bytes]) -> None:
    joined = collected(parts)
    assert joined is None or json.loads(joined)["object"] == "chat.completion"
