"""The rollout of an app: its steps, the verdicts with their intervals, what happened; and the forms that act on it.

A rollout that goes on asks again every two seconds. Each form says what will happen before it does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct
from starlette.responses import Response

from rondo.console.visit import Page, Visit, go, whole_number
from rondo.control import Connection
from rondo.errors import Conflict, Forbidden, InvalidRequest, NotFound, RondoError
from rondo.gateway.wire import status_of
from rondo.governance.model import Role
from rondo.releases import gate_view, store
from rondo.releases.gate_passage import exception_asked
from rondo.releases.gate_view import GateView
from rondo.releases.model import Release
from rondo.rollout import report, verbs
from rondo.rollout import store as rollouts
from rondo.rollout.progress import Rollout
from rondo.rollout.report import RolloutView
from rondo.rollout.verbs import Whose

_CHOICES = 20
_LISTED = 20


class Act(Struct, frozen=True, kw_only=True):
    """A form: what its button says, what it will do, and what is said when it is done."""

    title: str
    told: str
    verb: Callable[..., Rollout]
    done: str
    is_dangerous: bool = False


ACTS = {
    "pause": Act(
        title="Pause",
        told="It stays at the present step, with the shares as they are. Guards, and goals that get worse, still take"
        " all traffic back.",
        verb=verbs.pause,
        done="rollout-paused",
    ),
    "resume": Act(
        title="Resume",
        told="It goes on with the present step. Where it paused because the callers do not fit the shares, it will not"
        " stop for that again.",
        verb=verbs.resume,
        done="rollout-resumed",
    ),
    "approve": Act(
        title="Approve",
        told="It goes on with the next step. Whoever made the release cannot approve it, unless an admin.",
        verb=verbs.approve,
        done="rollout-approved",
    ),
    "promote": Act(
        title="Promote now",
        told="The candidate serves everyone, and what is left of the steps is skipped. It must have passed its gate.",
        verb=verbs.promote,
        done="promoted",
    ),
    "abort": Act(
        title="Abort",
        told="The stable release serves everyone again, everywhere, in under a second. A rollout that has ended cannot"
        " be taken up again.",
        verb=verbs.abort,
        done="rolled-back",
        is_dangerous=True,
    ),
}


async def show(visit: Visit) -> Response:
    """The rollout that goes on, else the last one, or the one that is asked for by its id."""
    app, wanted = visit.path("app"), visit.query("id")
    controller = visit.control.watching.rollouts

    def read(connection: Connection) -> tuple[RolloutView | None, list[RolloutView]]:
        store.get_app(connection, visit.project, app)
        found = report.found(connection, visit.project, app, wanted)
        past = rollouts.listed(connection, visit.project, app, limit=_LISTED)
        it = report.view(*found, controller.latest(found[0])) if found is not None else None
        return it, [report.view(each, []) for each in past]

    it, past = await visit.control.read(read)
    if visit.is_partial and it is not None:
        part = visit.page("rollout_now.html", app=app, it=it, acts=_acts(visit, it))
        if it.ended_at is not None:
            part.headers["hx-refresh"] = "true"  # the rest of the page says that it goes on
        return part
    return visit.page("rollout.html", app=app, it=it, past=past, acts=_acts(visit, it) if it else [])


async def download(visit: Visit) -> Response:
    """The report of a rollout as a file: Markdown, or JSON."""
    app, wanted, as_json = visit.path("app"), visit.query("id"), visit.query("format") == "json"

    def read(connection: Connection) -> RolloutView | None:
        store.get_app(connection, visit.project, app)
        found = report.found(connection, visit.project, app, wanted)
        return report.view(*found) if found is not None else None

    it = await visit.control.read(read)
    if it is None:
        raise NotFound("No release has been rolled out yet.", remedy="`rondo rollout start N` begins one.")
    name = f"{it.id}.{'json' if as_json else 'md'}"
    return Response(
        msgspec.json.encode(it) if as_json else report.markdown(it),
        media_type="application/json" if as_json else "text/markdown; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


async def start_form(visit: Visit) -> Response:
    return await _start_form(visit, {"release": visit.query("release") or ""})


async def start(visit: Visit) -> Response:
    sent = await visit.form()
    app = visit.path("app")
    steps = [line.strip() for line in sent.get("steps", "").splitlines() if line.strip()]
    given = {"steps": steps or None, "kind": sent.get("kind") or None}

    def work() -> Rollout:
        return verbs.start(
            visit.control.catalog,
            _whose(visit),
            whole_number(sent.get("release", ""), "release"),
            asked=given,
            at=sent.get("at") or None,
            reason=sent.get("reason", ""),
            exception=exception_asked(visit.grant, sent.get("exception") or None),
            check_release=visit.control.check_release,
        )

    try:
        await visit.control.change(work)
    except (Conflict, Forbidden, InvalidRequest, NotFound) as error:
        return await _start_form(visit, sent, error)
    return go(_address(app), did="rollout-started")


async def act_form(visit: Visit) -> Response:
    return await _act_form(visit, {})


async def act(visit: Visit) -> Response:
    sent = await visit.form()
    chosen = _act(visit)
    more: dict[str, Any] = {"reason": sent.get("reason", "")}
    if chosen.verb is verbs.promote:
        more["exception"] = exception_asked(visit.grant, sent.get("exception") or None)
        more["check_release"] = visit.control.check_release
    whose = _whose(visit)
    try:
        await visit.control.change(lambda: chosen.verb(visit.control.catalog, whose, **more))
    except (Conflict, Forbidden, InvalidRequest, NotFound) as error:
        return await _act_form(visit, sent, error)
    return go(_address(visit.path("app")), did=chosen.done)


async def _start_form(visit: Visit, sent: dict[str, str], error: RondoError | None = None) -> Response:
    app = visit.path("app")

    def read(connection: Connection) -> tuple[dict[str, Any], list[Release], int | None, GateView | None]:
        row = store.get_app(connection, visit.project, app)
        change = store.current_traffic(connection, visit.project, app)
        releases = store.list_releases(connection, visit.project, app, limit=_CHOICES)
        chosen = next((each.number for each in releases if str(each.number) == sent.get("release")), None)
        gate = gate_view.of_number(connection, visit.project, app, chosen) if chosen is not None else None
        return row.settings.get("rollout") or {}, releases, change.traffic.stable if change else None, gate

    declared, releases, stable, gate = await visit.control.read(read)
    return visit.page(
        "rollout_start.html",
        status=status_of(error) if error else 200,
        app=app,
        declared=declared,
        releases=[each for each in releases if each.number != stable],
        stable=stable,
        gate=gate,
        sent=sent,
        error=error,
    )


async def _act_form(visit: Visit, sent: dict[str, str], error: RondoError | None = None) -> Response:
    app, chosen = visit.path("app"), _act(visit)

    def read(connection: Connection) -> RolloutView | None:
        store.get_app(connection, visit.project, app)
        rollout = rollouts.active(connection, visit.project, app)
        return None if rollout is None else report.view(rollout, [])

    return visit.page(
        "rollout_act.html",
        status=status_of(error) if error else 200,
        app=app,
        name=visit.path("act"),
        act=chosen,
        it=await visit.control.read(read),
        sent=sent,
        error=error,
    )


def _acts(visit: Visit, it: RolloutView) -> list[tuple[str, Act]]:
    """What can be done with it now, by whoever looks."""
    if not visit.may("approver") or it.ended_at is not None:
        return []
    waits = it.status == "running" and it.steps[it.step].kind == "approve"
    names = {"running": ["pause", "promote", "abort"], "paused": ["resume", "promote", "abort"]}
    return [(name, ACTS[name]) for name in [*(["approve"] if waits else []), *names.get(it.status, ["abort"])]]


def _act(visit: Visit) -> Act:
    found = ACTS.get(visit.path("act"))
    if found is None:
        raise NotFound("There is no such page.", remedy="The navigation leads to all there are.")
    return found


def _whose(visit: Visit) -> Whose:
    return Whose(visit.project, visit.path("app"), visit.actor, is_admin=visit.may("admin"))


def _address(app: str) -> str:
    return f"/releases/{quote(app, safe='')}/rollout"


PAGES = [
    Page("GET", "/releases/{app}/rollout", Role.VIEWER, show),
    Page("GET", "/releases/{app}/rollout/report", Role.VIEWER, download),
    Page("GET", "/releases/{app}/rollout/start", Role.APPROVER, start_form),
    Page("POST", "/releases/{app}/rollout/start", Role.APPROVER, start),
    Page("GET", "/releases/{app}/rollout/{act}", Role.APPROVER, act_form),
    Page("POST", "/releases/{app}/rollout/{act}", Role.APPROVER, act),
]
