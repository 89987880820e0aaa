"""A chat completion's events as Anthropic's: well-formed blocks, one by one, in whatever order the pieces come."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from providers.anthropic_wire import call_block, end, start, text_block, thinking_block
from rondo.errors import UpstreamCut
from rondo.gateway.stream import split
from rondo.gateway.wires.base import Given
from rondo.gateway.wires.messages import Messages
from rondo.providers.anthropic_answer import chunks_of

BODY = b'{"model":"m","max_tokens":10,"stream":true,"messages":[{"role":"user","content":"Hello"}]}'
GIVEN = Given(trace_id="0" * 31 + "1", created_at=1, request=Messages().parse(BODY))
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}


def chunk(delta: dict[str, Any], finish: str | None = None, **choice: Any) -> bytes:
    one = {"index": 0, "delta": delta, "finish_reason": finish, **choice}
    return b"data: " + json.dumps({"model": "served", "choices": [one]}).encode() + b"\n\n"


def usage() -> bytes:
    return b"data: " + json.dumps({"model": "served", "choices": [], "usage": USAGE}).encode() + b"\n\n"


def call(index: int | None, arguments: str = "", **more: Any) -> dict[str, Any]:
    """A fragment; `id` and `name` come with the first."""
    function = {"arguments": arguments, **({"name": more.pop("name")} if "name" in more else {})}
    return {"tool_calls": [{**({} if index is None else {"index": index}), "function": function, **more}]}


def written(*events: bytes) -> list[Any]:
    """What the client gets. Every event has its name, blocks are numbered and never overlap."""
    stream = Messages().stream(GIVEN)
    out = stream.begin() + b"".join(map(stream.event, events)) + stream.end()
    whole, rest = split(out)
    assert rest == b""
    read: list[Any] = []
    for event in whole:
        name, data, *_ = event.decode().split("\n")
        read.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {read[-1]['type']}"
    assert read[0]["type"] == "message_start"
    assert [event["type"] for event in read[-2:]] == ["message_delta", "message_stop"]
    opened: int | None = None
    closed = 0
    for event in read[1:-2]:
        if event["type"] == "content_block_start":
            assert opened is None
            assert event["index"] == closed
            opened = event["index"]
        else:
            assert event["index"] == opened
            if event["type"] == "content_block_stop":
                opened, closed = None, closed + 1
    assert opened is None
    return read


def blocks(events: list[Any]) -> list[dict[str, Any]]:
    """The content that the events amount to, as an SDK puts it together."""
    made: list[dict[str, Any]] = []
    for event in events:
        if event["type"] == "content_block_start":
            made.append(dict(event["content_block"]))
            if made[-1]["type"] == "tool_use":
                made[-1]["input"] = ""
        elif event["type"] == "content_block_delta":
            delta = event["delta"]
            field = {"input_json_delta": "partial_json"}.get(delta["type"], delta["type"].removesuffix("_delta"))
            made[-1]["input" if field == "partial_json" else field] += delta[field]
    for block in made:
        if block["type"] == "tool_use":
            block["input"] = json.loads(block["input"] or "{}")
    return made


def use(call_id: str, name: str = "f", **given: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": given}


def test_a_text() -> None:
    events = written(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}, "stop"),
        usage(),
    )
    assert events[0]["message"] == {
        "id": f"msg_{GIVEN.trace_id}",
        "type": "message",
        "role": "assistant",
        "model": "served",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 0,
        },
    }
    assert [event["delta"] for event in events if event["type"] == "content_block_delta"] == [
        {"type": "text_delta", "text": "Hel"},
        {"type": "text_delta", "text": "lo"},
    ]
    assert events[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}
    assert (events[-2]["usage"]["input_tokens"], events[-2]["usage"]["output_tokens"]) == (9, 4)


def test_a_piece_is_sent_when_it_comes() -> None:
    stream = Messages().stream(GIVEN)
    assert stream.begin() == b""
    assert b"message_start" in stream.event(chunk({"role": "assistant"}))
    assert b'"text":"Hel"' in stream.event(chunk({"content": "Hel"}))
    stream.event(chunk(call(0, id="a", name="f")))
    assert b'{\\"x\\"' in stream.event(chunk(call(0, '{"x"')))


def test_nothing_at_all() -> None:
    events = written()
    assert events[0]["message"]["model"] == "m"
    assert events[-2]["delta"]["stop_reason"] == "end_turn"


def test_calls_one_after_the_other() -> None:
    events = written(
        chunk({"content": "Wait."}),
        chunk(call(0, id="a", name="f")),
        chunk(call(0, '{"x"')),
        chunk(call(0, ": 1}")),
        chunk(call(1, '{"y": 2}', id="b", name="g")),
        chunk({}, "tool_calls"),
        usage(),
    )
    assert blocks(events) == [{"type": "text", "text": "Wait."}, use("a", x=1), use("b", "g", y=2)]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_calls_at_the_same_time() -> None:
    events = written(
        chunk(call(0, id="a", name="f")),
        chunk(call(1, id="b", name="g")),
        chunk(call(2, '{"z": "}{"}', id="c", name="h")),
        chunk(call(1, '{"y":')),
        chunk(call(0, '{"x": "\\"}')),
        chunk(call(1, "2}")),
        chunk(call(0, '"}')),
        chunk({"content": "Done."}),
        chunk({}, "tool_calls"),
    )
    assert blocks(events) == [
        use("a", x='"}'),
        use("b", "g", y=2),
        use("c", "h", z="}{"),
        {"type": "text", "text": "Done."},
    ]


def test_calls_that_are_all_number_nought() -> None:
    """As some servers count: a new id is a new call. Without any number, the place in the list counts."""
    events = written(chunk(call(0, '{"x": 1}', id="a", name="f")), chunk(call(0, '{"y": 2}', id="b", name="g")))
    assert blocks(events) == [use("a", x=1), use("b", "g", y=2)]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"
    assert blocks(written(chunk(call(None, "{}", id="a", name="f")))) == [use("a")]


def test_calls_without_ids_or_with_the_same() -> None:
    events = written(
        chunk(call(0, "{}", name="f")), chunk(call(1, "{}", id="a", name="f")), chunk(call(2, "{}", id="a", name="f"))
    )
    ids = [block["id"] for block in blocks(events)]
    assert ids == [f"toolu_{GIVEN.trace_id}_0", "a", f"toolu_{GIVEN.trace_id}_2"]


def test_a_name_that_comes_late() -> None:
    events = written(chunk(call(0, '{"x":', id="a")), chunk(call(0, "1}", name="f")), chunk({}, "tool_calls"))
    assert blocks(events) == [use("a", x=1)]


def test_thoughts() -> None:
    signed = {"type": "thinking", "thinking": "Hm. Yes.", "signature": "sig"}
    redacted = {"type": "redacted_thinking", "data": "xyz"}
    hidden = {"type": "thinking", "thinking": "", "signature": "sig2"}
    at_once = {"type": "thinking", "thinking": "All of it.", "signature": "sig3"}
    events = written(
        chunk({"reasoning_content": "Hm."}),
        chunk({"reasoning_content": " Yes."}),
        chunk({"thinking_blocks": [signed]}),
        chunk({"thinking_blocks": [redacted, hidden]}),
        chunk({"thinking_blocks": [at_once]}),
        chunk({"content": "Hi"}, "stop"),
    )
    assert blocks(events) == [signed, redacted, hidden, at_once, {"type": "text", "text": "Hi"}]
    assert blocks(written(chunk({"reasoning": "Hm."}), chunk({"content": "Hi"}))) == [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "text", "text": "Hi"},
    ]


def test_why_it_stopped() -> None:
    def reason(*events: bytes) -> Any:
        return written(*events)[-2]["delta"]

    assert reason(chunk({}, "length"))["stop_reason"] == "max_tokens"
    assert reason(chunk({}, "content_filter"))["stop_reason"] == "refusal"
    assert reason(chunk({"refusal": "No."}, "stop"))["stop_reason"] == "refusal"
    stopped = reason(chunk({"content": "x"}, "stop", stop_sequence="END"))
    assert stopped == {"stop_reason": "stop_sequence", "stop_sequence": "END"}


def test_only_the_first_choice() -> None:
    assert blocks(written(chunk({"content": "x"}), chunk({"content": "y"}, index=1))) == [{"type": "text", "text": "x"}]


def test_events_that_say_nothing() -> None:
    assert Messages().stream(GIVEN).event(b": ping\n\n") == b'event: ping\ndata: {"type":"ping"}\n\n'
    assert blocks(written(b'id: 1\r\ndata: {"choices":\r\ndata: []}\r\n\r\n', chunk({"content": "x"}))) != []


def test_an_error() -> None:
    stream = Messages().stream(GIVEN)
    stream.event(chunk({"content": "x"}))
    event = stream.error(UpstreamCut("It broke."))
    assert event.startswith(b"event: error\ndata: ")
    assert json.loads(event.split(b"data: ")[1]) == {
        "type": "error",
        "error": {"type": "api_error", "message": "It broke.", "details": {"error_code": "upstream_cut"}},
        "request_id": GIVEN.trace_id,
    }


async def test_from_anthropic_to_anthropic() -> None:
    """Through the dialect inside, a stream of Anthropic's has the same blocks."""

    async def sent() -> AsyncIterator[bytes]:
        for event in (
            start(),
            *thinking_block(0, "sig", "Hm."),
            *text_block(1, "Hel", "lo"),
            *call_block(2, "toolu_1", "f", '{"a":', "1}"),
            *call_block(3, "toolu_2", "g"),
            *end("tool_use"),
        ):
            yield event

    chunks = [event async for event in chunks_of(sent())]
    assert blocks(written(*chunks[:-1])) == [
        {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
        {"type": "text", "text": "Hello"},
        use("toolu_1", a=1),
        use("toolu_2", "g"),
    ]


CALLS = st.lists(
    st.dictionaries(st.sampled_from("ab"), st.text('{}"\\[]a', max_size=4), max_size=2), min_size=1, max_size=4
)


@given(CALLS, st.data())
def test_any_interleaving_gives_the_same_calls(calls: Sequence[dict[str, str]], data: st.DataObject) -> None:
    pieces = [[chunk(call(n, id=f"c{n}", name=f"f{n}"))] for n in range(len(calls))]
    for number, given_ in enumerate(calls):
        text = json.dumps(given_)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=4)))
        edges = [0, *cuts, len(text)]
        pieces[number] += [chunk(call(number, text[a:b])) for a, b in itertools.pairwise(edges)]
    events: list[bytes] = []
    while left := [number for number, queue in enumerate(pieces) if queue]:
        events.append(pieces[data.draw(st.sampled_from(left))].pop(0))
    made = blocks(written(*events))
    assert sorted((block["id"], json.dumps(block["input"])) for block in made) == [
        (f"c{number}", json.dumps(given_)) for number, given_ in enumerate(calls)
    ]
