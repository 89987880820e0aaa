"""Intervals: which, and why. Pure.

Each was chosen by how often it covers the truth in simulation (`benchmarks/eval_statistics.py` prints the tables):

- **Shares, scores between bounds, macro F1, BLEU: Wilson on the effective number of examples.** Wilson (1927) covers
  shares well down to small n and near 0 and 1, where Wald's interval and the plain bootstrap fall far short. Any metric
  with bounds has a variance, and so a number of yes/no examples that would be as sure: the effective n of survey
  statistics (Kish 1965; Korn & Graubard 1998). Clusters, repeats and partial credit all come in through it.
- **Means without bounds (cost, tokens): the studentised bootstrap** (Efron & Tibshirani 1993, ch. 12), which follows
  the skew of such data; percentile and BCa bootstraps are 2 to 5 points short at n = 30.
- **Other functions of sums: BCa** (Efron 1987).
- **Quantiles: order statistics**, interpolated (Nyblom 1992): no assumption on the distribution. Where n is too small
  for a bound it says so (None), e.g. above a 95th percentile of fewer than 72 answers.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from rondo.evals.statistics.distributions import (
    binomial_probabilities,
    normal_cdf,
    normal_quantile,
    student_quantile,
)
from rondo.evals.statistics.sample import Bounds, Floats, Integers, OfSums

LEVEL = 0.95

Interval = tuple[float | None, float | None]


def wilson(share: float, n: float, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's score interval of a share among `n` (at least 1, need not be whole) examples."""
    z2 = normal_quantile((1 + level) / 2) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = sqrt(z2) / (1 + z2 / n) * sqrt(max(0.0, share * (1 - share)) / n + z2 / (4 * n * n))
    return min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half))


def bounded(value: float, variance: float | None, units: int, bounds: Bounds, level: float = LEVEL) -> Interval:
    """Wilson's interval for a metric with bounds, on as many yes/no examples as would be as sure of it.

    `variance` is that of the metric's estimate, from `units` independent units (clusters, or examples); None where it
    cannot be known. Without a spread the number of units is all there is: what was never seen is at most
    z²/(units + z²) of all, and could lie at either bound (at a bound itself, that is Wilson's interval).
    """
    low, high = bounds
    width = high - low
    share = min(1.0, max(0.0, (value - low) / width))
    z = normal_quantile((1 + level) / 2)
    if variance is None:
        below, above = wilson(share, units, level)
    elif variance / width**2 < 1e-12 or share in (0.0, 1.0):
        unseen = z * z / (units + z * z)
        below, above = share - unseen * share, share + unseen * (1 - share)
    else:
        # Few units know their own variance badly; Student's quantile in the place of the normal one makes up for it.
        effective = (
            share * (1 - share) / (variance / width**2) * (z / student_quantile((1 + level) / 2, units - 1)) ** 2
        )
        below, above = wilson(share, effective, level)
    return low + below * width, low + above * width


def studentised(
    value: float, error: float, drawn: Floats, units: int, *, level: float = LEVEL, cap: float = 3.0
) -> Interval:
    """The equal-tailed studentised bootstrap: `drawn` are (drawn value - value) / drawn standard error.

    Stretched by Student's over the normal quantile: a few units miss the tail of what they come from, which costs a
    point of coverage at thirty of them. A draw without spread has no standard error; quantiles beyond `cap` times
    Student's are cut there, so that a sample of nearly equal values has a wide interval, but one with ends.
    """
    student = student_quantile((1 + level) / 2, max(1, units - 1))
    stretch = student / normal_quantile((1 + level) / 2)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], method="inverted_cdf")
    below, above = (min(stretch * float(end), cap * student) for end in (high, -low))
    return value - below * error, value + above * error


def symmetric_studentised(
    value: float, error: float, drawn: Floats, units: int, *, level: float = LEVEL, cap: float = 2.0
) -> Interval:
    """The symmetric studentised bootstrap, for differences: surer than the equal-tailed where most are zero."""
    most = cap * student_quantile((1 + level) / 2, max(1, units - 1))
    reach = min(most, float(np.quantile(np.abs(drawn), level, method="inverted_cdf"))) * error
    return value - reach, value + reach


