"""Anomalies, forecasts and what-if: the sums of money, without a store."""

from __future__ import annotations

import random
from math import sqrt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo import clock
from rondo.monitoring.costs.anomaly import anomalies, judge, rhythm
from rondo.monitoring.costs.forecast import forecast, weekday
from rondo.monitoring.costs.model import CostRow, Costs
from rondo.monitoring.costs.spending import as_csv
from rondo.monitoring.costs.what_if import Tokens, what_if
from rondo.monitoring.dashboards.window import DAY_US, parse_window
from rondo.providers.prices import Price

WEEKS = [weekday(day) for day in range(70)]
NOBODY: dict[str, Any] = {
    "provider": "openai", "model": "a", "calls": 1, "without_tokens": 0, "input_tokens": 0, "cache_read_tokens": 0,
    "cache_write_tokens": 0, "output_tokens": 0, "reasoning_tokens": 0, "cost_usd": 1.0, "cost_unknown": 0,
    "failed_unknown": 0, "cache_hits": 0,
}  # fmt: skip


def a_rhythm(seed: int = 1, noise: float = 0.05) -> list[float]:
    """Ten weeks with half as much on weekends."""
    chance = random.Random(seed)
    return [(5 if day > 4 else 10) * chance.gauss(1, noise) for day in WEEKS]


def test_the_epoch_began_on_a_thursday() -> None:
    assert weekday(0) == 3
    assert weekday(20_414) == 5  # 2025-11-22 was a Saturday


def test_a_weekend_is_no_anomaly_but_a_dear_one_is() -> None:
    values = a_rhythm()
    assert anomalies(values, WEEKS) == []
    sunday = max(place for place, day in enumerate(WEEKS) if day == 6)
    values[sunday] = 10.0
    (found,) = anomalies(values, WEEKS)
    assert (found.place, found.direction) == (sunday, "above")
    assert found.expected == pytest.approx(5, rel=0.1)
    assert found.low < found.expected < found.high < found.value


def test_yesterdays_outlier_does_not_hide_todays() -> None:
    values = [10.0, 10.5, 9.5, 10.2, 9.8, 10.1, 9.9, 100.0, 100.0]
    assert [each.place for each in anomalies(values, [0] * 9)] == [7, 8]


def test_too_little_history_tells_nothing() -> None:
    assert anomalies([1.0] * 6 + [50.0], [0] * 7) == []
    assert judge([], [], 1.0, 0) is None
    assert rhythm([1.0, 2.0], [0, 1]) == {}


def test_steady_values_are_not_taken_for_steadier_than_they_are() -> None:
    assert anomalies([10.0] * 20 + [11.0], [0] * 21) == []
    (found,) = anomalies([10.0] * 20 + [12.0], [0] * 21)
    assert found.place == 20


@given(st.lists(st.floats(0, 1e6), max_size=40), st.floats(0.5, 100))
def test_the_unit_of_money_does_not_matter(values: list[float], scale: float) -> None:
    def found(factor: float) -> list[int]:
        return [
            each.place for each in anomalies([value * factor for value in values], WEEKS[: len(values)], limit=4.001)
        ]

    if all(value == 0 or value > 1e-3 for value in values):
        assert found(1.0) == found(1024.0)  # a power of two: no digit is lost


@pytest.mark.parametrize("works", [{0, 1, 2, 3, 4}, {0}], ids=["weekdays", "mondays"])
def test_days_that_nobody_works_are_no_anomalies(works: set[int]) -> None:
    chance = random.Random(1)
    values = [10 * chance.gauss(1, 0.05) if day in works else 0.0 for day in WEEKS]
    assert anomalies(values, WEEKS) == []
    sunday = max(place for place, day in enumerate(WEEKS) if day == 6)
    values[sunday] = 0.1
    assert anomalies(values, WEEKS) == [], "next to nothing"
    values[sunday] = 10.0
    (found,) = anomalies(values, WEEKS)
    assert (found.place, found.expected, found.low) == (sunday, 0, 0)
    assert 0 < found.high < 10
    values[sunday], monday = 0.0, max(place for place, day in enumerate(WEEKS) if day == 0)
    values[monday] = 0.0
    (found,) = anomalies(values, WEEKS)
    assert (found.place, found.direction) == (monday, "below")


def test_few_false_alarms_on_noise() -> None:
    odd = sum(len(anomalies(a_rhythm(seed, 0.1), WEEKS)) for seed in range(30))
    assert odd <= 0.02 * 30 * len(WEEKS)


def test_a_forecast_knows_weekdays() -> None:
    first, today, last = 20_000, 20_010, 20_029
    history = {day: 5.0 if weekday(day) > 4 else 10.0 for day in range(first - 56, today)}
    whole = sum(5.0 if weekday(day) > 4 else 10.0 for day in range(first, last + 1))
    found = forecast(history, today, first, last)
    assert found.expected == pytest.approx(whole)
    assert found.low == pytest.approx(found.expected)
    assert (found.days_left, found.days_of_history) == (20, 56)
    started = forecast({**history, today: 3.0}, today, first, last)
    assert started.expected == pytest.approx(whole)
    dear = forecast({**history, today: 50.0}, today, first, last)
    assert dear.expected is not None
    assert dear.expected > whole


