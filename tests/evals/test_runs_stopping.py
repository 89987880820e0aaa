"""Runs that are paused, cancelled, out of money, or cut off: nothing is lost, and nothing is paid for twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from evaluating_house import Evaluating, answering, example, metric, said
from live_server import live_on
from rondo.catalog.schema_evals import eval_results, eval_runs
from scripted_upstream import Talk, whole


def gated(evaluating: Evaluating, free: int) -> asyncio.Event:
    """The first so many questions are answered at once, the others when the event is set."""
    opened, asked = asyncio.Event(), 0

    async def play(talk: Talk) -> None:
        nonlocal asked
        asked += 1
        if asked > free:
            await opened.wait()
        await answering(lambda question: f"It is {question.split()[-1]}")(talk)

    evaluating.upstream.plays["good"] = play
    return opened


async def until_asked(evaluating: Evaluating, count: int) -> None:
    async with asyncio.timeout(10):
        while len(evaluating.asked("good")) < count:
            await asyncio.sleep(0.01)


async def test_a_paused_run_goes_on_where_it_was(evaluating: Evaluating) -> None:
    opened = gated(evaluating, 5)
    evaluating.numbers(20)
    run = await evaluating.start(targets=["production"])
    await until_asked(evaluating, 9)
    paused = await evaluating.live.post(f"/api/runs/{run['id']}/pause", {})
    assert (paused["status"], paused["stop_reason"]) == ("paused", "paused by admin")
    opened.set()
    async with asyncio.timeout(10):
        while (await evaluating.live.get(f"/api/runs/{run['id']}"))["done"] < 9:
            await asyncio.sleep(0.02)
    assert len(evaluating.asked("good")) == 9
    resumed = await evaluating.live.post(f"/api/runs/{run['id']}/resume", {})
    assert resumed["status"] == "queued"
    ended = await evaluating.until_still(run["id"])
    assert (ended["status"], ended["done"]) == ("finished", 20)
    assert Counter(evaluating.asked("good")) == Counter(f"What is {number}?" for number in range(20))


async def test_a_cancelled_run_asks_nothing_more(evaluating: Evaluating) -> None:
    opened = gated(evaluating, 2)
    evaluating.numbers(20)
    run = await evaluating.start(targets=["production"])
    await until_asked(evaluating, 6)
    cancelled = await evaluating.live.post(f"/api/runs/{run['id']}/cancel", {})
    opened.set()
    assert cancelled["status"] == "cancelled"
    response = await evaluating.live.ask("POST", f"/api/runs/{run['id']}/cancel", json={})
    assert response.status_code == 409
    response = await evaluating.live.ask("GET", f"/api/runs/{run['id']}/report")
    assert response.status_code == 400


async def test_what_was_told_and_not_stored_is_found_in_the_records(evaluating: Evaluating) -> None:
    evaluating.numbers(6)
    run = await evaluating.run(targets=["production"], suite={"repeats": 2})
    with evaluating.live.server.catalog.begin() as connection:  # as if the process had died before it stored anything
        connection.execute(delete(eval_results))
        connection.execute(update(eval_runs).values(status="failed", done=0, failed=0, spent_usd=0.0, report=None))
    await evaluating.live.post(f"/api/runs/{run['id']}/resume", {})
    ended = await evaluating.until_still(run["id"])
    assert (ended["status"], ended["done"]) == ("finished", 12)
    assert len(evaluating.asked("good")) == 12
    assert ended["spent_usd"] == pytest.approx(12 * 20e-6)
    assert metric(ended, "contains")["estimate"]["value"] == 1.0


async def test_a_run_goes_on_with_the_next_server(evaluating: Evaluating) -> None:
    opened = gated(evaluating, 5)
    evaluating.numbers(12)
    run = await evaluating.start(targets=["production"])
    await until_asked(evaluating, 9)
    await evaluating.live.server.close()
    opened.set()
    async with live_on(evaluating.live.project) as again:
        evaluating.live = again
        ended = await evaluating.until_still(run["id"])
        asked = Counter(evaluating.asked("good"))
        assert (ended["status"], ended["done"]) == ("finished", 12)
        # What was under way when the server stopped was given up, and is asked again; nothing else is.
        assert len(asked) == 12
        assert sum(asked.values()) <= 12 + 4
        await again.server.close()
    await _reopened(evaluating)


async def _reopened(evaluating: Evaluating) -> None:
    """The fixture closes the server it opened; it finds one that may be closed."""
    evaluating.live.server.data.lock()


async def test_a_budget_is_never_exceeded(evaluating: Evaluating) -> None:
    costly = {**said("It is so."), "usage": {"prompt_tokens": 990, "completion_tokens": 5, "total_tokens": 995}}
    evaluating.upstream.plays["good"] = whole(costly)  # a tenth of a cent each; the most it can be is a little more
    evaluating.dataset(*(example(number, params={"max_tokens": 5}) for number in range(40)))
    budget = 0.02
    run = await evaluating.run(targets=["production"], suite={"budget_usd": budget, "max_concurrency": 8})
    assert run["status"] == "paused"
    assert f"--resume {run['id']} --budget" in run["stop_reason"]
    assert run["failed"] == 0
    assert 0.015 < run["spent_usd"] <= budget
    assert len(evaluating.asked("good")) == run["done"] == round(run["spent_usd"] / 0.001)
    await evaluating.live.post(f"/api/runs/{run['id']}/resume", {"budget_usd": 1.0})
    ended = await evaluating.until_still(run["id"])
    assert (ended["status"], ended["done"]) == ("finished", 40)
    assert len(evaluating.asked("good")) == 40


async def test_a_budget_needs_prices(evaluating: Evaluating) -> None:
    evaluating.numbers(3)
    run = await evaluating.run(targets=["model:unpriced"], suite={"budget_usd": 1.0})
    assert run["status"] == "paused"
    assert "unpriced" in run["stop_reason"]
    assert "price" in run["stop_reason"]
    assert evaluating.asked("unpriced") == []


async def test_what_ended_in_an_error_can_be_asked_again(evaluating: Evaluating) -> None:
    broken = True

    def answer(question: str) -> Any:
        return whole({"error": {"message": "down"}}, status=500) if broken and "3" in question else "It is 0 1 2 3 4."

    evaluating.upstream.plays["good"] = answering(answer)
    evaluating.numbers(5)
    run = await evaluating.run(targets=["production"])
    assert run["failed"] == 1
    broken = False
    await evaluating.live.post(f"/api/runs/{run['id']}/resume", {"again": True})
    ended = await evaluating.until_still(run["id"])
    assert (ended["status"], ended["done"], ended["failed"]) == ("finished", 5, 0)
    assert len(evaluating.asked("good")) == 6


async def test_a_busy_provider_is_asked_again(evaluating: Evaluating, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rondo.gateway.pace._BACKOFF_S", 0.01)
    tries: Counter[str] = Counter()

    def answer(question: str) -> Any:
        tries[question] += 1
        return whole({"error": {"message": "slow down"}}, status=429) if tries[question] == 1 else "It is 0 1 2."

    evaluating.upstream.plays["good"] = answering(answer)
    evaluating.numbers(3)
    run = await evaluating.run(targets=["production"], suite={"max_concurrency": 1})
    assert (run["status"], run["failed"]) == ("finished", 0)
    assert set(tries.values()) == {2}


async def test_a_run_that_is_resumed_while_it_is_still_pausing_goes_on(evaluating: Evaluating) -> None:
    opened = gated(evaluating, 5)
    evaluating.numbers(20)
    run = await evaluating.start(targets=["production"])
    await until_asked(evaluating, 9)
    for _ in range(2):
        await evaluating.live.post(f"/api/runs/{run['id']}/pause", {})
        resumed = await evaluating.live.post(f"/api/runs/{run['id']}/resume", {})
        assert resumed["status"] == "queued"
    opened.set()
    ended = await evaluating.until_still(run["id"])
    assert (ended["status"], ended["done"], ended["failed"]) == ("finished", 20, 0)
    assert Counter(evaluating.asked("good")) == Counter(f"What is {number}?" for number in range(20))


async def test_what_was_spent_on_conversations_is_counted_once(evaluating: Evaluating) -> None:
    evaluating.numbers(6, follow_ups=["And then?"])
    run = await evaluating.run(targets=["production"], suite={"budget_usd": 0.5})
    assert run["status"] == "finished"
    spent = run["spent_usd"]
    assert spent > 0
    for _ in range(3):
        with evaluating.live.server.catalog.begin() as connection:  # one result is lost each time, and paid for
            lost = connection.execute(select(eval_results.c.example).limit(1)).scalar()
            connection.execute(delete(eval_results).where(eval_results.c.example == lost))
            connection.execute(update(eval_runs).values(status="failed", report=None))
        await evaluating.live.post(f"/api/runs/{run['id']}/resume", {})
        ended = await evaluating.until_still(run["id"])
        assert (ended["status"], ended["done"]) == ("finished", 6)
        assert ended["spent_usd"] == pytest.approx(spent)
    assert len(evaluating.asked("good")) == 12
