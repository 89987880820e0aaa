"""Intervals against scipy and statsmodels, and at their edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from scipy import stats
from sklearn.metrics import f1_score
from statsmodels.stats.proportion import proportion_confint

from rondo.evals.statistics.distributions import binomial_probabilities, half_binomial_cdf, student_quantile
from rondo.evals.statistics.estimate import estimate, estimate_all
from rondo.evals.statistics.intervals import bca, bounded, jackknife, quantile_interval, wilson
from rondo.evals.statistics.sample import SHARE, Floats, Mean, Quantile, Ratio, Sample, Statistic, Sums, sample
from simulated_metrics import ends, macro_f1, sample_of

DRAWS = 2000


@given(st.integers(1, 3000), st.data())
def test_wilson_is_that_of_statsmodels(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    low, high = proportion_confint(k, n, method="wilson")
    assert wilson(k / n, n) == pytest.approx((max(0.0, low), min(1.0, high)), abs=1e-9)


@given(st.floats(0.9, 0.9999), st.integers(1, 2000))
def test_students_quantile_is_that_of_scipy(p: float, df: int) -> None:
    assert student_quantile(p, df) == pytest.approx(stats.t.ppf(p, df), rel=2e-5)


@given(st.integers(1, 400), st.floats(0.01, 0.99))
def test_binomial_probabilities_are_those_of_scipy(n: int, p: float) -> None:
    assert binomial_probabilities(n, p) == pytest.approx(stats.binom.pmf(np.arange(n + 1), n, p), abs=1e-10)


def test_binomial_probabilities_of_ten_thousand_add_up() -> None:
    assert binomial_probabilities(10_000, 0.95).sum() == pytest.approx(1.0, abs=1e-9)


def test_half_binomial_of_thousands_does_not_overflow() -> None:
    assert half_binomial_cdf(4900, 10_000)[0] == pytest.approx(stats.binom.cdf(4900, 10_000, 0.5), rel=1e-8)


@given(st.lists(st.booleans(), min_size=2, max_size=60))
def test_yes_and_no_have_wilsons_interval_by_either_way(answers: list[bool]) -> None:
    """With everything its own cluster the general way comes to nearly the same, a little wider for Student's sake."""
    found = estimate(sample_of(np.array(answers, float)))
    assert (found.low, found.high) == wilson(sum(answers) / len(answers), len(answers))
    assert found.method == "Wilson"


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_without_spread_at_a_bound_it_is_wilson_of_the_clusters(value: float) -> None:
    assert bounded(value, 0.0, 12, (0.0, 1.0)) == pytest.approx(wilson(value, 12))


def test_a_score_between_other_bounds_is_the_share_scaled() -> None:
    share = estimate(sample_of(np.array([0.0, 0.25, 1.0, 0.5, 0.75])))
    scaled = estimate(sample_of(np.array([1.0, 2.0, 5.0, 3.0, 4.0]), Mean((1.0, 5.0))))
    for one, other in ((share.value, scaled.value), (share.low, scaled.low), (share.high, scaled.high)):
        assert one is not None
        assert other == pytest.approx(1 + 4 * one)


def test_examples_of_one_cluster_count_for_less() -> None:
    answers = np.repeat([1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0], 5)
    alone = estimate(sample_of(answers))
    together = estimate(sample_of(answers, SHARE, np.repeat(np.arange(8.0), 5)))
    assert np.diff(ends(together)) > 1.8 * np.diff(ends(alone))
    assert (together.n, together.clusters) == (40, 8)
    # Clusters that agree within themselves know no more than one example each.
    assert ends(together) == pytest.approx(wilson(0.75, 8), abs=0.1)


def test_the_studentised_bootstrap_is_near_students_interval_of_normal_data() -> None:
    values = np.random.default_rng(3).normal(10, 2, 400)
    found = estimate(sample_of(values, Mean()), draws=10_000)
    expected = stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
    assert (found.low, found.high) == pytest.approx(expected, rel=0.003)


def test_the_studentised_bootstrap_leans_to_the_long_tail() -> None:
    values = np.random.default_rng(4).lognormal(0, 1, 60)
    low, high = ends(estimate(sample_of(values, Mean())))
    assert high - values.mean() > 1.3 * (values.mean() - low)


def test_bca_is_near_scipys() -> None:
    values = np.random.default_rng(5).exponential(1, 200)
    spread = Sums(lambda sums: np.sqrt(sums[:, 2] / sums[:, 0] - (sums[:, 1] / sums[:, 0]) ** 2), "deviation")
    found = estimate(sample_of(np.column_stack([np.ones(200), values, values**2]), spread), draws=20_000)
    reference = stats.bootstrap((values,), np.std, n_resamples=20_000, method="BCa", rng=1).confidence_interval
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), rel=0.02)
    assert found.method == "BCa bootstrap"


def test_bca_without_bias_or_skew_is_the_percentile_interval() -> None:
    drawn = np.random.default_rng(6).normal(0, 1, 20_000)
    drawn = np.concatenate([drawn, -drawn])
    assert bca(0.0, drawn, np.array([-1.0, 1.0])) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.01)


def test_the_jackknifes_variance_of_a_mean_is_the_usual_one() -> None:
    values = np.random.default_rng(7).normal(0, 1, 50)
    variance, influence = jackknife(lambda sums: sums[:, 0] / sums[:, 1], np.column_stack([values, np.ones(50)]))
    assert variance == pytest.approx(values.var(ddof=1) / 50)
    assert influence == pytest.approx(values - values.mean())


