"""Goals against live numbers: what an app must reach, and what it does reach.

A goal whose metric is not measured (no calls yet, or a metric that needs evaluations) is neither met nor missed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from rondo.reviews.model import METRIC, sample_bound
from rondo.store.base import RecordStore


class GoalStatus(Struct, frozen=True, kw_only=True):
    """A goal and where it stands. `value` and `met` are None while it is not measured."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    value: float | None = None
    met: bool | None = None


def standing(
    store: RecordStore,
    project: str,
    app: str,
    goals: Sequence[Mapping[str, Any]],
    *,
    since: int,
    until: int,
    sample_percent: float = 0,
) -> list[GoalStatus]:
    """Where each goal stands over the calls in [since, until), microseconds.

    Goals named `human.<criterion>` are what reviewers said of the `sample_percent` of the calls that they are given.
    """
    params = {"project": project, "app": app, "release": None, "since": since, "until": until}
    measured = store.query("goal_metrics", params)[0] if goals else {}
    if sample_percent > 0 and any(goal["metric"].startswith(METRIC) for goal in goals):
        rows = store.query("human_metrics", {**params, "below": sample_bound(sample_percent)})
        measured = {**measured, **{row["name"]: row["value"] for row in rows}}
    return [_judge(goal, measured.get(goal["metric"])) for goal in goals]


def _judge(goal: Mapping[str, Any], value: float | None) -> GoalStatus:
    at_least, at_most = goal.get("at_least"), goal.get("at_most")
    met = None
    if value is not None:
        met = value >= at_least if at_least is not None else value <= at_most  # type: ignore[operator]
    return GoalStatus(metric=goal["metric"], at_least=at_least, at_most=at_most, value=value, met=met)
