"""Drift of an app: its reports, and a look that somebody asks for."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from rondo.api.door import Asked, Door
from rondo.control import Connection
from rondo.errors import InvalidRequest
from rondo.governance.model import Role
from rondo.monitoring.drift import standing, store
from rondo.monitoring.drift.model import Report
from rondo.releases import store as releases
from rondo.traces.filter import parse_time


class DriftLook(Struct, forbid_unknown_fields=True):
    """`window` and `reference` (`24h`, `7d`) take the place of what `[drift]` says; `until` is where the window ends, a
    time or how long ago, by default now."""

    window: str | None = None
    reference: str | None = None
    until: str | None = None


class Standing(Struct, frozen=True):
    """The newest report; `lasting` are the checks that have drifted two windows in a row."""

    report: Report | None
    lasting: list[str]


async def look(asked: Asked) -> Report:
    """Compare the window with its reference now. The report is kept, and does not move the schedule."""
    wanted = await asked.body(DriftLook)
    given = {"window": wanted.window, "reference": wanted.reference}
    return await asked.control.watching.drift.look_now(
        asked.project,
        asked.path("app"),
        changes={name: value for name, value in given.items() if value is not None},
        until=None if wanted.until is None else parse_time("until", wanted.until),
        actor=asked.actor,
    )


async def show_newest(asked: Asked) -> Standing:
    """The newest report, with what has lasted; `report` is null where there is none yet."""
    app = asked.path("app")

    def read(connection: Connection) -> Standing:
        releases.get_app(connection, asked.project, app)
        return Standing(*standing.latest(connection, asked.project, app))

    return await asked.control.read(read)


async def show(asked: Asked) -> Report:
    """One report by its id."""
    app, report = asked.path("app"), asked.path("id")
    return await asked.control.read(lambda connection: store.get(connection, asked.project, app, report))


async def list_reports(asked: Asked) -> dict[str, Any]:
    """The app's reports, that of the newest window first; `scheduled=true` leaves out those that were asked for."""
    app, limit = asked.path("app"), asked.query_number("limit", 30, most=100)
    word = asked.query("scheduled")
    if word not in (None, "true", "false"):
        raise InvalidRequest("`scheduled` must be true or false.", param="scheduled")
    only = None if word is None else word == "true"

    def read(connection: Connection) -> list[Report]:
        releases.get_app(connection, asked.project, app)
        return store.listed(connection, asked.project, app, limit=limit, scheduled=only)

    return {"reports": await asked.control.read(read)}


DOORS = [
    Door("GET", "/api/apps/{app}/drift", Role.VIEWER, show_newest),
    Door("POST", "/api/apps/{app}/drift", Role.DEVELOPER, look),
    Door("GET", "/api/apps/{app}/drift/reports", Role.VIEWER, list_reports),
    Door("GET", "/api/apps/{app}/drift/reports/{id}", Role.VIEWER, show),
]
