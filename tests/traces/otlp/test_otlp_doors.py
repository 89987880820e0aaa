"""OTLP through the server's doors: answers in the client's encoding, and nothing acknowledged that is not kept."""

from __future__ import annotations

import gzip
import os
import zlib
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from live_server import Live
from otlp_makers import PROTOBUF, TRACE, as_json, as_protobuf, decoded, logs_as_protobuf, records_of, span
from rondo import clock
from rondo.errors import Unavailable
from rondo.records import Entry, Kind, Position, to_json

JSON = {"content-type": "application/json"}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "input.value": "hello?", "output.value": "hi"}


def now_span(name: str = "chat", **fields: Any) -> dict[str, Any]:
    at = clock.now_us() * 1_000 - 1_000_000_000
    return span(name, **{"start": at, "end": at + 500_000_000, **fields})


@pytest.mark.parametrize("packing", ["", "gzip", "deflate"])
@pytest.mark.parametrize("encoding", ["protobuf", "json"])
async def test_spans_come_in_and_are_found(live: Live, encoding: str, packing: str) -> None:
    root = now_span("turn", span_id=b"rootroot")
    body = (as_protobuf if encoding == "protobuf" else as_json)(now_span(attributes=CHAT, parent=b"rootroot"), root)
    packed = gzip.compress(body) if packing == "gzip" else zlib.compress(body) if packing else body
    headers = {**(PROTOBUF if encoding == "protobuf" else JSON), **({"content-encoding": packing} if packing else {})}
    answer = await live.ask("POST", "/v1/traces", content=packed, headers=headers)
    assert (answer.status_code, answer.content) == (200, b"" if encoding == "protobuf" else b"{}")
    assert answer.headers["content-type"] == headers["content-type"]
    await live.drained()
    (call,) = (await live.get("/api/calls", arm="traced"))["items"]
    assert (call["trace_id"], call["question"], call["app"]) == (TRACE.hex(), "hello?", "shop")
    tree = await live.get(f"/api/traces/{TRACE.hex()}")
    assert [(row["source"], row["depth"], row["below"]) for row in tree["rows"]] == [("span", 0, 1), ("call", 1, 0)]
    story = await live.get(f"/api/why/{TRACE.hex()}")
    assert story["call"]["answer"] == "hi"


async def test_a_trace_without_a_call_of_a_model_is_listed(live: Live) -> None:
    root = now_span("answer", span_id=b"rootroot", attributes={"user.id": "u1", "session.id": "s1", "rondo.tag.k": "v"})
    tool = now_span("find", parent=b"rootroot", failed=True, message="no")
    await live.ask("POST", "/v1/traces", content=as_protobuf(tool, root), headers=PROTOBUF)
    await live.chat(user="u2")
    await live.drained()
    call, trace = (await live.get("/api/traces"))["items"]
    if call["trace_id"] == TRACE.hex():  # clocks decide which is newer
        call, trace = trace, call
    assert (trace["trace_id"], trace["name"], trace["user"], trace["session"]) == (TRACE.hex(), "answer", "u1", "s1")
    assert (trace["spans"], trace["calls"], trace["failed"], trace["tags"]) == (2, 0, 1, {"k": "v"})
    assert (trace["tokens"], trace["cost_usd"], trace["app"]) == (None, None, "shop")
    assert (call["name"], call["calls"], call["user"]) == ("bot", 1, "u2")
    for query in ({"from_outside": "true"}, {"user": "u1"}, {"status": "error"}, {"text": "find"}, {"tag": "k=v"}):
        (found,) = (await live.get("/api/traces", **query))["items"]
        assert found["trace_id"] == TRACE.hex(), query
    page = await live.get("/api/traces", limit=1)
    (rest,) = (await live.get("/api/traces", limit=1, before=page["before"]))["items"]
    assert {page["items"][0]["trace_id"], rest["trace_id"]} == {call["trace_id"], TRACE.hex()}


