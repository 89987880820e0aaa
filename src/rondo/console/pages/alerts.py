"""Alerts: what fires and what did, who looks after it, what is silent, and everything that is watched."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from rondo import clock
from rondo.console.visit import Page, Visit, go
from rondo.control import Connection
from rondo.errors import Conflict, InvalidRequest, NotFound, RondoError
from rondo.gateway.wire import status_of
from rondo.governance.model import Role
from rondo.limits.status import status
from rondo.monitoring.alerts import verbs, view
from rondo.monitoring.alerts.model import SEVERITIES
from rondo.monitoring.alerts.verbs import Quiet
from rondo.monitoring.alerts.view import AlertsView
from rondo.releases import store as releases

_TIMES = {"30m": "30 minutes", "2h": "2 hours", "8h": "8 hours", "1d": "a day", "7d": "a week"}


async def show_all(visit: Visit) -> Response:
    return await _page(visit)


async def show_one(visit: Visit) -> Response:
    return await _one(visit)


async def acknowledge(visit: Visit) -> Response:
    return await _act(visit, verbs.acknowledge, "acknowledged")


async def resolve(visit: Visit) -> Response:
    return await _act(visit, verbs.resolve, "resolved")


async def silence(visit: Visit) -> Response:
    sent = {name: value.strip() for name, value in (await visit.form()).items()}
    wanted = Quiet(
        app=sent.get("app") or None,
        rule=sent.get("rule") or None,
        severity=sent.get("severity") or None,
        lasting=sent.get("lasting") or None,
        reason=sent.get("reason", ""),
    )
    try:
        await asyncio.to_thread(verbs.silence, visit.control.catalog, visit.project, wanted, actor=visit.actor)
    except (InvalidRequest, NotFound) as error:
        return await _page(visit, sent=sent, error=error)
    return go("/alerts", did="silenced")


async def unsilence(visit: Visit) -> Response:
    wanted = (await visit.form()).get("silence", "")
    try:
        await asyncio.to_thread(verbs.unsilence, visit.control.catalog, visit.project, wanted, actor=visit.actor)
    except NotFound as error:
        return await _page(visit, error=error)
    return go("/alerts", did="unsilenced")


async def test(visit: Visit) -> Response:
    """Try a channel out, and say at once whether it arrived."""
    sent = await visit.form()
    app, channel = sent.get("app", ""), sent.get("channel", "")
    try:
        tried = await visit.control.watching.alarms.courier.trial(visit.project, app, channel)
    except NotFound as error:
        return await _page(visit, error=error)
    if tried.error is not None or tried.but is not None:
        whom = f"everyone of {channel} of {app}" if tried.error is None else f"{channel} of {app}"
        refused = InvalidRequest(f"The test did not reach {whom}.", remedy=tried.error or tried.but)
        return await _page(visit, error=refused)
    return go("/alerts", did="channel-tested")


async def _act(visit: Visit, verb: verbs.Verb, did: str) -> Response:
    note, alert = (await visit.form()).get("note", "").strip(), visit.path("id")
    try:
        await asyncio.to_thread(verb, visit.control.catalog, visit.project, alert, actor=visit.actor, note=note)
    except (Conflict, InvalidRequest) as error:
        return await _one(visit, error=error)
    visit.control.watching.alarms.courier.wake()
    return go(f"/alerts/{alert}", did=did)


async def _one(visit: Visit, error: RondoError | None = None) -> Response:
    alert, now = visit.path("id"), clock.now_us()
    story = await visit.control.read(lambda connection: view.story(connection, visit.project, alert, now))
    return visit.page("alert.html", status=status_of(error) if error else 200, it=story, error=error)


async def _page(visit: Visit, *, sent: dict[str, str] | None = None, error: RondoError | None = None) -> Response:
    control, project, now = visit.control, visit.project, clock.now_us()
    alarms = control.watching.alarms

    def read(connection: Connection) -> tuple[AlertsView, list[str], list[tuple[str, str, str]]]:
        apps = releases.list_apps(connection, project)
        there = view.channels(connection, project)
        found = view.view(connection, project, alarms.watched(project), alarms.faults(project), now)
        return found, [app.name for app in apps], there

    alerts, apps, channels = await control.read(read)
    spent = await status(control.ledger, control.gateway.plan.limits, project, control.alerts)
    return visit.page(
        "alerts.html",
        status=status_of(error) if error else 200,
        alerts=alerts,
        apps=apps,
        channels=channels,
        reached=[(use, budget) for use in spent.uses for budget in use.budgets if budget.alert is not None],
        severities=SEVERITIES,
        times=_TIMES,
        sent=sent or {},
        error=error,
    )


PAGES = [
    Page("GET", "/alerts", Role.VIEWER, show_all),
    Page("POST", "/alerts/silence", Role.DEVELOPER, silence),
    Page("POST", "/alerts/unsilence", Role.DEVELOPER, unsilence),
    Page("POST", "/alerts/test", Role.DEVELOPER, test),
    Page("GET", "/alerts/{id}", Role.VIEWER, show_one),
    Page("POST", "/alerts/{id}/acknowledge", Role.DEVELOPER, acknowledge),
    Page("POST", "/alerts/{id}/resolve", Role.DEVELOPER, resolve),
]
