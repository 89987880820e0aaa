"""Confidence sequences: they hold at all looks together, are near what an oracle allows, and keep their shape."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from rondo.evals.statistics.sample import Floats
from rondo.rollout.sequential import (
    LEAST_ASYMPTOTIC,
    asymptotic_interval,
    asymptotic_radius,
    bounded_interval,
    log_capital,
    most_successes,
    quantile_interval,
    share_at_least,
    winnings,
)
from simulated_rollouts import higher_means

ALPHA = 0.05
PATHS = 1000

shares = st.lists(st.floats(0, 1), min_size=1, max_size=60).map(np.array)


@pytest.mark.parametrize(("rate", "seed"), [(0.5, 1), (0.8, 2), (0.02, 3)])
def test_shares_hold_at_all_looks_together(rate: float, seed: int) -> None:
    paths = (np.random.default_rng(seed).random((PATHS, 1000)) < rate).astype(float)
    for side, truth in ((paths, rate), (1 - paths, 1 - rate)):
        assert ever_too_high(side, truth).mean() <= ALPHA


def test_the_interval_is_above_the_truth_where_the_bets_have_won() -> None:
    path = (np.random.default_rng(1).random(200) < 0.9).astype(float)
    won = [bounded_interval(path[:n], ALPHA, (0, 1))[0] > 0.75 for n in range(1, 201)]
    assert any(won)
    assert won == list(won_against(path[None, :], 0.75)[0])


def won_against(paths: Floats, mean: float) -> NDArray[np.bool_]:
    """At which looks a mean of at most `mean` is not believed any more."""
    return log_capital(np.cumsum(winnings(paths, mean), axis=1)) >= -math.log(ALPHA)


def ever_too_high(paths: Floats, truth: float) -> NDArray[np.bool_]:
    return np.array([won_against(path[None, :], truth).any() for path in paths])


@pytest.mark.parametrize("spread", [0.3, 1.0, 1.5])
def test_means_without_bounds_hold_at_all_looks_together(spread: float) -> None:
    # Differences of the costs of two callers, as verdicts have them: long tails on both sides.
    rng = np.random.default_rng(4)
    paths = rng.lognormal(0, spread, (PATHS, 1500)) - rng.lognormal(0, spread, (PATHS, 1500))
    assert (higher_means(paths, ALPHA) > 0).mean() <= ALPHA
    assert (higher_means(-paths, ALPHA) > 0).mean() <= ALPHA


def test_percentiles_hold_at_all_looks_together() -> None:
    paths = np.random.default_rng(5).lognormal(6, 1, (PATHS, 1000))
    truth = float(stats.lognorm.ppf(0.95, 1, scale=math.exp(6)))
    found = np.array([[quantile_interval(path[:n], 0.95, ALPHA) for n in range(10, 1001, 20)] for path in paths[:400]])
    assert (found[:, :, 0] > truth).any(axis=1).mean() <= ALPHA
    assert (found[:, :, 1] < truth).any(axis=1).mean() <= ALPHA


def test_a_fixed_interval_would_not_hold() -> None:
    """What all of this is for: looked at every ten values, a 5 % test of the mean goes wrong several times as often."""
    paths = np.random.default_rng(6).normal(0, 1, (PATHS, 1500))
    n = np.arange(1, 1501)
    crossed = np.cumsum(paths, axis=1) / np.sqrt(n) > stats.norm.ppf(1 - ALPHA)
    assert crossed[:, 29::10].any(axis=1).mean() > 3 * ALPHA


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (1, 1), (0, 30), (3, 20), (12, 20), (80, 100), (950, 1000)])
def test_no_exact_interval_at_a_fixed_time_is_wider(successes: int, n: int) -> None:
    """Clopper and Pearson's is the best one for a single look, so one for all looks contains it."""
    low, high = bounded_interval(np.repeat([1.0, 0.0], [successes, n - successes]), ALPHA, (0, 1))
    exact = stats.binomtest(successes, n).proportion_ci(1 - 2 * ALPHA, "exact")
    assert low <= exact.low + 1e-9
    assert high >= exact.high - 1e-9
    assert share_at_least(successes, n, ALPHA) == pytest.approx(low)


