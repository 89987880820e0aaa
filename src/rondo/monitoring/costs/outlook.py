"""The month's forecast, days that stand out, and what another model would have cost: from the stored calls."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from rondo import clock
from rondo.errors import InvalidRequest, NotFound
from rondo.gateway.plan import Plan
from rondo.monitoring.costs.anomaly import anomalies
from rondo.monitoring.costs.forecast import REACH_DAYS, Forecast, forecast, weekday
from rondo.monitoring.costs.what_if import Tokens, WhatIf, what_if
from rondo.monitoring.dashboards.window import DAY_US, Chosen, Window
from rondo.providers.prices import Price, PriceBook
from rondo.store.base import RecordStore

_LOOKED_AT = 28
"""Days that are looked at for whether they stand out."""


class OddDay(Struct, frozen=True, kw_only=True):
    """A day that cost far more or less than usual; `subject` is the app or model, None for all calls together."""

    day: str
    subject: str | None
    cost_usd: float
    expected_usd: float
    low_usd: float
    high_usd: float
    score: float


class Outlook(Struct, frozen=True, kw_only=True):
    """`month` is like 2026-11. Days are in UTC. The cost of `cost_unknown` calls of this month is in none of it."""

    month: str
    forecast: Forecast
    cost_unknown: int
    odd_days: list[OddDay]


def outlook(store: RecordStore, project: str, chosen: Chosen) -> Outlook:
    """Reads the store; blocks."""
    now = clock.now_us()
    today = now // DAY_US
    moment = datetime.fromtimestamp(now / 1_000_000, UTC)
    first = today - moment.day + 1
    last = first + calendar.monthrange(moment.year, moment.month)[1] - 1
    since = min(first, today - REACH_DAYS - _LOOKED_AT)
    asked = {"project": project, "since": max(0, since * DAY_US), "until": now}
    rows = store.query("cost_days", {**asked, "by": "all"}, chosen.filters())
    days = _by_name(rows).get("", {})
    odd = _odd_days(None, days, today)
    for by in ("app", "model"):
        for name, cost in _by_name(store.query("cost_days", {**asked, "by": by}, chosen.filters())).items():
            odd += _odd_days(name, cost, today)
    return Outlook(
        month=f"{moment:%Y-%m}",
        forecast=forecast(days, today, first, last),
        cost_unknown=sum(row["cost_unknown"] for row in rows if row["day_at"] >= first * DAY_US),
        odd_days=sorted(odd, key=lambda each: (each.day, each.subject is None, abs(each.score)), reverse=True),
    )


def instead(
    store: RecordStore, plan: Plan, project: str, window: Window, chosen: Chosen, *, model: str | None
) -> WhatIf:
    """The window's calls on `model`: one of the project's, or `provider/model` of the price list.

    Raises InvalidRequest, NotFound.
    """
    if not model:
        raise InvalidRequest(
            "No model is named.", remedy="Name one of `rondo models`, or provider/model.", param="model"
        )
    price, provider = _price(plan, project, model)
    asked = {"project": project, "since": window.since, "until": window.until}
    rows = store.query("cost_tokens", asked, chosen.filters())
    return what_if(model, price, [msgspec.convert(row, Tokens) for row in rows], provider=provider)


def _price(plan: Plan, project: str, name: str) -> tuple[Price, str]:
    served = plan.models.get((project, name))
    if served is not None:
        if served.price is None:
            raise InvalidRequest(
                f"The model {name!r} has no price.", remedy=f"Set one in [models.{name}.price].", param="model"
            )
        return served.price, served.spec.provider
    provider, slash, model = name.partition("/")
    price = PriceBook().find(provider, model) if slash else None
    if price is None:
        raise NotFound(
            f"There is no model called {name!r:.80}, and the price list has none.",
            remedy="`rondo models` lists yours; else write it as provider/model.",
            param="model",
        )
    return price, provider


def _by_name(rows: list[dict[str, Any]]) -> dict[str, dict[int, float | None]]:
    """The cost of days with calls, by name; None where none of it is known."""
    found: dict[str, dict[int, float | None]] = {}
    for row in rows:
        if row["name"] is not None:
            found.setdefault(row["name"], {})[row["day_at"] // DAY_US] = row["cost_usd"]
    return found


def _odd_days(subject: str | None, cost: dict[int, float | None], today: int) -> list[OddDay]:
    """Of whole days only: today is not over. A day of which no cost is known is left out."""
    begun = min((day for day in cost if day < today), default=today)
    known = {day: value for day in range(begun, today) if (value := cost.get(day, 0.0)) is not None}
    days, values = list(known), list(known.values())
    return [
        OddDay(
            day=clock.iso(days[each.place] * DAY_US)[:10],
            subject=subject,
            cost_usd=each.value,
            expected_usd=each.expected,
            low_usd=each.low,
            high_usd=each.high,
            score=each.score,
        )
        for each in anomalies(values, [weekday(day) for day in days])
        if days[each.place] >= today - _LOOKED_AT
    ]
