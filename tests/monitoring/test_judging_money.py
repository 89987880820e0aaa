"""The budget of live judging: one for each app and day, whatever happens to the app and to the server meanwhile."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from live_server import Live
from monitoring.test_judging import _quick, ask, project, served, standing, until
from rondo.monitoring.judging.scoring import payer

__all__ = ["_quick"]

BUDGET = "budget_usd_per_day = 0.5\nmax_concurrency = 8"


async def spent(live: Live) -> float:
    """By the records, which are what was paid."""
    await live.drained()
    rows = live.server.control.records.query("calls_tail", {"project": "default", "after": 0, "limit": 1000})
    return sum(row["cost_usd"] or 0.0 for row in rows if row["arm"] == "eval")


async def released(live: Live, old: str, new: str) -> None:
    """A release with other settings, once live judging knows them."""
    file = live.project / "rondo.toml"
    file.write_text(file.read_text().replace(old, new))
    await live.release()
    judging = live.server.control.watching.judging
    async with asyncio.timeout(10):
        while judging._seen != live.server.control.gateway.plan.revision:
            await asyncio.sleep(0.01)


async def test_taken_away_and_put_back_it_has_the_same_budget(tmp_path: Path) -> None:
    async with served(project(tmp_path, more=BUDGET)) as live:
        await asyncio.gather(*(ask(live) for _ in range(12)))
        told = await until(live, lambda now: now.scored + now.skipped == 12)
        assert told.is_spent
        before = await spent(live)
        text = (live.project / "rondo.toml").read_text()
        await released(live, text, text[: text.index("[live]")])
        assert live.server.control.watching.judging.status("default") == []
        await released(live, text[: text.index("[live]")], text)
        await asyncio.gather(*(ask(live) for _ in range(4)))
        told = await until(live, lambda now: now.scored + now.skipped == 16)
        assert await spent(live) == pytest.approx(before)
        assert told.spent_usd == pytest.approx(before), "and says so"


async def test_with_another_budget_what_is_under_way_counts(tmp_path: Path) -> None:
    """It has room for one question at a time; the second waits for the first, though that began under the old one."""
    slow = '{ text = "yes", delay_s = 0.4 }, { text = "yes", delay_s = 0.4 }'
    async with served(project(tmp_path, script=slow, more="budget_usd_per_day = 0.39")) as live:
        ledger, subject = live.server.control.gateway.ledger, f"default/key:{payer('bot')}"
        await ask(live)
        async with asyncio.timeout(10):
            while not (await ledger.used([subject]))[0].day_reserved:
                await live.drained()
                await asyncio.sleep(0.005)
        await released(live, "= 0.39\n", "= 0.391\n")
        await ask(live)
        told = await until(live, lambda now: now.scored + now.skipped == 2)
        rows = live.server.control.records.query("calls_tail", {"project": "default", "after": 0, "limit": 100})
        asked = sorted(
            (row["started_at"], row["duration_ms"]) for row in rows if row["arm"] == "eval" and row["cost_usd"]
        )
        assert len(asked) == told.scored
        for (began, lasted), (next_began, _) in pairwise(asked):
            assert next_began >= began + lasted * 1_000


async def test_a_restart_finds_what_was_spent_at_the_ledger(tmp_path: Path) -> None:
    folder = project(tmp_path, more=BUDGET)
    async with served(folder) as live:
        await asyncio.gather(*(ask(live) for _ in range(3)))
        await until(live, lambda now: now.scored == 3)
        before = await spent(live)
    async with served(folder) as live:
        (used,) = await live.server.control.gateway.ledger.used([f"default/key:{payer('bot')}"])
        assert used.day_spent == pytest.approx(before * 1e9)
        await asyncio.gather(*(ask(live) for _ in range(12)))
        await until(live, lambda now: now.scored + now.skipped == 12)
        assert await spent(live) <= 0.5
        assert standing(live).is_spent
