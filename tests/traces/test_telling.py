"""Traces out: every call as spans to a receiver of OTLP, at least once, and nothing is held while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from journeys.running import make_project
from live_server import Live, live_on
from otlp_receiver import Receiver, receiving
from record_makers import make_call
from rondo.errors import SettingsError
from rondo.records import Kind, to_json
from rondo.traces import cursors
from rondo.traces.telling import post, telling
from rondo.traces.telling.telling import CALLS, TellingStatus

TOLD = """
[telemetry]
endpoint = "{endpoint}"
{more}
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "EVERY_S", 0.02)
    monkeypatch.setattr(post, "_FIRST_WAIT_S", 0.01)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


@asynccontextmanager
async def served(folder: Path, receiver: Receiver, more: str = "") -> AsyncIterator[Live]:
    if not (folder / "rondo.toml").exists():
        make_project(folder, more=TOLD.format(endpoint=receiver.endpoint, more=more))
    async with live_on(folder) as live:
        async with asyncio.timeout(10):
            while len(live.server.control.watching.telling._places) < 2:  # from here on, everything is told
                await asyncio.sleep(0.01)
        yield live


async def until(live: Live, holds: Callable[[TellingStatus], bool]) -> TellingStatus:
    await live.drained()
    part = live.server.control.watching.telling
    for _ in range(1_000):
        status = await asyncio.to_thread(part.status, "default")
        assert status is not None
        if holds(status):
            return status
        await asyncio.sleep(0.01)
    pytest.fail(f"still {status}")


async def test_every_call_is_told(tmp_path: Path, receiver: Receiver) -> None:
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with served(tmp_path, receiver) as live:
        answer = await live.chat(user="ann", temperature=0.5)
        await live.ask(
            "POST",
            "/v1/chat/completions",
            json={"model": "parrot", "messages": [{"role": "user", "content": "secret words"}]},
            headers={"traceparent": caller},
        )
        status = await until(live, lambda now: now.calls == 2 and now.behind == 0)
        assert (status.dropped, status.retrying, status.fault) == (0, None, None)
        first, second = receiver.calls
        assert first.name == "chat bot"
        assert first.trace_id == answer.headers["x-rondo-trace-id"]
        assert first.resource["service.name"] == "rondo"
        told = first.attributes
        assert told["gen_ai.operation.name"] == "chat"
        assert (told["gen_ai.request.model"], told["gen_ai.response.model"]) == ("bot", "scripted")
        assert (told["user.id"], told["gen_ai.request.temperature"]) == ("ann", 0.5)
        assert (told["rondo.app"], told["rondo.release"], told["rondo.arm"]) == ("bot", 1, "live")
        assert told["rondo.hash"] == (await live.get("/api/apps/bot/releases"))["releases"][0]["hash"]
        assert told["gen_ai.usage.input_tokens"] > 0
        assert told["gen_ai.response.finish_reasons"] == ["stop"]
        steps = [each for each in receiver.spans if each.parent_id == first.span_id]
        assert {each.attributes["rondo.kind"] for each in steps} >= {"retrieve", "render", "model"}
        (retrieval,) = [each for each in steps if each.attributes["rondo.kind"] == "retrieve"]
        assert retrieval.attributes["gen_ai.operation.name"] == "retrieval"
        assert first.sent.start_time_unix_nano <= retrieval.sent.start_time_unix_nano
        assert (second.trace_id, second.parent_id) == (caller[3:35], caller[36:52])
        assert not any(b"secret words" in each.body for each in receiver.taken), "content is not sent unless wished for"
        assert (await live.get("/api/status"))["telemetry"]["calls"] == 2
        assert any(check["name"] == "telemetry" and check["ok"] for check in (await live.get("/api/doctor"))["checks"])


async def test_content_where_it_is_wished_for(tmp_path: Path, receiver: Receiver) -> None:
    async with served(tmp_path, receiver, "content = true") as live:
        await live.chat("parrot")
        await until(live, lambda now: now.calls == 1)
        (call,) = receiver.calls
        assert call.attributes["gen_ai.input.messages"] == (
            '[{"role":"user","parts":[{"type":"text","content":"hello"}]}]'
        )
        assert "You asked: hello" in call.attributes["gen_ai.output.messages"]


