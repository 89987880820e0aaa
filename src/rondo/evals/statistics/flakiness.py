"""How much of a metric is chance: repeats of the same example that disagree. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from rondo.evals.evidence import Estimate
from rondo.evals.statistics.estimate import estimate
from rondo.evals.statistics.sample import SHARE, Floats, Integers, Sample


@dataclass(frozen=True, slots=True)
class Flakiness:
    """`disagree` is the share of examples whose repeats are not all alike, among those with at least two.

    `within` is the variance between repeats of an example, `between` that of the examples' true means (one-way analysis
    of variance, unequal repeats; Searle, Casella & McCulloch 1992); None for metrics that are no mean. `reliability` is
    between / (between + within): how much of a single answer's score says something about its example (ICC(1)).
    """

    disagree: Estimate
    within: float | None
    between: float | None
    reliability: float | None


def flakiness(sample: Sample, *, tolerance: float = 0.0) -> Flakiness | None:
    """How repeats differ; alike are those within `tolerance`. None where no example has two repeats."""
    counts = np.bincount(sample.example, minlength=sample.n)
    repeated = frozenset(key for key, count in zip(sample.keys, counts, strict=True) if count > 1)
    if not repeated:
        return None
    kept = sample.only(repeated)
    lowest = np.full((kept.n, kept.rows.shape[1]), np.inf)
    highest = -lowest
    np.minimum.at(lowest, kept.example, kept.rows)
    np.maximum.at(highest, kept.example, kept.rows)
    differ = ((highest - lowest) > tolerance).any(axis=1).astype(float)
    shares = replace(kept, statistic=SHARE, rows=differ[:, None], example=np.arange(kept.n), absent=())
    within, between = _variances(kept.rows[:, 0], kept.example) if kept.rows.shape[1] == 1 else (None, None)
    reliability = None
    if within is not None and between is not None and within + between > 0:
        reliability = between / (between + within)
    return Flakiness(estimate(shares), within, between, reliability)


def _variances(values: Floats, groups: Integers) -> tuple[float, float | None]:
    """The variance within groups and between their true means; the latter needs two groups."""
    sizes = np.bincount(groups).astype(float)
    n, count = float(sizes.sum()), len(sizes)
    means = np.bincount(groups, weights=values) / sizes
    within = float(((values - means[groups]) ** 2).sum() / (n - count))
    if count < 2:
        return within, None
    among = float((sizes * (means - values.mean()) ** 2).sum() / (count - 1))
    typical = (n - float((sizes**2).sum()) / n) / (count - 1)
    return within, max(0.0, (among - within) / typical)
