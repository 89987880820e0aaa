"""Comparisons against scipy and statsmodels, their symmetries, and their edges."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from rondo.evals.statistics.compare import Pair, compare, compare_all
from rondo.evals.statistics.sample import SHARE, Mean, Quantile, Ratio, Statistic, sample
from rondo.evals.statistics.significance import exchanged_p, holm, mcnemar
from simulated_metrics import ends, macro_f1, sample_of

DRAWS = 500
SIDES = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40)


def pair(target: ArrayLike, baseline: ArrayLike, statistic: Statistic = SHARE) -> Pair:
    return Pair(sample_of(np.asarray(target, float), statistic), sample_of(np.asarray(baseline, float), statistic))


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_that_of_statsmodels(better: int, worse: int) -> None:
    expected = statsmodels_mcnemar([[5, better], [worse, 5]], exact=True).pvalue
    assert mcnemar(better, worse) == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_mid_p_counts_half_of_what_was_seen(better: int, worse: int) -> None:
    n, k = better + worse, min(better, worse)
    expected = min(1.0, 2 * (stats.binom.cdf(k, n, 0.5) - stats.binom.pmf(k, n, 0.5) / 2))
    assert mcnemar(better, worse, mid_p=True) == pytest.approx(expected)
    assert mcnemar(better, worse, mid_p=True) <= mcnemar(better, worse)


def test_mcnemar_of_thousands() -> None:
    assert mcnemar(5200, 4800) == pytest.approx(stats.binomtest(4800, 10_000).pvalue, rel=1e-6)


@given(st.lists(st.none() | st.floats(0, 1), max_size=7))
def test_holm_is_the_closed_test_of_bonferroni(ps: list[float | None]) -> None:
    """Marcus, Peritz & Gabriel 1976: what is corrected is the largest of all sets that a question is in."""
    known = [(at, p) for at, p in enumerate(ps) if p is not None]
    sets = [each for size in range(1, len(known) + 1) for each in combinations(known, size)]
    expected: list[float | None] = [
        None if p is None else max(min(1.0, len(s) * min(q for _, q in s)) for s in sets if (at, p) in s)
        for at, p in enumerate(ps)
    ]
    for corrected, wanted in zip(holm(ps), expected, strict=True):
        assert corrected == (None if wanted is None else pytest.approx(wanted))


def test_holm_is_that_of_statsmodels() -> None:
    ps = np.random.default_rng(3).random(20) ** 3
    assert holm(ps.tolist()) == pytest.approx(multipletests(ps, method="holm")[1].tolist())


def test_few_pairs_are_exchanged_in_all_ways() -> None:
    rng = np.random.default_rng(1)
    mine, other = rng.normal(0.6, 1, 11), rng.normal(0, 1, 11)
    expected = stats.permutation_test(
        (mine, other), lambda a, b: a.mean() - b.mean(), permutation_type="samples", n_resamples=10**6
    ).pvalue
    assert compare(pair(mine, other, Mean())).p == pytest.approx(expected)


def test_many_pairs_are_exchanged_at_random() -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(0, 1, 200)
    mine = base + rng.normal(0.08, 0.5, 200)
    expected = stats.permutation_test(
        (mine, base), lambda a, b, axis: a.mean(axis) - b.mean(axis), permutation_type="samples", n_resamples=20_000,
        vectorized=True, rng=3,
    ).pvalue  # fmt: skip
    assert compare(pair(mine, base, Mean()), draws=20_000).p == pytest.approx(expected, abs=0.01)


def test_the_bootstrap_of_a_bounded_difference_is_near_students_interval() -> None:
    rng = np.random.default_rng(3)
    base = rng.integers(1, 6, 300).astype(float)
    mine = np.clip(base + rng.choice([-1, 0, 0, 1, 1], 300), 1, 5)
    found = compare(pair(mine, base, Mean((1.0, 5.0))), draws=20_000)
    expected = stats.t.interval(0.95, 299, (mine - base).mean(), stats.sem(mine - base))
    assert ends(found) == pytest.approx(expected, rel=0.02)


def test_a_quantiles_difference_is_near_that_of_a_plain_bootstrap() -> None:
    rng = np.random.default_rng(4)
    base = rng.lognormal(0, 0.5, 800)
    mine = 1.3 * base * rng.lognormal(0, 0.2, 800)
    found = compare(pair(mine, base, Quantile(0.9)), draws=5000)
    picked = rng.integers(0, 800, (5000, 800))
    drawn = np.quantile(mine[picked], 0.9, axis=1) - np.quantile(base[picked], 0.9, axis=1)
    assert ends(found) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), rel=0.1)
    assert found.outcome == "better"


def test_a_quantile_is_tested_by_who_exceeds_the_common_one() -> None:
    mine, base = np.arange(40.0), np.arange(40.0)
    mine[:10] += 40  # ten of the target's go above the common median, and none of the baseline's follow
    found = compare(pair(mine, base, Quantile(0.5)))
    line = np.quantile(np.concatenate([mine, base]), 0.5, method="inverted_cdf")
    assert found.p == mcnemar(int(((mine > line) & (base <= line)).sum()), int(((mine <= line) & (base > line)).sum()))


@settings(max_examples=60, deadline=None)
@given(SIDES, st.sampled_from([SHARE, Mean(), Mean((0.0, 1.0)), Quantile(0.5)]), st.integers(1, 4))
def test_the_baseline_is_to_the_target_as_the_target_to_the_baseline(
    sides: list[tuple[bool, bool]], statistic: Statistic, per_cluster: int
) -> None:
    clusters = np.arange(len(sides)) // per_cluster
    mine, other = (
        sample_of(np.array([each[at] for each in sides], float), statistic, clusters.astype(float)) for at in (0, 1)
    )
    there, back = (compare(Pair(*both), draws=DRAWS) for both in ((mine, other), (other, mine)))
    assert there.difference is not None
    assert back.difference == pytest.approx(-there.difference)
    assert there.p == pytest.approx(back.p, abs=0.06)  # drawn exchanges are not mirrored, only as likely
    if there.low is not None and there.high is not None:
        assert ends(back) == pytest.approx((-there.high, -there.low), abs=1e-6)
        assert there.low - 1e-9 <= there.difference <= there.high + 1e-9 or isinstance(statistic, Quantile)
    mirrored = {"better": "worse", "worse": "better", "not_enough_evidence": "not_enough_evidence"}
    if there.p is not None and abs(there.p - 0.05) > 0.06:
        assert back.outcome == mirrored[there.outcome]


@settings(max_examples=40, deadline=None)
@given(SIDES)
def test_no_change_is_never_evidence(sides: list[tuple[bool, bool]]) -> None:
    values = [float(one) for one, _ in sides]
    for statistic in (SHARE, Mean(), Quantile(0.9)):
        found = compare(pair(values, values, statistic), draws=DRAWS)
        assert (found.difference, found.p, found.outcome) == (0.0, 1.0, "not_enough_evidence")


def test_no_change_in_a_share_still_has_an_interval() -> None:
    clusters = np.repeat(np.arange(20.0), 5)
    alone = compare(pair(np.ones(100), np.ones(100)))
    same = sample_of(np.ones(100), SHARE, clusters)
    together = compare(Pair(same, same))
    assert ends(alone)[0] < 0 < ends(alone)[1]
    assert ends(together)[0] < ends(alone)[0]
    assert alone.visible is not None
    assert together.visible is not None
    assert 0 < alone.visible < together.visible < 1


@pytest.mark.parametrize(("higher_is_better", "outcome"), [(True, "better"), (False, "worse")])
def test_the_outcome_follows_the_metrics_direction(higher_is_better: bool, outcome: str) -> None:
    asked = replace(pair(np.ones(30), np.zeros(30)), higher_is_better=higher_is_better)
    assert compare(asked).outcome == outcome


def test_what_is_compared_together_is_corrected_together() -> None:
    changed = np.zeros(100)
    changed[:9] = 1  # nine better, none worse: p = 0.0039
    asked = pair(changed, np.zeros(100))
    assert compare(asked).outcome == "better"
    rng = np.random.default_rng(5)
    noise = [pair(rng.random(100) < 0.5, rng.random(100) < 0.5) for _ in range(14)]
    found = compare_all([asked, *noise])
    assert found[0].p == pytest.approx(15 * mcnemar(9, 0))
    assert found[0].outcome == "not_enough_evidence"


def test_what_cannot_be_tested_is_not_counted_in_the_correction() -> None:
    changed = np.zeros(100)
    changed[:9] = 1
    asked = pair(changed, np.zeros(100))
    nothing = Pair(sample({"a": [1]}), sample({"b": [1]}))
    found = compare_all([asked, *[nothing] * 20])
    assert found[0].p == pytest.approx(mcnemar(9, 0))
    assert (found[1].difference, found[1].p, found[1].outcome) == (None, None, "not_enough_evidence")
    assert found[1].method == "none: no examples in common"


def test_hundreds_of_comparisons_can_still_be_significant() -> None:
    """More exchanges are drawn, so that the smallest p there can be outlasts the correction."""
    rng = np.random.default_rng(6)
    base = rng.normal(0, 1, 60)
    asked = [pair(base + 3 + rng.normal(0, 0.1, 60), base, Mean()), *[pair(base, base[::-1], Mean())] * 400]
    assert compare_all(asked, draws=1000)[0].outcome == "better"


def test_repeats_are_averaged_before_pairs_are_made() -> None:
    """Ten repeats of three examples are three pairs: too few for any p below a quarter."""
    mine = sample({key: [1] * 10 for key in "abc"})
    base = sample({key: [0] * 10 for key in "abc"})
    found = compare(Pair(mine, base))
    assert (found.n, found.p, found.outcome) == (3, 0.25, "not_enough_evidence")


def test_clusters_are_exchanged_whole() -> None:
    values = np.ones(50)
    clusters = np.repeat(np.arange(5.0), 10)
    found = compare(Pair(sample_of(values, SHARE, clusters), sample_of(0 * values, SHARE, clusters)))
    assert found.p == pytest.approx(2 / 2**5)
    assert compare(pair(values, 0 * values)).p == pytest.approx(2 / 2**50)


def test_the_order_of_examples_and_their_pairing() -> None:
    rng = np.random.default_rng(7)
    values = {str(at): [float(rng.random() < 0.7)] for at in range(60)}
    other = {key: [1 - value[0]] if rng.random() < 0.2 else value for key, value in values.items()}
    turned = dict(reversed(other.items()))
    one, two = (compare(Pair(sample(values), sample(each))) for each in (other, turned))
    assert one == two


def test_macro_f1_is_compared_on_sums() -> None:
    rng = np.random.default_rng(8)
    true = rng.integers(0, 3, 200)
    rows = []
    for right in (0.9, 0.6):
        said = np.where(rng.random(200) < right, true, rng.integers(0, 3, 200))
        t, s = np.eye(3)[true], np.eye(3)[said]
        rows.append(np.hstack([t * s, (1 - t) * s, t * (1 - s)]))
    found = compare(Pair(sample_of(rows[0], macro_f1(3)), sample_of(rows[1], macro_f1(3))))
    assert found.outcome == "better"
    assert 0 < ends(found)[0] < ends(found)[1] < 1
    assert found.needed is None


def test_a_ratio_is_compared() -> None:
    rng = np.random.default_rng(9)
    solved = (rng.random(150) < 0.7).astype(float)
    cost = rng.lognormal(0, 0.5, 150)
    asked = [sample_of(np.column_stack([cost * factor, solved]), Ratio()) for factor in (0.6, 1.0)]
    found = compare(Pair(asked[0], asked[1], higher_is_better=False))
    assert found.outcome == "better"
    assert found.difference == pytest.approx(-0.4 * cost.sum() / solved.sum())


def test_how_many_are_needed_shrinks_with_the_margin_and_grows_with_the_family() -> None:
    rng = np.random.default_rng(10)
    base = rng.random(200) < 0.8
    asked = pair(np.where(rng.random(200) < 0.1, ~base, base), base)
    small, large = (compare(replace(asked, margin=margin)) for margin in (0.02, 0.05))
    assert small.needed is not None
    assert large.needed is not None
    assert small.needed > 4 * large.needed
    among_ten = compare_all([replace(asked, margin=0.05)] * 10)[0]
    assert among_ten.needed is not None
    assert among_ten.visible is not None
    assert large.visible is not None
    assert among_ten.needed > large.needed
    assert among_ten.visible > large.visible


@pytest.mark.parametrize("statistic", [SHARE, Mean(), Mean((0.0, 2.0)), Quantile(0.5)], ids=str)
@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_few_examples_are_well_defined(statistic: Statistic, n: int) -> None:
    found = compare(replace(pair(np.ones(n), np.zeros(n), statistic), margin=0.1), draws=DRAWS)
    assert found.outcome == "not_enough_evidence"
    assert (found.difference, found.p is None) == ((None, True) if n == 0 else (1.0, False))
    numbers = [each for each in (found.low, found.high, found.p, found.visible, found.needed) if each is not None]
    assert np.isfinite(numbers).all()


def test_rounding_does_not_break_ties() -> None:
    drawn = np.array([0.1 + 0.2, -0.3, 0.3, 0.0])
    assert exchanged_p(0.3, drawn, is_complete=True) == 0.75


def test_the_same_seed_gives_the_same_comparison() -> None:
    rng = np.random.default_rng(11)
    asked = pair(rng.lognormal(0, 1, 100), rng.lognormal(0, 1, 100), Mean())
    assert compare(asked, seed=3) == compare(asked, seed=3)
    assert compare(asked, seed=3).p != compare(asked, seed=4).p
