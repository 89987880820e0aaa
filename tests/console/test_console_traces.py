"""The page of a trace: a waterfall in pieces, details on demand, and everything escaped."""

from __future__ import annotations

from typing import Any

from console.visiting import Visitors
from live_server import Live
from otlp_makers import PROTOBUF, TRACE, as_protobuf, span
from rondo import clock

HERE = f"/traces/{TRACE.hex()}"


async def test_a_trace_of_many_spans(live: Live, visitors: Visitors) -> None:
    visitor = await visitors()
    at = clock.now_us() * 1_000 - 10**9
    evil = "<script>alert(1)</script>"
    chat: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.request.model": evil, "input.value": evil}
    spans = [span(f"step {n}", start=at + n * 1_000, end=at + n * 1_000 + 1, parent=b"rootroot") for n in range(600)]
    root = span(evil, span_id=b"rootroot", start=at, end=at + 10**6, attributes={"user.id": evil, "input.value": evil})
    call = span("asked", span_id=b"callcall", parent=b"rootroot", start=at, end=at + 5, attributes=chat)
    body = as_protobuf(root, call, *spans)
    assert (await live.ask("POST", "/v1/traces", content=body, headers=PROTOBUF)).status_code == 200
    await live.drained()
    page = await visitor.get(HERE)
    assert evil not in page
    assert "step 400" in page
    assert "step 599" not in page
    assert "102 more" in page
    rest = await visitor.get(f"{HERE}?offset=500", headers={"hx-request": "true"})
    assert "step 599" in rest
    assert "<html" not in rest
    for name in (b"rootroot", b"callcall"):
        whole = await visitor.get(f"{HERE}/spans/{name.hex()}")
        part = await visitor.get(f"{HERE}/spans/{name.hex()}", headers={"hx-request": "true"})
        assert "&lt;script&gt;" in part
        assert evil not in whole + part
        assert "<html" in whole
        assert "<html" not in part
    assert "Whole trace" in await visitor.get(f"/calls/{TRACE.hex()}")
    await visitor.get("/traces/xyz", 400)
    await visitor.get(f"{HERE}?offset=999999", 400)
    await visitor.get(f"/traces/{'1' * 32}", 404)