def test_a_forecasts_interval_by_hand() -> None:
    few = forecast({20_000: 1.0, 20_001: 2.0, 20_002: 3.0}, 20_003, 20_000, 20_004)
    half = 4.302653 * 1.0 * sqrt(2 + 2 * 2 / 3)  # t of 2 degrees, deviation 1, two days left, a mean of three
    assert (few.spent, few.expected, few.low) == (6.0, 10.0, 6.0)
    assert few.high == pytest.approx(10.0 + half)
    two_weeks = {20_000 + at: 10.0 if at < 7 else 14.0 for at in range(14)}
    one = forecast(two_weeks, 20_014, 20_000, 20_014)
    half = 2.364624 * sqrt(14 * 4 / 7) * sqrt(1 + 1 / 2)  # its weekday's mean is of two days
    assert one.expected == pytest.approx(168 + 12)
    assert one.high == pytest.approx(180 + half)


def test_the_last_day_of_a_month_is_still_to_come() -> None:
    found = forecast({20_000: 2.0, 20_001: 2.0, 20_002: 2.0, 20_003: 0.5}, 20_003, 20_000, 20_003)
    assert (found.spent, found.expected, found.days_left) == (6.5, 8.0, 1)


def test_a_day_of_unknown_cost_is_none_that_cost_nothing() -> None:
    known: dict[int, float | None] = {20_000 + at: 10.0 for at in range(28)}
    for monday in [day for day in known if weekday(day) == 0]:
        known[monday] = None
    found = forecast(known, 20_028, 20_000, 20_030)
    assert found.days_of_history == 24
    assert found.expected == pytest.approx(240 + 30)
    assert forecast({20_000: None, 20_001: None, 20_002: None}, 20_003, 20_000, 20_004).expected is None
    idle = forecast({20_000: 6.0, 20_002: 6.0}, 20_003, 20_000, 20_004)
    assert (idle.days_of_history, idle.expected) == (3, 20.0), "a day without calls cost nothing"


def test_too_few_days_for_a_forecast() -> None:
    found = forecast({20_001: 1.0, 20_002: 4.0}, 20_002, 20_000, 20_029)
    assert (found.spent, found.expected, found.low) == (5.0, None, None)


def test_the_interval_of_a_forecast_holds() -> None:
    inside = 0
    for seed in range(200):
        chance = random.Random(seed)
        days = {day: chance.uniform(5, 15) for day in range(20_000 - 56, 20_030)}
        known = {day: cost for day, cost in days.items() if day < 20_010}
        found = forecast(known, 20_010, 20_000, 20_029)
        truth = sum(cost for day, cost in days.items() if day >= 20_000)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= truth <= found.high
    assert inside >= 180  # of 200, at 95 %


def test_another_model_treats_cached_tokens_honestly() -> None:
    row = Tokens(**{**NOBODY, "input_tokens": 1_000_000, "cache_read_tokens": 1_000_000, "output_tokens": 1_000_000})
    found = what_if("b", Price(input=2.0, output=3.0, cache_read=0.5), [row], provider="openai")
    assert [found.instead_usd, found.uncached_usd] == pytest.approx([5.5, 7.0])
    assert found.saved_usd == pytest.approx(1.0 - 5.5)
    assert not any("tokenizer" in note for note in found.notes)
    assert any("cache" in note for note in found.notes)
    plain = what_if("b", Price(input=2.0, output=3.0), [row], provider="other")
    assert plain.instead_usd == plain.uncached_usd == pytest.approx(7.0)
    assert any("tokenizer" in note for note in plain.notes)


def test_what_is_not_known_is_said() -> None:
    rows = [
        Tokens(**NOBODY),
        Tokens(**{**NOBODY, "model": "c", "cost_unknown": 2, "without_tokens": 3, "cache_hits": 1}),
    ]
    found = what_if("b", Price(input=1.0, output=1.0, tiered=True), rows, provider="openai")
    assert found.saved_usd is None
    assert [row.saved_usd for row in found.rows] == [1.0, None]
    assert len(found.notes) == 4
    broken = Tokens(**{**NOBODY, "provider": None, "model": None, "cost_usd": None, "failed_unknown": 2})
    found = what_if("b", Price(input=1.0, output=1.0), [Tokens(**NOBODY), broken], provider="openai")
    assert found.saved_usd == 1.0, "calls that failed are in neither sum"
    assert found.notes == ["2 calls that failed, or whose client left, are in neither sum."]
    assert what_if("b", Price(input=1.0, output=1.0), []).cost_usd is None


def test_names_in_csv_are_no_formulas() -> None:
    row = CostRow(name="=1+1", calls=1, errors=0, tokens=None, cost_usd=0.5, cost_unknown=0, saved_usd=None)
    told = Costs(by="user", since=0, until=1, rows=[row], total=row)
    assert as_csv(told).splitlines() == [
        "user,calls,errors,tokens,cost_usd,cost_unknown,saved_usd",
        "'=1+1,1,0,,0.5,0,",
    ]


def test_an_end_alone_has_its_usual_length_before_it() -> None:
    window = parse_window({"window": "30d", "until": "2026-11-01"})
    assert clock.iso(window.until)[:10] == "2026-11-01"
    assert window.until - window.since == 30 * DAY_US
