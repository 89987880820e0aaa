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
from rondo.monitoring.health import Check, checks
from rondo.monitoring.overview import AppOverview, Overview, overview, serving

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
        Window("24h", "the last 24 hours", 1_440 * _MINUTE_US, 30 * _MINUTE_US),
        Window("7d", "the last 7 days", 7 * 1_440 * _MINUTE_US, 240 * _MINUTE_US),
        Window("30d", "the last 30 days", 30 * 1_440 * _MINUTE_US, 1_440 * _MINUTE_US),
    )
}


class AppPanel(Struct, frozen=True, kw_only=True):
    """What is drawn for one app. `metrics` is the row of `goal_metrics`, over all its releases."""

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


async def show(visit: Visit) -> Response:
    window = WINDOWS.get(visit.query("window") or "24h", WINDOWS["24h"])
    apps = await visit.control.read(lambda connection: serving(connection, visit.project))
    sight = await asyncio.to_thread(_look, visit.control, visit.project, apps, window)
    return visit.page("overview.html", sight=sight, window=window, windows=WINDOWS.values())


def _look(control: ControlPlane, project: str, apps: list[Any], window: Window) -> Sight:
    until = clock.now_us()
    since = until - window.length_us
    view = overview(control.records, project, apps, since=since, until=until)
    return Sight(
        overview=view,
        panels=[_panel(control, project, each, view, window) for each in view.apps],
        drain=control.drain.status(),
        problems=[
            check for check in checks(control.drain, control.gateway, project, control.ledger.state()) if not check.ok
        ],
    )


def _panel(control: ControlPlane, project: str, app: AppOverview, view: Overview, window: Window) -> AppPanel:
    about = {"project": project, "app": app.app, "since": view.since, "until": view.until}
    series = control.records.query("traffic_series", {**about, "bucket_us": window.bucket_us})
    metrics = control.records.query("goal_metrics", {**about, "release": None})[0]
    labels = [f"{formats.when(row['bucket_at'])[5:16]}: {_calls(row)}" for row in series]
    return AppPanel(
        overview=app,
        metrics=metrics,
        load=charts.bars(
            [row["calls"] for row in series], [row["errors"] for row in series], labels, width=240, height=44
        ),
        latency=charts.line([row["p95_ms"] for row in series], width=120, height=28),
        cost=charts.line([row["cost_usd"] for row in series], width=120, height=28),
    )


def _calls(row: dict[str, Any]) -> str:
    failed = f", {row['errors']} failed" if row["errors"] else ""
    return f"{row['calls']} calls{failed}"


PAGES = [Page("GET", "/", Role.VIEWER, show)]
