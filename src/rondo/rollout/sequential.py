"""Confidence sequences: intervals that stay right however often, and whenever, somebody looks. Pure.

A fixed 95 % interval that is looked at every minute is wrong sooner or later in far more than 5 % of the cases. These
hold at all looks together: the chance that one of them ever lies above the truth is at most `alpha`, and the same
below. So `alpha` is that of one side. None of them needs to know what earlier looks saw.

    bounded_interval      means of values with bounds: shares, scores. Exact at any number of values. Capital of a
                          gambler who bets that the mean is other than claimed (Waudby-Smith & Ramdas 2024, Estimating
                          means of bounded random variables by betting), spread over a grid of fixed stakes.
    asymptotic_interval   means without bounds: cost, tokens. Right in the limit, for any distribution with a variance
                          (Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2024, Time-uniform central limit theory and
                          asymptotic confidence sequences; Robbins' 1970 normal mixture, one-sided).
    quantile_interval     percentiles: order statistics whose rank is bounded by the same bets on "below or above",
                          after Howard & Ramdas 2022, Sequential estimation of quantiles. Exact.

An end that is not known is infinite, or the bound itself.
"""

from __future__ import annotations

from functools import lru_cache
from math import inf, log, sqrt

import numpy as np

from rondo.evals.statistics.sample import Floats

Interval = tuple[float, float]

LEAST_ASYMPTOTIC = 30
"""So many values before the limit theorem is trusted."""

_SHARPEST_AT = 300  # values at which the asymptotic interval is made narrowest
_BINS = 1024  # values with bounds are counted in steps of a 1,024th of their range, rounded to the careful side
_HALVINGS = 34

# Stakes: the share of the capital that is at risk in each bet. Half a power of e apart is nearly as good as knowing the
# best one. Most of the capital goes to the middle, where changes that matter are found at some hundred values.
STAKES: Floats = np.geomspace(0.001, 0.97, 22)
_BELL = np.exp(-0.5 * (np.log(STAKES / 0.2) / 1.1) ** 2)
_LOG_PRIOR: Floats = np.log(0.7 * _BELL / _BELL.sum() + 0.3 / len(STAKES))


def bounded_interval(values: Floats, alpha: float, bounds: tuple[float, float]) -> Interval:
    """Of the mean of `values`, which lie within `bounds`."""
    least, most = bounds
    span = most - least
    shares = (values - least) / span
    low = _least_mean(*_counted(shares), alpha)
    high = 1 - _least_mean(*_counted(1 - shares), alpha)
    return least + span * low, least + span * high


def share_at_least(successes: int, n: int, alpha: float) -> float:
    """The lower end for a share, of yes and no."""
    return _least_mean(np.array([0.0, 1.0]), np.array([float(n - successes), float(successes)]), alpha)


def asymptotic_interval(values: Floats, alpha: float) -> Interval:
    """Of the mean of `values`."""
    n = len(values)
    if n < LEAST_ASYMPTOTIC:
        return -inf, inf
    mean = float(values.mean())
    reach = float(values.std(ddof=1)) * asymptotic_radius(n, alpha)
    return mean - reach, mean + reach


def asymptotic_radius(n: int, alpha: float) -> float:
    """Half of the interval's width after `n` values, in standard deviations of a value."""
    width = -2 * log(2 * alpha)
    rho2 = (width + log(1 + width)) / _SHARPEST_AT
    grown = n * rho2 + 1
    return sqrt(2 * grown / (n * n * rho2) * log(1 + sqrt(grown) / (2 * alpha)))


def quantile_interval(values: Floats, level: float, alpha: float) -> Interval:
    """Of the value that a share `level` of all values does not exceed."""
    n = len(values)
    below, above = most_successes(n, level, alpha), most_successes(n, 1 - level, alpha)
    places = [place for place in (n - above - 1, below) if 0 <= place < n]
    ordered = np.partition(values, places) if places else values
    low = float(ordered[n - above - 1]) if above < n else -inf
    high = float(ordered[below]) if below < n else inf
    return low, high


@lru_cache(maxsize=4096)
def most_successes(n: int, share: float, alpha: float) -> int:
    """The most successes among `n` that a probability of at most `share` explains, at all n together."""
    won, lost = np.log1p(STAKES * (1 / share - 1)), np.log1p(-STAKES)
    few, many = -1, n  # `few` are always explained, none that is more than `many` is looked at
    while few < many:
        middle = (few + many + 1) // 2
        if log_capital(middle * won + (n - middle) * lost) < -log(alpha):
            few = middle
        else:
            many = middle - 1
    return few


def log_capital(winnings: Floats) -> Floats:
    """What all stakes together have made of 1, given what each has: (..., stakes), in logarithms."""
    weighed = winnings + _LOG_PRIOR
    top = weighed.max(axis=-1)
    total: Floats = top + np.log(np.exp(weighed - top[..., None]).sum(axis=-1))
    return total


def winnings(shares: Floats, mean: float) -> Floats:
    """What each stake makes of 1 with each value, in logarithms, where the mean is at most `mean`: (..., stakes).

    1 − stake + stake · value / mean: a fair or losing game if that is so, and growing if the mean is higher.
    """
    made: Floats = np.log1p(STAKES * (shares[..., None] / mean - 1))
    return made


def _counted(shares: Floats) -> tuple[Floats, Floats]:
    """Values rounded down to steps, and how many there are of each. Rounded down, they can only win less."""
    steps = np.clip(np.floor(shares * _BINS + 1e-6), 0, _BINS).astype(np.int64)
    counts = np.bincount(steps, minlength=_BINS + 1)
    (present,) = counts.nonzero()
    return present / _BINS, counts[present].astype(float)


def _least_mean(shares: Floats, counts: Floats, alpha: float) -> float:
    """The largest mean in [0, 1] that is too small to be believed; 0 where none is."""
    low, high = 0.0, 1.0
    if not counts.sum() or not float(shares @ counts):
        return 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if float(log_capital(counts @ winnings(shares, middle))) >= -log(alpha):
            low = middle
        else:
            high = middle
    return low
