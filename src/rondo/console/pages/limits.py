"""Limits: how much may be used, how much of it is used now, and the alerts."""

from __future__ import annotations

from starlette.responses import Response

from rondo.console.visit import Page, Visit, go, whole_number
from rondo.control import Connection
from rondo.errors import Conflict, InvalidRequest, NotFound, RondoError
from rondo.gateway.wire import status_of
from rondo.governance import keys
from rondo.governance.model import Role
from rondo.limits import change
from rondo.limits.change import Wanted, shown
from rondo.limits.model import EACH
from rondo.limits.status import status
from rondo.releases import store as releases

_COUNTS = ("requests_per_minute", "tokens_per_minute", "concurrent")
_BUDGETS = ("usd_per_day", "usd_per_month")


async def list_limits(visit: Visit) -> Response:
    return await _page(visit)


async def set_limit(visit: Visit) -> Response:
    sent = {name: value.strip() for name, value in (await visit.form()).items()}
    try:
        wanted = Wanted(scope=_scope(sent))
        for name in _COUNTS:
            if sent.get(name):
                setattr(wanted, name, whole_number(sent[name], name))
        for name in _BUDGETS:
            if sent.get(name):
                setattr(wanted, name, sent[name])
        visit.control.require_ledger()
        await visit.control.change(
            lambda: change.set_limit(visit.control.catalog, visit.project, wanted, actor=visit.actor)
        )
    except (InvalidRequest, NotFound, Conflict) as error:
        return await _page(visit, sent=sent, error=error)
    return go("/limits", did="limited")


async def remove(visit: Visit) -> Response:
    scope = (await visit.form()).get("scope", "")
    try:
        await visit.control.change(
            lambda: change.remove_limit(visit.control.catalog, visit.project, scope, actor=visit.actor)
        )
    except NotFound as error:
        return await _page(visit, error=error)
    return go("/limits", did="unlimited")


def _scope(sent: dict[str, str]) -> str:
    kind, name = sent.get("kind", ""), sent.get("name", "")
    return kind if kind == "project" else f"{kind}:{name or EACH}"


async def _page(visit: Visit, *, sent: dict[str, str] | None = None, error: RondoError | None = None) -> Response:
    control, project = visit.control, visit.project

    def read(connection: Connection) -> tuple[list[dict[str, object]], list[str], dict[str, str]]:
        stored = change.list_limits(connection, project)
        apps = [app.name for app in releases.list_apps(connection, project)]
        live = {key.id: key.name for key in keys.list_keys(connection, project) if key.revoked_at is None}
        return [{**shown(each.limit), "updated_by": each.updated_by} for each in stored], apps, live

    limits, apps, live = await control.read(read)
    return visit.page(
        "limits.html",
        status=status_of(error) if error else 200,
        limits=limits,
        words=control.gateway.plan.limits.words,
        now=await status(control.ledger, control.gateway.plan.limits, project, control.alerts),
        apps=apps,
        keys=live,
        sent=sent or {},
        error=error,
    )


PAGES = [
    Page("GET", "/limits", Role.VIEWER, list_limits),
    Page("POST", "/limits", Role.APPROVER, set_limit),
    Page("POST", "/limits/remove", Role.APPROVER, remove),
]
