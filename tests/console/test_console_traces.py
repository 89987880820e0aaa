"""The page of a trace: a waterfall in pieces, details on demand, and everything escaped."""

from __future__ import annotations

import html
import re
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
    why = await visitor.get(f"/calls/{TRACE.hex()}")
    assert "Whole trace" in why
    assert "shop made this call by itself" in why
    assert "this release has no knowledge" not in why
    await visitor.get("/traces/xyz", 400)
    await visitor.get(f"{HERE}?offset=999999", 400)
    await visitor.get(f"/traces/{'1' * 32}", 404)


async def test_the_list_leads_to_every_trace(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("viewer")
    assert "OTEL_EXPORTER_OTLP_ENDPOINT=http://rondo.test" in await visitor.get("/traces")
    assert "No trace fits" in await visitor.get("/traces?user=nobody")
    at = clock.now_us() * 1_000 - 10**9
    evil = "<script>alert(1)</script>"
    about = {"user.id": "u1", "session.id": "s1", "rondo.tag.team": evil, "input.value": evil}
    root = span(evil, span_id=b"rootroot", start=at, end=at + 10**6, attributes=about)
    tool = span("find orders", parent=b"rootroot", start=at, end=at + 5, failed=True, message="no")
    await live.ask("POST", "/v1/traces", content=as_protobuf(tool, root), headers=PROTOBUF)
    asked = await live.chat(user="u2")
    await live.drained()
    page = await visitor.get("/traces")
    plain = f"/traces/{asked.headers['x-rondo-trace-id']}"
    for told in (HERE, plain, "1 failed", "u1", "s1", "&lt;script&gt;"):
        assert told in page
    assert evil not in page
    assert "OTEL_EXPORTER" not in page
    for query in ("status=error", "from_outside=true", "text=find", "user=u1", "session=s1", "tag=team", "window=24h"):
        found = await visitor.get(f"/traces?{query}")
        assert HERE in found, query
        assert (plain in found) == query.startswith("window"), query
    whole = await visitor.get(HERE)
    assert 'href="/traces?user=u1"' in whole
    assert 'href="/traces?session=s1"' in whole
    assert "soon" in await visitor.get("/traces?since=soon", 400)
    assert "Newest" in await visitor.get(f"/traces?before={at // 1_000 - 1}.a.b")


async def test_pages_of_traces(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("viewer")
    at = clock.now_us() * 1_000 - 10**9
    made = [span(f"step {n}", trace_id=n.to_bytes(16), start=at + n * 1_000, end=at + n * 1_000) for n in range(1, 61)]
    await live.ask("POST", "/v1/traces", content=as_protobuf(*made), headers=PROTOBUF)
    await live.drained()
    first = await visitor.get("/traces")
    assert first.count("data-row") == 50
    (older,) = re.findall(r'href="(/traces\?before=[^"]+)"', first)
    rest = await visitor.get(html.unescape(older))
    assert rest.count("data-row") == 10
    assert "step 10 " in rest
    assert "step 11 " not in rest


async def test_a_stack_trace_has_lines(live: Live, visitors: Visitors) -> None:
    visitor = await visitors("viewer")
    at = clock.now_us() * 1_000 - 10**9
    stack = 'Traceback:\n  File "shop.py", line 3\nValueError: <b>no</b>'
    thrown = ("exception", at + 1_000, {"exception.type": "ValueError", "exception.stacktrace": stack})
    step = span("find", span_id=b"rootroot", start=at, end=at + 10**6, events=[thrown], attributes={"deep": ["a", "b"]})
    chat = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.request.seed": 7, "mine": stack}
    call = span(
        "asked", span_id=b"callcall", parent=b"rootroot", start=at, end=at + 5, attributes=chat, events=[thrown]
    )
    await live.ask("POST", "/v1/traces", content=as_protobuf(step, call), headers=PROTOBUF)
    await live.drained()
    lines = "Traceback:\n  File &#34;shop.py&#34;, line 3\nValueError: &lt;b&gt;no&lt;/b&gt;"
    pages = [f"{HERE}/spans/{b'rootroot'.hex()}", f"{HERE}/spans/{b'callcall'.hex()}", f"/calls/{TRACE.hex()}"]
    for address in pages:
        page = await visitor.get(address)
        assert f'<dt>exception.stacktrace</dt><dd tabindex="0">{lines}</dd>' in page, address
        assert "event exception" in page
    assert "<dt>seed</dt><dd>7</dd>" in page
    assert f'<dt>mine</dt><dd tabindex="0">{lines}</dd>' in page
    assert "<dt>service.name</dt><dd>shop</dd>" in page
    assert "&#34;otlp&#34;" not in page
