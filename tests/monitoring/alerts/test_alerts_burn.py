"""Burn rates over several windows, and what is far from usual."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.monitoring.alerts.burn import WINDOWS_S, Window, burning
from rondo.monitoring.alerts.usual import earlier, expectation, part_of_it, rate_difference

HOUR_US = 3_600_000_000
MOMENT = 20_000 * 24 * HOUR_US + HOUR_US // 2


def windows(**bad: float) -> dict[float, Window]:
    """By seconds, as `w300=0.5`; the rest is well."""
    return {each: Window(bad.get(f"w{each:g}", 0.0), 1_000) for each in WINDOWS_S}


def test_both_windows_must_burn() -> None:
    found = burning(windows(w3600=0.2, w300=0.2), 0.01, least=20)
    assert found is not None
    assert found.rate == pytest.approx(20)
    assert found.share == pytest.approx(20 / 14.4)
    assert found.pair.rate == 14.4
    over = burning(windows(w3600=0.2, w300=0.0), 0.01, least=20)
    assert over is not None
    assert over.share <= 1, "it does not go on"
    short = burning(windows(w3600=0.001, w300=0.9), 0.01, least=20)
    assert short is not None
    assert short.share <= 1, "it does not matter yet"


def test_a_slow_leak_is_seen_over_days() -> None:
    found = burning(windows(w259200=0.012, w21600=0.011), 0.01, least=20)
    assert found is not None
    assert found.pair.words == "3 d and 6 h"
    assert found.share > 1


def test_two_calls_at_night_are_nothing() -> None:
    assert burning({each: Window(0.5, 2) for each in WINDOWS_S}, 0.01, least=20) is None
    hour = (300.0, 3_600.0)
    quiet = {w: Window(0.5 if w in hour else 0.0, 2 if w == 300 else 100) for w in WINDOWS_S}
    found = burning(quiet, 0.01, least=20)
    assert found is None, "a hundred in the hour burn; whether it goes on is not known"


def test_traffic_that_stops_does_not_put_a_fire_out() -> None:
    burnt = {w: Window(0.5, 1_000) for w in WINDOWS_S}
    silent = {**burnt, 300.0: Window(None, 0), 1_800.0: Window(None, 0), 21_600.0: Window(0.5, 3)}
    assert burning(silent, 0.01, least=20) is None
    found = burning({**silent, 21_600.0: Window(0.5, 500)}, 0.01, least=20)
    assert found is not None, "another pair knows"
    assert found.pair.words == "3 d and 6 h"
    calm = {w: Window(0.0, 1_000) for w in WINDOWS_S}
    quiet = burning({**calm, 300.0: Window(None, 0)}, 0.01, least=20)
    assert quiet is not None, "nothing burnt in the hour either"
    assert quiet.rate == 0


@given(st.lists(st.floats(0, 1), min_size=len(WINDOWS_S), max_size=len(WINDOWS_S)), st.floats(0.001, 1))
def test_more_errors_never_burn_less(shares: list[float], allowed: float) -> None:
    low = burning({w: Window(bad, 100) for w, bad in zip(WINDOWS_S, shares, strict=True)}, allowed, least=20)
    more = {w: Window(min(1, bad * 1.5), 100) for w, bad in zip(WINDOWS_S, shares, strict=True)}
    high = burning(more, allowed, least=20)
    assert low is not None
    assert high is not None
    assert high.share >= low.share


def test_a_rate_that_was_always_zero_does_not_make_one_failure_an_alarm() -> None:
    before = [0.0] * 14
    one_of_fifty = expectation(before, 1 / 50, above=True, least_difference=rate_difference(50))
    assert one_of_fifty is not None
    assert not one_of_fifty.is_odd
    many = expectation(before, 0.3, above=True, least_difference=rate_difference(50))
    assert many is not None
    assert many.is_odd
    assert many.bound < 0.3


def test_what_is_usual_at_this_time_is_not_odd() -> None:
    before = [1_000.0, 1_100.0, 950.0, 1_020.0, 990.0, 1_050.0, 1_010.0]
    for value, odd in ((1_100.0, False), (3_000.0, True)):
        found = expectation(before, value, above=True, least_difference=part_of_it(0.25))
        assert found is not None
        assert found.is_odd is odd
    gone = expectation(before, 0.0, above=False, least_difference=part_of_it(0.5))
    assert gone is not None
    assert gone.is_odd
    assert expectation(before[:6], 3_000.0, above=True, least_difference=part_of_it(0.25)) is None


def test_the_same_hour_of_earlier_days_is_compared_with_first() -> None:
    day = 24 * HOUR_US
    hour = MOMENT // HOUR_US * HOUR_US
    series = {hour - back * day: 100.0 + back for back in range(1, 10)}
    series.update({hour - back * HOUR_US: 5.0 for back in range(1, 20)})
    assert earlier(series, MOMENT, HOUR_US) == [100.0 + back for back in range(9, 0, -1)]
    young = {hour - back * HOUR_US: float(back) for back in range(1, 10)}
    assert earlier(young, MOMENT, HOUR_US) == [float(back) for back in range(9, 0, -1)]
