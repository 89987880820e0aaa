"""A goal's verdict: is the candidate better, worse, or is there not enough evidence? Pure.

Each guarded goal has an equal part of what false alarms a rollout may have (Bonferroni), so that all of them together,
over all looks, roll back something no worse at most that often. A goal that is not guarded is judged at the same level.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np

from rondo.evals.goals import Goal
from rondo.evals.statistics.sample import Floats
from rondo.rollout.matched import Observed, matched
from rondo.rollout.model import MEAN, MEASURES, SHARE, TOTALS, GoalVerdict, Measure, Opinion
from rondo.rollout.sequential import Interval, asymptotic_interval, bounded_interval, quantile_interval

GOALS_PART = 0.9
"""How much of the false alarms the goals have; the rest is for the hard guards."""


_METHODS = {"share": "betting", "mean": "asymptotic", "quantile": "order statistics"}


def level(goals: Sequence[Goal], false_alarms: float) -> float:
    """The chance of a false alarm that each goal is given."""
    counted = sum(goal.guarded and goal.metric not in TOTALS for goal in goals)
    return GOALS_PART * false_alarms / max(1, counted)


def measure_of(metric: str, candidate: Observed, baseline: Observed) -> Measure:
    """How it adds up. Scores between 0 and 1, as all yes-or-no ones, are bounded by that; others by nothing."""
    if metric in MEASURES:
        return MEASURES[metric]
    bounded = all(((side.values >= 0) & (side.values <= 1)).all() for side in (candidate, baseline))
    return SHARE if bounded else MEAN


def judge(goal: Goal, candidate: Observed, baseline: Observed, alpha: float) -> GoalVerdict:
    """What the callers of both sides tell of a goal, at the level `alpha` on each side of the interval."""
    if goal.metric in TOTALS:
        return _unknown(goal, "It grows with the traffic, and says nothing of one side against the other.")
    if not len(candidate) or not len(baseline):
        return _unknown(goal, _missing(candidate, baseline), len(candidate), len(baseline))
    measure = measure_of(goal.metric, candidate, baseline)
    if measure.kind == "quantile":
        values, interval = _of_quantiles(measure.level, candidate, baseline, alpha)
    else:
        values, interval = _of_means(measure, candidate, baseline, alpha)
    low, high = interval
    margin = goal.least_change
    upward = goal.at_least is not None
    return GoalVerdict(
        metric=goal.metric,
        verdict=_opinion(low, high) if upward else _opinion(-high, -low),
        guarded=goal.guarded,
        candidate=values[0],
        baseline=values[1],
        difference=values[0] - values[1],
        low=low if isfinite(low) else None,
        high=high if isfinite(high) else None,
        margin=margin,
        tolerated=low >= -margin if upward else high <= margin,
        candidate_units=len(candidate),
        baseline_units=len(baseline),
        method=_METHODS[measure.kind],
    )


def _opinion(low: float, high: float) -> Opinion:
    """Of an interval in which more is better."""
    return "worse" if high < 0 else "better" if low > 0 else "not_enough"


def _of_means(
    measure: Measure, candidate: Observed, baseline: Observed, alpha: float
) -> tuple[tuple[float, float], Interval]:
    if measure.kind == "share":
        ours, theirs = matched(candidate, baseline)
        interval = bounded_interval(ours - theirs, alpha, (-1.0, 1.0))
    else:
        # Costs have a long tail. Several against one, it would be on one side, which the limit theorem forgives late.
        ours, theirs = matched(candidate, baseline, most=1)
        interval = asymptotic_interval(ours - theirs, alpha)
    return (float(ours.mean()), float(theirs.mean())), interval


def _of_quantiles(
    level: float, candidate: Observed, baseline: Observed, alpha: float
) -> tuple[tuple[float, float], Interval]:
    ours = quantile_interval(candidate.values, level, alpha / 2)
    theirs = quantile_interval(baseline.values, level, alpha / 2)
    values = (_quantile(candidate.values, level), _quantile(baseline.values, level))
    return values, (ours[0] - theirs[1], ours[1] - theirs[0])


def _quantile(values: Floats, level: float) -> float:
    return float(np.quantile(values, level, method="inverted_cdf"))


def _missing(candidate: Observed, baseline: Observed) -> str:
    sides = [name for name, side in (("candidate", candidate), ("baseline", baseline)) if not len(side)]
    return f"No caller of the {' and none of the '.join(sides)} tells of it yet."


def _unknown(goal: Goal, note: str, candidate: int = 0, baseline: int = 0) -> GoalVerdict:
    return GoalVerdict(
        metric=goal.metric,
        verdict="not_enough",
        guarded=goal.guarded,
        margin=goal.least_change,
        candidate_units=candidate,
        baseline_units=baseline,
        note=note,
    )
