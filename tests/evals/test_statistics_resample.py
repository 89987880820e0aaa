"""Draws: their law, their sums, and that they are the same however they are shared out."""

from __future__ import annotations

import numpy as np
import pytest

from rondo.evals.statistics.resample import all_swaps, bootstrap, bootstrap_sums, swapped_sums

DRAWS = 1000


def test_weights_have_mean_and_variance_one_and_poissons_skew() -> None:
    _, sums, (weights,) = next(bootstrap({0: np.ones((600, 1))}, {0: [np.arange(600)]}, DRAWS))
    drawn = weights.astype(float)
    assert drawn.mean() == pytest.approx(1, abs=0.01)
    assert drawn.var() == pytest.approx(1, abs=0.02)
    assert ((drawn - 1) ** 3).mean() == pytest.approx(1, abs=0.05)
    assert sums[:, 0] == pytest.approx(drawn.sum(axis=0))
    # Neither units nor draws know of each other.
    assert np.abs(np.corrcoef(drawn[:20])[np.triu_indices(20, 1)]).max() < 0.15
    assert np.abs(np.corrcoef(drawn.T[:20])[np.triu_indices(20, 1)]).max() < 0.2


def test_sums_are_weights_times_rows_over_many_blocks() -> None:
    rows = np.random.default_rng(1).normal(size=(1300, 3))
    _, sums, (weights,) = next(bootstrap({0: rows}, {0: [np.arange(1300)]}, DRAWS))
    assert sums == pytest.approx(weights.T.astype(float) @ rows, abs=1e-3)


def test_kept_weights_come_in_the_order_asked_for() -> None:
    rows = np.eye(700)[:, [3, 650, 12]]
    _, sums, (weights,) = next(bootstrap({0: rows}, {0: [np.array([3, 650, 12, 3])]}, DRAWS))
    assert (sums == weights[:3].T).all()
    assert (weights[0] == weights[3]).all()


def test_whole_counts_are_exact() -> None:
    rows = np.random.default_rng(2).integers(0, 50, (2000, 2)).astype(float)
    (_, sums), *_ = bootstrap_sums({0: rows}, DRAWS)
    assert (sums == np.round(sums)).all()


def test_draws_do_not_depend_on_what_else_is_drawn() -> None:
    """Neither on longer matrices beside them, nor on being too many for one batch."""
    rng = np.random.default_rng(3)
    columns = {at: rng.normal(size=(int(rng.integers(1, 1200)), 7)) for at in range(60)}
    together = dict(bootstrap_sums(columns, 50))
    assert together.keys() == columns.keys()
    for at, rows in columns.items():
        assert together[at] == pytest.approx(dict(bootstrap_sums({0: rows}, 50))[0], abs=1e-3)


def test_swaps_take_each_unit_in_half_of_the_draws() -> None:
    (_, sums), *_ = swapped_sums({0: np.eye(600)[:, :5]}, DRAWS)
    assert set(np.unique(sums)) == {0.0, 1.0}
    assert sums.mean(axis=0) == pytest.approx(0.5, abs=0.06)
    assert np.abs(np.asarray(np.corrcoef(sums.T))[np.triu_indices(5, 1)]).max() < 0.12


def test_a_number_of_draws_that_is_no_multiple_of_eight() -> None:
    (_, sums), *_ = swapped_sums({0: np.ones((10, 1))}, 13)
    assert sums.shape == (13, 1)


def test_all_swaps_are_all_subsets() -> None:
    assert sorted(all_swaps(np.array([[1.0], [2.0], [4.0]]))[:, 0]) == list(range(8))


def test_nothing_to_draw_is_nothing_drawn() -> None:
    assert list(bootstrap_sums({}, 10)) == []
    assert list(swapped_sums({}, 10)) == []
