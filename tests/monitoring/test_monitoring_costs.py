"""Anomalies, forecasts and what-if: the sums of money, without a store."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.monitoring.costs.anomaly import anomalies, judge, rhythm
from rondo.monitoring.costs.forecast import forecast, weekday
from rondo.monitoring.costs.model import CostRow, Costs
from rondo.monitoring.costs.spending import as_csv
from rondo.monitoring.costs.what_if import Tokens, what_if
from rondo.providers.prices import Price

WEEKS = [weekday(day) for day in range(70)]
NOBODY: dict[str, Any] = {
    "provider": "openai", "model": "a", "calls": 1, "without_tokens": 0, "input_tokens": 0, "cache_read_tokens": 0,
    "cache_write_tokens": 0, "output_tokens": 0, "reasoning_tokens": 0, "cost_usd": 1.0, "cost_unknown": 0,
    "cache_hits": 0,
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
    assert what_if("b", Price(input=1.0, output=1.0), []).cost_usd is None


def test_names_in_csv_are_no_formulas() -> None:
    row = CostRow(name="=1+1", calls=1, errors=0, tokens=None, cost_usd=0.5, cost_unknown=0, saved_usd=None)
    told = Costs(by="user", since=0, until=1, rows=[row], total=row)
    assert as_csv(told).splitlines() == [
        "user,calls,errors,tokens,cost_usd,cost_unknown,saved_usd",
        "'=1+1,1,0,,0.5,0,",
    ]
