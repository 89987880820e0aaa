"""`traceparent`: a call hangs in its caller's trace, and its answer still has an id of its own."""

from __future__ import annotations

import pytest

from live_server import Live
from rondo.gateway.traceparent import caller_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER = f"00-{TRACE}-{SPAN}-01"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0g",
        f"00-{TRACE}{TRACE}-{SPAN}-01",
    ],
)
def test_what_is_not_valid_is_not_there(value: str) -> None:
    assert caller_of([(b"traceparent", value.encode())]) is None


def test_valid_ones() -> None:
    assert caller_of([(b"a", b"b"), (b"traceparent", HEADER.encode())]) == (TRACE, SPAN)
    assert caller_of([(b"traceparent", f" 01-{TRACE}-{SPAN}-00-later ".encode())]) == (TRACE, SPAN)
    assert caller_of([(b"traceparent", HEADER.encode())] * 2) is None
    assert caller_of([(b"tracestate", b"x=y")]) is None


@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_hangs_in_the_callers_trace(live: Live, stream: bool) -> None:
    body = {"model": "bot", "messages": [{"role": "user", "content": "hello"}], "stream": stream}
    for _ in range(2):
        answer = await live.ask("POST", "/v1/chat/completions", json=body, headers={"traceparent": HEADER})
        assert (answer.status_code, answer.headers["x-rondo-trace-id"]) == (200, TRACE)
    await live.drained()
    calls = (await live.get(f"/api/calls/{TRACE}"))["calls"]
    assert [call["parent_span_id"] for call in calls] == [SPAN, SPAN]
    assert len({call["span_id"] for call in calls}) == 2
    tree = await live.get(f"/api/traces/{TRACE}")
    assert (tree["calls"], {row["depth"] for row in tree["rows"] if row["source"] == "call"}) == (2, {0})


async def test_other_doors_and_refusals(live: Live) -> None:
    headers = {"traceparent": HEADER}
    asked = await live.ask("POST", "/v1/apps/bot/answer", json={"question": "hello"}, headers=headers)
    assert asked.json()["trace_id"] == TRACE
    missing = await live.ask("POST", "/v1/embeddings", json={"model": "none", "input": "x"}, headers=headers)
    assert (missing.status_code, missing.headers["x-rondo-trace-id"]) == (404, TRACE)
    await live.drained()
    assert len((await live.get(f"/api/calls/{TRACE}"))["calls"]) == 2


async def test_responses_of_one_trace_are_told_apart(live: Live) -> None:
    async def respond(**fields: object) -> tuple[str, str]:
        body = {"model": "bot", **fields}
        answer = await live.ask("POST", "/v1/responses", json=body, headers={"traceparent": HEADER})
        assert answer.status_code == 200, answer.text
        return answer.json()["id"], answer.headers["x-rondo-trace-id"]

    first, trace = await respond(input="first")
    second, _ = await respond(input="second")
    assert trace == TRACE
    assert len({first, second, f"resp_{TRACE}"}) == 3
    await live.drained()
    live.server.control.gateway._doors._recent._calls.clear()  # from the records, as another process would
    for name, text in ((first, "first"), (second, "second")):
        kept = (await live.ask("GET", f"/v1/responses/{name}")).json()
        assert kept["id"] == name
        assert text in kept["output"][0]["content"][0]["text"]
        continued, _ = await respond(input="and then?", previous_response_id=name)
        items = (await live.ask("GET", f"/v1/responses/{continued}/input_items?limit=9")).json()["data"]
        assert any(text in str(item) for item in items)
    assert (await live.ask("GET", f"/v1/responses/resp_{TRACE}")).status_code == 404
