"""What the month will have cost at its end. Pure.

The days that are left are each expected to cost what their weekday has cost on average over the last eight weeks
(below two weeks of history: what all days have cost). There is no trend in it: it says what comes if things go on
as they are. The 95 % interval is that of a sum of such days (Student's t): how far days have been from their weekday's
mean, and how uncertain these means are themselves. A day of which no cost is known is no day that cost nothing: it is
left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import sqrt
from statistics import fmean

from msgspec import Struct

LEVEL = 0.95
REACH_DAYS = 56
METHOD = "weekday means of up to 8 weeks, no trend; 95 % prediction interval (Student's t)"

_LEAST = 3
_BY_WEEKDAY = 14
_ANY = 7
"""In the place of a weekday: all of them."""


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


def forecast(history: Mapping[int, float | None], today: int, first: int, last: int) -> Forecast:
    """`history` has the cost of days, numbered since the epoch: None where it is not known. Days inside it that it has
    not cost nothing.

    `first` and `last` are the month's days; `today` is not over, and what it has cost so far is in `history`.
    """
    spent = sum(cost or 0.0 for day, cost in history.items() if first <= day <= today)
    left = last - today + 1
    whole = _whole_days(history, today)
    if len(whole) < _LEAST:
        return Forecast(spent=spent, expected=None, low=None, high=None, days_of_history=len(whole), days_left=left)
    means, known = _means(whole)
    to_come = [means[weekday(day)] for day in range(today, last + 1)]
    to_come[0] = max(to_come[0] - (history.get(today) or 0.0), 0.0)
    from rondo.evals.statistics.distributions import student_quantile  # with NumPy, which a server starts without

    freedom = max(len(whole) - len(known), 1)
    error = sqrt(sum((cost - means[weekday(day)]) ** 2 for day, cost in whole.items()) / freedom)
    ahead = Counter(weekday(day) if len(known) > 1 else _ANY for day in range(today, last + 1))
    of_means = sum(days * days / known.get(each, 1) for each, days in ahead.items())
    half = student_quantile((1 + LEVEL) / 2, freedom) * error * sqrt(left + of_means)
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


def _whole_days(history: Mapping[int, float | None], today: int) -> dict[int, float]:
    """The days before today whose cost is known, from the first one with calls on."""
    begun = min((day for day in history if day < today), default=today)
    days = {day: history.get(day, 0.0) for day in range(max(begun, today - REACH_DAYS), today)}
    return {day: cost for day, cost in days.items() if cost is not None}


def _means(whole: Mapping[int, float]) -> tuple[dict[int, float], dict[int, int]]:
    """What each weekday is expected to cost, and from how many days each mean is: those of weekdays, or one of all."""
    usual = dict.fromkeys(range(7), fmean(whole.values()))
    if len(whole) < _BY_WEEKDAY:
        return usual, {_ANY: len(whole)}
    by_weekday: dict[int, list[float]] = {}
    for day, cost in whole.items():
        by_weekday.setdefault(weekday(day), []).append(cost)
    means = {each: fmean(costs) for each, costs in by_weekday.items()}
    return usual | means, {each: len(costs) for each, costs in by_weekday.items()}
