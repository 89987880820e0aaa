"""Goals against live numbers: what an app must reach, and what it does reach.

A goal whose metric is not measured (no calls yet, or a metric that needs evaluations) is neither met nor missed; where
the release that serves was evaluated, what that found stands in, and says from which run it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import msgspec
from msgspec import Struct, structs
from sqlalchemy import Connection

from rondo.evals import store as runs
from rondo.evals.evidence import Estimate, Report, Standing
from rondo.evals.statistics.standing import standing as standing_of
from rondo.releases.gate_model import Named
from rondo.reviews.model import METRIC, sample_bound
from rondo.store.base import RecordStore


class Evaluated(Struct, frozen=True, kw_only=True):
    """What the newest evaluation of the release that serves found of a metric: its value with the 95 % interval."""

    run: str
    release: int
    value: float
    low: float | None
    high: float | None
    unit: str
    n: int
    created_at: int


class Scored(Struct, frozen=True, kw_only=True):
    """What live judging found of a metric: its mean with the 95 % interval, over the `calls` of so many `users`."""

    value: float
    low: float | None
    high: float | None
    calls: int
    users: int


class GoalStatus(Struct, frozen=True, kw_only=True):
    """A goal and where it stands. `value` and `met` are None while it is not measured; then `evaluated` is what an
    evaluation found, where one measured it, and `standing` whether that meets the goal. `scored` is what a value
    rests on that live judging found."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    value: float | None = None
    met: bool | None = None
    scored: Scored | None = None
    evaluated: Evaluated | None = None
    standing: Standing | None = None


def standing(
    store: RecordStore,
    project: str,
    app: str,
    goals: Sequence[Mapping[str, Any]],
    *,
    since: int,
    until: int,
    sample_percent: float = 0,
    live_percent: float = 0,
    evaluated: Mapping[str, Evaluated] | None = None,
    measured: Mapping[str, Any] | None = None,
) -> list[GoalStatus]:
    """Where each goal stands over the calls in [since, until), microseconds.

    `evaluated` is what evaluations found, by metric: for goals that live numbers do not have. `measured` is the app's
    row of `goal_metrics`, where it is known already.
    Goals named `human.<criterion>` are what reviewers said of the `sample_percent` of the calls that they are given,
    and those named like a score what live judging said of `live_percent` of them.
    """
    params = {"project": project, "app": app, "release": None, "since": since, "until": until}
    if measured is None:
        measured = store.query("goal_metrics", params)[0] if goals else {}
    if sample_percent > 0 and any(goal["metric"].startswith(METRIC) for goal in goals):
        rows = store.query("human_metrics", {**params, "below": sample_bound(sample_percent)})
        measured = {**measured, **{row["name"]: row["value"] for row in rows}}
    live: dict[str, Scored] = {}
    if live_percent > 0 and any(goal["metric"] not in measured for goal in goals):
        rows = store.query("live_scores", {**params, "below": sample_bound(live_percent)})
        live = {row["name"]: scored(row) for row in rows}
        measured = {**{name: each.value for name, each in live.items()}, **measured}
    found = evaluated or {}
    return [
        _judge(goal, measured.get(goal["metric"]), found.get(goal["metric"]), live.get(goal["metric"]))
        for goal in goals
    ]


def live_percent(settings: Mapping[str, Any]) -> float:
    """The share of an app's calls that are scored live, rollout or not; `settings` are the app's in the catalog."""
    declared = settings.get("live") or {}
    return float(declared.get("sample_percent", 0.0)) if declared.get("scorers") else 0.0


def scored(row: Mapping[str, Any]) -> Scored:
    """A row of `live_scores`, or of a query that is like it, with its interval."""
    from rondo.evals.statistics.intervals import around, bounded  # brings NumPy

    value, variance, users = row["value"], row["variance"], row["units"]
    low, high = None, None
    if row["least"] >= 0 and row["most"] <= 1:
        low, high = bounded(value, variance, users, (0.0, 1.0))
    elif variance is not None:
        low, high = around(value, sqrt(variance), users)
    return Scored(value=value, low=low, high=high, calls=row["calls"], users=users)


def by_evaluation(connection: Connection, project: str, app: str, release: Named) -> dict[str, Evaluated]:
    """What evaluations found of a release, by metric; of several, the newest. A report that cannot be read is none."""
    found: dict[str, Evaluated] = {}
    for run in runs.latest_runs(connection, project, app, release.hash):
        try:
            targets = msgspec.convert(run.report, Report).targets
        except msgspec.ValidationError:
            continue
        for metric in next((target.metrics for target in targets if target.hash == release.hash), []):
            estimate = metric.estimate
            if estimate.value is not None and metric.metric not in found:
                found[metric.metric] = Evaluated(
                    run=run.id,
                    release=release.number or 0,
                    value=estimate.value,
                    low=estimate.low,
                    high=estimate.high,
                    unit=metric.unit,
                    n=estimate.n,
                    created_at=run.created_at,
                )
    return found


def _judge(
    goal: Mapping[str, Any], value: float | None, evaluated: Evaluated | None, scored: Scored | None
) -> GoalStatus:
    at_least, at_most = goal.get("at_least"), goal.get("at_most")
    told = GoalStatus(metric=goal["metric"], at_least=at_least, at_most=at_most, value=value)
    if value is not None:
        met = value >= at_least if at_least is not None else value <= at_most  # type: ignore[operator]
        return structs.replace(told, met=met, scored=scored)
    if evaluated is None:
        return told
    estimate = Estimate(
        value=evaluated.value,
        low=evaluated.low,
        high=evaluated.high,
        n=evaluated.n,
        clusters=evaluated.n,
        missing=0,
        method="",
    )
    stands = standing_of(estimate, at_least=at_least, at_most=at_most, margin=goal.get("margin"))
    return structs.replace(told, evaluated=evaluated, standing=stands)
