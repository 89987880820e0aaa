"""Hard guards and the sample-ratio check: what breaks them, what must not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from rondo.rollout.guards import SPANS_S, Counted, Span, breaches
from rondo.rollout.mismatch import _PRIOR, SUSPECT, expected_share, mismatch
from rondo.rollout.model import Guards
from rondo.settings.steps import parse_step

GUARDS = Guards()


def whole(candidate: Counted, baseline: Counted | None = None) -> Span:
    return Span(seconds=0, candidate=candidate, baseline=baseline or Counted())


def calls(n: int, **more: float) -> Counted:
    return Counted(calls=n, **more)  # type: ignore[arg-type]


def names(*spans: Span, guards: Guards = GUARDS) -> list[str]:
    return [each.guard for each in breaches(guards, spans, 0.05)]


def test_a_candidate_that_only_fails_is_known_after_the_least_calls() -> None:
    assert names(whole(calls(19, failed=19))) == []
    (breach,) = breaches(GUARDS, [whole(calls(20, failed=20), calls(20))], 0.05)
    assert (breach.guard, breach.observed, breach.limit, breach.calls) == ("errors", 1.0, 0.2, 20)
    assert breach.sentence == (
        "20 of the candidate's 20 calls failed (100.0%), and at most 20.0% may. Of the baseline's, 0.0% did."
    )


def test_a_little_above_the_limit_takes_more_calls_than_far_above() -> None:
    assert names(whole(calls(20, failed=5))) == []
    assert names(whole(calls(2000, failed=500))) == ["errors"]


def test_timeouts_have_a_limit_of_their_own() -> None:
    lenient = Guards(errors_at_most=0.9)
    assert names(whole(calls(80, failed=40, timeouts=40)), guards=lenient) == ["timeouts"]
    assert names(whole(calls(80, failed=40, timeouts=40))) == ["errors", "timeouts"]


def test_what_breaks_after_a_day_is_seen_in_the_last_seconds() -> None:
    day, moment = calls(100_000, failed=1000), calls(60, failed=55)
    spans = [whole(day, day), Span(seconds=10, candidate=moment, baseline=calls(60, failed=1))]
    (breach,) = breaches(GUARDS, spans, 0.05)
    assert "of the last 10 seconds" in breach.sentence
    spans = [whole(day, day), Span(seconds=600, candidate=moment, baseline=calls(60, failed=1))]
    assert "of the last 10 minutes" in breaches(GUARDS, spans, 0.05)[0].sentence


def test_an_outage_of_both_sides_is_not_the_candidates_doing() -> None:
    assert names(whole(calls(500, failed=400), calls(500, failed=390))) == []
    assert names(whole(calls(500, failed=400), calls(500, failed=150))) == ["errors"]
    assert names(whole(calls(500, failed=400), calls(5, failed=4))) == ["errors"]  # too few to excuse anything


def test_cost_is_compared_with_the_baselines() -> None:
    usual = calls(200, priced=200, cost=0.2, cost_variance=1e-6)
    dear = calls(200, priced=200, cost=1.0, cost_variance=1e-6)
    (breach,) = breaches(GUARDS, [whole(dear, usual)], 0.05)
    assert breach.guard == "cost"
    assert breach.observed == pytest.approx(5)
    assert "5.0 times" in breach.sentence
    assert names(whole(calls(200, priced=200, cost=0.55, cost_variance=1e-6), usual)) == []
    assert names(whole(calls(200, priced=200, cost=1.0, cost_variance=0.01), usual)) == []  # one call cost it all
    assert names(whole(calls(25, priced=25, cost=1.0), usual)) == []
    assert names(whole(dear)) == names(whole(dear, calls(200, priced=200))) == []  # there is nothing to compare with


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 3000), st.floats(0, 0.1), st.integers(0, 2**32 - 1))
def test_a_candidate_like_the_baseline_breaks_nothing(n: int, rate: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sides = [
        Counted(calls=n, failed=int(rng.binomial(n, rate)), timeouts=int(rng.binomial(n, rate / 2))) for _ in range(2)
    ]
    assert names(*(Span(seconds=each, candidate=sides[0], baseline=sides[1]) for each in SPANS_S)) == []


def test_looked_at_after_every_call_a_candidate_at_its_limit_breaks_rarely() -> None:
    rng = np.random.default_rng(1)
    broken = 0
    for _ in range(50):
        failed = np.cumsum(rng.random(400) < 0.2)
        broken += any(names(whole(calls(n, failed=int(failed[n - 1])))) for n in range(20, 401, 10))
    assert broken <= 1


@pytest.mark.parametrize(("candidate", "baseline", "share"), [(500, 500, 0.5), (620, 500, 0.5), (60, 940, 0.05)])
def test_the_mixture_is_the_beta_binomials(candidate: int, baseline: int, share: float) -> None:
    n = candidate + baseline
    mixed = stats.betabinom.pmf(candidate, n, _PRIOR * share, _PRIOR * (1 - share))
    promised = stats.binom.pmf(candidate, n, share)
    assert mismatch(candidate, baseline, share).p_value == pytest.approx(min(1.0, promised / mixed), rel=1e-6)


def test_a_large_mismatch_is_suspected_and_a_small_one_is_not() -> None:
    assert not mismatch(0, 0, 0.5).suspected
    assert not mismatch(1, 0, 0.5).suspected
    assert not mismatch(520, 480, 0.5).suspected
    assert mismatch(6000, 5000, 0.5).suspected
    assert mismatch(0, 100, 0.5).suspected
    assert mismatch(10**9, 2 * 10**9, 0.5).p_value == 0.0


def test_looked_at_after_every_caller_chance_is_hardly_ever_suspected() -> None:
    came = np.cumsum(np.random.default_rng(2).random((300, 2000)) < 0.5, axis=1)
    least = [
        min(mismatch(int(path[n]), n + 1 - int(path[n]), 0.5).p_value for n in range(0, 2000, 10)) for path in came
    ]
    assert np.mean(np.array(least) <= 0.05) <= 0.05
    assert min(least) > SUSPECT / 10


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.floats(0.01, 0.99))
def test_a_p_value_is_one(candidate: int, baseline: int, share: float) -> None:
    found = mismatch(candidate, baseline, share)
    assert 0 <= found.p_value <= 1
    assert math.isfinite(found.p_value)
    assert found.suspected == (found.p_value <= SUSPECT)


def test_the_expected_share_is_known_where_it_never_changed() -> None:
    steps = [parse_step(text) for text in ("shadow 10m", "5% 30m", "25% 1h", "75% 1h", "100%")]
    assert expected_share(steps, 500) == expected_share(steps, 2500) == 0.5
    assert expected_share(steps, 7500) is None  # half of them before, three quarters now
    assert expected_share(steps[3:], 7500) == 0.75
    assert expected_share(steps, 0) is None
    assert expected_share(steps, 10_000) is None
