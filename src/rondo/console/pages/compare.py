"""A run's targets side by side: the grid of prompts and models, the decision matrix with weights to try, and the
examples that tell the candidates apart. Weights stand in the address, so a view can be sent on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf

from msgspec import Struct, structs
from starlette.responses import Response

from rondo.console.visit import Page, Visit, go, whole_number
from rondo.errors import InvalidRequest
from rondo.evals import written
from rondo.evals.beside import beside_each_other, one_beside
from rondo.evals.choosing import grid_of
from rondo.evals.evidence import MetricReport, Report
from rondo.evals.filtering import Wanted, matching
from rondo.evals.grid import Grid
from rondo.evals.matrix import COST, Matrix, counts_most, share
from rondo.evals.model import Run
from rondo.evals.selection import Selection
from rondo.governance.model import Role
from rondo.settings.table import nearest

_WEIGHT = "w."
_LATENCY = "latency.p50_ms"
_SHOWN = 20
_STEPS = 4
_ERRORS = 200
"""Failed results that are looked through for one of each error."""


class Place(Struct, frozen=True, kw_only=True):
    """One cell of the grid. `heat` says how near it comes to the best, from 0 to 4; None where nothing is known."""

    target: int
    metric: MetricReport | None
    cost: MetricReport | None
    latency: MetricReport | None
    answered: int
    failed: int
    heat: int | None
    faults: list[str]


class Refusal(Struct, frozen=True, kw_only=True):
    """What kept candidates from answering, and how often."""

    labels: list[str]
    error: str
    count: int
    message: str


async def show_matrix(visit: Visit) -> Response:
    runs, run_id = visit.control.runs, visit.path("id")
    run = await runs.get(visit.project, run_id)
    if run.report is None:
        return go(f"/runs/{run.id}")  # that page says how far it is
    matrix = await runs.matrix(visit.project, run_id, _said(visit))
    report = written.read(run.report)
    metric = _metric(visit, report, matrix)
    rows = sorted(matrix.candidates, key=lambda row: row.target)
    grid = grid_of(run, [row.models for row in rows])
    differing = visit.query("show") != "all"
    return visit.page(
        "matrix.html",
        run=run,
        matrix=matrix,
        report=report,
        metric=metric,
        metrics=_metrics(report),
        grid=grid,
        places=_places(grid, report, matrix, metric),
        rows=rows,
        refusals=await _refusals(visit, run, report, grid.labels),
        examples=await beside_each_other(
            runs,
            visit.project,
            run_id,
            metric=metric,
            differing=differing,
            after=visit.query("after") or None,
            limit=_SHOWN,
        ),
        differing=differing,
        heat=heat,
        words=written,
    )


async def show_example(visit: Visit) -> Response:
    """One example with the answers of all candidates."""
    run, found = await one_beside(visit.control.runs, visit.project, visit.path("id"), visit.path("example"))
    labels = [target.label for target in run.targets]
    if run.report is not None:
        matrix = await visit.control.runs.matrix(visit.project, run.id, Selection())
        labels = [row.label for row in sorted(matrix.candidates, key=lambda row: row.target)]
    return visit.page("matrix_example.html", run=run, found=found, labels=labels)


def heat(part: float | None) -> int | None:
    """A share as a step of the scale."""
    return None if part is None else round(part * _STEPS)


def _said(visit: Visit) -> Selection:
    """What the form says; what it does not name is as the run has it. Raises InvalidRequest."""
    params = visit.request.query_params
    weights = {
        name.removeprefix(_WEIGHT): _number(value, name)
        for name, value in params.items()
        if name.startswith(_WEIGHT) and value.strip()
    }
    window, requests, licences = visit.query("window"), visit.query("requests"), visit.query("licences")
    return Selection(
        weights=weights,
        licences=None if licences is None else licences.split(","),
        least_context_window=whole_number(window, "window") if window else None if window is None else 0,
        requests_per_month=_number(requests, "requests") if requests else None if requests is None else 0.0,
    )


def _number(text: str, name: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < inf:
        raise InvalidRequest(f"`{name:.100}` is a number from 0 up, not {text!r:.60}.", param=name)
    return number


def _metrics(report: Report) -> dict[str, MetricReport]:
    """Every metric that some target has a value of, by name."""
    found: dict[str, MetricReport] = {}
    for target in report.targets:
        for metric in target.metrics:
            if metric.estimate.value is not None:
                found.setdefault(metric.metric, metric)
    return found


def _metric(visit: Visit, report: Report, matrix: Matrix) -> str | None:
    """The metric that the grid shows. Raises InvalidRequest."""
    asked = visit.query("metric")
    known = _metrics(report)
    if asked and asked not in known:
        raise InvalidRequest(f"Nothing called {asked!r:.100} was measured.{nearest(asked, known)}", param="metric")
    return asked or counts_most(report, matrix.weights)


def _places(grid: Grid, report: Report, matrix: Matrix, metric: str | None) -> Mapping[tuple[str, str], Place]:
    by_target = [{each.metric: each for each in target.metrics} for target in report.targets]
    faults = {row.target: row.faults for row in matrix.candidates}
    values = [each[metric].estimate.value for each in by_target if metric in each]
    known = [value for value in values if value is not None]
    return {
        place: Place(
            target=at,
            metric=by_target[at].get(metric) if metric is not None else None,
            cost=by_target[at].get(COST),
            latency=by_target[at].get(_LATENCY),
            answered=report.targets[at].answered,
            failed=report.targets[at].failed,
            heat=_heat_of(by_target[at].get(metric) if metric is not None else None, known),
            faults=faults[at],
        )
        for place, at in grid.places.items()
    }


def _heat_of(metric: MetricReport | None, known: Sequence[float]) -> int | None:
    if metric is None or metric.estimate.value is None:
        return None
    return heat(share(metric.estimate.value, known, higher=metric.higher_is_better, margin=metric.margin))


async def _refusals(visit: Visit, run: Run, report: Report, labels: Sequence[str]) -> list[Refusal]:
    """The errors, each with one of them in its own words; candidates that met the same are told together."""
    found: dict[tuple[str, str], Refusal] = {}
    for at, target in enumerate(report.targets):
        if not target.errors:
            continue
        rows, _ = await matching(
            visit.control.runs, visit.project, run.id, Wanted(failed=True), target=at, after=None, limit=_ERRORS
        )
        said = {row.result.error: row.result.error_message for row in rows}
        for name, number in target.errors.items():
            message = said.get(name) or ""
            same = found.get((name, message), Refusal(labels=[], error=name, count=0, message=message))
            found[name, message] = structs.replace(same, labels=[*same.labels, labels[at]], count=same.count + number)
    return list(found.values())


PAGES = [
    Page("GET", "/runs/{id}/matrix", Role.VIEWER, show_matrix),
    Page("GET", "/runs/{id}/examples/{example}", Role.VIEWER, show_example),
]
