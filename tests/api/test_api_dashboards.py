"""Dashboards and costs by the API: numbers that add up, and errors that name the field."""

from __future__ import annotations

import csv
import io

import pytest

from live_server import Live
from rondo import clock


@pytest.fixture
async def called(live: Live) -> Live:
    for user in ("anna", "ben", "ben"):
        assert (await live.chat(user=user, metadata={"channel": "web"})).status_code == 200
    await live.drained()
    return live


async def test_traffic(called: Live) -> None:
    told = await called.get("/api/dashboards/traffic", window="1h", app="bot")
    assert told["totals"]["calls"] == 3
    assert sum(told["series"]["calls"]) == 3
    assert len(told["series"]["calls"]) == len(told["buckets"]) == len(told["series"]["p95_ms"])
    assert told["users"]["total"] == 2
    assert sum(told["users"]["users"]) >= 2


async def test_an_app_that_nobody_knows_is_told(live: Live) -> None:
    for path in ("dashboards/traffic", "dashboards/quality", "costs", "costs/outlook"):
        response = await live.ask("GET", f"/api/{path}", params={"app": "bott"})
        assert response.status_code == 404, path
        error = response.json()["error"]
        assert error["param"] == "app"
        assert "Did you mean 'bot'?" in error["message"]


async def test_an_app_may_be_known_by_its_traces_alone(live: Live) -> None:
    span = {"traceId": "1" * 32, "spanId": "2" * 16, "name": "chat", "startTimeUnixNano": str(clock.now_us() * 1000),
            "endTimeUnixNano": str(clock.now_us() * 1000), "attributes": [
                {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
                {"key": "gen_ai.request.model", "value": {"stringValue": "m"}},
                {"key": "rondo.app", "value": {"stringValue": "elsewhere"}}]}  # fmt: skip
    await live.post("/v1/traces", {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
    await live.drained()
    told = await live.get("/api/dashboards/traffic", app="elsewhere", arm="traced")
    assert told["totals"]["calls"] == 1


async def test_quality(called: Live) -> None:
    calls = (await called.get("/api/calls"))["items"]
    for call, value in zip(calls, (True, True, False), strict=True):
        await called.post("/v1/feedback", {"trace_id": call["trace_id"], "name": "thumbs", "value": value})
    await called.drained()
    told = await called.get("/api/dashboards/quality", window="24h")
    (thumbs,) = told["scores"]
    assert thumbs["overall"]["n"] == 3
    assert thumbs["overall"]["low"] < thumbs["overall"]["value"] < thumbs["overall"]["high"]
    assert {goal["app"] for goal in told["goals"]} <= {"bot"}


async def test_costs_add_up(called: Live) -> None:
    for by in ("model", "app", "key", "release", "day", "provider"):
        told = await called.get("/api/costs", by=by)
        assert sum(row["calls"] for row in told["rows"]) == told["total"]["calls"] == 3, by
    users = await called.get("/api/costs", by="user")
    assert {row["name"]: row["calls"] for row in users["rows"]} == {"anna": 1, "ben": 2}
    tags = await called.get("/api/costs", by="tag")
    assert {row["name"]: row["calls"] for row in tags["rows"]} == {"channel=web": 3}
    outlook = await called.get("/api/costs/outlook")
    assert outlook["forecast"]["expected"] is None
    assert outlook["odd_days"] == []


async def test_costs_as_csv(called: Live) -> None:
    response = await called.ask("GET", "/api/costs", params={"by": "user", "format": "csv"})
    assert response.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert {row["user"]: row["calls"] for row in rows} == {"anna": "1", "ben": "2"}


async def test_another_model(called: Live) -> None:
    told = await called.get("/api/costs/what-if", instead="openai/gpt-4o-mini", app="bot")
    assert told["calls"] == 3
    assert told["instead_usd"] >= 0


WRONG: list[tuple[str, dict[str, str], str]] = [
    ("dashboards/traffic", {"window": "2y"}, "window"),
    ("dashboards/traffic", {"since": "yesterday"}, "since"),
    ("dashboards/traffic", {"since": "2026-01-02", "until": "2026-01-01"}, "until"),
    ("dashboards/traffic", {"since": "2001-01-01"}, "since"),
    ("dashboards/traffic", {"arm": "left"}, "arm"),
    ("dashboards/traffic", {"release": "1"}, "release"),
    ("dashboards/traffic", {"release": "x", "app": "bot"}, "release"),
    ("dashboards/traffic", {"colour": "red"}, "colour"),
    ("dashboards/quality", {"app": "a" * 300}, "app"),
    ("costs", {"by": "moon"}, "by"),
    ("costs", {"by": "user", "model": "m"}, "by"),
    ("costs", {"format": "xls"}, "format"),
    ("costs/what-if", {}, "model"),
    ("costs/what-if", {"instead": "nothing"}, "model"),
    ("costs/what-if", {"instead": "openai/nothing"}, "model"),
]


async def test_what_is_wrong_is_named(live: Live) -> None:
    for path, params, param in WRONG:
        response = await live.ask("GET", f"/api/{path}", params=params)
        assert response.status_code in (400, 404), (path, params, response.text)
        assert response.json()["error"]["param"] == param, (path, params)


async def test_projects_see_their_own(called: Live) -> None:
    _, secret = await called.key("viewer", role="viewer")
    assert (await called.ask("GET", "/api/costs", key=secret)).status_code == 200
    _, none = await called.key("plain")
    assert (await called.ask("GET", "/api/costs", key=none)).status_code == 403
