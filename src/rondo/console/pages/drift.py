"""Drift of an app: the report, its checks with small charts, topics, what to do next; and a look that is asked for."""

from __future__ import annotations

from urllib.parse import quote

from msgspec import Struct
from starlette.responses import Response

from rondo.console.visit import Page, Visit, go
from rondo.control import Connection
from rondo.errors import Conflict, InvalidRequest, RondoError
from rondo.gateway.wire import status_of
from rondo.governance.model import Role
from rondo.monitoring.drift import standing, store
from rondo.monitoring.drift.model import Report
from rondo.releases import store as releases

_LISTED = 20


class Sight(Struct, frozen=True, kw_only=True):
    """What the page shows of one app; `report` None where there is none yet."""

    app: str
    is_scheduled: bool
    report: Report | None
    lasting: list[str]
    past: list[Report]


async def choose(visit: Visit) -> Response:
    """The apps, each with its newest report; straight to the app where there is one."""

    def read(connection: Connection) -> list[Sight]:
        return [
            _sight(connection, visit.project, app.name, None) for app in releases.list_apps(connection, visit.project)
        ]

    sights = await visit.control.read(read)
    if len(sights) == 1:
        return go(f"/drift/{quote(sights[0].app, safe='')}")
    return visit.page("drifts.html", sights=sights)


async def show(visit: Visit) -> Response:
    return await _page(visit, None)


async def look(visit: Visit) -> Response:
    """Look now, then show the report."""
    app = visit.path("app")
    sent = await visit.form()
    given = {name: sent[name].strip() for name in ("window", "reference") if sent.get(name, "").strip()}
    try:
        report = await visit.control.watching.drift.look_now(
            visit.project, app, changes=given, until=None, actor=visit.actor
        )
    except (InvalidRequest, Conflict) as error:
        return await _page(visit, error, sent)
    return go(f"/drift/{quote(app, safe='')}", id=report.id, did="drift-looked")


async def _page(visit: Visit, error: RondoError | None, sent: dict[str, str] | None = None) -> Response:
    app, wanted = visit.path("app"), visit.query("id")
    sight = await visit.control.read(lambda connection: _sight(connection, visit.project, app, wanted))
    status = 200 if error is None else status_of(error)
    return visit.page("drift.html", status=status, sight=sight, error=error, sent=sent or {})


def _sight(connection: Connection, project: str, app: str, wanted: str | None) -> Sight:
    settings = releases.get_app(connection, project, app).settings
    report, lasting = standing.latest(connection, project, app)
    if wanted is not None:
        report, lasting = standing.known(connection, project, app, wanted)
    return Sight(
        app=app,
        is_scheduled=bool(settings.get("drift")),
        report=report,
        lasting=lasting,
        past=store.listed(connection, project, app, limit=_LISTED),
    )


PAGES = [
    Page("GET", "/drift", Role.VIEWER, choose),
    Page("GET", "/drift/{app}", Role.VIEWER, show),
    Page("POST", "/drift/{app}", Role.DEVELOPER, look),
]
