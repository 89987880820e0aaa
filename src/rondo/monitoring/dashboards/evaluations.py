"""What evaluations found over time: each finished run's metrics with their intervals, by app, suite and metric.

Beside the scores of live calls they say how releases and drafts did on the same questions. Models that were asked
beside them are left out: no user meets them.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from rondo.evals import store
from rondo.evals.evidence import Report
from rondo.evals.model import Run
from rondo.monitoring.dashboards.window import Chosen, Window

MOST_RUNS = 200
"""The newest ones of a window are shown."""


class Evaluation(Struct, frozen=True, kw_only=True):
    """One target of one run, at its end: the metric with its 95 % interval over `n` examples. `release` is None for a
    draft; `is_baseline` tells what was only asked to compare with."""

    at: int
    run: str
    label: str
    release: int | None
    is_baseline: bool
    value: float
    low: float | None
    high: float | None
    n: int


class EvaluationSeries(Struct, frozen=True, kw_only=True):
    """A metric of a suite over time, oldest first. The bounds are the goal's, as of the newest run that had one."""

    app: str
    suite: str
    metric: str
    unit: str
    at_least: float | None
    at_most: float | None
    points: list[Evaluation]


def evaluations(connection: Connection, project: str, window: Window, chosen: Chosen) -> list[EvaluationSeries]:
    """Of every metric that has a value; a report that cannot be read is left out."""
    runs = store.finished_between(
        connection, project, app=chosen.app, since=window.since, until=window.until, limit=MOST_RUNS
    )
    found: dict[tuple[str, str, str], EvaluationSeries] = {}
    for run in runs:
        try:
            report = msgspec.convert(run.report, Report)
        except msgspec.ValidationError:
            continue
        _add(found, run, report, chosen)
    return [found[key] for key in sorted(found)]


def _add(found: dict[tuple[str, str, str], EvaluationSeries], run: Run, report: Report, chosen: Chosen) -> None:
    for place, (target, told) in enumerate(zip(run.targets, report.targets, strict=False)):
        if target.hash is None or (chosen.release is not None and target.number != chosen.release):
            continue
        for metric in told.metrics:
            estimate = metric.estimate
            if estimate.value is None:
                continue
            key = (run.app, run.name, metric.metric)
            known = found[key].points if key in found else []
            point = Evaluation(
                at=run.ended_at or run.created_at,
                run=run.id,
                label=target.label,
                release=target.number,
                is_baseline=place == report.baseline and len(run.targets) > 1,
                value=estimate.value,
                low=estimate.low,
                high=estimate.high,
                n=estimate.n,
            )
            found[key] = EvaluationSeries(
                app=run.app,
                suite=run.name,
                metric=metric.metric,
                unit=metric.unit,
                at_least=metric.at_least,
                at_most=metric.at_most,
                points=[*known, point],
            )
