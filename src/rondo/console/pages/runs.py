"""Evaluation runs: a list; the form that starts one; one run with its metrics, its slices, and what failed, both
answers side by side.

A run that is under way asks again every two seconds, and stops once it stands still.
"""

from __future__ import annotations

from math import inf
from typing import Any

from msgspec import Struct, structs
from starlette.responses import Response

from rondo.console.visit import Page, Visit, go, whole_number
from rondo.control import Connection
from rondo.errors import Conflict, Forbidden, InvalidRequest, NotFound, RondoError, SettingsError
from rondo.evals import store, written
from rondo.evals.evidence import Report
from rondo.evals.filtering import Wanted, failed, matching, next_place, parse_place
from rondo.evals.model import Answer, Run, Scored
from rondo.evals.ordering import NewRun, order_of
from rondo.evals.runs import Row
from rondo.gateway.wire import status_of
from rondo.governance.model import Role
from rondo.redteam import report as redteam
from rondo.redteam.report import went_through
from rondo.releases import store as releases
from rondo.releases.known_suites import known_suite, known_suites

_PAGE = 30
_SHOWN = 20
_RELEASES = 8
_TICKED = "target."


class Compared(Struct, frozen=True, kw_only=True):
    """A result of the target, with what the baseline answered; `other` is None where there is none."""

    row: Row
    other: Answer | None

    @property
    def is_attack(self) -> bool:
        """Whether it is a red team's attack that went through."""
        return went_through(self.row.result)

    @property
    def reasons(self) -> list[tuple[str, Scored]]:
        """The scorers that found fault, with what they say."""
        scores = self.row.result.scores
        return [(name, each) for name, each in scores.items() if each.passed is False or each.error is not None]


async def list_runs(visit: Visit) -> Response:
    app, before = visit.query("app"), visit.query("before")

    def read(connection: Connection) -> list[Run]:
        last = store.get_run(connection, visit.project, before) if before else None
        return store.list_runs(connection, visit.project, app=app, before=last, limit=_PAGE + 1)

    found = await visit.control.read(read)
    return visit.page(
        "runs.html",
        runs=found[:_PAGE],
        progress=visit.control.runs.progress,
        more=found[_PAGE - 1].id if len(found) > _PAGE else None,
    )


async def show_run(visit: Visit) -> Response:
    runs, run = visit.control.runs, await visit.control.runs.get(visit.project, visit.path("id"))
    report = written.read(run.report) if run.report is not None else None
    context: dict[str, Any] = {
        "run": run,
        "report": report,
        "progress": runs.progress(run),
        "live": run.status in ("queued", "running"),
        "words": written,
        "redteam": redteam.report(run) if report is not None and redteam.is_red_teams(run) else None,
        "may_stop": visit.may("developer") and not run.has_ended and run.status != "paused",
        "may_resume": visit.may("developer") and run.status in ("paused", "failed", "cancelled"),
    }
    if visit.is_partial:
        return visit.page("run_now.html", **context)
    return visit.page("run.html", **context, **await _examples(visit, run, report))


async def pause(visit: Visit) -> Response:
    return await _stopped(visit, "pause")


async def cancel(visit: Visit) -> Response:
    return await _stopped(visit, "cancel")


async def resume(visit: Visit) -> Response:
    budget = dollars((await visit.form()).get("budget_usd", ""))
    run = await visit.control.runs.resume(visit.grant, visit.path("id"), budget_usd=budget)
    return go(f"/runs/{run.id}")


async def show_new(visit: Visit) -> Response:
    return await _form(visit, {})


async def create(visit: Visit) -> Response:
    sent = await visit.form()
    app, _, name = sent.get("suite", "").partition("/")
    try:
        suite = await visit.control.read(lambda connection: known_suite(connection, visit.project, app, name))
        run = await visit.control.runs.create(visit.grant, order_of(_wanted(suite, sent)))
    except (InvalidRequest, Conflict, NotFound, Forbidden, SettingsError) as error:
        return await _form(visit, sent, error)
    return go(f"/runs/{run.id}")


