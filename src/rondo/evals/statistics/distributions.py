"""Quantiles and probabilities of the few distributions needed here, so that nothing has to import scipy (2 s). Pure."""

from __future__ import annotations

from functools import lru_cache
from math import cos, exp, expm1, lgamma, log, pi, sin, sqrt
from statistics import NormalDist

import numpy as np

from rondo.evals.statistics.sample import Floats

_NORMAL = NormalDist()


def normal_quantile(p: float) -> float:
    """The standard normal quantile of `p`, 0 < p < 1."""
    return _NORMAL.inv_cdf(p)


def normal_cdf(z: float) -> float:
    return _NORMAL.cdf(z)


@lru_cache(maxsize=4096)
def student_quantile(p: float, df: float) -> float:
    """Student's t quantile of `p` in (0.5, 1), to six digits, for df of at least 1.

    Source: Hill (1970), Algorithm 396: Student's t-quantiles, CACM 13(10), with its correction of 1981.
    """
    two_tailed = 2 * (1 - p)
    if df == 1:
        angle = two_tailed * pi / 2
        return cos(angle) / sin(angle)
    if df == 2:
        return sqrt(2 / (two_tailed * (2 - two_tailed)) - 2)
    a = 1 / (df - 0.5)
    b = (48 / a) / a
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * sqrt(a * pi / 2) * df
    x = d * two_tailed
    y = x ** (2 / df)
    if y > 0.05 + a:
        x = _NORMAL.inv_cdf(two_tailed / 2)
        y = x * x
        if df < 5:
            c += 0.3 * (df - 4.5) * (x + 0.6)
        c += (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
        y = expm1(a * y * y)
    else:
        y = ((1 / (((df + 6) / (df * y) - 0.089 * d - 0.822) * (df + 2) * 3) + 0.5 / (df + 4)) * y - 1) * (df + 1) / (
            df + 2
        ) + 1 / y
    return sqrt(df * y)


def binomial_probabilities(n: int, p: float) -> Floats:
    """P(X = k) for k = 0..n, X binomial (n, p) with 0 < p < 1. Shape (n + 1,)."""
    k = np.arange(n + 1)
    # Cumulated logs, not lgamma: one vectorised pass, and exact to ~1e-12 for any n that an evaluation has.
    logs = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    return np.asarray(np.exp(logs[n] - logs[k] - logs[n - k] + k * log(p) + (n - k) * log(1 - p)))


def half_binomial_cdf(k: int, n: int) -> tuple[float, float]:
    """P(X <= k) and P(X = k) for X binomial (n, 1/2)."""
    terms = [exp(lgamma(n + 1) - lgamma(i + 1) - lgamma(n - i + 1) - n * log(2)) for i in range(k + 1)]
    return min(1.0, sum(terms)), terms[-1]
