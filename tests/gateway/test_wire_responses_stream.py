"""Streamed answers of the Responses wire: every event checked against the SDK's types, and the whole against the plain
answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st
from openai._models import construct_type_unchecked
from openai._types import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent

from responses_wire import TRACE, WIRE, answered, chunk, completion, events, given, streamed
from rondo.errors import InvalidRequest, RateLimited, RondoError, UpstreamCut, UpstreamError
from rondo.gateway.stream import StreamedAnswer
from rondo.gateway.wires.inside import said_of
from rondo.gateway.wires.responses_output import items_of

USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}\n\n'
EVENT: Any = ResponseStreamEvent
PATCH = {"type": "custom", "name": "patch"}


def fragment(index: int, arguments: str | None = None, **more: Any) -> dict[str, Any]:
    """A fragment of a tool call; `name` goes to its place."""
    function = {"name": more.pop("name")} if "name" in more else {}
    return {"index": index, **more, "function": {**function, **({} if arguments is None else {"arguments": arguments})}}


def kinds(found: list[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in found]


def test_the_order_of_a_texts_events() -> None:
    found = streamed(
        [chunk(role="assistant", content=""), chunk(content="Hel"), chunk(content="lo"), chunk("stop"), USAGE]
    )
    assert kinds(found) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert found[0]["response"]["status"] == "in_progress"
    assert found[0]["response"]["output"] == []
    assert found[6]["text"] == "Hello"
    assert found[-1]["response"]["usage"]["output_tokens"] == 7
    assert found[-1]["response"]["model"] == "served"


def test_thinking_ends_where_the_answer_begins() -> None:
    block = {"type": "thinking", "thinking": "hm", "signature": "s"}
    found = streamed(
        [
            chunk(reasoning_content="h"),
            chunk(reasoning_content="m"),
            chunk(thinking_blocks=[block]),
            chunk(content="Hi"),
            chunk("stop"),
        ]
    )
    assert kinds(found)[2:] == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert found[8]["item"]["encrypted_content"].startswith("rondo1.")
    assert found[-1]["response"]["output"][0] == found[8]["item"]


def test_calls_that_come_mixed() -> None:
    found = streamed(
        [
            chunk(tool_calls=[fragment(0, "", id="c0", name="f", type="function")]),
            chunk(tool_calls=[fragment(1, '{"b"', id="c1", name="g", type="function")]),
            chunk(tool_calls=[fragment(0, '{"a":'), fragment(1, ":2}")]),
            chunk(tool_calls=[fragment(0, "1}")]),
            chunk("tool_calls"),
        ]
    )
    assert kinds(found)[2:] == [
        *["output_item.added", "function_call_arguments.delta"] * 2,
        *["function_call_arguments.delta"] * 2,
        *["function_call_arguments.done", "output_item.done"] * 2,
        "completed",
    ]
    assert [(e["output_index"], e["delta"]) for e in found if e["type"].endswith("arguments.delta")] == [
        (0, '{"a":'),
        (1, '{"b"'),
        (1, ":2}"),
        (0, "1}"),
    ]
    first, second = found[-1]["response"]["output"]
    assert (first["call_id"], first["name"], first["arguments"]) == ("c0", "f", '{"a":1}')
    assert (second["call_id"], second["name"], second["arguments"]) == ("c1", "g", '{"b":2}')


def test_a_call_without_arguments_is_announced_too() -> None:
    found = streamed([chunk(tool_calls=[fragment(0, id="c0", name="f")]), chunk("tool_calls")])
    assert kinds(found)[2:] == ["output_item.added", "function_call_arguments.done", "output_item.done", "completed"]


def test_a_name_in_pieces_is_announced_whole() -> None:
    found = streamed(
        [
            chunk(tool_calls=[fragment(0, id="c0", name="wea")]),
            chunk(tool_calls=[fragment(0, name="ther")]),
            chunk(tool_calls=[fragment(0, "{}")]),
            chunk("tool_calls"),
        ]
    )
    assert found[2]["item"]["name"] == "weather"


def test_a_custom_tools_input_comes_when_it_is_whole() -> None:
    found = streamed(
        [
            chunk(tool_calls=[fragment(0, '{"inp', id="c0", name="patch")]),
            chunk(tool_calls=[fragment(0, 'ut":"a"}')]),
            chunk("tool_calls"),
        ],
        tools=[PATCH],
    )
    assert kinds(found)[2:] == [
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
        "completed",
    ]
    assert found[-1]["response"]["output"][0]["input"] == "a"


def test_refusals() -> None:
    found = streamed([chunk(refusal="N"), chunk(refusal="o."), chunk("stop")])
    assert kinds(found)[2:] == [
        "output_item.added",
        "content_part.added",
        "refusal.delta",
        "refusal.delta",
        "refusal.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert found[-1]["response"]["output"][0]["content"] == [{"type": "refusal", "refusal": "No."}]


def test_log_probabilities_come_with_their_text() -> None:
    token = {"token": "Hi", "logprob": -0.1, "top_logprobs": []}
    event = json.loads(chunk(content="Hi")[6:])
    event["choices"][0]["logprobs"] = {"content": [token]}
    found = streamed([b"data: " + json.dumps(event).encode() + b"\n\n", chunk("stop")], top_logprobs=1)
    assert [e["logprobs"][0]["token"] for e in found if "output_text" in e["type"]] == ["Hi", "Hi"]


def test_an_empty_answer_is_an_empty_message() -> None:
    found = streamed([chunk("stop")])
    assert found[-1]["response"]["output"][0]["content"][0]["text"] == ""


def test_incomplete() -> None:
    found = streamed([chunk(reasoning_content="hm"), chunk(content="Hel"), chunk("length")])
    assert found[-1]["type"] == "response.incomplete"
    assert found[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [item["status"] for item in found[-1]["response"]["output"]] == ["completed", "incomplete"]
    cut = streamed([chunk(reasoning_content="hm"), chunk("length")])
    assert [item["status"] for item in cut[-1]["response"]["output"]] == ["incomplete"]
    assert cut[-2]["item"] == cut[-1]["response"]["output"][0]


def test_signatures_of_calls_come_last() -> None:
    signed = fragment(0, "{}", id="c0", name="f", extra_content={"google": {"thought_signature": "sig"}})
    found = streamed([chunk(tool_calls=[signed]), chunk("tool_calls")])
    assert [item["type"] for item in found[-1]["response"]["output"]] == ["function_call", "reasoning"]
    assert kinds(found)[-3:] == ["output_item.added", "output_item.done", "completed"]


def test_thinking_that_comes_back_is_another_item() -> None:
    found = streamed(
        [
            chunk(reasoning_content="a"),
            chunk(content="b"),
            chunk(reasoning_content="c"),
            chunk(content="d"),
            chunk("stop"),
        ]
    )
    first, message, second = found[-1]["response"]["output"]
    assert (first["id"], second["id"]) == (f"rs_{TRACE}", f"rs_{TRACE}_1")
    assert message["content"][0]["text"] == "bd"


def test_other_events() -> None:
    stream = WIRE.stream(given())
    assert stream.event(b": ping\n\n") == b": ping\n\n"
    assert stream.event(b"event: x\n\n") == b""
    assert stream.event(b'data: {"choices":[{"index":1,"delta":{"content":"other"}}]}\n\n') == b""
    assert stream.event(b'event: x\ndata: {"choices":[{"index":0,\ndata: "delta":{"content":"Hi"}}]}\n\n')


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UpstreamCut("It broke off."), "server_error"),
        (UpstreamError("Slow down.", status=429), "rate_limit_exceeded"),
        (RateLimited("Slow down.", retry_after=3), "rate_limit_exceeded"),
        (InvalidRequest("No.", param="input"), "invalid_prompt"),
    ],
)
def test_a_stream_that_dies(error: RondoError, code: str) -> None:
    stream = WIRE.stream(given())
    data = stream.begin() + stream.event(chunk(content="Hel"))
    found = events(data + stream.event(chunk(tool_calls=[fragment(0, "{", id="c", name="f")])) + stream.error(error))
    told, last = found[-2:]
    assert (told["type"], told["code"], told["message"]) == ("error", error.code, error.message)
    assert told["error"]["message"] == error.message  # by which the SDKs raise
    assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")
    assert last["response"]["error"] == {"code": code, "message": error.message}
    assert last["response"]["output"][0]["content"][0]["text"] == "Hel"
    assert [item["status"] for item in last["response"]["output"]] == ["incomplete", "incomplete"]


def pieces(text: str) -> st.SearchStrategy[list[str]]:
    """The text, cut anywhere."""
    return st.lists(st.integers(0, len(text)), max_size=4).map(
        lambda cuts: [text[a:b] for a, b in zip([0, *sorted(cuts)], [*sorted(cuts), len(text)], strict=True)]
    )


@st.composite
def calls_in_pieces(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[list[dict[str, Any]]]]:
    """Tool calls, and deltas of them that come mixed; each call's first fragment in the calls' order."""
    calls, queues = [], []
    for index in range(draw(st.integers(0, 3))):
        name, arguments = draw(st.sampled_from(["f", "patch"])), draw(st.text(max_size=6))
        calls.append({"id": f"c{index}", "type": "function", "function": {"name": name, "arguments": arguments}})
        opening = fragment(index, id=f"c{index}", type="function", name="")
        names = [fragment(index, name=piece) for piece in draw(pieces(name))]
        queues.append([opening, *names, *(fragment(index, piece) for piece in draw(pieces(arguments)))])
    first = [queue.pop(0) for queue in queues]
    together = bool(queues) and draw(st.booleans())
    deltas: list[list[dict[str, Any]]] = [first] if together else [[one] for one in first]
    while left := [queue for queue in queues if queue]:
        deltas.append([draw(st.sampled_from(left)).pop(0)])
    return calls, deltas


@settings(deadline=None, max_examples=60)  # the SDK's types take their time
@for_all(
    st.text(max_size=8).flatmap(lambda text: st.tuples(st.just(text), pieces(text))),
    st.text(max_size=8).flatmap(lambda text: st.tuples(st.just(text), pieces(text))),
    st.booleans(),
    calls_in_pieces(),
    st.sampled_from(["stop", "length", "tool_calls", "content_filter"]),
)
def test_any_stream_ends_as_the_plain_answer(
    thought: tuple[str, list[str]],
    text: tuple[str, list[str]],
    refuses: bool,
    calls: tuple[list[dict[str, Any]], list[list[dict[str, Any]]]],
    finish: str,
) -> None:
    said = "refusal" if refuses else "content"
    chunks = [chunk(reasoning_content=piece) for piece in thought[1]] + [chunk(**{said: piece}) for piece in text[1]]
    chunks += [chunk(tool_calls=delta) for delta in calls[1]]
    found = streamed([*chunks, chunk(finish)], tools=[PATCH])
    message = {"reasoning_content": thought[0], said: text[0], "tool_calls": calls[0] or None}
    plain = answered(completion(finish, **message), tools=[PATCH])
    last = found[-1]["response"]
    assert {**last, "completed_at": None} == {**plain, "completed_at": None}
    assert last["output"] == recorded_items([*chunks, chunk(finish)], finish)
    check_sequence(found)


@settings(deadline=None, max_examples=60)
@for_all(st.lists(st.sampled_from(["think", "block", "say", "refuse", "call0", "call1", "call2"]), max_size=12))
def test_any_mixture_is_well_formed(order: list[str]) -> None:
    """Whatever the order in which the pieces come, nothing of them is lost."""
    found = streamed([*(mixed(what, n) for n, what in enumerate(order)), chunk("stop")])
    check_sequence(found)
    output = found[-1]["response"]["output"]
    thoughts = "".join(part["text"] for item in output if item["type"] == "reasoning" for part in item["summary"])
    assert thoughts == "".join(f"t{n}." for n, what in enumerate(order) if what == "think")
    texts = "".join(p.get("text", "") for item in output if item["type"] == "message" for p in item["content"])
    assert texts == "".join(f"s{n}." for n, what in enumerate(order) if what == "say")
    for index in range(3):
        arguments = [item["arguments"] for item in output if item.get("call_id") == f"c{index}"]
        assert "".join(arguments) == "".join(f"a{n}." for n, what in enumerate(order) if what == f"call{index}")


def recorded_items(chunks: list[bytes], finish: str) -> list[dict[str, Any]]:
    """The output items that the stream's record gives."""
    answer = StreamedAnswer()
    for one in chunks:
        answer.read(one)
    return items_of(TRACE, said_of(answer.output().decode()), finish, custom={"patch"})