def _wanted(suite: NewRun, sent: dict[str, str]) -> NewRun:
    """The suite as it is known, with what the form says over it. Raises InvalidRequest."""
    ticked = [name.removeprefix(_TICKED) for name in sent if name.startswith(_TICKED)]
    table = dict(suite.suite)
    if sent.get("max_concurrency", "").strip():
        table["max_concurrency"] = whole_number(sent["max_concurrency"].strip(), "max_concurrency")
    table["budget_usd"] = dollars(sent.get("budget_usd", ""))
    return structs.replace(
        suite,
        suite={key: value for key, value in table.items() if value is not None},
        targets=[*ticked, *sent.get("more", "").split()],
        against=sent.get("against", "").strip() or None,
        fresh="fresh" in sent,
    )


def dollars(text: str) -> float | None:
    """What a field says of money; None where it is empty. Raises InvalidRequest."""
    if not text.strip():
        return None
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 < found < inf:
        raise InvalidRequest(f"A budget is more than 0 dollars, not {text!r:.40}.", param="budget_usd")
    return found


async def _form(visit: Visit, sent: dict[str, str], error: RondoError | None = None) -> Response:
    """The form of a new run, of the suite that is chosen; with what was entered, where it was refused."""
    chosen = sent.get("suite") or visit.query("suite")

    def read(connection: Connection) -> dict[str, Any]:
        suites = known_suites(connection, visit.project)
        suite = next((each for each in suites if f"{each.app}/{each.name}" == chosen), suites[0] if suites else None)
        app = suite.app if suite is not None else ""
        return {
            "suites": suites,
            "suite": suite,
            "releases": releases.list_releases(connection, visit.project, app, limit=_RELEASES) if suite else [],
            "models": [model.name for model in releases.list_models(connection, visit.project)],
        }

    found = await visit.control.read(read)
    return visit.page("run_new.html", status=status_of(error) if error else 200, sent=sent, error=error, **found)


async def _stopped(visit: Visit, how: str) -> Response:
    runs, run_id = visit.control.runs, visit.path("id")
    try:
        await (runs.pause if how == "pause" else runs.cancel)(visit.grant, run_id)
    except Conflict:
        return go(f"/runs/{run_id}")  # it has come to its end meanwhile, and the page shows how
    return go(f"/runs/{run_id}", did="cancelled" if how == "cancel" else None)


async def _examples(visit: Visit, run: Run, report: Report | None) -> dict[str, Any]:
    """The results that the address asks for: by default, what failed of the first target."""
    target = _target(visit, run)
    every = visit.query("show") == "all"
    after = visit.query("after")
    wanted = Wanted.parse(
        {
            "failed": None if every else "true",
            "slice": visit.query("slice"),
            "scorer": visit.query("scorer"),
            "must_pass": "true" if visit.query("show") == "must_pass" else None,
        }
    )
    place = parse_place(after) if after else None
    rows, more = await matching(
        visit.control.runs, visit.project, run.id, wanted, target=target, after=place, limit=_SHOWN
    )
    base = run.baseline
    others: dict[tuple[str, int], Answer | None] = {}
    if base is not None and base != target and rows:
        found = await visit.control.runs.rows_of(visit.project, run.id, [row.example.id for row in rows])
        others = {
            (row.result.example, row.result.repeat): row.result.answer for row in found if row.result.target == base
        }
    return {
        "target": target,
        "examples": [Compared(row=row, other=others.get((row.result.example, row.result.repeat))) for row in rows],
        "after": next_place(rows) if more else None,
        "failed": failed,
    }


def _target(visit: Visit, run: Run) -> int:
    """The target whose examples are shown. Raises InvalidRequest."""
    asked = visit.query("target")
    target = (
        whole_number(asked, "target")
        if asked
        else next((at for at in range(len(run.targets)) if at != run.baseline), 0)
    )
    if target >= len(run.targets):
        raise InvalidRequest(f"The run has no target {target}.", param="target")
    return target


PAGES = [
    Page("GET", "/runs", Role.VIEWER, list_runs),
    Page("POST", "/runs", Role.DEVELOPER, create),
    Page("GET", "/runs/new", Role.DEVELOPER, show_new),
    Page("GET", "/runs/{id}", Role.VIEWER, show_run),
    Page("POST", "/runs/{id}/pause", Role.DEVELOPER, pause),
    Page("POST", "/runs/{id}/resume", Role.DEVELOPER, resume),
    Page("POST", "/runs/{id}/cancel", Role.DEVELOPER, cancel),
]
