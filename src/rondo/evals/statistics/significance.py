"""Whether a difference could be chance: exact tests by swapping the labels of pairs, and Holm's correction. Pure.

Where nothing has changed, target and baseline of a pair could as well be exchanged. That alone makes these tests exact,
for any metric and any n; a pair here is a unit: all examples of a cluster are exchanged together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rondo.evals.statistics.distributions import half_binomial_cdf
from rondo.evals.statistics.sample import Floats

ALPHA = 0.05
ENUMERATED = 12
"""Up to so many units that differ, all 2 ** units exchanges are looked at, and chance is left out."""

_TIE = 1e-5
"""Drawn sums this close (relative) to the observed one are ties: they differ by rounding, and count against it."""


def mcnemar(better: int, worse: int, *, mid_p: bool = False) -> float:
    """The exact two-sided McNemar test, of pairs that turned better and worse.

    `mid_p` counts the observed table half: less careful, and nearer to 5 % in truth (Fagerland, Lydersen & Laake 2013).
    """
    if better < 0 or worse < 0:
        raise ValueError("counts cannot be negative")
    n = better + worse
    if n == 0:
        return 1.0
    tail, here = half_binomial_cdf(min(better, worse), n)
    if mid_p:
        return 1.0 if better == worse else min(1.0, 2 * tail - here)
    return min(1.0, 2 * tail)


def exchanged_p(observed: float, drawn: Floats, *, is_complete: bool = False) -> float:
    """The share of exchanges that differ by at least as much as what was observed, two-sided.

    `drawn` are differences under random exchanges; what was observed counts as one of them (Phipson & Smyth 2010), so
    that p is never zero. `is_complete`: they are all exchanges there are. Undefined ones (NaN) count against it.
    """
    scale = max(abs(observed), float(np.sqrt(np.nanmean(drawn**2))) if np.isfinite(drawn).any() else 0.0)
    beyond = int((~(np.abs(drawn) < abs(observed) - _TIE * scale)).sum())
    if is_complete:
        return beyond / len(drawn)
    return (beyond + 1) / (len(drawn) + 1)


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's (1979) correction: among all of them, a false alarm is as rare as in one test. None stays None."""
    known = sorted((p, at) for at, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    highest = 0.0
    for rank, (p, at) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        corrected[at] = highest
    return corrected
