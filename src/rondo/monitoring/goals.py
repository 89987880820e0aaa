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
from rondo.feedback.scores import OUTCOME
from rondo.monitoring.judging.model import KEY
from rondo.releases.gate_model import Named
from rondo.reviews.model import METRIC, WRITER, sample_bound
from rondo.store.at_once import Asked
from rondo.store.base import RecordStore

OF_CALLS = frozenset(
    (
        "calls.count",
        "errors.rate",
        "latency.p50_ms",
        "latency.p95_ms",
        "first_token.p95_ms",
        "cost.total_usd",
        "cost.per_request_usd",
        "cost.unknown_count",
        "handed_over.rate",
        "handed_over.known_count",
        "deflection",
        "feedback.positive_rate",
        "feedback.count",
    )
)
"""The metrics that come with the calls, by `goal_metrics`. Any other name is that of a score."""

OUTCOMES = "outcomes"
"""The writer of what clients say became of calls, by whichever key."""


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
    """What live judging, or people, said of a metric: its mean with the 95 % interval, over the `calls` of so many
    `users`."""

    value: float
    low: float | None
    high: float | None
    calls: int
    users: int


class GoalStatus(Struct, frozen=True, kw_only=True):
    """A goal and where it stands. `value` and `met` are None while it is not measured; then `evaluated` is what an
    evaluation found, where one measured it, and `standing` whether that meets the goal. `scored` is what a value
    rests on that live judging or people gave."""

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
    and those named like a score what live judging said of `live_percent` of them. Goals named `outcome.<name>` are what
    clients said became of the calls.
    """
    params = {"project": project, "app": app, "release": None, "since": since, "until": until}
    if measured is None:
        measured = store.query("goal_metrics", params)[0] if goals else {}
    asked = {"project": project, "release": None, "since": since, "until": until}
    given: dict[str, Scored] = {}
    names = {goal["metric"] for goal in goals} - measured.keys()
    said = {name for name in names if name.startswith(METRIC)}
    became = {name for name in names if name.startswith(OUTCOME)}
    writers = (WRITER, sample_percent, said), (OUTCOMES, 100.0, became), (KEY, live_percent, names - said - became)
    for writer, percent, wanted in writers:
        rows = scores_of(store, asked, writer, {app: percent}) if wanted else []
        given |= {row["name"]: scored(row) for row in rows if row["name"] in wanted}
    measured = {**measured, **{name: each.value for name, each in given.items()}}
    found = evaluated or {}
    return [
        _judge(goal, measured.get(goal["metric"]), found.get(goal["metric"]), given.get(goal["metric"]))
        for goal in goals
    ]


def live_percent(settings: Mapping[str, Any]) -> float:
    """The share of an app's calls that are scored live, rollout or not; `settings` are the app's in the catalog."""
    declared = settings.get("live") or {}
    return float(declared.get("sample_percent", 0.0)) if declared.get("scorers") else 0.0


def scores_of(
    store: RecordStore, asked: Mapping[str, Any], writer: str, percents: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Rows of `goal_scores` over all of the time, for so many percent of the calls of each app; `asked` as there."""
    question = ask_scores({**asked, "bucket_us": 1 << 61}, writer, percents)
    if question is None:
        return []
    return [row for row in store.query(question.name, question.params) if row["bucket_at"] is None]


def ask_scores(asked: Mapping[str, Any], writer: str, percents: Mapping[str, float]) -> Asked | None:
    """The question for `goal_scores`; None where nobody's calls are sampled."""
    sampled = {app: sample_bound(percent) for app, percent in percents.items() if percent > 0}
    if not sampled:
        return None
    params = {**asked, "writer": writer, "apps": list(sampled), "below": list(sampled.values())}
    return Asked("goal_scores", params)


def scored(row: Mapping[str, Any]) -> Scored:
    """A row of `goal_scores`, with its interval."""
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
