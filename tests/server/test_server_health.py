"""Probes and numbers: /healthz, /readyz, /metrics; and what doctor says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from msgspec import structs

from journeys.running import make_project
from live_server import Live, live_on
from rondo import clock
from rondo.monitoring.health import LATE_S
from rondo.traces.drain import Drain


def numbers(text: str) -> dict[str, float]:
    """Samples of an exposition, by name and labels."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


async def test_metrics_count_what_was_answered(live: Live) -> None:
    for _ in range(3):
        assert (await live.chat()).status_code == 200
    assert (await live.chat("nobody")).status_code == 404
    await live.drained()
    response = await live.ask("GET", "/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    found = numbers(response.text)
    calls = {name: value for name, value in found.items() if "calls" in name and "bucket" not in name}
    assert sum(value for name, value in calls.items() if 'app="bot"' in name and "total" in name) == 3, calls
    assert all(re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})?", name) for name in found)


async def test_metrics_tell_of_rollouts(live: Live) -> None:
    number = await live.release(prompt="# system\nBe brief.\n\n# user\n{{ question }}\n")
    of = f'app="bot",release="{number}"'
    await live.post("/api/apps/bot/rollout", {"release": number, "steps": ["5% 1h", "25% 1h", "100%"]})
    found = numbers((await live.ask("GET", "/metrics")).text)
    assert found[f'rondo_rollout_status{{{of},status="running"}}'] == 1
    assert (found[f"rondo_rollout_step{{{of}}}"], found[f"rondo_rollout_steps{{{of}}}"]) == (1, 3)
    assert found[f'rondo_rollout_share{{{of},side="candidate"}}'] == 0.05
    assert found[f'rondo_rollout_share{{{of},side="baseline"}}'] == 0.05
    assert 0 <= found[f"rondo_rollout_step_seconds{{{of}}}"] < 3_600
    assert found[f"rondo_rollout_watched{{{of}}}"] == 1
    assert found['rondo_rollouts_ended_total{app="bot",status="aborted"}'] == 0
    await live.post("/api/apps/bot/rollout/abort", {})
    found = numbers((await live.ask("GET", "/metrics")).text)
    assert not any(name.startswith("rondo_rollout_") for name in found)
    ended = {name: value for name, value in found.items() if name.startswith("rondo_rollouts_ended_total")}
    assert len(ended) == 4
    assert [name for name, value in ended.items() if value] == [
        'rondo_rollouts_ended_total{app="bot",status="aborted"}'
    ]


async def test_metrics_are_of_ones_own_project(live: Live) -> None:
    await live.chat()
    await live.drained()
    assert live.admin not in (await live.ask("GET", "/metrics")).text


async def test_a_candidate_that_cannot_be_served_is_told_of(live: Live) -> None:
    number = await live.release(prompt="# system\nBe brief.\n\n# user\n{{ question }}\n")
    await live.post("/api/apps/bot/rollout", {"release": number, "steps": ["50% 1h", "100%"]})
    gateway = live.server.control.gateway
    lost = {("default", "bot", str(number)): "its index is gone.", ("other", "bot", "2"): "no concern of ours."}
    gateway.plan = structs.replace(gateway.plan, unserved=lost)
    found = await live.get("/api/doctor")
    (wrong,) = [check for check in found["checks"] if not check["ok"]]
    assert (wrong["name"], wrong["detail"]) == (f"bot #{number}", "gets no calls: its index is gone.")
    told = f"#{number} cannot be served: its index is gone."
    assert (await live.get("/api/apps/bot/rollout"))["rollout"]["fault"] == told
    assert (await live.get("/api/status"))["rollouts"][0]["fault"] == told
    watched = f'rondo_rollout_watched{{app="bot",release="{number}"}}'
    assert numbers((await live.ask("GET", "/metrics")).text)[watched] == 0


async def test_doctor_says_that_all_is_well(live: Live) -> None:
    found = await live.get("/api/doctor")
    assert found["ok"] is True
    assert {check["name"] for check in found["checks"]} >= {"apps", "records", "model parrot"}


async def test_ready_turns_red_when_records_wait_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Drain, "step", lambda _: 0)  # the drain stands still
    async with live_on(make_project(tmp_path / "project")) as live:
        await live.chat()
        assert (await live.ask("GET", "/readyz", key=None)).status_code == 200
        with clock.at(clock.now_us() + round((LATE_S + 1) * 1e6)):
            assert (await live.ask("GET", "/readyz", key=None)).status_code == 503
            assert (await live.ask("GET", "/healthz", key=None)).status_code == 200
            assert (await live.get("/api/doctor"))["ok"] is False
        monkeypatch.undo()
        await live.drained()
        assert (await live.ask("GET", "/readyz", key=None)).status_code == 200


async def test_not_ready_while_stopping(live: Live) -> None:
    live.server.control.stopping.set()
    assert (await live.ask("GET", "/readyz", key=None)).status_code == 503
