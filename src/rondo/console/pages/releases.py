"""Releases: what there is, who made it, what serves whom; and the forms that move traffic.

Each form is a page of its own that says what will happen before it does.
"""

from __future__ import annotations

import asyncio
from typing import Any

from msgspec import Struct
from starlette.responses import Response

from rondo import clock
from rondo.console.pages import traffic_forms
from rondo.console.visit import Page, Visit, whole_number
from rondo.control import Connection
from rondo.errors import InvalidRequest, NotFound
from rondo.governance.model import Role
from rondo.monitoring.overview import DAY_US, shares
from rondo.releases import gate_view, store
from rondo.releases.compare import changes_between
from rondo.releases.diff import Change
from rondo.releases.gate_view import GateView
from rondo.releases.model import AppRow, Release, TrafficChange
from rondo.releases.state import NOTHING, Traffic, standing

_PAGE = 50


class AppLine(Struct, frozen=True, kw_only=True):
    """An app in the list of apps."""

    name: str
    traffic: Traffic
    shares: dict[int, float]
    newest: Release | None


class AppPage(Struct, frozen=True, kw_only=True):
    """An app with a page of its releases, and the history of its traffic, newest first."""

    app: AppRow
    traffic: Traffic
    shares: dict[int, float]
    releases: list[Release]
    history: list[TrafficChange]


async def list_apps(visit: Visit) -> Response:
    def read(connection: Connection) -> list[AppLine]:
        return [_line(connection, visit.project, row.name) for row in store.list_apps(connection, visit.project)]

    return visit.page("apps.html", apps=await visit.control.read(read))


async def show_app(visit: Visit) -> Response:
    name = visit.path("app")
    before = visit.query("before")
    below = whole_number(before, "before") if before else None

    def read(connection: Connection) -> AppPage:
        app = store.get_app(connection, visit.project, name)
        history = store.traffic_history(connection, visit.project, name)
        now = history[-1].traffic if history else NOTHING
        return AppPage(
            app=app,
            traffic=now,
            shares=shares(now),
            releases=store.list_releases(connection, visit.project, name, limit=_PAGE + 1, before=below),
            history=history[::-1],
        )

    found = await visit.control.read(read)
    return visit.page(
        "releases.html",
        it=found,
        releases=found.releases[:_PAGE],
        more=found.releases[_PAGE - 1].number if len(found.releases) > _PAGE else None,
        role_of=lambda number: standing(found.traffic, number),
        now=clock.now_us(),
    )


async def show_release(visit: Visit) -> Response:
    app, number = visit.path("app"), _number(visit)

    def read(connection: Connection) -> tuple[Release, Traffic, list[TrafficChange], list[Change], GateView]:
        release = store.get_release(connection, visit.project, app, number)
        history = store.traffic_history(connection, visit.project, app)
        now = history[-1].traffic if history else NOTHING
        changes = changes_between(connection, visit.project, app, number - 1, number) if number > 1 else []
        touched = [change for change in history[::-1] if _names(change, number)]
        return release, now, touched, changes, gate_view.of_number(connection, visit.project, app, number)

    release, now, touched, changes, gate = await visit.control.read(read)
    until = clock.now_us()
    window = {"project": visit.project, "app": app, "release": number, "since": until - 30 * DAY_US, "until": until}
    metrics = await asyncio.to_thread(visit.control.records.query, "goal_metrics", window)
    return visit.page(
        "release.html",
        release=release,
        traffic=now,
        place=standing(now, number),
        share=shares(now).get(number),
        touched=touched,
        changes=changes,
        gate=gate,
        metrics=metrics[0],
    )


async def compare(visit: Visit) -> Response:
    app = visit.path("app")
    before, after = visit.query("from"), visit.query("to")
    if before is None or after is None:
        raise InvalidRequest("A comparison needs two releases.", remedy="Choose them in the list.", param="from")
    numbers = whole_number(before, "from"), whole_number(after, "to")

    def read(connection: Connection) -> tuple[Release, Release, list[Change]]:
        one, two = (store.get_release(connection, visit.project, app, number) for number in numbers)
        return one, two, changes_between(connection, visit.project, app, *numbers)

    old, new, changes = await visit.control.read(read)
    return visit.page("release_diff.html", app=app, old=old, new=new, changes=changes)


def _line(connection: Connection, project: str, name: str) -> AppLine:
    change = store.current_traffic(connection, project, name)
    now = change.traffic if change else NOTHING
    newest = store.list_releases(connection, project, name, limit=1)
    return AppLine(name=name, traffic=now, shares=shares(now), newest=newest[0] if newest else None)


def _names(change: TrafficChange, number: int) -> bool:
    return change.traffic.stable == number or any(arm.release == number for arm in change.traffic.arms)


def _number(visit: Visit) -> int:
    number: Any = visit.request.path_params["number"]
    if not 0 < number < 2**31:
        raise NotFound(f"There is no release {number}.", remedy="The list shows them.")
    return int(number)


PAGES = [
    Page("GET", "/releases", Role.VIEWER, list_apps),
    Page("GET", "/releases/{app}", Role.VIEWER, show_app),
    Page("GET", "/releases/{app}/diff", Role.VIEWER, compare),
    Page("GET", "/releases/{app}/{number:int}", Role.VIEWER, show_release),
    *traffic_forms.PAGES,
]