async def test_scores_are_events(tmp_path: Path, receiver: Receiver) -> None:
    async with served(tmp_path, receiver) as live:
        trace = (await live.chat("parrot")).headers["x-rondo-trace-id"]
        await until(live, lambda now: now.calls == 1)
        await live.post("/v1/feedback", {"trace_id": trace, "name": "helpful", "value": False, "comment": "no"})
        await until(live, lambda now: now.scores == 1)
        (result,) = receiver.results
        assert result.name == "gen_ai.evaluation.result"
        assert (result.trace_id, result.span_id) == (trace, receiver.calls[0].span_id)
        assert result.attributes["gen_ai.evaluation.name"] == "helpful"
        assert result.attributes["gen_ai.evaluation.score.value"] == 0.0
        assert "gen_ai.evaluation.explanation" not in result.attributes


async def test_what_others_told_of_is_not_sent_back(tmp_path: Path, receiver: Receiver) -> None:
    async with served(tmp_path, receiver) as live:
        for arm in ("traced", "shadow", "eval", "live"):
            call = make_call(project="default", arm=arm)
            await live.server.control.gateway._journal.write(Kind.CALL, to_json(call))
        await until(live, lambda now: now.calls == 3)
        assert [each.attributes["rondo.arm"] for each in receiver.calls] == ["shadow", "eval", "live"]


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_a_busy_receiver_is_asked_again(tmp_path: Path, receiver: Receiver, status: int) -> None:
    async with served(tmp_path, receiver) as live:
        receiver.answers = [(status, {"Retry-After": "0"}, b"later"), (status, {}, b"later")]
        await live.chat("parrot")
        told = await until(live, lambda now: now.calls == 1)
        assert (told.dropped, told.retrying) == (0, None)
        assert len({asked.body for asked in receiver.asked}) == 1, "the same bytes, until they are taken"
        assert len(receiver.asked) == 3


async def test_what_is_refused_is_dropped_and_counted(tmp_path: Path, receiver: Receiver) -> None:
    async with served(tmp_path, receiver) as live:
        receiver.answers = [(400, {}, b"no such tenant")]
        await live.chat("parrot")
        told = await until(live, lambda now: now.dropped == 1)
        assert "no such tenant" in (told.last_refusal or "")
        (check,) = [each for each in (await live.get("/api/doctor"))["checks"] if each["name"] == "telemetry"]
        assert not check["ok"]
        await live.chat("parrot")
        await until(live, lambda now: now.calls == 1)
        assert len(receiver.asked) == 2


async def test_a_part_that_is_refused(tmp_path: Path, receiver: Receiver) -> None:
    answer = ExportTraceServiceResponse()
    answer.partial_success.rejected_spans = 1
    answer.partial_success.error_message = "too old"
    async with served(tmp_path, receiver) as live:
        receiver.answers = [(200, {}, answer.SerializeToString())]
        await live.chat("parrot")
        told = await until(live, lambda now: now.calls == 1)
        assert (told.dropped, told.last_refusal) == (1, "too old")
        assert len(receiver.asked) == 1


async def test_too_large_a_request_comes_in_smaller_ones(tmp_path: Path, receiver: Receiver) -> None:
    async with served(tmp_path, receiver) as live:
        receiver.answers = [(413, {}, b"")]
        for _ in range(4):
            await live.server.control.gateway._journal.write(Kind.CALL, to_json(make_call(project="default")))
        await until(live, lambda now: now.calls == 4)
        assert len({each.span_id for each in receiver.calls}) == 4


async def test_a_restart_sends_what_has_not_been_taken(tmp_path: Path) -> None:
    async with receiving() as first:
        async with served(tmp_path, first) as live:
            await live.chat("parrot")
            await until(live, lambda now: now.calls == 1)
            first.answers = [(503, {}, b"")] * 100_000
            await live.chat("parrot")
            told = await until(live, lambda now: now.retrying is not None)
            assert told.behind == 1
        text = (tmp_path / "rondo.toml").read_text()
        async with receiving() as second:
            (tmp_path / "rondo.toml").write_text(text.replace(first.endpoint, second.endpoint))
            async with served(tmp_path, second) as live:
                await until(live, lambda now: now.calls == 1)
                assert len(second.calls) == 1, "the one that was under way, and no other"
            (tmp_path / "rondo.toml").write_text(text[: text.index("[telemetry]")])
            async with live_on(tmp_path) as live:
                await live.chat("parrot")
                await live.drained()
                assert (await live.get("/api/status"))["telemetry"] is None
                control = live.server.control
                with control.catalog.read() as connection:
                    assert cursors.find(connection, "default", CALLS) is None
            (tmp_path / "rondo.toml").write_text(text.replace(first.endpoint, second.endpoint))
            async with served(tmp_path, second) as live:
                await live.chat("parrot")
                await until(live, lambda now: now.calls == 1)
                assert len(second.calls) == 2, "what was asked while nothing was told stays at home"