async def test_the_list_of_traces_is_for_those_of_the_project_who_may(live: Live) -> None:
    await live.ask("POST", "/v1/traces", content=as_protobuf(now_span("mine")), headers=PROTOBUF)
    await live.drained()
    (others,) = decoded(records_of(as_protobuf(now_span("theirs", trace_id=os.urandom(16)))))
    assert others.project == "p"
    live.server.control.records.insert("other", [Entry(Kind.SPAN, 0, to_json(others))], Position(1, 1, 1))
    _, viewer = await live.key("viewer", role="viewer")
    answer = await live.ask("GET", "/api/traces", key=viewer)
    assert [each["name"] for each in answer.json()["items"]] == ["mine"]
    assert (await live.ask("GET", "/api/traces", key="rondo_sk_wrong")).status_code == 401
    _, callers = await live.key("app")
    assert (await live.ask("GET", "/api/traces", key=callers)).status_code == 403
    for name, value in {"limit": "0", "status": "odd", "since": "soon", "typo": "1", "before": "x"}.items():
        response = await live.ask("GET", "/api/traces", params={name: value})
        assert (response.status_code, name in response.text) == (400, True), name


async def test_traced_calls_are_no_live_traffic(live: Live) -> None:
    spoken = {**CHAT, "rondo.app": "bot", "llm.cost.total": 5.0}
    await live.chat()
    await live.ask("POST", "/v1/traces", content=as_protobuf(now_span(attributes=spoken)), headers=PROTOBUF)
    await live.drained()
    assert len((await live.get("/api/calls"))["items"]) == 2
    assert len((await live.get("/api/calls", arm="live"))["items"]) == 1
    store = live.server.control.records
    day = {"project": "default", "since": 0}
    assert store.query("totals", {**day, "until": clock.now_us()})[0]["calls"] == 1
    apps = store.query("overview_apps", {**day, "until": clock.now_us()})
    assert [(row["app"], row["arm"], row["calls"]) for row in apps] == [("bot", "live", 1)]
    goals = {**day, "until": clock.now_us(), "app": "bot", "release": None}
    assert store.query("goal_metrics", goals)[0]["calls.count"] == 1
    assert sum(row["nano"] for row in store.query("spent", {**day, "users": False})) == 0


async def test_sent_twice_is_stored_once(live: Live) -> None:
    sent = [now_span("turn"), now_span(attributes=CHAT), now_span("late", parent=b"notthere")]
    for body in (as_protobuf(*sent, *sent), as_json(*reversed(sent)), as_protobuf(*sent)):
        headers = JSON if body.startswith(b"{") else PROTOBUF
        assert (await live.ask("POST", "/v1/traces", content=body, headers=headers)).status_code == 200
        await live.drained()
    tree = await live.get(f"/api/traces/{TRACE.hex()}")
    assert (tree["spans"], tree["calls"]) == (3, 1)
    # Another project may have the same ids: keys decide, never attributes.
    assert tree["from_outside"] is True


async def test_what_cannot_be_kept_is_counted(live: Live) -> None:
    body = as_protobuf(now_span(attributes=CHAT), now_span(trace_id=b"short"))
    answer = await live.ask("POST", "/v1/traces", content=body, headers=PROTOBUF)
    told = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, told.rejected_spans) == (200, 1)
    assert "trace id" in told.error_message
    answer = await live.ask("POST", "/v1/traces", content=as_json(now_span(trace_id=b"short")), headers=JSON)
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"


async def test_logs_bring_scores(live: Live) -> None:
    result = {
        "gen_ai.evaluation.name": "relevance",
        "gen_ai.evaluation.score.value": 0.5,
        "rondo.score.kind": "code",
    }
    records = [
        {"name": "gen_ai.evaluation.result", "attributes": result},
        {"name": "app.started", "attributes": {"content": "no score"}},
        {"name": "gen_ai.evaluation.result", "attributes": {"gen_ai.evaluation.name": "empty"}},
    ]
    answer = await live.ask("POST", "/v1/logs", content=logs_as_protobuf(*records), headers=PROTOBUF)
    told = ExportLogsServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, told.rejected_log_records) == (200, 2)
    await live.drained()
    (score,) = (await live.get("/api/feedback"))["items"]
    assert (score["name"], score["value"], score["kind"], score["trace_id"]) == ("relevance", 0.5, "code", TRACE.hex())


