"""The first page: every app with what serves whom, its load, errors, latency, cost, feedback and goals."""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import Struct
from starlette.responses import Response

from rondo import clock
from rondo.console import charts, formats
from rondo.console.visit import Page, Visit
from rondo.control import ControlPlane
from rondo.governance.model import Role
from rondo.monitoring.alerts.view import firing
from rondo.monitoring.health import Check, checks, judged, told
from rondo.monitoring.judging.model import LiveStatus
from rondo.monitoring.overview import AppOverview, Measured, Overview, look, serving

_MINUTE_US = 60_000_000


class Window(Struct, frozen=True):
    """A stretch of time that the page can look at, and the width of one bar of its charts."""

    name: str
    words: str
    length_us: int
    bucket_us: int


WINDOWS = {
    each.name: each
    for each in (
        Window("1h", "the last hour", 60 * _MINUTE_US, 2 * _MINUTE_US),
        Window("24h", "the last 24 hours", 1_440 * _MINUTE_US, 60 * _MINUTE_US),
        Window("7d", "the last 7 days", 7 * 1_440 * _MINUTE_US, 240 * _MINUTE_US),
        Window("30d", "the last 30 days", 30 * 1_440 * _MINUTE_US, 1_440 * _MINUTE_US),
    )
}


_EMPTY: dict[str, Any] = {
    **dict.fromkeys(("calls.count", "errors.count", "cost.unknown_count", "feedback.count"), 0),
    **dict.fromkeys(("errors.rate", "latency.p50_ms", "latency.p95_ms", "cost.total_usd", "cost.per_request_usd")),
    **dict.fromkeys(("handed_over.rate", "feedback.positive_rate")),
}
_NOTHING = Measured(_EMPTY, [])
"""Of an app without calls."""


class AppPanel(Struct, frozen=True, kw_only=True):
    """What is drawn for one app. `metrics` is the row of `goal_series` over all of the window."""

    overview: AppOverview
    metrics: dict[str, Any]
    load: charts.Bars
    latency: charts.Line
    cost: charts.Line


class Sight(Struct, frozen=True, kw_only=True):
    """All that the page shows."""

    overview: Overview
    panels: list[AppPanel]
    drain: Any
    problems: list[Check]
    live: list[LiveStatus]


async def show(visit: Visit) -> Response:
    window = WINDOWS.get(visit.query("window") or "24h", WINDOWS["24h"])
    apps = await visit.control.read(lambda connection: serving(connection, visit.project))
    sight = await asyncio.to_thread(_look, visit.control, visit.project, apps, window)
    fire = await visit.control.read(lambda connection: firing(connection, visit.project, clock.now_us()))
    return visit.page("overview.html", fire=fire, sight=sight, window=window, windows=WINDOWS.values())


def _look(control: ControlPlane, project: str, apps: list[Any], window: Window) -> Sight:
    until = clock.now_us()
    since = until - window.length_us
    seen = look(control.records, project, apps, since=since, until=until, bucket_us=window.bucket_us)
    view = seen.overview
    live = control.watching.judging.status(project)
    found = checks(control.drain, control.gateway, project, control.ledger.state())
    found += [*told(control.watching.telling.status(project)), *judged(live)]
    return Sight(
        overview=view,
        panels=[_panel(each, seen.measured.get(each.app, _NOTHING), view, window) for each in view.apps],
        drain=control.drain.status(),
        problems=[check for check in found if not check.ok],
        live=live,
    )


def _panel(app: AppOverview, measured: Measured, view: Overview, window: Window) -> AppPanel:
    at = range(view.since // window.bucket_us * window.bucket_us, view.until, window.bucket_us)
    by_bucket = {row["bucket_at"]: row for row in measured.buckets}
    series = [by_bucket.get(bucket, {**_EMPTY, "bucket_at": bucket}) for bucket in at]
    labels = [f"{formats.when(row['bucket_at'])[5:16]}: {_calls(row)}" for row in series]
    calls, errors = [row["calls.count"] for row in series], [row["errors.count"] for row in series]
    return AppPanel(
        overview=app,
        metrics=measured.overall,
        load=charts.bars(calls, errors, labels, width=240, height=44),
        latency=charts.line([row["latency.p95_ms"] for row in series], width=120, height=28),
        cost=charts.line([row["cost.total_usd"] for row in series], width=120, height=28),
    )


def _calls(row: dict[str, Any]) -> str:
    failed = f", {row['errors.count']} failed" if row["errors.count"] else ""
    return f"{row['calls.count']} calls{failed}"


PAGES = [Page("GET", "/", Role.VIEWER, show)]
