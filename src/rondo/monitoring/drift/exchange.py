"""Could a difference of two samples be chance? Tests that exchange which sample each value is of. Pure.

Such tests are exact at any size, with ties, and need no assumption but that values come from users who are independent
of each other. For counts, exchanging is drawing from a multivariate hypergeometric distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

DRAWS = 1_999
_AT_ONCE = 200
_TIE = 1e-9
_BINS = 10
_LEAST_SHARE = 1e-4


class Tested(Struct, frozen=True):
    """`statistic` is also the effect, between 0 and 1."""

    statistic: float
    p: float


class Groups(Struct, frozen=True):
    """Of several groups: `p` of the largest change of all, and `each`, corrected for there being many (max-T)."""

    statistic: float
    p: float
    each: list[float]


def ks(before: Sequence[float], now: Sequence[float], *, seed: int = 0, draws: int = DRAWS) -> Tested:
    """Kolmogorov & Smirnov: the largest gap of the two distribution functions."""
    values = np.array([*before, *now], dtype=np.float64)
    n, m = len(before), len(now)
    order = np.argsort(values, kind="stable")
    last = np.append(np.diff(values[order]) > 0, True)  # of equal values, all must be counted before one looks
    is_before = (order < n)[None, :]
    observed = float(_gaps(is_before, last, n, m)[0])
    beyond = 0
    random = np.random.default_rng(seed)
    for start in range(0, draws, _AT_ONCE):
        marks = np.broadcast_to(is_before, (min(_AT_ONCE, draws - start), n + m))
        beyond += int((_gaps(random.permuted(marks, axis=1), last, n, m) >= observed - _TIE).sum())
    return Tested(observed, (beyond + 1) / (draws + 1))


def _gaps(is_before: NDArray[np.bool_], last: NDArray[np.bool_], n: int, m: int) -> NDArray[np.float64]:
    below = np.cumsum(is_before, axis=1, dtype=np.int32)[:, last]
    places = np.flatnonzero(last) + 1
    gaps: NDArray[np.float64] = np.abs(below / n - (places - below) / m).max(axis=1)
    return gaps


def categories(before: Sequence[int], now: Sequence[int], *, seed: int = 0, draws: int = DRAWS) -> Tested:
    """Total variation of two distributions over the same categories, as counts; of two, a difference of shares."""
    ours, theirs = np.array(now), np.array(before)
    observed = float(_variation(ours[None, :], ours + theirs, int(ours.sum()))[0])
    drawn = _variation(_redrawn(ours, theirs, seed, draws), ours + theirs, int(ours.sum()))
    return Tested(observed, (int((drawn >= observed - _TIE).sum()) + 1) / (draws + 1))


def _variation(counts: NDArray[np.int64], every: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    m = int(every.sum()) - n
    gaps: NDArray[np.float64] = np.abs(counts / n - (every - counts) / m).sum(axis=1) / 2
    return gaps


def groups(before: Sequence[int], now: Sequence[int], *, seed: int = 0, draws: int = DRAWS) -> Groups:
    """Which of many groups have changed their share (Westfall & Young 1993): each by its own deviation."""
    ours, theirs = np.array(now), np.array(before)
    observed = _deviations(ours[None, :], ours + theirs, int(ours.sum()))[0]
    largest = _deviations(_redrawn(ours, theirs, seed, draws), ours + theirs, int(ours.sum())).max(axis=1)
    each = [(int((largest >= value - _TIE).sum()) + 1) / (draws + 1) for value in observed.tolist()]
    return Groups(float(observed.max()), min(each), each)


def _deviations(counts: NDArray[np.int64], every: NDArray[np.int64], n: int) -> NDArray[np.float64]:
    whole = int(every.sum())
    m = whole - n
    share = every / whole
    spread = np.sqrt(np.maximum(share * (1 - share), 1e-12) * (1 / n + 1 / m))
    found: NDArray[np.float64] = np.abs(counts / n - (every - counts) / m) / spread
    return found


def _redrawn(ours: NDArray[np.int64], theirs: NDArray[np.int64], seed: int, draws: int) -> NDArray[np.int64]:
    random = np.random.default_rng(seed)
    return random.multivariate_hypergeometric(ours + theirs, int(ours.sum()), size=draws, method="marginals")


def stability_index(before: Sequence[float], now: Sequence[float]) -> float:
    """PSI over the reference's tenths (Yurdakul & Naranjo 2020); by custom, above 0.2 much has moved."""
    edges = np.unique(np.quantile(np.array(before), np.linspace(0, 1, _BINS + 1)[1:-1]))
    shares = []
    for values in (before, now):
        counts = np.bincount(np.searchsorted(edges, np.array(values), side="right"), minlength=len(edges) + 1)
        shares.append(np.maximum(counts / counts.sum(), _LEAST_SHARE))
    return float(sum((b - a) * log(b / a) for a, b in zip(shares[0].tolist(), shares[1].tolist(), strict=True)))


def tenths(before: Sequence[float], now: Sequence[float]) -> list[tuple[str, float, float]]:
    """For a chart: even stretches of both together, named by where they begin, with their shares."""
    low, high = float(min(*before, *now)), float(np.quantile(np.array([*before, *now]), 0.99))
    edges = np.linspace(low, max(high, low + 1e-9), _BINS + 1)[1:-1]
    shares = []
    for values in (before, now):
        counts = np.bincount(np.searchsorted(edges, np.array(values), side="right"), minlength=_BINS)
        shares.append((counts / counts.sum()).tolist())
    names = [f"{edge:.3g}" for edge in [low, *edges.tolist()]]
    return list(zip(names, shares[0], shares[1], strict=True))
