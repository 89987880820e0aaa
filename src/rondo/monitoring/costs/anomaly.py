"""What is far from usual: a robust look at a series with a rhythm, such as the cost of days. Pure.

Each value is held against those before it, at most `REACH` of them: first its season's share is taken out (a Monday's,
where it is days), then the distance from the median is measured in median absolute deviations. Neither moves much when
a few values are odd, so that yesterday's outlier does not hide today's (Iglewicz and Hoaglin, "How to Detect and Handle
Outliers", 1993, from where the limit of 3.5 is). Only what came before counts: a value is judged as it could have been
when it was new.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import median
from typing import Literal

from msgspec import Struct

LIMIT = 3.5
REACH = 56
"""Values that are looked back at: of days, eight weeks."""

_LEAST = 7
_SCALE = 1.4826  # of a normal distribution, the deviation in median absolute deviations
_FLOOR = 0.05  # of what is usual: steadier than this is taken for no steadier


class Anomaly(Struct, frozen=True, kw_only=True):
    """A value far from the `expected` one; from `low` to `high` it would have been usual. `place` is in the series."""

    place: int
    value: float
    expected: float
    low: float
    high: float
    score: float
    direction: Literal["above", "below"]


def anomalies(
    values: Sequence[float], seasons: Sequence[int], *, limit: float = LIMIT, reach: int = REACH
) -> list[Anomaly]:
    """Every value that is far from those before it. `seasons` has a number for each: values of one share a rhythm."""
    found = (
        judge(values[:place], seasons[:place], values[place], seasons[place], limit=limit, reach=reach)
        for place in range(len(values))
    )
    return [each for each in found if each is not None]


def judge(
    before: Sequence[float],
    seasons: Sequence[int],
    value: float,
    season: int,
    *,
    limit: float = LIMIT,
    reach: int = REACH,
) -> Anomaly | None:
    """Whether one value is far from those before it; None where it is not, or where too few are known: seven, and two
    of each season."""
    place = len(before)
    before, seasons = before[-reach:], seasons[-reach:]
    rhythms = len({*seasons, season})
    if len(before) < max(_LEAST, 2 * rhythms) or (rhythms > 1 and seasons.count(season) < 2):
        return None
    factors = rhythm(before, seasons)
    shares = [factors.get(its, 1.0) for its in seasons]
    flat = [each / share for each, share in zip(before, shares, strict=True) if share > 0]
    middle, factor = median(flat), factors.get(season, 1.0)
    deviation = _SCALE * median(abs(each - middle) for each in flat)
    deviation *= _wider(len(flat), max(sum(share > 0 for share in factors.values()), 1))
    deviation = max(deviation, _FLOOR * abs(middle), 1e-12)
    expected, scale = middle * factor, deviation * (factor or 1.0)  # what is usually nothing is as steady as the rest
    score = (value - expected) / scale
    if abs(score) <= limit:
        return None
    return Anomaly(
        place=place,
        value=value,
        expected=expected,
        low=max(0.0, expected - limit * scale),
        high=expected + limit * scale,
        score=score,
        direction="above" if score > 0 else "below",
    )


def _wider(known: int, fitted: int) -> float:
    """How much further off a new value is than those that the medians were taken from."""
    return sqrt(known / max(known - fitted, 1)) * sqrt(1 + fitted / known)


def rhythm(values: Sequence[float], seasons: Sequence[int]) -> dict[int, float]:
    """Each season's share of what is usual, by medians: zero where it usually is nothing, as on weekends that nobody
    works. Empty unless every season was there twice, and one of them is not zero."""
    by_season: dict[int, list[float]] = {}
    for value, season in zip(values, seasons, strict=True):
        by_season.setdefault(season, []).append(value)
    if len(by_season) < 2 or any(len(each) < 2 for each in by_season.values()):
        return {}
    medians = {season: max(median(each), 0.0) for season, each in by_season.items()}
    somewhat = [each for each in medians.values() if each > 0]
    return {season: each / median(somewhat) for season, each in medians.items()} if somewhat else {}
