"""The forms that move traffic: promote, split, shadow, roll back. An approver confirms on a page that shows what
changes.

A form that is refused comes back with what was entered, and with what is wrong.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from rondo.console.visit import Page, Visit, go, whole_number
from rondo.control import Connection
from rondo.errors import Conflict, Forbidden, InvalidRequest, NotFound, RondoError
from rondo.gateway.wire import status_of
from rondo.governance.model import Role
from rondo.monitoring.overview import shares
from rondo.releases import gate_view, store, traffic
from rondo.releases.gate_passage import exception_asked
from rondo.releases.gate_view import GateView
from rondo.releases.model import ModelRow, Release, TrafficChange
from rondo.releases.state import NOTHING, Traffic

_CHOICES = 20
"""How many of the newest releases a form offers."""


async def promote_form(visit: Visit) -> Response:
    return await _form(visit, "promote", {"release": visit.query("release") or ""})


async def promote(visit: Visit) -> Response:
    sent = await visit.form()
    app = visit.path("app")

    def work() -> TrafficChange:
        number = whole_number(sent.get("release", ""), "release")
        return traffic.promote(
            visit.control.catalog,
            visit.project,
            app,
            number,
            actor=visit.actor,
            reason=sent.get("reason", ""),
            exception=exception_asked(visit.grant, sent.get("exception") or None),
            check_release=visit.control.check_release,
        )

    return await _do(visit, "promote", sent, work, "promoted")


async def split_form(visit: Visit) -> Response:
    return await _form(visit, "split", {"release": visit.query("release") or ""})


async def split(visit: Visit) -> Response:
    sent = await visit.form()
    app = visit.path("app")
    percents = _percents(sent)

    def work() -> TrafficChange:
        given: dict[int, object] = {whole_number(number, "share"): value for number, value in percents.items()}
        return traffic.split(
            visit.control.catalog,
            visit.project,
            app,
            given,
            actor=visit.actor,
            reason=sent.get("reason", ""),
            exception=exception_asked(visit.grant, sent.get("exception") or None),
            check_release=visit.control.check_release,
        )

    return await _do(visit, "split", sent, work, "split")


async def shadow_form(visit: Visit) -> Response:
    return await _form(visit, "shadow", {"release": visit.query("release") or ""})


async def shadow(visit: Visit) -> Response:
    sent = await visit.form()
    app = visit.path("app")
    percents = _percents(sent)

    def work() -> TrafficChange:
        return traffic.shadow(
            visit.control.catalog,
            visit.project,
            app,
            percents,
            actor=visit.actor,
            reason=sent.get("reason", ""),
            check_release=visit.control.check_release,
        )

    return await _do(visit, "shadow", sent, work, "copied" if percents else "not-copied")


def _percents(sent: dict[str, str]) -> dict[str, str]:
    """By release or model what was entered for it; nothing, and nought, are no share."""
    wanted = {name.removeprefix("share."): value.strip() for name, value in sent.items() if name.startswith("share.")}
    return {name: value for name, value in wanted.items() if value.strip("0.")}


async def rollback_form(visit: Visit) -> Response:
    return await _form(visit, "rollback", {"to": visit.query("to") or ""})


async def rollback(visit: Visit) -> Response:
    sent = await visit.form()
    app = visit.path("app")

    def work() -> TrafficChange:
        to = whole_number(sent["to"], "to") if sent.get("to") else None
        return traffic.rollback(
            visit.control.catalog,
            visit.project,
            app,
            to=to,
            actor=visit.actor,
            reason=sent.get("reason", ""),
            check_release=visit.control.check_release,
        )

    return await _do(visit, "rollback", sent, work, "rolled-back")


async def _do(visit: Visit, action: str, sent: dict[str, str], work: Any, done: str) -> Response:
    try:
        await visit.control.change(work)
    except (InvalidRequest, Conflict, NotFound, Forbidden) as error:
        return await _form(visit, action, sent, error)
    return go(f"/releases/{visit.path('app')}", did=done)


async def _form(visit: Visit, action: str, sent: dict[str, str], error: RondoError | None = None) -> Response:
    app = visit.path("app")

    def read(connection: Connection) -> tuple[Traffic, list[Release], list[ModelRow], GateView | None]:
        store.get_app(connection, visit.project, app)
        change = store.current_traffic(connection, visit.project, app)
        releases = store.list_releases(connection, visit.project, app, limit=_CHOICES)
        chosen = next((each.number for each in releases if str(each.number) == sent.get("release")), None)
        gate = gate_view.of_number(connection, visit.project, app, chosen) if chosen is not None else None
        return (change.traffic if change else NOTHING), releases, store.list_models(connection, visit.project), gate

    now, releases, models, gate = await visit.control.read(read)
    return visit.page(
        f"{action}.html",
        status=status_of(error) if error else 200,
        app=app,
        traffic=now,
        shares=shares(now),
        releases=releases,
        models=models,
        gate=gate,
        arms={arm.release: arm.share_bp for arm in now.arms},
        shadows={each.name: each.share_bp for each in now.shadows},
        sent=sent,
        error=error,
    )


PAGES = [
    Page("GET", "/releases/{app}/promote", Role.APPROVER, promote_form),
    Page("POST", "/releases/{app}/promote", Role.APPROVER, promote),
    Page("GET", "/releases/{app}/split", Role.APPROVER, split_form),
    Page("POST", "/releases/{app}/split", Role.APPROVER, split),
    Page("GET", "/releases/{app}/shadow", Role.APPROVER, shadow_form),
    Page("POST", "/releases/{app}/shadow", Role.APPROVER, shadow),
    Page("GET", "/releases/{app}/rollback", Role.APPROVER, rollback_form),
    Page("POST", "/releases/{app}/rollback", Role.APPROVER, rollback),
]
