"""What is used of each limit, and alerts that open once."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from ledger_inside import LedgerInside
from rondo import clock
from rondo.errors import Unavailable
from rondo.limits.memory import MemoryLedger
from rondo.limits.model import DAY_US, NANO, Claim, Limit, LimitTable
from rondo.limits.status import SHOWN, Alerts, Status, status, watch

NOON = 1_795_262_400_000_000  # 2026-11-21 12:00 UTC


def table(*limits: Limit) -> LimitTable:
    return LimitTable([("p", limit) for limit in limits], {"key_1": "support-eu"})


def spend(ledger: Any, nano: int, *, user: str | None = None, key: str = "key_1") -> None:
    ledger.spend("p", key, user, "bot", at=clock.now_us(), nano=nano)


async def test_every_limit_with_its_use() -> None:
    ledger, limits = (
        MemoryLedger(),
        table(
            Limit(
                scope="project", requests_per_minute=10, tokens_per_minute=100, concurrent=3, nano_per_month=4 * NANO
            ),
            Limit(scope="key:key_1", nano_per_day=10 * NANO),
        ),
    )
    with clock.at(NOON):
        matched = limits.match("p", "key_1", None, "bot")
        assert matched is not None
        ledger.settle(await ledger.reserve(matched, Claim(NOON, 10, NANO)), tokens=7, nano=NANO // 2)
        await ledger.reserve(matched, Claim(NOON, 10, NANO))
        found = await status(ledger, limits, "p", Alerts())
    project, key = found.uses
    assert (project.requests, project.tokens, project.concurrent, project.most_concurrent) == (2, 17, 1, 3)
    (month,) = project.budgets
    assert (month.period, month.usd, month.spent_usd, month.reserved_usd) == ("month", 4.0, 0.5, 1.0)
    assert (month.share, month.alert) == (0.125, None)
    assert (key.of, key.name, key.budgets[0].period) == ("key:key_1", "key support-eu", "day")


async def test_of_each_user_those_that_spend_most_and_have_no_limit_of_their_own() -> None:
    ledger = MemoryLedger()
    limits = table(Limit(scope="user:*", nano_per_day=1_000), Limit(scope="user:u39", nano_per_day=7))
    for number in range(40):
        spend(ledger, number + 1, user=f"u{number}")
    found = await status(ledger, limits, "p", Alerts())
    own, *others = found.uses
    assert own.scope == own.of == "user:u39"
    assert [use.of for use in others] == [f"user:u{number}" for number in range(38, 38 - SHOWN, -1)]
    assert {use.scope for use in others} == {"user:*"}
    assert (await status(ledger, limits, "q", Alerts())).uses == []


async def test_an_alert_opens_once_for_each_share_and_ends_with_its_day(caplog: pytest.LogCaptureFixture) -> None:
    ledger, limits, alerts = (
        MemoryLedger(),
        table(Limit(scope="project", nano_per_day=100, alert_at=(0.5, 1.0))),
        Alerts(),
    )

    async def budget() -> Any:
        return (await status(ledger, limits, "p", alerts)).uses[0].budgets[0]

    with clock.at(NOON) as move:
        spend(ledger, 49)
        assert (await budget()).alert is None
        spend(ledger, 1)
        for _ in range(3):
            found = await budget()
            assert (found.alert, found.alerting_since) == (0.5, NOON)
        move(1_000)
        spend(ledger, 50)
        found = await budget()
        assert (found.alert, found.alerting_since) == (1.0, NOON)
        assert [each.getMessage() for each in caplog.records] == [
            "project has spent 50 % of its budget for 2026-11-21",
            "project has spent 100 % of its budget for 2026-11-21",
        ]
        move(DAY_US)
        assert (await budget()).alert is None
        assert not alerts._open


async def test_what_is_only_reserved_opens_no_alert() -> None:
    ledger, limits = MemoryLedger(), table(Limit(scope="project", nano_per_day=100))
    matched = limits.match("p", "k")
    assert matched is not None
    await ledger.reserve(matched, Claim(clock.now_us(), 0, 100))
    assert (await status(ledger, limits, "p", Alerts())).uses[0].budgets[0].alert is None


async def test_a_budget_of_nothing_is_used_up_by_anything() -> None:
    ledger, limits = MemoryLedger(), table(Limit(scope="project", nano_per_day=0))
    assert (await status(ledger, limits, "p", Alerts())).uses[0].budgets[0].share == 0
    spend(ledger, 1)
    assert (await status(ledger, limits, "p", Alerts())).uses[0].budgets[0].share == 1


async def test_a_ledger_that_cannot_tell_shows_nothing() -> None:
    class Silent(LedgerInside):
        async def used(self, subjects: Any) -> Any:
            raise Unavailable("Redis is away.")

    found = await status(Silent(), table(Limit(scope="project", concurrent=1)), "p", Alerts())
    assert found == Status(ledger=MemoryLedger().state(), uses=[])


async def test_the_watch_opens_alerts_and_outlives_errors(caplog: pytest.LogCaptureFixture) -> None:
    stop = asyncio.Event()

    class Failing(LedgerInside):
        async def used(self, subjects: Any) -> Any:
            stop.set()
            raise ValueError("odd")

    await asyncio.wait_for(watch(Failing(), lambda: table(Limit(scope="project", concurrent=1)), Alerts(), stop), 5)
    assert [each.levelno for each in caplog.records] == [logging.ERROR]
