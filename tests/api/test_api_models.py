"""Models are tried out through the gateway, and what their deployments are like is told."""

from __future__ import annotations

from typing import Any

from journeys.running import make_project
from live_server import Live, live_on


async def test_a_model_is_tried_out_and_recorded(live: Live) -> None:
    told = await live.post("/api/models/slow/test", {})
    assert (told["name"], told["provider"], told["ok"], told["error"]) == ("slow", "scripted", True, None)
    assert 0 < told["first_token_ms"] <= told["duration_ms"]
    assert told["output_tokens"] > 0
    assert told["tokens_per_s"] > 0
    assert told["attempts"] == 1
    await live.drained()
    (call,) = (await live.get(f"/api/calls/{told['trace_id']}"))["calls"]
    assert (call["model"], call["status"], call["tags"]) == ("slow", 200, {"rondo.test": "model"})


async def test_a_model_that_fails_says_why(live: Live, tmp_path: Any) -> None:
    project = make_project(tmp_path / "other")
    with (project / "rondo.toml").open("a") as file:
        file.write(
            '\n[models.away]\nprovider = "openai"\nmodel = "m"\nbase_url = "http://127.0.0.1:9/v1"\nretries = 0\n'
        )
    async with live_on(project) as other:
        told = await other.post("/api/models/away/test", {})
        assert told["ok"] is False
        assert "127.0.0.1" in told["error"]
        assert (told["cost_usd"], told["tokens_per_s"]) == (None, None)
        (deployment,) = (await other.get("/api/deployments"))["deployments"]
        assert (deployment["model"], deployment["address"], deployment["failures"]) == ("away", "127.0.0.1:9", 1)
        assert deployment["last_failure"] == "upstream_unreachable"
        await other.drained()
        (call,) = (await other.get(f"/api/calls/{told['trace_id']}"))["calls"]
        assert call["status"] == 502


async def test_a_model_that_is_none_is_not_found(live: Live) -> None:
    response = await live.ask("POST", "/api/models/nothing/test", json={})
    assert response.status_code == 404
    assert "/api/models" in response.json()["error"]["message"]


async def test_only_what_this_project_called_is_told(live: Live) -> None:
    await live.chat("bot")
    (told,) = (await live.get("/api/deployments"))["deployments"]
    assert (told["project"], told["model"], told["state"], told["in_flight"]) == ("default", "parrot", "closed", 0)


async def test_metrics_have_the_deployments_of_named_models(live: Live) -> None:
    await live.chat("slow")
    await live.chat("scripted/made-up")
    text = (await live.ask("GET", "/metrics")).text
    assert 'rondo_deployment_open{address="scripted",model="slow"} 0.0' in text
    assert 'rondo_deployment_failures{address="scripted",model="slow"} 0.0' in text
    assert 'rondo_model_waiting{model="slow"} 0.0' in text
    assert "made-up" not in text
