"""Verdicts of goals, the groups that they compare, and the shares that a bandit takes from them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import to_builtins

from rondo.catalog.text import canonical_json
from rondo.evals.goals import Goal
from rondo.rollout.allocation import FLOOR, LEAST_UNITS, candidate_share
from rondo.rollout.matched import NOBODY, Observed, matched
from rondo.rollout.model import MEAN, MEASURES, SHARE
from rondo.rollout.verdict import GOALS_PART, judge, level, measure_of

CORRECT = Goal(metric="answer.correct", at_least=0.8, margin=0.05)
ERRORS = Goal(metric="errors.rate", at_most=0.02)
COST = Goal(metric="cost.per_request_usd", at_most=0.01)
P95 = Goal(metric="latency.p95_ms", at_most=2000.0)
ALPHA = 0.01


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def side(values: object, *, start: int = 0, every: int = 1000) -> Observed:
    numbers = np.array(values, dtype=np.float64)
    return Observed(start + every * np.arange(len(numbers)), numbers)


def yes(share: float, n: int = 1000) -> Observed:
    """So much yes, evenly spread."""
    return side(np.diff(np.floor(share * np.arange(n + 1) + 1e-9)))


def test_worse_better_and_not_enough(rng: np.random.Generator) -> None:
    worse = judge(CORRECT, yes(0.6), yes(0.8), ALPHA)
    assert worse.verdict == "worse"
    assert worse.candidate == pytest.approx(0.6)
    assert worse.difference == pytest.approx(-0.2)
    assert worse.low is not None
    assert worse.high is not None
    assert worse.low < -0.2 < worse.high < 0
    assert not worse.tolerated
    assert (worse.candidate_units, worse.baseline_units, worse.method) == (1000, 1000, "betting")
    better = judge(CORRECT, yes(0.9), yes(0.7), ALPHA)
    assert better.verdict == "better"
    assert better.tolerated
    pairs = (rng.random((2, 200)) < 0.8).astype(float)
    alike = judge(CORRECT, side(pairs[0]), side(pairs[1]), ALPHA)
    assert alike.verdict == "not_enough"
    assert not alike.tolerated


def test_enough_callers_who_are_alike_are_tolerated(rng: np.random.Generator) -> None:
    pairs = (rng.random((2, 20_000)) < 0.8).astype(float)
    alike = judge(CORRECT, side(pairs[0]), side(pairs[1]), ALPHA)
    assert alike.verdict == "not_enough"
    assert alike.tolerated


def test_more_errors_cost_and_latency_are_worse(rng: np.random.Generator) -> None:
    assert judge(ERRORS, yes(0.1), yes(0.01), ALPHA).verdict == "worse"
    assert judge(ERRORS, yes(0.01), yes(0.1), ALPHA).verdict == "better"
    cheap, dear = side(rng.gamma(2, 0.001, 500)), side(rng.gamma(2, 0.002, 500))
    assert judge(COST, dear, cheap, ALPHA).verdict == "worse"
    assert judge(COST, dear, cheap, ALPHA).method == "asymptotic"
    fast, slow = side(rng.lognormal(6, 0.5, 500)), side(rng.lognormal(7, 0.5, 500))
    verdict = judge(P95, slow, fast, ALPHA)
    assert verdict.verdict == "worse"
    assert verdict.method == "order statistics"
    assert verdict.candidate == np.quantile(slow.values, 0.95, method="inverted_cdf")


def test_too_few_callers_leave_an_end_unknown() -> None:
    verdict = judge(P95, side(np.ones(30)), side(np.ones(30)), ALPHA)
    assert (verdict.verdict, verdict.low, verdict.high, verdict.tolerated) == ("not_enough", None, None, False)
    verdict = judge(COST, side(np.ones(20)), side(np.zeros(20)), ALPHA)
    assert (verdict.verdict, verdict.difference, verdict.low) == ("not_enough", 1.0, None)


@pytest.mark.parametrize("goal", [CORRECT, ERRORS, COST, P95])
def test_one_caller_and_nobody_prove_nothing(goal: Goal) -> None:
    assert judge(goal, side([0.0]), side([1.0]), 0.05).verdict == "not_enough"
    assert judge(goal, side([1.0]), side([0.0]), 0.05).verdict == "not_enough"
    for ours, theirs in ((NOBODY, yes(0.8)), (yes(0.8), NOBODY), (NOBODY, NOBODY)):
        verdict = judge(goal, ours, theirs, 0.05)
        assert (verdict.verdict, verdict.tolerated, verdict.difference) == ("not_enough", False, None)
        assert verdict.note is not None


def test_totals_are_not_compared() -> None:
    verdict = judge(Goal(metric="cost.total_usd", at_most=9.0), yes(0.1), yes(0.9), ALPHA)
    assert verdict.verdict == "not_enough"
    assert "grows with the traffic" in (verdict.note or "")


def test_guarded_goals_share_the_false_alarms() -> None:
    free = Goal(metric="a", at_least=1.0, guarded=False)
    total = Goal(metric="calls.count", at_least=1.0)
    assert level([CORRECT, ERRORS, free, total], 0.05) == pytest.approx(GOALS_PART * 0.05 / 2)
    assert level([], 0.05) == level([free], 0.05) == pytest.approx(GOALS_PART * 0.05)


def test_a_score_is_bounded_where_all_of_it_lies_between_0_and_1() -> None:
    assert measure_of("answer.grade", yes(0.5), side([0.3])) == SHARE
    assert measure_of("answer.grade", yes(0.5), side([4.0])) == MEAN
    assert measure_of("errors.rate", NOBODY, NOBODY) == MEASURES["errors.rate"]


def test_values_that_are_no_numbers_are_left_out() -> None:
    seen = Observed.of([3, 1, 2, 4], [0.3, float("nan"), None, float("inf")])
    assert (seen.entered.tolist(), seen.values.tolist()) == ([3], [0.3])


def test_callers_are_in_order_whatever_order_they_came_in() -> None:
    seen = Observed.of([3, 1, 2, 2], [0.3, 0.1, 0.22, 0.21], [1, 1, 9, 8])
    assert seen.values.tolist() == [0.1, 0.21, 0.22, 0.3]


def test_equal_sides_are_matched_one_to_one_and_the_rest_waits() -> None:
    ours, theirs = matched(side([1.0, 2.0, 3.0]), side([4.0, 5.0]))
    assert (ours.tolist(), theirs.tolist()) == ([1.0, 2.0], [4.0, 5.0])


def test_many_of_one_side_stand_against_one_of_the_other(rng: np.random.Generator) -> None:
    few, many = side(rng.random(2000), every=20_000), side(rng.random(40_000), every=1000)
    ours, theirs = matched(few, many)
    assert len(ours) == len(theirs)
    assert len(ours) > 1500
    assert theirs[100:].std() < 0.35 * ours[100:].std()
    assert ours.mean() == pytest.approx(0.5, abs=0.03)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), max_size=600), st.integers(0, 600))
def test_what_an_earlier_look_compared_is_compared_by_all_later_ones(labels: list[bool], until: int) -> None:
    moments, mask = np.arange(len(labels)), np.array(labels, dtype=bool)
    values = np.random.default_rng(1).random(len(labels))

    def groups(upto: int) -> tuple[list[float], list[float]]:
        seen = moments < upto
        ours, theirs = matched(*(Observed(moments[each & seen], values[each & seen]) for each in (mask, ~mask)))
        return ours.tolist(), theirs.tolist()

    for early, late in zip(groups(until), groups(len(labels)), strict=True):
        assert late[: len(early)] == early


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans(), max_size=400), st.integers(0, 2**32 - 1))
def test_groups_depend_on_who_came_and_never_on_what_came_of_it(labels: list[bool], seed: int) -> None:
    moments = np.arange(len(labels))
    mask = np.array(labels, dtype=bool)
    values = np.random.default_rng(seed).random(len(labels))

    def grouped(numbers: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[list[float], list[float]]:
        ours, theirs = matched(Observed(moments[mask], numbers[mask]), Observed(moments[~mask], numbers[~mask]))
        return ours.tolist(), theirs.tolist()

    once, twice = grouped(values), grouped(2 * values)
    for each, doubled in zip(once, twice, strict=True):
        assert doubled == pytest.approx([2 * value for value in each])
    assert len(twice[0]) <= min(mask.sum(), (~mask).sum())
    assert bool(twice[0]) == bool(mask.any() and not mask.all())


def test_a_bandit_moves_towards_the_better_side_and_keeps_a_floor() -> None:
    assert candidate_share(yes(0.9), yes(0.5), SHARE, higher_is_better=True) == 1 - FLOOR
    assert candidate_share(yes(0.9), yes(0.5), SHARE, higher_is_better=False) == FLOOR
    assert candidate_share(yes(0.7), yes(0.7), SHARE, higher_is_better=True) == pytest.approx(0.5)
    slightly = candidate_share(yes(0.72), yes(0.7), SHARE, higher_is_better=True)
    assert slightly is not None
    assert 0.7 < slightly < 0.95


@pytest.mark.parametrize("value", [1e308, -1e308, 1e200, float("inf"), float("nan")])
def test_senseless_values_tell_nothing_and_leave_every_number_finite(value: float) -> None:
    numbers = [value] * 40 + [1.0] * 40
    found = judge(CORRECT, Observed.of(range(80), numbers), Observed.of(range(80), numbers[::-1]), ALPHA)
    assert (found.candidate_units, found.difference) == (40, 0.0)
    canonical_json(to_builtins(found))  # as it is kept: what cannot be written could never be rolled back


def test_a_bandit_waits_for_callers_and_is_the_same_each_time(rng: np.random.Generator) -> None:
    few = yes(0.9, LEAST_UNITS - 1)
    assert candidate_share(few, yes(0.5), SHARE, higher_is_better=True) is None
    latency = [side(rng.lognormal(mean, 0.5, 400)) for mean in (6.3, 6.0)]
    p95 = MEASURES["latency.p95_ms"]
    found = {candidate_share(latency[0], latency[1], p95, higher_is_better=False) for _ in range(3)}
    assert len(found) == 1
    assert (found.pop() or 1) < 0.5


def test_a_bandit_whose_rewards_never_vary_goes_by_their_order() -> None:
    ones, zeros = side(np.ones(50)), side(np.zeros(50))
    assert candidate_share(ones, zeros, SHARE, higher_is_better=True) == 1 - FLOOR
    assert candidate_share(ones, ones, SHARE, higher_is_better=True) == 0.5


def test_the_share_is_what_thompsons_draws_would_give() -> None:
    ours, theirs = yes(0.74, 300), yes(0.7, 300)
    share = candidate_share(ours, theirs, SHARE, higher_is_better=True)
    draws = np.random.default_rng(3)
    believed = [
        draws.normal(each.values.mean(), each.values.std(ddof=1) / np.sqrt(len(each)), 100_000)
        for each in (ours, theirs)
    ]
    assert share == pytest.approx((believed[0] > believed[1]).mean(), abs=0.01)
