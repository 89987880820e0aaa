"""Whether two or more raters agree beyond chance: Cohen's kappa and Krippendorff's alpha, with intervals. Pure.

Kappa is for two raters who both rated everything (a judge and a person), alpha for any number of raters with gaps.
Both compare the disagreement that was observed with what raters would have who pick at random from the same ratings:
1 is perfect agreement, 0 is chance, below 0 is worse. Both add up from counts of each rated item, so their intervals
are those of all metrics with bounds (`intervals.py`), by items, or by clusters of items.

Sources: Cohen (1960, 1968); Krippendorff (2011), Computing Krippendorff's Alpha-Reliability; the implementation is our
own, from the papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rondo.errors import InvalidRequest
from rondo.evals.statistics.intervals import bounded, jackknife
from rondo.evals.statistics.sample import Floats, OfSums

Weights = Literal["none", "linear", "quadratic"]
Scale = Literal["nominal", "ordinal", "interval"]
Rating = str | int | float | bool

_BOUNDS = (-1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Agreement:
    """`value` is kappa or alpha; None where it is undefined: no items, or only one rating was ever given.

    `low` and `high` are its 95 % interval. `observed` is the share of agreement (weighted; for kappa), `n` how many
    items were rated at least twice.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    observed: float | None = None


def cohen_kappa(
    first: Sequence[Rating],
    second: Sequence[Rating],
    *,
    weights: Weights = "none",
    categories: Sequence[Rating] | None = None,
    clusters: Sequence[str] | None = None,
) -> Agreement:
    """Agreement of two raters on the same items.

    `weights` says how bad a disagreement is: all alike, by distance, or by squared distance, in steps along
    `categories` (by default the ratings that occur, sorted). Raises InvalidRequest for unequal lengths, NaN, and
    ratings that are not among the categories.
    """
    if len(first) != len(second):
        raise InvalidRequest(
            f"Two raters must rate the same items, not {len(first)} and {len(second)}.", param="second"
        )
    known = _categories([*first, *second], categories)
    k = len(known)
    place = {rating: at for at, rating in enumerate(known)}
    table = np.zeros((len(first), k * k))
    for row, (one, other) in enumerate(zip(first, second, strict=True)):
        table[row, place[one] * k + place[other]] = 1.0
    distance = np.abs(np.arange(k)[:, None] - np.arange(k)[None, :]).astype(float)
    penalty = {"none": (distance > 0).astype(float), "linear": distance, "quadratic": distance**2}[weights]
    if penalty.max(initial=0.0) > 0:
        penalty /= penalty.max()

    def kappa(sums: Floats) -> Floats:
        tables = sums.reshape(-1, k, k)
        total = tables.sum(axis=(1, 2))
        observed = (tables * penalty).sum(axis=(1, 2)) / total
        expected = np.einsum("di,ij,dj->d", tables.sum(axis=2), penalty, tables.sum(axis=1)) / total**2
        return np.asarray(1 - observed / expected, np.float64)

    share = None
    if len(first):
        share = 1 - float((table.sum(axis=0).reshape(k, k) * penalty).sum()) / len(first)
    return _agreement(kappa, table, clusters, share)


