"""Kappa against scikit-learn and statsmodels, alpha against the published worked examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

from rondo.errors import InvalidRequest
from rondo.evals.statistics.agreement import Scale, Weights, cohen_kappa, krippendorff_alpha

RATINGS = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), min_size=2, max_size=40)
NO_WEIGHTS: dict[Weights, Literal["linear", "quadratic"] | None] = {
    "none": None, "linear": "linear", "quadratic": "quadratic",
}  # fmt: skip


@settings(deadline=None)
@given(RATINGS, st.sampled_from(list(NO_WEIGHTS)))
def test_kappa_is_that_of_scikit_learn(ratings: list[tuple[int, int]], weights: Weights) -> None:
    first, second = (list(each) for each in zip(*ratings, strict=True))
    found = cohen_kappa(first, second, weights=weights, categories=[1, 2, 3, 4])
    if len({*first, *second}) == 1:
        assert found.value is None
        return
    expected = cohen_kappa_score(first, second, labels=[1, 2, 3, 4], weights=NO_WEIGHTS[weights])
    assert found.value == pytest.approx(expected)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert -1 - 1e-9 <= found.low <= found.value <= found.high <= 1 + 1e-9


@pytest.mark.parametrize("weights", list(NO_WEIGHTS))
def test_kappas_interval_is_near_the_asymptotic_one_for_many_items(weights: Weights) -> None:
    rng = np.random.default_rng(1)
    first = rng.integers(0, 4, 800)
    second = np.where(rng.random(800) < 0.7, first, rng.integers(0, 4, 800))
    table = np.zeros((4, 4))
    np.add.at(table, (first, second), 1)
    expected = cohens_kappa(table, wt=NO_WEIGHTS[weights])
    found = cohen_kappa(first.tolist(), second.tolist(), weights=weights)
    assert (found.low, found.high) == pytest.approx((expected.kappa_low, expected.kappa_upp), abs=0.01)


def test_kappa_of_words() -> None:
    assert cohen_kappa(["yes", "no", "yes", "no"], ["yes", "no", "yes", "yes"]).value == pytest.approx(0.5)


def test_perfect_agreement_is_not_certain() -> None:
    found = cohen_kappa([0, 1] * 15, [0, 1] * 15)
    assert (found.value, found.high, found.observed) == (1.0, 1.0, 1.0)
    assert found.low is not None
    assert 0.6 < found.low < 0.9


def test_agreement_in_clusters_is_less_sure() -> None:
    rng = np.random.default_rng(2)
    first = np.repeat(rng.integers(0, 2, 30), 5)
    second = np.where(np.repeat(rng.random(30) < 0.8, 5), first, 1 - first)
    names = [str(at) for at in np.repeat(np.arange(30), 5)]
    alone = cohen_kappa(first.tolist(), second.tolist())
    together = cohen_kappa(first.tolist(), second.tolist(), clusters=names)
    assert alone.value == together.value
    assert alone.low is not None
    assert together.low is not None
    assert together.low < alone.low


def test_kappa_is_undefined_where_only_one_rating_was_given() -> None:
    found = cohen_kappa([1, 1, 1], [1, 1, 1])
    assert (found.value, found.low, found.high, found.n, found.observed) == (None, None, None, 3, 1.0)
    assert cohen_kappa([], []).n == 0


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="2 and 1"):
        cohen_kappa([1, 2], [1])
    with pytest.raises(InvalidRequest, match="nan"):
        cohen_kappa([1.0, float("nan")], [1.0, 2.0])
    with pytest.raises(InvalidRequest, match="'3'"):
        cohen_kappa([1, 3], [1, 2], categories=[1, 2])
    with pytest.raises(InvalidRequest, match="NaN or infinite"):
        krippendorff_alpha([[1.0, float("inf")]], scale="interval")
    with pytest.raises(InvalidRequest, match="numbers"):
        krippendorff_alpha([["good", "bad"]], scale="interval")


def _items(*raters: str) -> list[list[int | None]]:
    return [[None if mark == "." else int(mark) for mark in item] for item in zip(*raters, strict=True)]


def test_alpha_of_two_raters_and_two_values() -> None:
    """Krippendorff (2011), Computing Krippendorff's Alpha-Reliability, part A."""
    found = krippendorff_alpha(_items("0100000010", "1110010000"))
    assert found.value == pytest.approx(0.095, abs=5e-4)


def test_alpha_of_two_raters_and_words() -> None:
    """The same paper, part B."""
    items = [list(each) for each in zip("aabbdcccedda", "babbbcccedddd"[:12], strict=True)]
    assert krippendorff_alpha(items).value == pytest.approx(0.692, abs=5e-4)


@pytest.mark.parametrize(("scale", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_four_raters_with_gaps(scale: Scale, alpha: float) -> None:
    """The same paper, part C and D: twelve items, of which the last has one rating only."""
    found = krippendorff_alpha(_items("123321412...", "1233224125.3", ".3332342251.", "12332441251."), scale=scale)
    assert found.value == pytest.approx(alpha, abs=5e-4)
    assert found.n == 11


def _direct_alpha(items: Sequence[Sequence[float]], scale: Scale) -> float:
    """By the definition, pair by pair."""
    items = [item for item in items if len(item) > 1]
    every = sorted(rating for item in items for rating in item)

    def apart(one: float, other: float) -> float:
        if scale == "nominal":
            return float(one != other)
        if scale == "interval":
            return (one - other) ** 2
        low, high = sorted((one, other))
        between = sum(low <= each <= high for each in every)
        return (between - (every.count(one) + every.count(other)) / 2) ** 2

    total = len(every)
    observed = sum(
        apart(item[i], item[j]) / (len(item) - 1)
        for item in items
        for i in range(len(item))
        for j in range(len(item))
        if i != j
    )
    expected = sum(apart(every[i], every[j]) for i in range(total) for j in range(total) if i != j)
    return 1 - observed * (total - 1) / expected


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.none() | st.integers(1, 4), min_size=1, max_size=4), min_size=1, max_size=12),
    st.sampled_from(["nominal", "ordinal", "interval"]),
)
def test_alpha_is_its_definition(items: list[list[int | None]], scale: Scale) -> None:
    known = [[float(rating) for rating in item if rating is not None] for item in items]
    found = krippendorff_alpha(items, scale=scale)
    given = {rating for item in known if len(item) > 1 for rating in item}
    if len(given) < 2:
        assert found.value is None
        return
    assert found.value == pytest.approx(_direct_alpha(known, scale), abs=1e-9)
    assert found.low is not None
    assert found.high is not None
    assert np.isfinite([found.low, found.high]).all()


def test_alpha_on_an_interval_scale_does_not_lose_small_differences_of_large_numbers() -> None:
    shifted = krippendorff_alpha([[1e9, 1e9 + 1], [1e9 + 5, 1e9 + 5], [1e9 + 9, 1e9 + 8]], scale="interval").value
    assert shifted == pytest.approx(krippendorff_alpha([[0, 1], [5, 5], [9, 8]], scale="interval").value)