async def test_refusals_are_in_the_encoding_of_the_request(live: Live) -> None:
    bad = await live.ask("POST", "/v1/traces", content=b"\x0a\xff", headers=PROTOBUF)
    assert (bad.status_code, bad.headers["content-type"]) == (400, "application/x-protobuf")
    assert bad.content[:2] == b"\x08\x03"  # google.rpc.Status: INVALID_ARGUMENT
    bad = await live.ask("POST", "/v1/traces", content=b"{", headers=JSON)
    assert (bad.status_code, bad.json()["code"]) == (400, 3)
    nobody = await live.ask("POST", "/v1/traces", key=None, content=b"{}", headers=JSON)
    assert (nobody.status_code, nobody.json()["code"]) == (401, 16)
    _, narrow = await live.key("widget", kind="feedback")
    assert (await live.ask("POST", "/v1/traces", key=narrow, content=b"{}", headers=JSON)).status_code == 403
    odd = await live.ask("POST", "/v1/traces", content=b"{}", headers={"content-type": "text/plain"})
    assert odd.status_code == 415
    packed = {**JSON, "content-encoding": "zstd"}
    assert (await live.ask("POST", "/v1/traces", content=b"{}", headers=packed)).status_code == 400
    large = b"x" * (live.server.control.otlp.max_bytes + 1)
    assert (await live.ask("POST", "/v1/traces", content=large, headers=PROTOBUF)).status_code == 413
    bomb = gzip.compress(large)
    packed = {**PROTOBUF, "content-encoding": "gzip"}
    assert (await live.ask("POST", "/v1/traces", content=bomb, headers=packed)).status_code == 413


async def test_the_key_may_come_as_x_api_key(live: Live) -> None:
    headers = {**PROTOBUF, "x-api-key": live.admin}
    answer = await live.ask("POST", "/v1/traces", key=None, content=as_protobuf(now_span()), headers=headers)
    assert answer.status_code == 200


async def test_a_journal_that_takes_nothing_is_told_at_once(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise Unavailable("The journal takes no records: the disk is full.")

    monkeypatch.setattr(live.server.journal, "check", full)
    answer = await live.ask("POST", "/v1/traces", content=as_protobuf(now_span()), headers=PROTOBUF)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.content[:2] == b"\x08\x0e"  # UNAVAILABLE


async def test_a_flood_is_told_to_wait(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rondo.traces.otlp.intake._MOST_WAITING", 0)
    answer = await live.ask("POST", "/v1/traces", content=as_protobuf(now_span()), headers=PROTOBUF)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


async def test_a_trace_of_another_project_is_not_there(live: Live) -> None:
    await live.ask("POST", "/v1/traces", content=as_protobuf(now_span(span_id=b"rootroot")), headers=PROTOBUF)
    await live.drained()
    store = live.server.control.records
    about = {"project": "other", "trace_id": TRACE.hex()}
    assert store.query("trace_rows", {**about, "limit": 9}) == []
    assert store.query("trace_span", {**about, "span_id": b"rootroot".hex()}) == []


async def test_a_span_whole_and_one_that_is_not_there(live: Live) -> None:
    await live.chat()
    tool = {"openinference.span.kind": "TOOL", "input.value": "in", "output.value": "out", "rondo.tag.tier": "gold"}
    sent = as_protobuf(
        now_span("look", span_id=b"rootroot", attributes=tool), now_span(attributes=CHAT, span_id=b"callcall")
    )
    await live.ask("POST", "/v1/traces", content=sent, headers=PROTOBUF)
    await live.drained()
    found = await live.get(f"/api/traces/{TRACE.hex()}/spans/{b'rootroot'.hex()}")
    assert (found["span"]["input"], found["span"]["output"], found["span"]["tags"]) == ("in", "out", {"tier": "gold"})
    found = await live.get(f"/api/traces/{TRACE.hex()}/spans/{b'callcall'.hex()}")
    assert found["call"]["answer"] == "hi"
    (live_call,) = (await live.get("/api/calls", arm="live"))["items"]
    tree = await live.get(f"/api/traces/{live_call['trace_id']}")
    assert tree["from_outside"] is False
    step = next(row for row in tree["rows"] if row["source"] == "step")
    assert (await live.get(f"/api/traces/{live_call['trace_id']}/spans/{step['span_id']}"))["step"]["kind"]
    for path in (f"/api/traces/{os.urandom(16).hex()}", f"/api/traces/{TRACE.hex()}/spans/nothing"):
        assert (await live.ask("GET", path)).status_code == 404
    assert (await live.ask("GET", "/api/traces/xyz")).status_code == 400
