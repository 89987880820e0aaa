"""Alerts on the whole server: from failing calls to the doors, the console and a receiver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from console.conftest import visitors  # noqa: F401
from console.visiting import Visitors
from journeys.running import make_project
from live_server import Live, live_on
from monitoring.alerts.alerts_house import OK, receiver, saying

ALERTS = """
[[goals]]
metric = "errors.rate"
at_most = 0.1

[alerts]
lasting = "0s"
least_calls = 2

[alerts.channels.ops]
kind = "webhook"
url = "{url}"

[[alerts.rules]]
name = "calls"
on = "traffic"
above = 1
lasting = "0s"
severity = "critical"
"""


def declare(project: Path, url: str = "http://127.0.0.1:9/") -> Path:
    file = project / "rondo.toml"
    file.write_text(file.read_text() + ALERTS.format(url=url))
    return project


@pytest.fixture
async def live(tmp_path: Path) -> Any:
    async with live_on(declare(make_project(tmp_path / "project"))) as opened:
        await opened.release()
        yield opened


async def fire(live: Live) -> dict[str, Any]:
    """The alert of too many calls."""
    for _ in range(3):
        await live.chat()
    await live.drained()
    await live.server.control.watching.alarms.look()
    told = await live.get("/api/alerts")
    (found,) = [each for each in told["open"] if each["alert"]["rule"] == "calls"]
    assert isinstance(found, dict)
    return found


async def test_from_calls_to_the_story_of_an_alert(live: Live) -> None:
    found = await fire(live)
    alert = found["alert"]
    assert found["state"] == "firing"
    assert alert["severity"] == "critical"
    assert len(alert["worst"]["traces"]) == 3
    assert found["release"].startswith("bot#1")
    story = await live.get(f"/api/alerts/{alert['id']}")
    assert [event["kind"] for event in story["events"]] == ["pending", "firing"]
    assert [(each["channel"], each["kind"]) for each in story["notices"]] == [("ops", "firing")]
    status = await live.get("/api/status")
    assert [each["rule"] for each in status["alerts"]] == ["calls"]
    checks = {each["name"]: each["ok"] for each in (await live.get("/api/doctor"))["checks"]}
    assert checks["alert bot calls"] is False
    what = 'app="bot",rule="calls",severity="critical"'
    metrics = (await live.ask("GET", "/metrics")).text
    assert f'rondo_alerts_firing{{{what},state="firing"}} 1.0' in metrics
    acked = await live.post(f"/api/alerts/{alert['id']}/acknowledge", {"note": "on it"})
    assert f'rondo_alerts_firing{{{what},state="acknowledged"}} 1.0' in (await live.ask("GET", "/metrics")).text
    assert acked["state"] == "acknowledged"
    assert acked["alert"]["acknowledged"]["note"] == "on it"
    checks = {each["name"]: each["ok"] for each in (await live.get("/api/doctor"))["checks"]}
    assert checks["alert bot calls"] is True
    over = await live.post(f"/api/alerts/{alert['id']}/resolve", {})
    assert over["alert"]["ended_at"] is not None
    assert over["alert"]["resolved_by"] == "admin"
    assert "rondo_alerts_firing{" not in (await live.ask("GET", "/metrics")).text


async def test_a_channel_is_tried_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONDO_WEBHOOK_HOSTS", "127.0.0.1")
    async with receiver(saying(OK)) as (port, came):
        project = declare(make_project(tmp_path / "project"), f"http://127.0.0.1:{port}/")
        async with live_on(project) as live:
            await live.release()
            told = await live.post("/api/apps/bot/alerts/channels/ops/test", {})
    assert told == {"app": "bot", "channel": "ops", "sent": True, "error": None}
    assert len(came) == 1


async def test_a_channel_inside_is_refused_and_says_so(live: Live) -> None:
    told = await live.post("/api/apps/bot/alerts/channels/ops/test", {})
    assert told["sent"] is False
    assert "RONDO_WEBHOOK_HOSTS" in told["error"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"lasting": "1h"}, "reason"),
        ({"reason": "x"}, "lasting"),
        ({"reason": "x", "lasting": "1h", "app": "no"}, "app"),
    ],
)
async def test_a_wrong_silence_is_refused(live: Live, body: dict[str, Any], param: str) -> None:
    response = await live.ask("POST", "/api/alerts/silences", json=body)
    assert response.status_code in (400, 404)
    assert response.json()["error"]["param"] == param


async def test_a_viewer_may_look_and_no_more(live: Live) -> None:
    alert = (await fire(live))["alert"]["id"]
    _, viewer = await live.key("viewer", role="viewer")
    assert (await live.ask("GET", "/api/alerts", key=viewer)).status_code == 200
    for path in (f"/api/alerts/{alert}/acknowledge", "/api/alerts/silences", "/api/apps/bot/alerts/channels/ops/test"):
        assert (await live.ask("POST", path, json={}, key=viewer)).status_code == 403
    assert (await live.ask("GET", "/api/alerts/alert_none")).status_code == 404


async def test_the_console_shows_alerts_and_takes_what_people_do(live: Live, visitors: Visitors) -> None:  # noqa: F811
    visitor = await visitors("admin")
    assert "No alert is open." in await visitor.get("/alerts")
    alert = (await fire(live))["alert"]["id"]
    assert "1 alert fires" in await visitor.get("/")
    page = await visitor.get("/alerts")
    assert "bot: calls" in page
    assert f"/alerts/{alert}" in page
    assert "Try it out" in page
    assert "RONDO_WEBHOOK_HOSTS" in (await visitor.post("/alerts/test", app="bot", channel="ops")).text
    response = await visitor.post("/alerts/silence", app="bot", lasting="2h", reason="<b>moving</b>")
    assert response.status_code == 303
    page = await visitor.get("/alerts?did=silenced")
    assert "&lt;b&gt;moving&lt;/b&gt;" in page
    assert "silenced" in page
    assert (await visitor.post("/alerts/silence", lasting="2h", reason="")).status_code == 400
    silence = (await live.get("/api/alerts"))["silences"][0]["id"]
    assert (await visitor.post("/alerts/unsilence", silence=silence)).status_code == 303
    assert (await visitor.post("/alerts/unsilence", silence=silence)).status_code == 404
    assert (await visitor.post(f"/alerts/{alert}/acknowledge", note="on it")).status_code == 303
    story = await visitor.get(f"/alerts/{alert}")
    assert "on it" in story
    assert "Calls behind it" in story
    assert "/calls?app=bot" in story
    assert (await visitor.post(f"/alerts/{alert}/resolve")).status_code == 303
    assert (await visitor.post(f"/alerts/{alert}/resolve")).status_code == 409
    await visitor.get("/alerts/alert_none", status=404)
    looker = await visitors("viewer")
    assert "It is over" not in await looker.get(f"/alerts/{alert}")
    assert (await looker.post(f"/alerts/{alert}/resolve")).status_code == 403