def test_the_order_statistics_are_at_least_as_far_out_as_the_binomial_asks() -> None:
    """The exact interval by whole order statistics contains the interpolated one, and that contains the next inner."""
    values = np.arange(1.0, 201.0)
    low, high = quantile_interval(values, np.arange(200), 0.9)
    ranks = stats.binom.cdf(np.arange(201), 200, 0.9)
    outer = (np.searchsorted(ranks, 0.025), np.searchsorted(ranks, 0.975) + 1)
    assert low is not None
    assert high is not None
    assert outer[0] <= low <= outer[0] + 1
    assert outer[1] - 1 <= high <= outer[1]


@pytest.mark.parametrize(("n", "is_known"), [(30, False), (71, False), (72, True), (73, True)])
def test_few_answers_have_no_upper_bound_of_their_95th_percentile(n: int, is_known: bool) -> None:
    found = estimate(sample_of(np.arange(float(n)), Quantile(0.95)))
    assert found.low is not None
    assert (found.high is not None) == is_known
    assert is_known == (1 - 0.95**n >= 0.975)


def test_a_quantile_in_clusters_is_less_sure() -> None:
    values = np.repeat(np.random.default_rng(8).lognormal(0, 1, 60), 5)
    alone = estimate(sample_of(values, Quantile(0.5)))
    together = estimate(sample_of(values, Quantile(0.5), np.repeat(np.arange(60.0), 5)))
    assert ends(together)[0] < ends(alone)[0] < ends(alone)[1] < ends(together)[1]


def test_macro_f1_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(9)
    true, said = rng.integers(0, 3, 80), rng.integers(0, 3, 80)
    t, s = np.eye(3)[true], np.eye(3)[said]
    found = estimate(sample_of(np.hstack([t * s, (1 - t) * s, t * (1 - s)]), macro_f1(3)))
    assert found.value == pytest.approx(f1_score(true, said, average="macro"))
    assert 0 <= ends(found)[0] < f1_score(true, said, average="macro") < ends(found)[1] <= 1


STATISTICS: list[Statistic] = [SHARE, Mean(), Mean((0.0, 5.0)), Quantile(0.5), Quantile(0.95)]


@pytest.mark.parametrize("statistic", STATISTICS, ids=str)
@pytest.mark.parametrize(
    "values", [[], [1.0], [0.0], [0.0] * 40, [1.0] * 40, [0.3] * 40, [0.0] * 39 + [1.0], [0.0, 1.0]], ids=str
)
@pytest.mark.parametrize("per_cluster", [1, 5, 40])
def test_edges_are_well_defined(statistic: Statistic, values: list[float], per_cluster: int) -> None:
    clusters = {str(at): str(at // per_cluster) for at in range(len(values))}
    found = estimate(sample({str(at): [value] for at, value in enumerate(values)}, statistic, clusters), draws=300)
    numbers = [each for each in (found.low, found.value, found.high) if each is not None]
    assert (found.value is None) == (not values)
    assert np.isfinite(numbers).all()
    assert numbers == sorted(numbers)
    if isinstance(statistic, Mean) and statistic.bounds is not None and values:
        assert statistic.bounds[0] <= ends(found)[0] < ends(found)[1] <= statistic.bounds[1]


def test_an_undefined_metric_has_no_value_and_says_so() -> None:
    found = estimate(sample({"a": [[1.0, 0.0]], "b": [[2.0, 0.0]]}, Ratio()))
    assert (found.value, found.low, found.high, found.method) == (None, None, None, "none: undefined")


@given(
    st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=2, max_size=40),
    st.floats(1e-3, 1e3),
    st.sampled_from([Mean(), Quantile(0.5)]),
)
def test_another_unit_scales_the_interval(values: list[float], factor: float, statistic: Statistic) -> None:
    one, other = (estimate(sample_of(np.array(values) * by, statistic), draws=200) for by in (1.0, factor))
    for end, scaled in ((one.value, other.value), (one.low, other.low), (one.high, other.high)):
        assert (end is None) == (scaled is None)
        if end is not None:
            assert scaled == pytest.approx(end * factor, rel=1e-3, abs=1e-3 * factor * max(values))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40), st.randoms(use_true_random=False))
def test_the_order_of_examples_does_not_matter_to_a_share(values: list[float], random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = estimate(sample_of(np.array(values))), estimate(sample_of(np.array(shuffled)))
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=1e-9)


def test_many_estimates_are_those_of_each_by_itself() -> None:
    rng = np.random.default_rng(10)
    samples: list[Sample] = [sample_of(rng.lognormal(0, 1, n), Mean()) for n in (5, 700, 40, 1300)] * 10
    for one, other in zip(estimate_all(samples, draws=DRAWS), (estimate(e, draws=DRAWS) for e in samples), strict=True):
        # Sums are of single precision within a block, and a processor may add up wider matrices in another order.
        assert (one.low, one.high) == pytest.approx((other.low, other.high), rel=1e-5)
        assert replace(one, low=None, high=None) == replace(other, low=None, high=None)


def test_the_same_seed_gives_the_same_interval_and_another_one_a_near_one() -> None:
    values: Floats = np.random.default_rng(11).lognormal(0, 1, 100)
    first, again, other = (estimate(sample_of(values, Mean()), seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first.low != other.low
    assert first.low == pytest.approx(other.low, rel=0.03)
