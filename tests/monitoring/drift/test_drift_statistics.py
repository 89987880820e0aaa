"""The tests behind drift: how often they cry wolf, and what they see."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift_makers import questions
from rondo.monitoring.drift import exchange, mmd
from rondo.monitoring.drift.vectors import of_texts

ALPHA = 0.05


def test_without_drift_the_two_sample_test_is_as_rarely_wrong_as_it_says() -> None:
    """300 comparisons of vectors that come from one distribution: 5 % give or take chance (three deviations: 9 %)."""
    random = np.random.default_rng(1)
    wrong = 0
    for seed in range(300):
        vectors = random.normal(size=(80, 16)).astype(np.float32)
        wrong += mmd.compare(vectors[:40], vectors[40:], draws=99, seed=seed).p <= ALPHA
    assert wrong / 300 <= 0.09
    assert wrong > 0


@pytest.mark.parametrize("test", ["ks", "categories"])
def test_without_drift_exchanges_are_as_rarely_wrong_as_they_say(test: str) -> None:
    random = np.random.default_rng(2)
    wrong = 0
    for seed in range(300):
        if test == "ks":
            values = random.integers(0, 20, 120).tolist()  # with many ties
            wrong += exchange.ks(values[:50], values[50:], seed=seed, draws=199).p <= ALPHA
        else:
            before, now = random.multinomial(60, [0.6, 0.3, 0.1], 2).tolist()
            wrong += exchange.categories(before, now, seed=seed, draws=199).p <= ALPHA
    assert wrong / 300 <= 0.09


def test_many_groups_are_no_excuse() -> None:
    """Of twenty groups one always stands out; only a twentieth of the time more than chance would have it."""
    random = np.random.default_rng(3)
    wrong = 0
    for seed in range(300):
        before, now = random.multinomial(200, [1 / 20] * 20, 2).tolist()
        tested = exchange.groups(before, now, seed=seed, draws=199)
        assert tested.p == min(tested.each)
        wrong += tested.p <= ALPHA
    assert wrong / 300 <= 0.09


def test_a_tenth_of_new_questions_is_seen_and_shown() -> None:
    seen = 0
    for seed in range(8):
        texts = questions(500, seed=2 * seed) + questions(500, seed=2 * seed + 1, new=0.1)
        vectors = of_texts(texts)
        shift = mmd.compare(vectors[:500], vectors[500:], draws=199, seed=seed)
        if shift.p <= ALPHA:
            seen += 1
            assert any("solar" in texts[500 + row] for row in shift.newest)
    assert seen >= 7


def test_effects_are_nothing_and_everything() -> None:
    same = np.tile(np.eye(2, 4, dtype=np.float32), (20, 1))
    assert mmd.compare(same, same, draws=19).effect == pytest.approx(0, abs=0.02)
    apart = np.tile(np.array([[0, 0, 1, 0]], dtype=np.float32), (40, 1))
    found = mmd.compare(np.tile(np.eye(1, 4, dtype=np.float32), (40, 1)), apart, draws=19)
    assert found.effect == pytest.approx(1)
    assert found.p == 1 / 20
    assert exchange.ks([1, 2, 3], [4, 5, 6], draws=19).statistic == 1
    assert exchange.categories([5, 0], [0, 5], draws=19).statistic == 1
    assert exchange.stability_index([1, 2, 3, 4], [1, 2, 3, 4]) == pytest.approx(0)
    assert exchange.stability_index([1, 2, 3, 4] * 9, [4] * 36) > 0.2


_values = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)


@settings(max_examples=40, deadline=None)
@given(_values, _values)
def test_every_p_is_a_probability_and_the_same_again(before: list[float], now: list[float]) -> None:
    tested = exchange.ks(before, now, draws=19, seed=3)
    assert 0 < tested.p <= 1
    assert 0 <= tested.statistic <= 1
    assert tested == exchange.ks(before, now, draws=19, seed=3)
    bars = exchange.tenths(before, now)
    assert len(bars) == 10
    assert sum(one for _, one, _ in bars) == pytest.approx(1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=60), min_size=1, max_size=12))
def test_vectors_are_of_length_one_or_nothing_whatever_the_text(texts: list[str]) -> None:
    vectors = of_texts(texts)
    lengths = np.linalg.norm(vectors, axis=1)
    assert np.isfinite(vectors).all()
    assert all(abs(length - 1) < 1e-3 or length == 0 for length in lengths.tolist())
    assert (vectors == of_texts(texts)).all()
    assert np.allclose(of_texts(texts[::-1])[::-1], vectors, atol=1e-6)
