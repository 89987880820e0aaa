"""Judges as instruments: position, length, correction by few labels; and flakiness of repeats."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rondo.errors import InvalidRequest
from rondo.evals.statistics.flakiness import flakiness
from rondo.evals.statistics.judge_bias import (
    Choice,
    length_bias_of_choices,
    length_bias_of_scores,
    position_bias,
)
from rondo.evals.statistics.prediction_powered import corrected_mean
from rondo.evals.statistics.sample import SHARE, Mean, Sums, sample
from simulated_metrics import ends, sample_of


def test_a_judge_that_prefers_the_first_answer_is_found_out() -> None:
    swayed: tuple[Choice, Choice] = ("first", "first")
    steady: tuple[Choice, Choice] = ("first", "second")
    found = position_bias([swayed] * 12 + [steady] * 20)
    assert found.preference.difference == pytest.approx(12 / 32)
    assert found.preference.outcome == "better"
    assert found.consistent.value == pytest.approx(20 / 32)


def test_a_consistent_judge_has_no_position_bias() -> None:
    choices: list[tuple[Choice, Choice]] = [("first", "second"), ("second", "first"), ("tie", "tie")] * 10
    found = position_bias(choices)
    assert (found.preference.difference, found.preference.p) == (0.0, 1.0)
    assert found.consistent.value == 1.0


def test_no_choices_are_no_evidence() -> None:
    assert position_bias([]).preference.outcome == "not_enough_evidence"


def test_length_of_choices_is_weighed_against_people() -> None:
    people = [0.0, 1.0] * 20
    found = length_bias_of_choices([1.0] * 40, people)
    assert found.difference == 0.5
    assert found.outcome == "better"
    assert length_bias_of_choices(people, people).outcome == "not_enough_evidence"


def test_length_bias_is_spearmans_correlation() -> None:
    rng = np.random.default_rng(1)
    lengths = rng.integers(10, 500, 80).astype(float)
    people = rng.integers(1, 6, 80).astype(float)
    judge = people + np.round(lengths / 250 + rng.normal(0, 0.7, 80))
    found = length_bias_of_scores(judge.tolist(), people.tolist(), lengths.tolist())
    expected = stats.spearmanr(judge - people, lengths)
    assert found.correlation == pytest.approx(expected.statistic)
    assert found.p is not None
    assert found.p == pytest.approx(expected.pvalue, abs=0.01)
    assert found.low is not None
    assert found.high is not None
    assert found.low < expected.statistic < found.high


def test_longer_answers_that_people_like_better_too_are_no_bias() -> None:
    lengths = [float(at) for at in range(40)]
    assert length_bias_of_scores(lengths, lengths, lengths).correlation is None  # the judge is never off
    rng = np.random.default_rng(2)
    off = (np.array(lengths) + rng.normal(0, 1, 40)).tolist()
    found = length_bias_of_scores(off, lengths, lengths)
    assert found.p is not None
    assert found.p > 0.05


def test_shuffled_lengths_rarely_look_like_bias() -> None:
    rng = np.random.default_rng(3)
    ps = [
        length_bias_of_scores(*(rng.normal(size=30).tolist() for _ in range(3)), draws=400, seed=at).p
        for at in range(200)
    ]
    assert np.mean([p is not None and p <= 0.05 for p in ps]) <= 0.09


def test_lists_must_be_about_the_same_answers() -> None:
    with pytest.raises(InvalidRequest):
        length_bias_of_scores([1.0], [1.0, 2.0], [1.0])
    with pytest.raises(InvalidRequest):
        length_bias_of_choices([1.0], [])
    with pytest.raises(InvalidRequest, match="NaN"):
        length_bias_of_scores([1.0] * 5, [1.0] * 5, [1.0, 2.0, 3.0, 4.0, float("nan")])


def test_a_biased_judge_is_corrected() -> None:
    """People say 70 %, the judge 100 %: it knows nothing, and is not relied on."""
    people = ([1.0] * 7 + [0.0] * 3) * 10
    found = corrected_mean(people, [1.0] * 100, [1.0] * 900)
    assert found.judge == 1.0
    assert found.bias == pytest.approx(0.3)
    assert found.estimate.value == pytest.approx(0.7)
    assert (found.weight, found.estimate.method) == (0.0, "labels alone")


def test_a_good_judge_makes_labels_worth_more() -> None:
    rng = np.random.default_rng(4)
    truth = rng.normal(0.6, 0.15, 2100).clip(0, 1)
    judge = (truth + rng.normal(0.05, 0.03, 2100)).clip(0, 1)
    found = corrected_mean(truth[:100].tolist(), judge[:100].tolist(), judge[100:].tolist())
    alone = corrected_mean(truth[:100].tolist(), judge[:100].tolist(), [])
    assert np.diff(ends(found.estimate)) < 0.5 * np.diff(ends(alone.estimate))
    assert ends(found.estimate)[0] <= truth.mean() <= ends(found.estimate)[1]
    assert found.worth is not None
    assert found.worth > 400
    assert found.weight > 0.9
    assert (found.estimate.n, found.estimate.missing) == (100, 2000)


def test_the_weight_is_the_one_of_the_least_variance() -> None:
    rng = np.random.default_rng(5)
    y = rng.normal(size=60)
    f = 0.5 * y + rng.normal(size=60)
    rest = rng.normal(0, 1.2, 240)
    found = corrected_mean(y.tolist(), f.tolist(), rest.tolist(), bounds=None)
    spread = np.concatenate([f, rest]).var(ddof=1)

    def variance(weight: float) -> float:
        shared = np.cov(y, f)[0, 1]
        return float((y.var(ddof=1) - 2 * weight * shared + weight**2 * spread) / 60 + weight**2 * spread / 240)

    tried = np.linspace(0, 1, 1001)
    assert found.weight == pytest.approx(tried[np.argmin([variance(each) for each in tried])], abs=0.002)


def test_labels_in_clusters_are_less_sure() -> None:
    rng = np.random.default_rng(6)
    y = np.repeat(rng.random(20) < 0.6, 5).astype(float)
    names = [str(at) for at in np.repeat(np.arange(20), 5)]
    alone = corrected_mean(y.tolist(), y.tolist(), [])
    together = corrected_mean(y.tolist(), y.tolist(), [], clusters=names)
    assert np.diff(ends(together.estimate)) > 1.8 * np.diff(ends(alone.estimate))
    assert together.estimate.clusters == 20


@pytest.mark.parametrize("n", [0, 1, 2])
@pytest.mark.parametrize("rest", [0, 1, 5])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), None])
def test_few_labels_are_well_defined(n: int, rest: int, bounds: tuple[float, float] | None) -> None:
    found = corrected_mean([1.0] * n, [1.0] * n, [0.0] * rest, bounds=bounds)
    assert (found.estimate.value is None) == (n == 0)
    numbers = [each for each in (found.estimate.value, found.estimate.low, found.estimate.high) if each is not None]
    assert np.isfinite(numbers).all()
    assert numbers == sorted(numbers) or len(numbers) == 3


def test_a_label_needs_the_judges_word() -> None:
    with pytest.raises(InvalidRequest, match="1 labels, 0 words"):
        corrected_mean([1.0], [], [])
    with pytest.raises(InvalidRequest, match="`unlabelled`"):
        corrected_mean([1.0], [1.0], [float("nan")])


def test_flaky_examples_are_those_whose_repeats_disagree() -> None:
    found = flakiness(sample({"a": [1, 1, 1], "b": [1, 0, 1], "c": [0, 0], "d": [1], "e": [0, None]}))
    assert found is not None
    assert found.disagree.value == pytest.approx(1 / 3)
    assert found.disagree.n == 3


def test_flakiness_needs_repeats() -> None:
    assert flakiness(sample({"a": [1], "b": [0]})) is None
    assert flakiness(sample({})) is None


def test_near_repeats_are_alike_within_a_tolerance() -> None:
    made = sample({"a": [0.50, 0.52], "b": [0.5, 0.9]}, SHARE)
    strict, lenient = flakiness(made), flakiness(made, tolerance=0.05)
    assert strict is not None
    assert lenient is not None
    assert (strict.disagree.value, lenient.disagree.value) == (1.0, 0.5)


def test_the_variance_within_and_between_is_that_of_an_analysis_of_variance() -> None:
    rng = np.random.default_rng(7)
    values = rng.normal(0, 1, (25, 1)) + rng.normal(0, 0.5, (25, 4))
    found = flakiness(sample_of(values, Mean()))
    ratio = stats.f_oneway(*values).statistic  # the mean square among examples, over the one within
    assert found is not None
    assert found.within is not None
    assert found.between is not None
    assert found.within == pytest.approx(values.var(axis=1, ddof=1).mean())
    assert found.between == pytest.approx(found.within * (ratio - 1) / 4)
    assert found.reliability == pytest.approx((ratio - 1) / (ratio + 3))


def test_repeats_that_never_differ_are_reliable() -> None:
    found = flakiness(sample({"a": [1, 1], "b": [0, 0]}))
    assert found is not None
    assert (found.disagree.value, found.within, found.reliability) == (0.0, 0.0, 1.0)


def test_rows_of_sums_disagree_where_any_of_their_numbers_does() -> None:
    made = sample({"a": [[1, 2], [1, 2]], "b": [[1, 2], [1, 3]]}, Sums(lambda sums: sums[:, 0] / sums[:, 1], "ratio"))
    found = flakiness(made)
    assert found is not None
    assert (found.disagree.value, found.within) == (0.5, None)
