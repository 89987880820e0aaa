"""Whether a number is far from what it usually is at this time. Pure.

It is held against the same window of the days before, or where there are too few of those, against the windows just
before it; what is far is decided as for costs (costs/anomaly.py). Beside that it must differ by an amount that matters
to somebody: a rate that was always zero makes every failed call an outlier.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import sqrt

from msgspec import Struct

from rondo.monitoring.costs.anomaly import LIMIT, judge

DAY_S = 86_400
DAYS = 14
_LEAST = 7
_RECENT = 48
_NO_SEASON = 0


class Expected(Struct, frozen=True, kw_only=True):
    """What would have been usual, and the nearest value that would not have been."""

    expected: float
    bound: float
    is_odd: bool


def earlier(series: Mapping[int, float], at: int, width_us: int) -> list[float]:
    """The values to compare with, oldest first. `series` is by the beginning of buckets, which are multiples of
    `width_us`; `at` is the middle of the window that is looked at."""
    day_us = DAY_S * 1_000_000
    same = [series.get((at - back * day_us) // width_us * width_us) for back in range(DAYS, 0, -1)]
    known = [value for value in same if value is not None]
    if width_us <= day_us and len(known) >= _LEAST:
        return known
    last = at // width_us * width_us
    recent = [series.get(last - back * width_us) for back in range(_RECENT, 0, -1)]
    return [value for value in recent if value is not None]


def expectation(
    before: Sequence[float], value: float, *, above: bool, least_difference: Callable[[float], float]
) -> Expected | None:
    """None where there is too little to compare with."""
    if len(before) < _LEAST:
        return None
    seasons = [_NO_SEASON] * len(before)
    found = judge(before, seasons, value, _NO_SEASON)
    far = found is not None and (found.direction == "above") == above
    middle, edge = _edge(before, above=above)
    bound = max(edge, middle + least_difference(middle)) if above else min(edge, middle - least_difference(middle))
    beyond = value > bound if above else value < bound
    return Expected(expected=middle, bound=max(bound, 0.0), is_odd=far and beyond)


def rate_difference(n: int) -> Callable[[float], float]:
    """For shares of `n`: two percentage points, and more than chance moves them."""

    def least(middle: float) -> float:
        near = min(max(middle, 1 / max(n, 1)), 0.5)
        return max(0.02, LIMIT * sqrt(near * (1 - near) / max(n, 1)))

    return least


def part_of_it(part: float, *, least: float = 0.0) -> Callable[[float], float]:
    """For amounts: so large a part of what is usual."""
    return lambda middle: max(part * abs(middle), least)


def _edge(before: Sequence[float], *, above: bool) -> tuple[float, float]:
    """The middle, and how far from it is still usual, by the limits that `judge` gives for something absurd."""
    probe = judge(before, [_NO_SEASON] * len(before), 1e18 if above else -1e18, _NO_SEASON)
    assert probe is not None, "an absurd value is always odd"
    return probe.expected, probe.high if above else probe.low