def test_intervals_grow_narrow_like_the_root_of_n() -> None:
    values = np.random.default_rng(7).random(100_000)
    single = [stats.norm.ppf(1 - ALPHA) * values.std() / math.sqrt(n) for n in (300, 100_000)]
    for n, best in zip((300, 100_000), single, strict=True):
        low, high = bounded_interval(values[:n], ALPHA, (0, 1))
        assert 1 < (high - low) / 2 / best < 3
        low, high = asymptotic_interval(values[:n], ALPHA)
        assert 1 < (high - low) / 2 / best < 3


@pytest.mark.parametrize(("n", "share"), [(1, 0.5), (40, 0.05), (40, 0.5), (333, 0.95)])
def test_the_most_successes_are_the_last_whose_share_is_believed(n: int, share: float) -> None:
    most = most_successes(n, share, ALPHA)
    assert share_at_least(most, n, ALPHA) <= share + 1e-6
    assert most == n or share_at_least(most + 1, n, ALPHA) >= share - 1e-6
    assert most >= stats.binom.ppf(1 - ALPHA, n, share)


def test_percentiles_are_order_statistics() -> None:
    values = np.random.default_rng(8).permutation(np.arange(1.0, 1001.0))
    low, high = quantile_interval(values, 0.95, ALPHA)
    assert low == 1000 - most_successes(1000, 1 - 0.95, ALPHA)
    assert high == most_successes(1000, 0.95, ALPHA) + 1
    assert low < 950 < high


def test_few_values_have_no_upper_end_of_a_high_percentile() -> None:
    assert quantile_interval(np.arange(50.0), 0.95, ALPHA)[1] == math.inf
    assert quantile_interval(np.array([]), 0.95, ALPHA) == (-math.inf, math.inf)
    assert quantile_interval(np.array([3.0]), 0.5, ALPHA) == (-math.inf, math.inf)


def test_nothing_is_known_of_nothing() -> None:
    assert bounded_interval(np.array([]), ALPHA, (-1, 1)) == (-1, 1)
    assert asymptotic_interval(np.ones(LEAST_ASYMPTOTIC - 1), ALPHA) == (-math.inf, math.inf)


@settings(max_examples=40, deadline=None)
@given(shares, st.sampled_from([0.001, 0.01, 0.05, 0.2]))
def test_an_interval_holds_the_mean_and_more_certainty_is_wider(values: Floats, alpha: float) -> None:
    low, high = bounded_interval(values, alpha, (0, 1))
    assert 0 <= low <= values.mean() + 1e-9
    assert values.mean() - 1e-9 <= high <= 1
    wider = bounded_interval(values, alpha / 2, (0, 1))
    assert wider[0] <= low + 1e-9
    assert wider[1] >= high - 1e-9


@settings(max_examples=40, deadline=None)
@given(shares)
def test_neither_the_order_nor_the_direction_matters(values: Floats) -> None:
    low, high = bounded_interval(values, ALPHA, (0, 1))
    shuffled = np.random.default_rng(1).permutation(values)
    assert bounded_interval(shuffled, ALPHA, (0, 1)) == pytest.approx((low, high))
    mirrored = bounded_interval(1 - values, ALPHA, (0, 1))
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=2e-3)


@settings(max_examples=40, deadline=None)
@given(shares, st.floats(-100, 100), st.floats(0.1, 100))
def test_bounds_only_stretch_and_shift(values: Floats, least: float, span: float) -> None:
    low, high = bounded_interval(values, ALPHA, (0, 1))
    stretched = bounded_interval(least + span * values, ALPHA, (least, least + span))
    assert stretched == pytest.approx((least + span * low, least + span * high), abs=3e-3 * span)


@given(st.integers(1, 10**7), st.sampled_from([1e-4, 0.01, 0.05, 0.2]))
def test_the_asymptotic_radius_falls_but_slower_than_a_single_looks(n: int, alpha: float) -> None:
    assert asymptotic_radius(n + 1, alpha) < asymptotic_radius(n, alpha)
    assert asymptotic_radius(n, alpha) * math.sqrt(n) > stats.norm.ppf(1 - alpha)
