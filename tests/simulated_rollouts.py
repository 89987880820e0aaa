"""Rollouts that never were: thousands at once, looked at every minute, with callers who call several times.

Each goal's whole path of looks is computed for all rollouts together, by the parts of `rondo.rollout.sequential` that
verdicts are made of; `test_rollout_simulation.py` checks that single looks by `judge` say the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rondo.evals.statistics.sample import Floats, Integers
from rondo.rollout.sequential import (
    LEAST_ASYMPTOTIC,
    STAKES,
    asymptotic_radius,
    log_capital,
    most_successes,
)

_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Truth:
    """What one side is like. Callers differ: each has its own chance of a right answer, its own prices and speed."""

    correct: float = 0.80
    errors: float = 0.01
    cost: float = 0.002
    latency_ms: float = 900.0


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """What callers tell of each metric, (rollouts, callers)."""

    correct: Floats
    errors: Floats
    cost: Floats
    latency: Floats


def side(rng: np.random.Generator, truth: Truth, rollouts: int, callers: int, *, calls: float = 3.0) -> Sides:
    """`calls` is how many each caller makes on average, at least one."""
    shape = (rollouts, callers)
    made = 1 + rng.poisson(calls - 1, shape) if calls > 1 else np.ones(shape, dtype=np.int64)
    skill = rng.beta(6 * truth.correct, 6 * (1 - truth.correct), shape) if calls > 1 else truth.correct
    luck = rng.beta(0.2 * truth.errors, 0.2 * (1 - truth.errors), shape) if calls > 1 else truth.errors
    habit = rng.lognormal(-0.32, 0.8, shape)
    return Sides(
        correct=rng.binomial(made, skill) / made,
        errors=rng.binomial(made, luck) / made,
        cost=truth.cost * habit * rng.gamma(2.0 * made, 1 / (2.0 * made)),
        latency=truth.latency_ms * habit * rng.lognormal(-0.18, 0.6, shape),
    )


def worse_shares(differences: Floats, alpha: float) -> Integers:
    """After how many groups each rollout is first known to be lower than 0 in the mean; -1 where it never is."""
    first = np.full(len(differences), -1)
    for start in range(0, len(differences), _AT_ONCE):
        part = differences[start : start + _AT_ONCE]
        # At a difference of 0, (1 - difference) / 2 has a mean of 1/2: the bets that `bounded_interval` makes there.
        made = np.log1p(-part[..., None] * STAKES)
        first[start : start + _AT_ONCE] = _first(log_capital(np.cumsum(made, axis=1)) >= -np.log(alpha))
    return first


def higher_means(differences: Floats, alpha: float) -> Integers:
    """The same for means without bounds that are higher than 0."""
    n = np.arange(1, differences.shape[1] + 1)
    radius = np.array([asymptotic_radius(int(each), alpha) if each >= LEAST_ASYMPTOTIC else np.inf for each in n])
    mean = np.cumsum(differences, axis=1) / n
    variance = np.maximum(np.cumsum(differences**2, axis=1) / n - mean**2, 0.0) * n / np.maximum(n - 1, 1)
    with np.errstate(invalid="ignore"):
        return _first(mean > np.sqrt(variance) * radius)


def higher_quantiles(candidate: Floats, baseline: Floats, level: float, alpha: float, per_look: int) -> Integers:
    """The same for a quantile, at looks after every `per_look` callers."""
    first = np.full(len(candidate), -1)
    for n in range(per_look, candidate.shape[1] + 1, per_look):
        above, below = most_successes(n, 1 - level, alpha / 2), most_successes(n, level, alpha / 2)
        if above >= n or below >= n:
            continue
        low = np.partition(candidate[:, :n], n - above - 1, axis=1)[:, n - above - 1]
        high = np.partition(baseline[:, :n], below, axis=1)[:, below]
        first[(first < 0) & (low > high)] = n
    return first


def first_alarms(candidate: Sides, baseline: Sides, alpha: float, per_look: int) -> dict[str, Integers]:
    """By metric, after how many callers of each side it is first known to be worse; latency each `per_look` callers."""
    return {
        "answer.correct": worse_shares(candidate.correct - baseline.correct, alpha),
        "errors.rate": worse_shares(baseline.errors - candidate.errors, alpha),
        "cost.per_request_usd": higher_means(candidate.cost - baseline.cost, alpha),
        "latency.p95_ms": higher_quantiles(candidate.latency, baseline.latency, 0.95, alpha, per_look),
    }


def _first(crossed: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Integers:
    return np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, -1)