def krippendorff_alpha(
    items: Sequence[Sequence[Rating | None]],
    *,
    scale: Scale = "nominal",
    categories: Sequence[Rating] | None = None,
    clusters: Sequence[str] | None = None,
) -> Agreement:
    """Agreement of any number of raters: for each item its ratings, None where a rater said nothing.

    `scale` says how far two ratings are apart: `nominal`, different or not; `ordinal`, by how many ratings lie between
    them (in the order of `categories`; sorted by default); `interval`, by the squared difference of numbers. An item
    with one rating says nothing about agreement, and does not count. Raises InvalidRequest for NaN and infinities, and
    for ratings that are no numbers on the interval scale.
    """
    rated = [[rating for rating in item if rating is not None] for item in items]
    kept = [at for at, item in enumerate(rated) if len(item) > 1]
    groups = None if clusters is None else [clusters[at] for at in kept]
    pairable = [rated[at] for at in kept]
    if scale == "interval":
        return _agreement(_alpha_of_intervals, _interval_rows(pairable), groups)
    known = _categories([rating for item in pairable for rating in item], categories)
    place = {rating: at for at, rating in enumerate(known)}
    k = len(known)
    rows = np.zeros((len(pairable), k * k))
    for row, item in enumerate(pairable):
        counts = np.bincount([place[rating] for rating in item], minlength=k).astype(float)
        # All ordered pairs of two different raters; each rater of the item has a weight of one in all.
        rows[row] = ((np.outer(counts, counts) - np.diag(counts)) / (len(item) - 1)).ravel()

    def alpha(sums: Floats) -> Floats:
        pairs = sums.reshape(-1, k, k)
        given = pairs.sum(axis=2)
        total = given.sum(axis=1)
        if scale == "nominal":
            apart = np.broadcast_to(1 - np.eye(k), pairs.shape)
        else:
            middle = np.cumsum(given, axis=1) - given / 2
            apart = (middle[:, :, None] - middle[:, None, :]) ** 2
        observed = (pairs * apart).sum(axis=(1, 2))
        expected = (given[:, :, None] * given[:, None, :] * apart).sum(axis=(1, 2)) / (total - 1)
        return np.asarray(1 - observed / expected, np.float64)

    return _agreement(alpha, rows, groups)


def _interval_rows(items: Sequence[Sequence[Rating]]) -> Floats:
    """For each item: disagreement of its pairs, ratings, their sum, their sum of squares."""
    rows = np.zeros((len(items), 4))
    try:
        numbers = [np.asarray(item, np.float64) for item in items]
    except ValueError:
        raise InvalidRequest("Ratings on an interval scale must be numbers.", param="items") from None
    if not all(np.isfinite(each).all() for each in numbers):
        raise InvalidRequest("A rating is NaN or infinite; leave out what is not known (None).", param="items")
    centre = float(np.concatenate(numbers).mean()) if numbers else 0.0
    for row, each in enumerate(numbers):
        x, m = each - centre, len(each)
        rows[row] = (2 * (m * (x**2).sum() - x.sum() ** 2) / (m - 1), m, x.sum(), (x**2).sum())
    return rows


def _alpha_of_intervals(sums: Floats) -> Floats:
    apart, total, first, second = sums.T
    return np.asarray(1 - apart * (total - 1) / (2 * (total * second - first**2)), np.float64)


def _categories(ratings: Sequence[Rating], given: Sequence[Rating] | None) -> list[Rating]:
    for rating in ratings:
        if isinstance(rating, float) and not np.isfinite(rating):
            raise InvalidRequest(f"A rating is {rating}; leave out what is not known.", param="ratings")
    seen = set(ratings)
    if given is not None:
        if unknown := seen - set(given):
            raise InvalidRequest(f"{sorted(map(str, unknown))} are no categories.", param="categories")
        return list(dict.fromkeys(given))
    try:
        return sorted(seen)
    except TypeError:
        return sorted(seen, key=str)


def _agreement(of: OfSums, rows: Floats, clusters: Sequence[str] | None, observed: float | None = None) -> Agreement:
    n = len(rows)
    if clusters is not None:
        _, units = np.unique(np.asarray(clusters), return_inverse=True)
        grouped = np.zeros((int(units.max(initial=-1)) + 1, rows.shape[1]))
        np.add.at(grouped, units, rows)
        rows = grouped
    with np.errstate(all="ignore"):
        value = float(of(rows.sum(axis=0, keepdims=True))[0]) if n else float("nan")
    if not np.isfinite(value):
        return Agreement(None, None, None, n, observed)
    variance = jackknife(of, rows)[0] if len(rows) > 1 else None
    low, high = bounded(value, variance, len(rows), _BOUNDS)
    return Agreement(value, None if low is None else min(low, value), high, n, observed)
