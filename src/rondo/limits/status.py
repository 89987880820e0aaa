"""How much of each limit is used now, and the alerts: a share of a budget that has been reached.

An alert opens when the money spent reaches a share, is logged once, and ends with its day or month. What is reserved
for calls under way counts for the hard stop, and not for alerts. Of a limit that holds for each app, key or user, those
that spent most this month are shown and watched.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress

from msgspec import Struct

from rondo import clock
from rondo.errors import RondoError
from rondo.limits.ledger import Ledger, LedgerState, Used
from rondo.limits.model import EACH, Limit, LimitTable, periods_of, subject, to_usd

SHOWN = 20
"""How many of each app, key or user."""

_EVERY_S = 5.0
_log = logging.getLogger("rondo.limits")


class Budget(Struct, frozen=True, kw_only=True):
    """Money of one subject in the present day or month. `alert` is the highest share reached, `alerting_since` since
    when the lowest has been known to be (microseconds)."""

    period: str
    usd: float
    spent_usd: float
    reserved_usd: float
    share: float
    alert: float | None = None
    alerting_since: int | None = None


class Use(Struct, frozen=True, kw_only=True):
    """A limit and its use. `scope` is the limit's; `of` is whose use it is: `key:key_1` under `key:*`."""

    scope: str
    of: str
    name: str
    requests: int
    requests_per_minute: int | None
    tokens: int
    tokens_per_minute: int | None
    concurrent: int
    most_concurrent: int | None
    budgets: list[Budget]


class Status(Struct, frozen=True, kw_only=True):
    """All limits of a project. `uses` is empty where the ledger cannot tell."""

    ledger: LedgerState
    uses: list[Use]


class Alerts:
    """Remembers which shares have been reached, for one process."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], tuple[float, int]] = {}

    def reached(self, whose: str, words: str, period: str, share: float, limit: Limit) -> tuple[float, int] | None:
        """The highest share reached and since when the first was; logs the first time that it is seen."""
        highest = max((each for each in limit.alert_at if share >= each), default=None)
        known = self._open.get((whose, period))
        if highest is None:
            return known
        if known is None or known[0] < highest:
            since = clock.now_us() if known is None else known[1]
            known = self._open[whose, period] = highest, since
            _log.warning("%s has spent %.0f %% of its budget for %s", words, share * 100, _spelled(period))
        return known

    def forget_before(self, day: str, month: str) -> None:
        """Close the alerts of days and months that are over."""
        self._open = {place: alert for place, alert in self._open.items() if place[1] in (day, month)}


async def status(ledger: Ledger, table: LimitTable, project: str, alerts: Alerts) -> Status:
    """The project's limits as they stand now."""
    asked: list[tuple[Limit, str]] = []
    try:
        for limit in table.of(project):
            asked += [(limit, whose) for whose in await _subjects(ledger, table, project, limit)]
        found = await ledger.used([whose for _, whose in asked])
    except RondoError:  # its state says so
        return Status(ledger=ledger.state(), uses=[])
    day, month = periods_of(clock.now_us())
    alerts.forget_before(day, month)
    uses = [_use(table, project, limit, used, alerts) for (limit, _), used in zip(asked, found, strict=True)]
    return Status(ledger=ledger.state(), uses=uses)


async def watch(ledger: Ledger, table: Callable[[], LimitTable], alerts: Alerts, stop: asyncio.Event) -> None:
    """Look at all limits every few seconds, until `stop` is set. Never raises."""
    while not stop.is_set():
        limits = table()
        for project in limits.projects:
            try:
                await status(ledger, limits, project, alerts)
            except Exception:
                _log.exception("limits cannot be watched")
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _EVERY_S)


async def _subjects(ledger: Ledger, table: LimitTable, project: str, limit: Limit) -> list[str]:
    kind, _, name = limit.scope.partition(":")
    if name != EACH:
        return [subject(project, kind, name or None)]
    own = {subject(project, *each.scope.split(":", 1)) for each in table.of(project) if ":" in each.scope}
    largest = await ledger.largest(f"{project}/{kind}:", SHOWN + len(own))
    return [each for each in largest if each not in own][:SHOWN]


def _use(table: LimitTable, project: str, limit: Limit, used: Used, alerts: Alerts) -> Use:
    whose = used.subject.removeprefix(f"{project}/")
    name = table.words(whose)
    return Use(
        scope=limit.scope,
        of=whose,
        name=name,
        requests=used.requests,
        requests_per_minute=limit.requests_per_minute,
        tokens=used.tokens,
        tokens_per_minute=limit.tokens_per_minute,
        concurrent=used.concurrent,
        most_concurrent=limit.concurrent,
        budgets=list(_budgets(limit, used, name, alerts)),
    )


def _budgets(limit: Limit, used: Used, name: str, alerts: Alerts) -> Iterator[Budget]:
    day, month = periods_of(clock.now_us())
    sums = (
        ("day", day, limit.nano_per_day, used.day_spent, used.day_reserved),
        ("month", month, limit.nano_per_month, used.month_spent, used.month_reserved),
    )
    for words, period, allowed, spent, reserved in sums:
        if allowed is None:
            continue
        share = spent / allowed if allowed else float(spent > 0)
        alert = alerts.reached(used.subject, name, period, share, limit)
        yield Budget(
            period=words,
            usd=to_usd(allowed),
            spent_usd=to_usd(spent),
            reserved_usd=to_usd(reserved),
            share=share,
            alert=alert[0] if alert else None,
            alerting_since=alert[1] if alert else None,
        )


def _spelled(period: str) -> str:
    """`2026-11-21` or `2026-11`."""
    digits = period[1:]
    return f"{digits[:4]}-{digits[4:6]}" + (f"-{digits[6:]}" if period[0] == "d" else "")
