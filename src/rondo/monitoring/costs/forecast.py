"""What the month will have cost at its end. Pure.

The days that are left are each expected to cost what their weekday has cost on average over the last eight weeks
(below two weeks of history: what all days have cost). There is no trend in it: it says what comes if things go on
as they are. The 95 % interval is that of a sum of such days (Student's t): how far days have been from their weekday's
mean, and how uncertain these means are themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from statistics import fmean

from msgspec import Struct

LEVEL = 0.95
REACH_DAYS = 56
METHOD = "weekday means of up to 8 weeks, no trend; 95 % prediction interval (Student's t)"

_LEAST = 3
_BY_WEEKDAY = 14


class Forecast(Struct, frozen=True, kw_only=True):
    """`spent` is known so far; `expected` with `low` and `high` are for the whole month, None with too little history.

    `days_left` counts today where it is not over. Costs that are unknown are in none of it.
    """

    spent: float
    expected: float | None
    low: float | None
    high: float | None
    days_of_history: int
    days_left: int
    method: str = METHOD


def forecast(history: Mapping[int, float], today: int, first: int, last: int) -> Forecast:
    """`history` has the cost of days, numbered since the epoch; days without calls inside it cost nothing.

    `first` and `last` are the month's days; `today` is not over, and what it has cost so far is in `history`.
    """
    spent = sum(cost for day, cost in history.items() if first <= day <= today)
    left = last - today + 1
    whole = _whole_days(history, today)
    if len(whole) < _LEAST:
        return Forecast(spent=spent, expected=None, low=None, high=None, days_of_history=len(whole), days_left=left)
    means, parameters = _means(whole)
    so_far = history.get(today, 0.0)
    to_come = [max(means[weekday(today)] - so_far, 0.0), *(means[weekday(day)] for day in range(today + 1, last + 1))]
    from rondo.evals.statistics.distributions import student_quantile  # with NumPy, which a server starts without

    freedom = max(len(whole) - parameters, 1)
    error = sqrt(sum((cost - means[weekday(day)]) ** 2 for day, cost in whole.items()) / freedom)
    half = student_quantile((1 + LEVEL) / 2, freedom) * error * sqrt(left + left * left / len(whole))
    expected = spent + sum(to_come)
    return Forecast(
        spent=spent,
        expected=expected,
        low=max(spent, expected - half),
        high=expected + half,
        days_of_history=len(whole),
        days_left=left,
    )


def weekday(day: int) -> int:
    """0 for Monday; day 0 of the epoch was a Thursday."""
    return (day + 3) % 7


def _whole_days(history: Mapping[int, float], today: int) -> dict[int, float]:
    """The days before today, from the first one with calls on."""
    begun = min((day for day in history if day < today), default=today)
    return {day: history.get(day, 0.0) for day in range(max(begun, today - REACH_DAYS), today)}


def _means(whole: Mapping[int, float]) -> tuple[dict[int, float], int]:
    """What each weekday is expected to cost, and how many numbers that took."""
    usual = fmean(whole.values())
    if len(whole) < _BY_WEEKDAY:
        return dict.fromkeys(range(7), usual), 1
    by_weekday: dict[int, list[float]] = {}
    for day, cost in whole.items():
        by_weekday.setdefault(weekday(day), []).append(cost)
    return {each: fmean(costs) for each, costs in by_weekday.items()}, 7
