"""Rollouts in a whole server: under load, by themselves, from stored calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from journeys.running import make_project
from live_server import Live, live_on

MORE = """
[[goals]]
metric = "errors.rate"
at_most = 0.05

[rollout]
steps = ["20% 1s", "50% 40 calls", "100%"]
window = "1s"
settle = "0s"
[rollout.guards]
least_calls = 10

[models.broken]
provider = "scripted"
retries = 0
params = { script = [{ text = "broken", status = 500 }] }

[models.sound]
provider = "scripted"
params = { script = ["All is well: {question}"] }
"""


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    async with live_on(make_project(tmp_path / "project", more=MORE)) as opened:
        yield opened


async def release(live: Live, model: str) -> int:
    """A release that answers with this model."""
    path = live.project / "rondo.toml"
    path.write_text(path.read_text().replace('route = ["parrot"]', f'route = ["{model}"]'))
    return await live.release()


@asynccontextmanager
async def load(live: Live) -> AsyncIterator[list[tuple[str, int]]]:
    """Users who ask one after the other; of each answer the release that gave it, and its status."""
    seen: list[tuple[str, int]] = []
    ended = asyncio.Event()

    async def ask() -> None:
        while not ended.is_set():
            response = await live.chat(user=f"user-{len(seen)}")
            seen.append((response.headers.get("x-rondo-release", ""), response.status_code))
            await asyncio.sleep(0.005)

    asking = [asyncio.create_task(ask()) for _ in range(4)]
    try:
        yield seen
    finally:
        ended.set()
        await asyncio.gather(*asking)


async def until(live: Live, status: str) -> dict[str, Any]:
    async with asyncio.timeout(30):
        while True:
            rollout: dict[str, Any] = (await live.get("/api/apps/bot/rollout"))["rollout"]
            if rollout["status"] == status:
                return rollout
            assert rollout["status"] in ("running", "scheduled"), rollout
            await asyncio.sleep(0.05)


async def test_a_candidate_that_fails_is_rolled_back_by_itself_under_load(live: Live) -> None:
    number = await release(live, "broken")
    async with load(live) as seen:
        await live.post("/api/apps/bot/rollout", {"release": number})
        ended = await until(live, "rolled_back")
        after = len(seen)
        await asyncio.sleep(0.2)
        late = seen[after + 8 :]
    assert any(status >= 500 for _, status in seen)
    assert {status for _, status in late} == {200}
    assert "fail" in ended["why"]
    (event,) = [each for each in ended["events"] if each["kind"] == "rolled_back"]
    assert event["traces"]
    shown = await live.get(f"/api/calls/{event['traces'][0]}")
    call = shown["calls"][0]
    assert (call["release"], call["rollout"], call["variant"]) == (number, ended["id"], "candidate")
    text = (await live.ask("GET", f"/api/apps/bot/rollouts/{ended['id']}/report", params={"format": "markdown"})).text
    assert text.startswith(f"# bot#{number} against #1: rolled back\n")
    app = await live.get("/api/apps/bot")
    assert app["shares"] == {"1": 100.0}


async def test_a_candidate_whose_answers_users_find_worse_is_rolled_back(tmp_path: Path) -> None:
    goal = '[[goals]]\nmetric = "helpful"\nat_least = 0.5\n'
    async with live_on(make_project(tmp_path / "project", more=goal + MORE)) as live:
        number = await release(live, "sound")
        await live.post("/api/apps/bot/rollout", {"release": number, "steps": ["50% 1h", "100%"]})
        for user in range(60):
            answer = await live.chat(user=str(user))
            likes = answer.headers["x-rondo-release"].startswith("bot#1")
            feedback = {"trace_id": answer.headers["x-rondo-trace-id"], "name": "helpful", "value": likes}
            await live.post("/v1/feedback", feedback)
        ended = await until(live, "rolled_back")
    assert ended["why"].startswith("helpful is worse: 0 against 1, a difference of -1 [")
    (goal_read,) = [each for each in ended["reading"]["goals"] if each["metric"] == "helpful"]
    assert goal_read["high"] < 0
    assert ended["events"][-1]["traces"]


async def test_a_candidate_that_holds_up_is_promoted(live: Live) -> None:
    number = await release(live, "sound")
    async with load(live):
        begun = await live.post("/api/apps/bot/rollout", {"release": number})
        assert (begun["status"], begun["share"], begun["baseline_share"]) == ("running", 20.0, 20.0)
        assert [step["state"] for step in begun["steps"]] == ["now", "next", "next"]
        status = await live.get("/api/status")
        assert status["rollouts"][0]["summary"].startswith(f"#{number} beside #1, running, step 1 of 3 (20 % for 1 s)")
        ended = await until(live, "promoted")
    assert [step["state"] for step in ended["steps"]] == ["done", "done", "done"]
    sides = ended["reading"]
    assert sides["candidate"]["calls"] >= 50
    assert sides["baseline"]["calls"] > 0
    assert sides["mismatch"] is None or not sides["mismatch"]["suspected"]
    assert (await live.get("/api/apps/bot"))["stable"] == number


async def test_an_ab_test_ends_in_a_report_and_changes_nothing(live: Live) -> None:
    number = await release(live, "sound")
    async with load(live):
        body = {"release": number, "kind": "ab", "steps": ["50% 2s 40 calls"]}
        begun = await live.post("/api/apps/bot/rollout", body)
        assert (begun["kind"], begun["share"], begun["baseline_share"]) == ("ab", 50.0, 50.0)
        ended = await until(live, "reported")
    (goal,) = ended["reading"]["goals"]
    assert (goal["metric"], goal["candidate"], goal["baseline"]) == ("errors.rate", 0.0, 0.0)
    path = f"/api/apps/bot/rollouts/{ended['id']}/report"
    text = (await live.ask("GET", path, params={"format": "markdown"})).text
    assert "| errors.rate | not enough | 0 | 0 |" in text
    assert "- not enough evidence: errors.rate" in text
    app = await live.get("/api/apps/bot")
    assert (app["stable"], app["shares"]) == (1, {"1": 100.0})


async def test_a_bandit_gives_the_better_side_more(tmp_path: Path) -> None:
    more = MORE.replace("[rollout]", '[rollout]\nreward = "helpful"\ndraw_every = "1s"')
    async with live_on(make_project(tmp_path / "project", more=more)) as live:
        number = await release(live, "sound")
        begun = await live.post("/api/apps/bot/rollout", {"release": number, "kind": "bandit", "steps": ["30% 1h"]})
        assert (begun["share"], begun["baseline_share"]) == (30.0, 30.0)
        for user in range(180):
            answer = await live.chat(user=str(user))
            likes = answer.headers["x-rondo-release"] == f"bot#{number}"
            await live.post(
                "/v1/feedback",
                {"trace_id": answer.headers["x-rondo-trace-id"], "name": "helpful", "value": likes},
            )
        async with asyncio.timeout(20):
            while (now := (await live.get("/api/apps/bot/rollout"))["rollout"])["share"] == 30.0:
                await asyncio.sleep(0.05)
        assert (now["status"], now["share"], now["baseline_share"]) == ("running", 54.0, 6.0)
        assert "as helpful speaks for it with 90%" in now["events"][-1]["sentence"]
        assert (await live.get("/api/apps/bot"))["shares"] == {"1": 46.0, str(number): 54.0}
        ended = await live.post("/api/apps/bot/rollout/abort", {})
        assert ended["status"] == "aborted"


async def test_a_caller_stays_on_one_side(live: Live) -> None:
    number = await release(live, "sound")
    await live.post("/api/apps/bot/rollout", {"release": number, "steps": ["50% 1h", "100%"]})
    for user in range(20):
        answers = {(await live.chat(user=str(user))).headers["x-rondo-release"] for _ in range(3)}
        assert len(answers) == 1
    await live.drained()
    page = await live.get("/api/calls", limit=100)
    assert len(page["items"]) == 60


async def test_by_session_a_user_may_be_on_both_sides(live: Live) -> None:
    number = await release(live, "sound")
    body = {"release": number, "steps": ["50% 1h", "100%"], "sticky": "session"}
    await live.post("/api/apps/bot/rollout", body)
    answers: dict[str, set[str]] = {}
    for session in range(20):
        for _ in range(2):
            response = await live.chat(user="one", session=str(session))
            answers.setdefault(str(session), set()).add(response.headers["x-rondo-release"])
    assert all(len(each) == 1 for each in answers.values())
    assert len(set.union(*answers.values())) == 2


async def test_a_server_that_starts_again_goes_on(live: Live, tmp_path: Path) -> None:
    number = await release(live, "sound")
    other = tmp_path / "again"
    async with live_on(live.project, other) as first:
        second = await first.release(prompt="# system\nBe brief.\n\n# user\n{{ question }}\n")
        await first.post("/api/apps/bot/rollout", {"release": second, "steps": ["50% 1h", "100%"]})
    async with live_on(live.project, other) as again:
        rollout = (await again.get("/api/apps/bot/rollout"))["rollout"]
        assert (rollout["status"], rollout["share"]) == ("running", 50.0)
        aborted = await again.post("/api/apps/bot/rollout/abort", {"reason": "done"})
        assert aborted["status"] == "aborted"
        assert (await again.get("/api/doctor"))["ok"] is not None
    assert number == 2


async def test_doors_refuse_clearly(live: Live) -> None:
    assert await live.get("/api/apps/bot/rollout") == {"rollout": None}
    assert (await live.get("/api/apps/bot/rollouts"))["rollouts"] == []
    _, developer = await live.key("dev", role="developer")
    response = await live.ask("POST", "/api/apps/bot/rollout", json={"release": 1}, key=developer)
    assert response.status_code == 403
    for body, told in (
        ({"release": 1}, "serves already"),
        ({"release": 7}, "no release 7"),
        ({"release": 1, "stepz": []}, "stepz"),
    ):
        response = await live.ask("POST", "/api/apps/bot/rollout", json=body)
        assert response.status_code in (400, 404, 409), response.text
        assert told in response.text
    response = await live.ask("POST", "/api/apps/bot/rollout/pause", json={})
    assert response.status_code == 404
    response = await live.ask("GET", "/api/apps/bot/rollouts/none")
    assert response.status_code == 404
    response = await live.ask("GET", "/api/apps/nobody/rollout")
    assert response.status_code == 404
