"""A goal's verdict, and how many examples it would take."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.power import NormalIndPower

from rondo.errors import InvalidRequest
from rondo.evals.evidence import Comparison, Estimate
from rondo.evals.model import Outcome
from rondo.evals.statistics.power import (
    examples_needed_for_width,
    examples_needed_unpaired,
    pairs_needed_for_means,
    pairs_needed_for_shares,
    visible_mean_difference,
    visible_share_difference,
)
from rondo.evals.statistics.standing import is_worse, margin_of, standing


def found(value: float | None, low: float | None, high: float | None) -> Estimate:
    return Estimate(value=value, low=low, high=high, n=100, clusters=100, missing=0, method="")


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((0.86, 0.80, 0.91), "met"),  # reaches below the bound, by less than the margin
        ((0.85, 0.765, 0.9), "met"),  # exactly the bound, exactly the margin
        ((0.86, 0.76, 0.92), "not_enough_evidence"),  # reaches too far below it
        ((0.84, 0.80, 0.88), "not_enough_evidence"),  # below the bound, but it could be met
        ((0.80, 0.75, 0.85), "not_enough_evidence"),  # still touches it
        ((0.80, 0.75, 0.849), "missed"),
        ((0.845, 0.842, 0.848), "missed"),  # by less than the margin, and yet surely
        ((None, None, None), "not_enough_evidence"),
        ((0.9, None, 1.0), "not_enough_evidence"),
        ((0.5, None, None), "not_enough_evidence"),
    ],
)
def test_at_least(interval: tuple[float | None, float | None, float | None], verdict: str) -> None:
    assert standing(found(*interval), at_least=0.85) == verdict


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((1900, 1700, 2150), "met"),
        ((1900, 1700, 2250), "not_enough_evidence"),
        ((1900, 1700, None), "not_enough_evidence"),  # too few for an upper end
        ((2100, 1990, 2400), "not_enough_evidence"),
        ((2100, 2001, None), "missed"),  # the lower end alone says it
    ],
)
def test_at_most(interval: tuple[float, float, float | None], verdict: str) -> None:
    assert standing(found(*interval), at_most=2000) == verdict


def test_the_margin_may_be_given() -> None:
    narrow = found(0.86, 0.80, 0.91)
    assert standing(narrow, at_least=0.85, margin=0.02) == "not_enough_evidence"
    assert standing(narrow, at_least=0.85, margin=0.06) == "met"


@pytest.mark.parametrize(("bound", "margin"), [(0.85, 0.085), (-2.0, 0.2), (0.0, 0.01)])
def test_the_margin_is_a_tenth_of_the_bound(bound: float, margin: float) -> None:
    assert margin_of(bound) == pytest.approx(margin)


@pytest.mark.parametrize("bounds", [{}, {"at_least": 1.0, "at_most": 2.0}])
def test_a_goal_has_one_bound(bounds: dict[str, float]) -> None:
    with pytest.raises(InvalidRequest):
        standing(found(1.0, 0.9, 1.1), **bounds)


@given(st.lists(st.floats(-100, 100), min_size=3, max_size=3).map(sorted), st.floats(-100, 100))
def test_at_most_is_at_least_of_the_negative(interval: list[float], bound: float) -> None:
    low, value, high = interval
    mirrored = found(-value, -high, -low)
    assert standing(found(value, low, high), at_most=bound) == standing(mirrored, at_least=-bound)


def test_pairs_for_the_known_figures() -> None:
    """At a discordance of 10 %, one-sided at 5 % (so two-sided at 10 %): 241, 1,540 and 6,177 by the simple formula."""
    for margin, simple in ((0.05, 241), (0.02, 1540), (0.01, 6177)):
        needed = pairs_needed_for_shares(0.1, margin, alpha=0.1)
        assert simple <= needed <= simple * 1.03
        assert pairs_needed_for_means(0.1 - margin**2, margin, alpha=0.1) == pytest.approx(simple, abs=1)


def test_unpaired_means_are_those_of_statsmodels() -> None:
    expected = NormalIndPower().solve_power(effect_size=0.3, alpha=0.05, power=0.8, ratio=1)
    assert examples_needed_unpaired(4.0, 4.0, 0.6) == pytest.approx(expected, abs=1)


@given(st.integers(10, 5000), st.floats(0.01, 0.5))
def test_what_is_visible_is_what_so_many_are_needed_for(n: int, discordance: float) -> None:
    visible = visible_share_difference(n, discordance)
    if visible < 1:
        assert pairs_needed_for_shares(discordance, visible) <= n
        assert pairs_needed_for_shares(discordance, visible * 0.98) >= n * 0.98


def test_pairs_see_what_they_promise() -> None:
    """Simulated: of changes as large as the visible difference, eighty percent are seen by McNemar's test."""
    from rondo.evals.statistics.significance import mcnemar

    rng = np.random.default_rng(1)
    n, discordance = 400, 0.15
    visible = visible_share_difference(n, discordance)
    up, down = (discordance + visible) / 2, (discordance - visible) / 2
    tables = rng.multinomial(n, [up, down, 1 - up - down], 2000)
    seen = np.mean([mcnemar(int(better), int(worse)) <= 0.05 for better, worse, _ in tables])
    assert 0.74 < seen < 0.84


def test_visible_means_follow_the_standard_error() -> None:
    assert visible_mean_difference(0.1) == pytest.approx(0.28, abs=0.001)
    assert pairs_needed_for_means(100 * 0.1**2, visible_mean_difference(0.1)) == 100


def test_examples_for_a_width() -> None:
    assert examples_needed_for_width(0.25, 0.05) == 385  # the textbook's share to within five points


@pytest.mark.parametrize("margin", [0.0, -0.1, float("nan"), float("inf")])
def test_a_difference_to_be_seen_is_positive(margin: float) -> None:
    with pytest.raises(InvalidRequest):
        pairs_needed_for_shares(0.1, margin)
    with pytest.raises(InvalidRequest):
        pairs_needed_for_means(0.1, margin)


@pytest.mark.parametrize(
    ("outcome", "margin", "counts"),
    [("worse", None, True), ("worse", 0.05, True), ("worse", 0.2, False), ("better", None, False)],
)
def test_a_margin_that_a_goal_names_is_forgiven(outcome: Outcome, margin: float | None, counts: bool) -> None:
    found = Comparison(baseline=0, difference=-0.1, low=-0.2, high=-0.01, p=0.01, n=100, method="", outcome=outcome)
    assert is_worse(found, margin) is counts