def test_thinking_is_in_the_record() -> None:
    signed = fragment(0, "{}", id="c0", name="f", extra_content={"google": {"thought_signature": "sig"}})
    chunks = [
        chunk(reasoning_content="hm"),
        chunk(thinking_blocks=[{"type": "thinking", "thinking": "hm", "signature": "s"}]),
        chunk(reasoning="..."),
        chunk(content="Hi"),
        chunk(tool_calls=[signed]),
        chunk("tool_calls"),
    ]
    items = recorded_items(chunks, "tool_calls")
    assert items == streamed(chunks)[-1]["response"]["output"]
    assert [item["type"] for item in items] == ["reasoning", "message", "function_call", "reasoning"]


def mixed(what: str, n: int) -> bytes:
    """The `n`-th piece, of a thought, a block, the text, a refusal or a call."""
    if what.startswith("call"):
        return chunk(tool_calls=[fragment(int(what[-1]), f"a{n}.", id=f"c{what[-1]}")])
    block = {"type": "thinking", "thinking": f"{n}", "signature": "s"}
    said: dict[str, Any] = {"think": f"t{n}.", "block": [block], "say": f"s{n}.", "refuse": f"r{n}."}
    fields = {"think": "reasoning_content", "block": "thinking_blocks", "say": "content", "refuse": "refusal"}
    return chunk(**{fields[what]: said[what]})


