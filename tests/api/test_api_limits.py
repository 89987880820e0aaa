"""Limits over the API: set, listed, watched, removed; by whom, and in which project."""

from __future__ import annotations

from typing import Any

import pytest

from live_server import Live
from rondo import clock

DAY = {"scope": "project", "usd_per_day": "10.5", "alert_at": [0.9]}


async def test_set_list_and_remove(live: Live) -> None:
    told = await live.post("/api/limits", DAY)
    assert {name: told[name] for name in DAY} == {"scope": "project", "usd_per_day": 10.5, "alert_at": [0.9]}
    assert told["updated_by"] == "admin"
    await live.post("/api/limits", {"scope": "user:a/b:c", "concurrent": 2})
    assert [each["scope"] for each in (await live.get("/api/limits"))["limits"]] == ["project", "user:a/b:c"]
    found = await live.get("/api/limits/status")
    assert found["ledger"]["away_since"] is None
    assert [use["of"] for use in found["uses"]] == ["project", "user:a/b:c"]
    assert found["uses"][0]["budgets"][0]["usd"] == 10.5
    assert (await live.ask("DELETE", "/api/limits/user%3Aa%2Fb%3Ac")).status_code == 200
    assert (await live.ask("DELETE", "/api/limits/user%3Aa%2Fb%3Ac")).status_code == 404
    assert [each["scope"] for each in (await live.get("/api/limits"))["limits"]] == ["project"]
    actions = [each["action"] for each in (await live.get("/api/audit"))["entries"]][:3]
    assert actions == ["limit.remove", "limit.set", "limit.set"]


async def test_the_plan_holds_it_at_once(live: Live) -> None:
    assert not live.server.control.gateway.plan.limits
    await live.post("/api/limits", DAY)
    assert live.server.control.gateway.plan.limits.of("default")[0].nano_per_day == 10_500_000_000
    await live.ask("DELETE", "/api/limits/project")
    assert not live.server.control.gateway.plan.limits


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"scope": "project"},
        {"scope": "team:x", "concurrent": 1},
        {"scope": "project", "concurrent": "1"},
        {"scope": "project", "concurrent": 1.5},
        {"scope": "project", "concurrent": -1},
        {"scope": "project", "usd_per_day": [1]},
        {"scope": "project", "usd_per_day": "x" * 100_000},
        {"scope": "project", "usd_per_day": 1, "alert_at": ["x"]},
        {"scope": "project", "concurrent": 1, "typo": 1},
        {"scope": "x" * 10_000, "concurrent": 1},
        [],
        5,
    ],
)
async def test_a_wrong_limit_is_not_set(live: Live, body: Any) -> None:
    response = await live.ask("POST", "/api/limits", json=body)
    assert response.status_code == 400, response.text
    assert len(response.text) < 1_000
    assert (await live.get("/api/limits"))["limits"] == []


async def test_an_unknown_key_has_no_limit(live: Live) -> None:
    assert (await live.ask("POST", "/api/limits", json={"scope": "key:nobody", "concurrent": 1})).status_code == 404
    key_id, _ = await live.key("shop")
    assert (await live.post("/api/limits", {"scope": "key:shop", "concurrent": 1}))["scope"] == f"key:{key_id}"


@pytest.mark.parametrize(
    ("role", "may"), [("viewer", False), ("developer", False), ("approver", True), ("admin", True)]
)
async def test_who_may_set_and_who_may_look(live: Live, role: str, may: bool) -> None:
    _, secret = await live.key(role, role=role)
    for method, path in (("GET", "/api/limits"), ("GET", "/api/limits/status")):
        assert (await live.ask(method, path, key=secret)).status_code == 200
    response = await live.ask("POST", "/api/limits", json=DAY, key=secret)
    assert response.status_code == (200 if may else 403)
    assert (await live.ask("DELETE", "/api/limits/project", key=secret)).status_code == (200 if may else 403)


async def test_metrics_show_limits(live: Live) -> None:
    await live.post("/api/limits", {"scope": "project", "usd_per_month": 4})
    control = live.server.control
    control.ledger.spend("default", "k", None, None, at=clock.now_us(), nano=1_000_000_000)
    text = (await live.ask("GET", "/metrics")).text
    assert 'rondo_budget_used_ratio{limit="project",of="project",period="month"} 0.25' in text
    assert "rondo_limits_checked 1.0" in text
    names = [check["name"] for check in (await live.get("/api/doctor"))["checks"]]
    assert "limits" in names
