"""The gate over the API: nothing takes traffic without evidence, from a run of its suite or from a person's word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from journeys.running import make_project
from live_server import Live, live_on
from rondo.releases import bundle

GATE = """
[[goals]]
metric = "echoes"
at_least = 0.8
margin = 0.2

[gate]
suites = ["echo"]
"""
SUITE = 'dataset = "questions.jsonl"\n[[scorers]]\nkind = "contains"\nname = "echoes"\n'
QUESTIONS = "".join(f'{{"question": "question {n}", "expected": "question {n}"}}\n' for n in range(30))


@pytest.fixture
async def gated(tmp_path: Path) -> AsyncIterator[Live]:
    """A server on the project of the journeys, behind a gate; release 1 serves."""
    project = make_project(tmp_path / "project", more=GATE)
    (project / "suites").mkdir()
    (project / "suites" / "echo.toml").write_text(SUITE)
    (project / "questions.jsonl").write_text(QUESTIONS)
    async with live_on(project) as opened:
        yield opened


def make_deaf(live: Live) -> None:
    """A model that quotes documents in the place of the one that repeats the question."""
    path = live.project / "rondo.toml"
    path.write_text(path.read_text().replace('route = ["parrot"]', 'route = ["quoter"]'))


async def evaluate(live: Live, target: str) -> None:
    """As `rondo eval` does."""
    path = "/api/datasets/questions/versions"
    sent = await live.ask("POST", path, content=QUESTIONS.encode(), params={"filename": "questions.jsonl"})
    assert sent.status_code == 200, sent.text
    body = {
        "app": "bot",
        "name": "echo",
        "suite": {"dataset": "questions.jsonl", "scorers": [{"kind": "contains", "name": "echoes"}]},
        "targets": [target],
        "dataset": "questions",
        "dataset_hash": sent.json()["version"]["hash"],
        "against": "production",
        "goals": [{"metric": "echoes", "at_least": 0.8, "margin": 0.2}],
    }
    run = await live.post("/api/runs", body)
    async with asyncio.timeout(30):
        while run["status"] in ("queued", "running"):
            run = await live.get(f"/api/runs/{run['id']}", wait=2, done=run["done"], status=run["status"])
    assert run["status"] == "finished", run["stop_reason"]


async def refused(live: Live, path: str, body: dict[str, Any], *, key: str = "admin") -> dict[str, Any]:
    response = await live.ask("POST", f"/api/apps/bot/{path}", json=body, key=key)
    assert response.status_code in (403, 409), response.text
    error: dict[str, Any] = response.json()["error"]
    return error


async def test_a_release_serves_once_its_suite_has_been_run_on_it(gated: Live) -> None:
    assert await gated.release(facts="# Returns\n\nWithin 60 days.\n") == 1  # beside the knowledge: nothing new
    (gated.project / "prompt.md").write_text("# system\nBe brief.\n\n# user\n{{ question }}\n")
    assert await gated.release() == 2
    error = await refused(gated, "promote", {"release": 2})
    assert (error["code"], error["param"]) == ("gate_closed", "release")
    assert "'echo' has not been run on bot#2" in error["message"]
    assert (await refused(gated, "split", {"shares": {"2": 5}}))["code"] == "gate_closed"
    view = await gated.get("/api/apps/bot/releases/2/gate")
    assert view["decision"]["verdict"] == "inconclusive"
    assert [kept["verdict"] for kept in view["kept"]] == ["inconclusive", "inconclusive"]
    await evaluate(gated, "2")
    view = await gated.get("/api/apps/bot/releases/2/gate")
    assert view["decision"]["verdict"] == "pass", view["decision"]["checks"]
    by_hash = await gated.get(f"/api/apps/bot/gate/{view['decision']['release']['hash'][:10]}")
    assert by_hash["decision"] == view["decision"]
    assert (await gated.post("/api/apps/bot/promote", {"release": 2}))["traffic"]["stable"] == 2
    app = (await gated.get("/api/status"))["overview"]["apps"][0]
    nothing: dict[str, object] = {"waiting": None, "verdict": None, "sentence": None, "exception": None, "excepted": {}}
    assert app["gate"] == {"suites": ["echo"], **nothing}


async def test_a_draft_is_weighed_before_it_is_a_release(gated: Live) -> None:
    make_deaf(gated)
    archive = bundle.to_zip(bundle.read_folder(gated.project))
    view = (await gated.ask("POST", "/api/gate", content=archive)).json()
    assert view["decision"]["release"]["number"] is None
    hash_ = view["decision"]["release"]["hash"]
    await evaluate(gated, hash_)
    decision = (await gated.ask("POST", "/api/gate", content=archive)).json()["decision"]
    assert decision["verdict"] == "fail"
    assert {check["kind"] for check in decision["checks"] if check["verdict"] == "fail"} == {"goal", "regression"}
    assert await gated.release() == 2
    assert "(fail)" in (await refused(gated, "promote", {"release": 2}))["message"]


async def test_an_exception_is_told_wherever_the_release_is_shown(gated: Live) -> None:
    make_deaf(gated)
    _, approver = await gated.key("anna", role="approver")
    _, maker = await gated.key("maker", role="approver")
    archive = bundle.to_zip(bundle.read_folder(gated.project))
    made = await gated.ask("POST", "/api/releases", content=archive, key=maker)
    assert made.json()["release"]["number"] == 2
    body = {"release": 2, "exception": "The old one is on fire."}
    error = await refused(gated, "promote", body, key=maker)
    assert (error["code"], error["param"]) == ("forbidden", "exception")
    await gated.post("/api/apps/bot/promote", body, key=approver)
    view = await gated.get("/api/apps/bot/releases/2/gate")
    assert [(kept["kind"], kept["created_by"], kept["reason"]) for kept in view["kept"]] == [
        ("exception", "anna", "The old one is on fire.")
    ]
    checks = {check["name"]: check for check in (await gated.get("/api/doctor"))["checks"]}
    assert "an exception of anna: The old one is on fire." in checks["gate bot"]["detail"]
    trace = (await gated.chat()).headers["x-rondo-trace-id"]
    await gated.drained()
    gate = (await gated.get(f"/api/why/{trace}"))["release"]["gate"]
    assert (gate["is_exception"], gate["by"], gate["reason"]) == (True, "anna", "The old one is on fire.")


async def test_a_gate_that_is_not_there(gated: Live) -> None:
    for path in ("/api/apps/bot/releases/9/gate", "/api/apps/none/releases/1/gate", f"/api/apps/bot/gate/{'0' * 64}"):
        assert (await gated.ask("GET", path)).status_code == 404
    for path in ("/api/apps/bot/releases/x/gate", "/api/apps/bot/gate/abc"):
        assert (await gated.ask("GET", path)).status_code == 400
    assert (await gated.ask("POST", "/api/gate", content=b"no zip")).status_code == 400


async def test_an_app_without_a_gate_says_so(live: Live) -> None:
    assert (await live.get("/api/apps/bot/releases/1/gate"))["decision"]["declared"] is False
    checks = {check["name"]: check for check in (await live.get("/api/doctor"))["checks"]}
    assert checks["gate bot"]["detail"] == "none is declared: any release may take traffic"
    assert (await live.get("/api/status"))["overview"]["apps"][0]["gate"]["suites"] is None
