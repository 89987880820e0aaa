"""Do two sets of vectors come from one distribution? Maximum mean discrepancy, calibrated by permutations. Pure.

The unbiased MMD of Gretton et al. (2012) with a Gaussian kernel, whose width is the median distance. Where nothing has
changed, any call could as well be of the other window: that gives the p value, at any size and in any dimension. The
effect is the energy coefficient of Székely & Rizzo (2013): 0 where both are alike, 1 where they have nothing in common.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from rondo.monitoring.drift.vectors import Vectors

DRAWS = 999
_AT_ONCE = 250
_ALIKE = 0.9

_Floats = NDArray[np.float32]


class Shift(Struct, frozen=True):
    """`newest` are rows of the second set, those least like the first set first, no two of them alike."""

    mmd: float
    p: float
    effect: float
    newest: list[int]


def compare(before: Vectors, now: Vectors, *, draws: int = DRAWS, seed: int = 0, examples: int = 5) -> Shift:
    """Each needs at least two rows. Memory grows with the square of both together: 64 MB at 4,000."""
    n, m = len(before), len(now)
    together = np.concatenate([before, now]).astype(np.float32)
    kernel = _kernel(together)
    first = np.zeros((n + m, 1), dtype=np.float32)
    first[:n] = 1
    observed = float(_mmd(kernel, first, n, m)[0])
    beyond = 0
    random = np.random.default_rng(seed)
    for start in range(0, draws, _AT_ONCE):
        drawn = _mmd(kernel, _drawn(random, n, m, min(_AT_ONCE, draws - start)), n, m)
        beyond += int((drawn >= observed - 1e-7).sum())
    across = float(kernel[:n, n:].mean())
    effect = 0.0 if across >= 1 else min(1.0, max(0.0, observed / (2 * (1 - across))))
    newest = _newest(kernel, n, together, examples)
    return Shift(observed, (beyond + 1) / (draws + 1), effect, newest)


def _kernel(vectors: Vectors) -> _Floats:
    """Without its diagonal, which says nothing."""
    squares = np.einsum("ij,ij->i", vectors, vectors)
    distances = vectors @ vectors.T
    distances *= -2
    distances += squares[:, None]
    distances += squares[None, :]
    np.maximum(distances, 0, out=distances)
    step = max(1, len(vectors) // 500)
    some = distances[::step, ::step]
    width = float(np.median(some[np.triu_indices(len(some), 1)]))
    distances /= -(width if width > 0 else 1.0)
    np.exp(distances, out=distances)
    np.fill_diagonal(distances, 0)
    return distances


def _mmd(kernel: _Floats, first: _Floats, n: int, m: int) -> NDArray[np.float64]:
    """The unbiased estimate of its square, for each column of `first`, which marks the first set by 1."""
    to_first = kernel @ first
    within = np.einsum("ij,ij->j", first, to_first, dtype=np.float64)
    every = kernel.sum(axis=1, dtype=np.float64)
    between = first.T.astype(np.float64) @ every - within
    other = every.sum() - 2 * between - within
    squared: NDArray[np.float64] = within / (n * (n - 1)) + other / (m * (m - 1)) - 2 * between / (n * m)
    return squared


def _drawn(random: np.random.Generator, n: int, m: int, draws: int) -> _Floats:
    marks = np.zeros((draws, n + m), dtype=np.float32)
    marks[:, :n] = 1
    return np.ascontiguousarray(random.permuted(marks, axis=1).T)


def _newest(kernel: _Floats, n: int, vectors: Vectors, most: int) -> list[int]:
    """By the witness function: nearer to the second set than to the first (Lloyd & Ghahramani 2015)."""
    rows = kernel[n:]
    witness = rows[:, n:].sum(axis=1) / max(1, rows.shape[0] - 1) - rows[:, :n].mean(axis=1)
    chosen: list[int] = []
    for row in np.argsort(-witness, kind="stable").tolist():
        if witness[row] <= 0 or len(chosen) == most:
            break
        if all(float(vectors[n + row] @ vectors[n + other]) < _ALIKE for other in chosen):
            chosen.append(row)
    return chosen
