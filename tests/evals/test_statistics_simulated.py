"""How often intervals cover the truth, and how rarely nothing is called something: quick versions.

The full tables are printed by `benchmarks/eval_statistics.py`. Bounds here are those of 93 to 97 %, widened by what a
few hundred repetitions cannot tell apart (three standard errors).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rondo.evals.evidence import Comparison, Estimate
from rondo.evals.statistics.compare import Pair, compare_all
from rondo.evals.statistics.estimate import estimate_all
from rondo.evals.statistics.prediction_powered import corrected_mean
from simulated_metrics import Truth, compared, estimated, unchanged

REPETITIONS = 400
SLACK = 3 * (0.05 * 0.95 / REPETITIONS) ** 0.5


def covered(truth: Truth, n: int) -> float:
    rng = np.random.default_rng(5)
    made = [truth.make(rng, n) for _ in range(REPETITIONS)]
    found: list[Estimate] | list[Comparison]
    if made[0][1] is None:
        found = estimate_all([target for target, _ in made], draws=800)
    else:
        pairs = [Pair(target, baseline) for target, baseline in made if baseline is not None]
        found = compare_all(pairs, draws=800)
    return float(
        np.mean(
            [
                (-np.inf if each.low is None else each.low) - 1e-12
                <= truth.value
                <= (np.inf if each.high is None else each.high) + 1e-12
                for each in found
            ]
        )
    )


@pytest.mark.parametrize("truth", estimated(), ids=lambda truth: truth.name)
def test_estimates_cover_the_truth(truth: Truth) -> None:
    assert 0.93 - SLACK <= covered(truth, 100) <= 0.97 + SLACK


@pytest.mark.parametrize("truth", compared(), ids=lambda truth: truth.name)
def test_differences_cover_the_truth(truth: Truth) -> None:
    """Intervals of quantiles' differences are on the safe side: too wide, never too narrow."""
    assert 0.93 - SLACK <= covered(truth, 100) <= (1 if "latency" in truth.name else 0.97 + SLACK)


def false_alarms(n: int, repetitions: int, *, with_clusters: bool) -> float:
    """The share of releases without any change of which some goal is said to have changed."""
    rng = np.random.default_rng(6)
    alarms = 0
    for seed in range(repetitions):
        pairs = [Pair(target, baseline) for target, baseline in unchanged(rng, n)]
        if not with_clusters:
            pairs = [Pair(replace(pair.target, clusters=None), replace(pair.baseline, clusters=None)) for pair in pairs]
        found = compare_all(pairs, draws=500, seed=seed)
        alarms += any(each.outcome != "not_enough_evidence" for each in found)
    return alarms / repetitions


def test_ten_goals_without_a_change_rarely_raise_an_alarm() -> None:
    assert false_alarms(200, 120, with_clusters=True) <= 0.05 + 3 * (0.05 * 0.95 / 120) ** 0.5


def test_ignoring_clusters_raises_alarms() -> None:
    """What the clusters are for: without them, most releases that changed nothing are called changed."""
    assert false_alarms(200, 40, with_clusters=False) > 0.4


@pytest.mark.parametrize("right", [0.9, 0.6])
def test_corrected_means_cover_the_truth_however_good_the_judge(right: float) -> None:
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(REPETITIONS):
        people = (rng.random(660) < 0.7).astype(float)
        judge = np.where(rng.random(660) < right, people, 1.0)  # wrong in one direction
        found = corrected_mean(people[:60].tolist(), judge[:60].tolist(), judge[60:].tolist()).estimate
        hits += (found.low or 0) <= 0.7 <= (found.high or 0)
    assert 0.93 - SLACK <= hits / REPETITIONS <= 0.97 + SLACK
