"""What people would have said of all examples, from few labels and a judge's word on all. Pure.

The judge's mean over everything is precise but may be off; people's labels say by how much. Their combination has the
judge's precision as far as the judge deserves it, and is right however bad the judge is.

Source: Angelopoulos, Bates, Fannjiang, Jordan & Zrnic (2023), Prediction-powered inference, Science 382; with the power
tuning of Angelopoulos, Duchi & Zrnic (2023), PPI++.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rondo.errors import InvalidRequest
from rondo.evals.evidence import Estimate
from rondo.evals.statistics.intervals import around, bounded
from rondo.evals.statistics.sample import Bounds, Floats


@dataclass(frozen=True, slots=True)
class Corrected:
    """`estimate` is the corrected mean with its interval; `judge` the judge's own mean over all examples.

    `bias` is how much higher than people the judge scores, on the labelled examples. `weight` is how far the judge was
    relied on (0: not at all, 1: fully). `worth` is how many labels without a judge would be as precise.
    """

    estimate: Estimate
    judge: float | None
    bias: float | None
    weight: float
    worth: float | None


def corrected_mean(
    labels: Sequence[float],
    judged: Sequence[float],
    unlabelled: Sequence[float],
    *,
    bounds: Bounds | None = (0.0, 1.0),
    clusters: Sequence[str] | None = None,
    unlabelled_clusters: Sequence[str] | None = None,
) -> Corrected:
    """The mean of people's labels over all examples.

    `labels` are people's on the labelled examples, `judged` the judge's on the same ones, in the same order;
    `unlabelled` the judge's on the others. The labelled ones must have been chosen at random. `bounds` None for
    values without any. `clusters` name the cluster of each labelled example, `unlabelled_clusters` of the others.
    Raises InvalidRequest for NaN, infinities and unequal lengths.
    """
    y, f, rest = (np.asarray(each, np.float64) for each in (labels, judged, unlabelled))
    if len(y) != len(f):
        raise InvalidRequest(f"A label needs the judge's word on it: {len(y)} labels, {len(f)} words.", param="judged")
    for name, values in (("labels", y), ("judged", f), ("unlabelled", rest)):
        if not np.isfinite(values).all():
            raise InvalidRequest(f"`{name}` has a value that is NaN or infinite.", param=name)
    everything = np.concatenate([f, rest])
    judge = float(everything.mean()) if len(everything) else None
    if not len(y):
        nothing = Estimate(
            value=None, low=None, high=None, n=0, clusters=0, missing=len(rest), method="none: no labels"
        )
        return Corrected(nothing, judge, None, 0.0, None)
    weight = _weight(y, f, rest)
    value = float((y - weight * f).mean()) + (weight * float(rest.mean()) if len(rest) else 0.0)
    units = len(y) if clusters is None else len(set(clusters))
    variance, alone = None, None
    if units > 1:
        variance = _variance_of_mean(y - weight * f, clusters) + _unseen(y, f, bounds)
        if len(rest) > 1 and weight:
            variance += weight**2 * _variance_of_mean(rest, unlabelled_clusters)
        alone = _variance_of_mean(y, clusters)
    low, high = (None, None) if variance is None and bounds is None else _interval(value, variance, units, bounds)
    estimate = Estimate(
        value=value if bounds is None else min(bounds[1], max(bounds[0], value)),
        low=low,
        high=high,
        n=len(y),
        clusters=units,
        missing=len(rest),
        method="prediction-powered" if weight else "labels alone",
    )
    worth = len(y) * alone / variance if variance and alone else None
    return Corrected(estimate, judge, float((f - y).mean()), weight, worth)


def _interval(
    value: float, variance: float | None, units: int, bounds: Bounds | None
) -> tuple[float | None, float | None]:
    if bounds is not None:
        return bounded(value, variance, units, bounds)
    return around(value, float(np.sqrt(variance or 0.0)), units)


def _unseen(y: Floats, f: Floats, bounds: Bounds | None) -> float:
    """The variance of a quarter of a disagreement each way, where both say yes or no.

    A good judge may happen to be wrong on none of a few labels; that does not make it always right.
    """
    if bounds is None or not np.isin(np.concatenate([y, f]), bounds).all():
        return 0.0
    return 0.5 * float(((bounds[1] - bounds[0]) / (len(y) + 2)) ** 2)


def _weight(y: Floats, f: Floats, rest: Floats) -> float:
    """The weight that makes the variance smallest (PPI++, example 6.1), between 0 and 1."""
    if len(y) < 2 or len(rest) < 2:
        return 0.0
    spread = float(np.concatenate([f, rest]).var(ddof=1))
    if spread == 0:
        return 0.0
    shared = float(((y - y.mean()) * (f - f.mean())).sum() / (len(y) - 1))
    return min(1.0, max(0.0, shared / ((1 + len(y) / len(rest)) * spread)))


def _variance_of_mean(values: Floats, clusters: Sequence[str] | None) -> float:
    """Cluster-robust; 0 for a single unit."""
    rest = values - values.mean()
    if clusters is not None:
        _, units = np.unique(np.asarray(clusters), return_inverse=True)
        rest = np.bincount(units, weights=rest)
    count = len(rest)
    return float((rest**2).sum()) / len(values) ** 2 * count / (count - 1) if count > 1 else 0.0