def around(value: float, error: float, units: int, level: float = LEVEL) -> Interval:
    """Student's interval with a standard error, which may be a bootstrap's or a jackknife's."""
    reach = student_quantile((1 + level) / 2, max(1, units - 1)) * error
    return value - reach, value + reach


def bca(value: float, drawn: Floats, influence: Floats, level: float = LEVEL) -> Interval:
    """The bias-corrected and accelerated bootstrap; `influence` is the jackknife's, a value per unit."""
    spread = float((influence**2).sum())
    acceleration = float((influence**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0
    below = float(((drawn < value).mean() + (drawn <= value).mean()) / 2)
    bias = normal_quantile(min(1 - 1 / len(drawn), max(1 / len(drawn), below)))

    def place(z: float) -> float:
        moved = bias + z
        return normal_cdf(bias + moved / max(1e-9, 1 - acceleration * moved))

    z = normal_quantile((1 + level) / 2)
    low, high = np.quantile(drawn, [place(-z), place(z)])
    return float(low), float(high)


def jackknife(of: OfSums, units: Floats) -> tuple[float, Floats]:
    """The variance of a function of sums, and its influence per unit, by leaving out one unit at a time.

    `units` are the units' sums, (units, columns), at least two. A unit without which the metric is undefined has no
    influence of its own, and the others stand in for it.
    """
    count = len(units)
    with np.errstate(all="ignore"):
        without = of(units.sum(axis=0) - units)
    known = np.isfinite(without)
    if known.sum() < 2:
        return 0.0, np.zeros(count)
    influence = np.where(known, (count - 1) * (without[known].mean() - np.where(known, without, 0.0)), 0.0)
    return float((influence**2).sum() / (known.sum() * (count - 1))), influence


def quantile(values: Floats, level: float) -> float:
    """The smallest value that a share `level` of the values does not exceed."""
    return float(np.quantile(values, level, method="inverted_cdf"))


def quantile_interval(values: Floats, units: Integers, q: float, level: float = LEVEL) -> Interval:
    """An interval for the `q` quantile by order statistics; None where no order statistic is far enough out.

    `units` numbers each value's cluster. With clusters the ranks are those of as many independent values as know the
    share below the quantile as well (Woodruff 1952, with the design effect of that share).
    """
    ordered = np.sort(values)
    effective = effective_n(values, units, q)
    stretch = (len(values) + 1) / (effective + 1)
    low, high = _order_places(effective, q, level)
    return _at(ordered, low, stretch), _at(ordered, high, stretch)


def effective_n(values: Floats, units: Integers, q: float) -> int:
    """How many independent values know the share below the quantile as well as these; never more than there are."""
    n = len(values)
    _, number = np.unique(units, return_inverse=True)
    count = int(number.max()) + 1
    if count == n or count < 2:
        return count
    sizes = np.bincount(number).astype(float)
    below = np.bincount(number, weights=(values <= quantile(values, q)).astype(float))
    share = below.sum() / n
    variance = float(((below - share * sizes) ** 2).sum()) * count / (count - 1) / n**2
    if variance <= 0:
        return count
    return int(min(n, max(1.0, share * (1 - share) / variance)))


def _order_places(n: int, q: float, level: float) -> tuple[float | None, float | None]:
    """Ranks, from 1 and not whole, of the order statistics that leave (1 - level) / 2 outside on either side."""
    cdf = np.cumsum(binomial_probabilities(n, q))  # cdf[k] = P(X <= k); order statistic k + 1 exceeds the quantile
    tail = (1 - level) / 2
    # P(order statistic r > quantile) = P(X <= r - 1) = cdf[r - 1], rising in r.
    low = _crossing(cdf, tail)
    high = _crossing(cdf, 1 - tail)
    return low, high


def _crossing(cdf: Floats, probability: float) -> float | None:
    """The rank at which `cdf[rank - 1]` reaches the probability, interpolated; None outside of 1..n."""
    n = len(cdf) - 1
    after = int(np.searchsorted(cdf, probability))
    if after == 0 or after >= n:
        return None
    before, behind = float(cdf[after - 1]), float(cdf[after])
    return after + (probability - before) / (behind - before)


def _at(ordered: Floats, rank: float | None, stretch: float) -> float | None:
    if rank is None:
        return None
    return float(np.interp(rank * stretch, np.arange(1, len(ordered) + 1), ordered))