async def test_a_receiver_that_is_not_there(tmp_path: Path) -> None:
    async with receiving() as gone:
        make_project(tmp_path, more=TOLD.format(endpoint=gone.endpoint, more=""))
    async with served(tmp_path, gone) as live:
        await live.chat("parrot")
        told = await until(live, lambda now: now.retrying is not None)
        assert told.calls == told.dropped == 0


async def test_an_endpoint_that_takes_no_logs_gets_the_calls(tmp_path: Path, receiver: Receiver) -> None:
    receiver.always["/v1/logs"] = 503
    async with served(tmp_path, receiver) as live:
        trace = (await live.chat("parrot")).headers["x-rondo-trace-id"]
        await live.post("/v1/feedback", {"trace_id": trace, "name": "helpful", "value": True})
        await until(live, lambda now: now.retrying is not None)
        await live.chat("parrot")
        told = await until(live, lambda now: now.calls == 2)
        assert (told.scores, told.dropped) == (0, 0)
        assert "503" in (told.retrying or "")
        receiver.always.clear()
        await until(live, lambda now: now.scores == 1 and now.retrying is None)


async def test_a_call_that_cannot_be_told_keeps_no_other_waiting(tmp_path: Path, receiver: Receiver) -> None:
    async with served(tmp_path, receiver) as live:
        for at in (0, 1 << 62, 0):  # in nanoseconds, the second time fits in no span
            call = make_call(project="default", **({"started_at": at} if at else {}))
            await live.server.control.gateway._journal.write(Kind.CALL, to_json(call))
        told = await until(live, lambda now: now.calls + now.dropped == 3)
        assert (told.calls, told.dropped, told.fault) == (2, 1, None)
        assert "cannot be told" in (told.last_refusal or "")


async def test_headers_come_from_the_environment(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(tmp_path, more=TOLD.format(endpoint=receiver.endpoint, more='headers_env = "COLLECTOR"'))
    with pytest.raises(SettingsError, match="COLLECTOR is not set"):
        async with live_on(tmp_path):
            pass
    monkeypatch.setenv("COLLECTOR", "no equals")
    with pytest.raises(SettingsError, match="part 1"):
        async with live_on(tmp_path):
            pass
    monkeypatch.setenv("COLLECTOR", "Authorization=Basic%20abc, x-scope=one")
    async with served(tmp_path, receiver) as live:
        await live.chat("parrot")
        await until(live, lambda now: now.calls == 1)
    sent = {name.lower(): value for name, value in receiver.asked[0].headers.items()}
    assert (sent["authorization"], sent["x-scope"]) == ("Basic abc", "one")
    assert sent["content-type"] == "application/x-protobuf"


async def test_one_rondo_tells_another(tmp_path: Path) -> None:
    """The whole way round: what a server tells of, another takes in, and has the same figures."""
    from rondo.server.otlp_ports import open_ports
    from rondo.settings.telemetry import TracesSettings

    (tmp_path / "one").mkdir()
    async with live_on(make_project(tmp_path / "other")) as other:
        _, key = await other.key("collector")
        import socket

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        settings = TracesSettings(http_port=port)
        async with open_ports(other.server.control, other.server.front, settings, "127.0.0.1"):
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("COLLECTOR", f"authorization=Bearer {key}")
                more = TOLD.format(
                    endpoint=f"http://127.0.0.1:{port}", more='headers_env = "COLLECTOR"\ncontent = true'
                )
                async with live_on(make_project(tmp_path / "one", more=more)) as one:
                    while len(one.server.control.watching.telling._places) < 2:
                        await asyncio.sleep(0.01)
                    trace = (await one.chat(user="ann")).headers["x-rondo-trace-id"]
                    await until(one, lambda now: now.calls == 1)
                    (sent,) = (await one.get(f"/api/calls/{trace}"))["calls"]
            await other.drained()
            (taken,) = (await other.get(f"/api/calls/{trace}"))["calls"]
    same = ("trace_id", "span_id", "app", "user", "question", "answer", "input_tokens", "output_tokens", "started_at")
    assert {name: taken[name] for name in same} == {name: sent[name] for name in same}
    assert (taken["arm"], taken["finish_reason"]) == ("traced", "stop")
