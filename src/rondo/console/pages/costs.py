"""Costs: by model, user, app and so on, the month's forecast, days that stand out, and another model instead."""

from __future__ import annotations

import asyncio

from msgspec import Struct
from starlette.responses import Response

from rondo.console import formats
from rondo.console.cards import Card, columns, zeros
from rondo.console.pages.dashboards import choices, read_choice
from rondo.console.visit import Page, Visit
from rondo.errors import InvalidRequest, NotFound, RondoError
from rondo.governance.model import Role
from rondo.monitoring.costs.model import BY, By, Costs
from rondo.monitoring.costs.outlook import Outlook, instead, outlook
from rondo.monitoring.costs.spending import as_csv, costs, parse_by
from rondo.monitoring.costs.what_if import WhatIf
from rondo.monitoring.dashboards.traffic import lined_up
from rondo.monitoring.dashboards.window import DAY_US, HOUR_US, NAMES, Chosen, Window

_ROWS = 25
_CSV_ROWS = 10_000


class Sight(Struct, frozen=True, kw_only=True):
    """All that the page shows."""

    costs: Costs
    outlook: Outlook
    card: Card
    what_if: WhatIf | None
    asked_instead: str


async def show(visit: Visit) -> Response:
    error: RondoError | None
    window, chosen, error = read_choice(visit, arm="all", window="30d")
    by: By = "model"
    try:
        by = parse_by(visit.query("by"))
    except InvalidRequest as wrong:
        error = error or wrong
    try:
        sight = await asyncio.to_thread(_look, visit, window, chosen, by)
    except (InvalidRequest, NotFound) as wrong:  # by users, a model cannot be chosen; and no model may be called so
        error = wrong
        sight = await asyncio.to_thread(_look, visit, window, Chosen(arm=None), by, with_instead=False)
    return visit.page(
        "costs.html",
        status=400 if error else 200,
        sight=sight,
        window=window,
        windows=NAMES,
        by=by,
        all_by=BY,
        facets=await choices(visit),
        models=sorted(name for project, name in visit.control.gateway.plan.models if project == visit.project),
        error=error,
    )


async def export(visit: Visit) -> Response:
    window, chosen, error = read_choice(visit, arm="all", window="30d")
    if error is not None:
        raise error
    by = parse_by(visit.query("by"))
    records = visit.control.records
    told = await asyncio.to_thread(costs, records, visit.project, window, chosen, by, limit=_CSV_ROWS)
    disposition = {"content-disposition": f'attachment; filename="rondo-costs-by-{by}.csv"'}
    return Response(as_csv(told), media_type="text/csv; charset=utf-8", headers=disposition)


def _look(visit: Visit, window: Window, chosen: Chosen, by: By, *, with_instead: bool = True) -> Sight:
    records, project = visit.control.records, visit.project
    other = (visit.query("instead") or "").strip()
    return Sight(
        costs=costs(records, project, window, chosen, by, limit=_ROWS),
        outlook=outlook(records, project, chosen),
        card=_over_time(visit, window, chosen),
        what_if=instead(records, visit.control.gateway.plan, project, window, chosen, model=other)
        if other and with_instead
        else None,
        asked_instead=other,
    )


def _over_time(visit: Visit, window: Window, chosen: Chosen) -> Card:
    asked = {"project": visit.project, "since": window.since, "until": window.until}
    rows = visit.control.records.query("dash_traffic", {**asked, "bucket_us": window.bucket_us}, chosen.filters())
    at = window.buckets
    each = {DAY_US: "a day", HOUR_US: "an hour"}.get(window.bucket_us, f"{window.bucket_us // 60_000_000:g} minutes")
    series = {
        "cost": zeros(lined_up(rows, at, "cost_usd")),
        "saved by the cache": zeros(lined_up(rows, at, "saved_usd")),
    }
    known = [row["cost_usd"] for row in rows if row["cost_usd"] is not None]
    return columns(
        "Cost over time",
        at,
        series,
        formats.money,
        figure=formats.money(sum(known) if known else (None if rows else 0.0)),
        note=f"A column is {each}. What the cache saved was not paid.",
        wide=True,
    )


PAGES = [
    Page("GET", "/costs", Role.VIEWER, show),
    Page("GET", "/costs/export", Role.VIEWER, export),
]
