"""What the verdicts promise, kept in simulation: few false rollbacks, and bad candidates caught soon.

`benchmarks/rollout_simulation.py` does the same with more of everything, and prints a table.
"""

from __future__ import annotations

import numpy as np
import pytest

from rondo.evals.goals import Goal
from rondo.evals.statistics.sample import Floats
from rondo.rollout.matched import Observed, matched
from rondo.rollout.verdict import judge, level
from simulated_rollouts import Sides, Truth, first_alarms, higher_means, side, worse_shares

FALSE_ALARMS = 0.05
GOALS = [
    Goal(metric="answer.correct", at_least=0.8),
    Goal(metric="errors.rate", at_most=0.02),
    Goal(metric="cost.per_request_usd", at_most=0.01),
    Goal(metric="latency.p95_ms", at_most=5000.0),
]
ROLLOUTS = 1000


def test_false_rollbacks_of_a_thousand_rollouts_that_change_nothing() -> None:
    """Four hours of three callers a minute on each side, several calls each, all goals, a look every minute."""
    rng = np.random.default_rng(1)
    same = Truth()
    candidate, baseline = (side(rng, same, ROLLOUTS, 720) for _ in range(2))
    alarms = first_alarms(candidate, baseline, level(GOALS, FALSE_ALARMS), per_look=3)
    rolled_back = np.max(list(alarms.values()), axis=0) > 0
    assert rolled_back.mean() <= FALSE_ALARMS


def test_false_rollbacks_of_a_single_goal_that_has_all_of_the_chance() -> None:
    rng = np.random.default_rng(2)
    for rate in (0.02, 0.5, 0.8):
        pairs = (rng.random((2, ROLLOUTS, 720)) < rate).astype(float)
        assert (worse_shares(pairs[0] - pairs[1], level(GOALS[:1], FALSE_ALARMS)) > 0).mean() <= FALSE_ALARMS


@pytest.mark.parametrize("share", [0.25, 0.75, 0.9])
def test_false_rollbacks_where_one_side_has_more_callers(share: float) -> None:
    rng = np.random.default_rng(5)
    shares: list[Floats] = []
    costs: list[Floats] = []
    for _ in range(300):
        ours, moments = rng.random(1500) < share, np.arange(1500)
        yes, cost = (rng.random(1500) < 0.8).astype(float), rng.lognormal(0, 1.2, 1500)
        for values, most, kept in ((yes, 100, shares), (cost, 1, costs)):
            sides = (Observed(moments[who], values[who]) for who in (ours, ~ours))
            means = matched(*sides, most=most)
            kept.append(means[0][:100] - means[1][:100])
    for sign in (1, -1):
        assert (worse_shares(sign * np.array(shares), FALSE_ALARMS) > 0).mean() <= FALSE_ALARMS
        assert (higher_means(sign * np.array(costs), FALSE_ALARMS) > 0).mean() <= FALSE_ALARMS


@pytest.mark.parametrize("goals", [GOALS[:1], GOALS])
def test_a_drop_from_80_to_70_percent_takes_at_most_500_calls(goals: list[Goal]) -> None:
    rng = np.random.default_rng(3)
    bad, good = (side(rng, Truth(correct=share), 300, 1500, calls=1) for share in (0.7, 0.8))
    first = worse_shares(bad.correct - good.correct, level(goals, FALSE_ALARMS))
    assert (first > 0).mean() >= 0.97
    assert np.median(np.where(first > 0, first, np.inf)) <= 500


def test_single_looks_say_the_same_as_the_whole_paths() -> None:
    rng = np.random.default_rng(4)
    bad = Truth(correct=0.55, errors=0.1, cost=0.004, latency_ms=2500.0)
    candidate, baseline = side(rng, bad, 4, 900), side(rng, Truth(), 4, 900)
    alpha = level(GOALS, FALSE_ALARMS)
    first = first_alarms(candidate, baseline, alpha, per_look=1)
    for goal in GOALS:
        for at in range(4):
            n = int(first[goal.metric][at])
            assert n > 0
            for callers, expected in ((n - 1, "not_enough"), (n, "worse")):
                ours, theirs = (_first(each, goal.metric, at, callers) for each in (candidate, baseline))
                assert judge(goal, ours, theirs, alpha).verdict == expected, (goal.metric, callers)


def _first(seen: Sides, metric: str, rollout: int, callers: int) -> Observed:
    values = {
        "answer.correct": seen.correct,
        "errors.rate": seen.errors,
        "cost.per_request_usd": seen.cost,
        "latency.p95_ms": seen.latency,
    }[metric]
    return Observed(np.arange(callers), values[rollout, :callers])