def check_sequence(found: list[dict[str, Any]]) -> None:
    """Items are opened and closed once, in order; deltas add up; the SDK's own accumulator agrees."""
    output = found[-1]["response"]["output"]
    added = [e["output_index"] for e in found if e["type"] == "response.output_item.added"]
    done = {e["output_index"]: e["item"] for e in found if e["type"] == "response.output_item.done"}
    assert added == list(range(len(output)))
    assert [done[index] for index in added] == output
    for index, item in enumerate(output):
        deltas = "".join(e["delta"] for e in found if e.get("output_index") == index and e["type"].endswith(".delta"))
        if item["type"] == "message":
            by_part: dict[int, str] = {}
            for e in found:
                if e.get("output_index") == index and e["type"].endswith(".delta"):
                    by_part[e["content_index"]] = by_part.get(e["content_index"], "") + e["delta"]
            assert [by_part.get(at, "") for at in range(len(item["content"]))] == [
                part.get("text") or part.get("refusal") or "" for part in item["content"]
            ]
        elif item["type"] == "reasoning":
            assert deltas == "".join(part["text"] for part in item["summary"])
        else:
            assert deltas == item.get("arguments", item.get("input"))
    state: Any = ResponseStreamState(text_format=omit, input_tools=omit)
    for event in found:
        state.handle_event(construct_type_unchecked(type_=EVENT, value=event))
    if found[-1]["type"] == "response.completed":
        assert [item.id for item in state._completed_response.output] == [item["id"] for item in output]
