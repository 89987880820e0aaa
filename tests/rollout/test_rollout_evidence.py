"""Stored calls made into a Reading: whose calls count, as what, and which of them show a verdict."""

from __future__ import annotations

from typing import Any

import pytest

from record_makers import START, make_score
from rollout.evidence_house import CORRECT, COST, ERRORS, EVERY, SECOND, Kept, a_pair, call, fill
from rondo.evals.goals import Goal
from rondo.rollout.report import left_out


def test_nothing_is_known_without_traffic(kept: Kept) -> None:
    reading = kept.read(*EVERY)
    assert (reading.candidate.calls, reading.baseline.units, reading.shadow_calls, reading.breaches) == (0, 0, 0, [])
    assert {goal.verdict for goal in reading.goals} == {"not_enough"}
    assert not any(goal.tolerated for goal in reading.goals)
    assert reading.mismatch is not None
    assert not reading.mismatch.suspected


def test_every_metric_is_read_as_the_callers_have_it(kept: Kept) -> None:
    calls = [
        call(
            user=f"u{side}{at}",
            variant=side,
            started_at=START + at * SECOND,
            cost_usd=0.01 if side == "candidate" else 0.02,
            input_tokens=10,
            output_tokens=5,
            duration_ms=100.0 + at,
            first_token_ms=10.0 + at,
            handed_over=at % 4 == 0,
            status=500 if at % 10 == 9 else 200,
        )
        for at in range(40)
        for side in ("candidate", "baseline")
    ]
    thumbs = [make_score(each, value=float(at % 2)) for at, each in enumerate(calls)]
    right = [make_score(each, name="answer.correct", kind="judge", value=1.0) for each in calls]
    kept.add(*calls, *thumbs, *right)
    found = {goal.metric: (goal.candidate, goal.baseline) for goal in kept.read(*EVERY).goals}
    assert found["errors.rate"] == pytest.approx((0.1, 0.1))
    assert found["cost.per_request_usd"] == pytest.approx((0.01, 0.02))
    assert found["tokens.per_request"] == (15, 15)
    assert found["handed_over.rate"] == pytest.approx((10 / 36, 10 / 36))
    assert found["deflection"] == pytest.approx((26 / 36, 26 / 36))
    assert found["latency.p50_ms"] == (118, 118)
    assert found["first_token.p95_ms"] == (47, 47)
    assert found["feedback.positive_rate"] == (0.0, 1.0)
    assert found["answer.correct"] == (1.0, 1.0)


def test_only_this_rollouts_live_calls_count(kept: Kept) -> None:
    kept.add(
        *a_pair(0),
        call(rollout="other", user="x"),
        call(rollout=None, variant=None, user="y"),
        call(app="other", user="z"),
        call(project="q", user="q"),
        call(arm="eval", user="e"),
        call(arm="shadow", user="s"),
        call(None, arm="shadow", user="t"),
    )
    reading = kept.read(ERRORS)
    assert (reading.candidate.calls, reading.baseline.calls, reading.shadow_calls) == (1, 1, 2)
    assert (reading.goals[0].candidate_units, reading.goals[0].baseline_units) == (1, 1)


def test_a_caller_is_one_value_and_belongs_where_it_called_first(kept: Kept) -> None:
    kept.add(
        call(user="a", cost_usd=1.0),
        call(user="a", cost_usd=3.0, started_at=START + 30 * SECOND),
        call("baseline", user="a", cost_usd=9.0, started_at=START + 40 * SECOND),
        call("baseline", session="b", cost_usd=5.0),
    )
    found = kept.goal(COST)
    assert (found.candidate, found.baseline, found.candidate_units, found.baseline_units) == (2.0, 5.0, 1, 1)


def test_sessions_are_callers_where_they_are_what_sticks(kept: Kept) -> None:
    kept.add(*[call(user="a", session=f"s{at}") for at in range(3)], call("baseline", user="b"))
    assert kept.goal(ERRORS).candidate_units == 1
    assert kept.goal(ERRORS, sticky="session").candidate_units == 3


def test_scores_of_a_call_are_averaged_before_its_calls_are(kept: Kept) -> None:
    first, second = call(user="a"), call(user="a", started_at=START + SECOND)
    kept.add(first, second, *[make_score(first, name="n", value=1.0) for _ in range(3)])
    kept.add(make_score(second, name="n", value=0.0), call("baseline", user="b"))
    thumbs = Goal(metric="n", at_least=0.5)
    assert kept.goal(thumbs).candidate_units == 1
    base = call("baseline", user="c")
    kept.add(base, make_score(base, name="n", value=1.0))
    assert kept.goal(thumbs).candidate == 0.5


def test_a_worse_goal_shows_the_newest_calls_of_the_candidate(kept: Kept) -> None:
    fill(kept, 200, cost_usd=0.004)
    reading = kept.read(COST, ERRORS)
    cost = reading.goals[0]
    assert cost.verdict == "worse"
    assert cost.low is not None
    assert cost.low > 0
    assert len(cost.traces) == 5
    assert reading.goals[1].verdict == "not_enough"
    assert reading.goals[1].traces == []


def test_a_score_shows_the_calls_that_it_is_low_of(kept: Kept) -> None:
    calls = [each for number in range(150) for each in a_pair(number)]
    right = [make_score(each, name="answer.correct", value=float(each.variant == "baseline")) for each in calls]
    kept.add(*calls, *right)
    found = kept.goal(CORRECT)
    assert found.verdict == "worse"
    newest = [each.trace_id for each in reversed(calls) if each.variant == "candidate"][:5]
    assert found.traces == newest


def test_all_traffic_of_one_user_proves_nothing(kept: Kept) -> None:
    calls = [
        call(user="u", started_at=START + at * SECOND, status=500 if at % 2 else 200, cost_usd=1.0) for at in range(60)
    ]
    kept.add(*calls, *[call("baseline", user="v", started_at=START + at, cost_usd=0.1) for at in range(60)])
    kept.add(*[make_score(each, name="answer.correct", value=0.0) for each in calls])
    reading = kept.read(*EVERY)
    assert {goal.verdict for goal in reading.goals} == {"not_enough"}
    assert not any(goal.tolerated for goal in reading.goals)
    assert reading.candidate.units == 1


def test_values_that_are_no_numbers_are_left_out(kept: Kept) -> None:
    pair, other = a_pair(0), a_pair(1)
    label = {"data_type": "category", "value": None, "label": "rude"}
    kept.add(*pair, *other, *[make_score(each, name="answer.correct", **label) for each in pair])
    assert kept.goal(CORRECT).candidate_units == 0
    kept.add(*[make_score(each, name="answer.correct", data_type="number", value=0.7) for each in other])
    found = kept.goal(CORRECT)
    assert found.candidate == pytest.approx(0.7)
    assert found.candidate_units == 1


def test_answers_from_the_cache_are_no_evidence(kept: Kept) -> None:
    """The stable release's cache is warm, and one kept answer goes to many callers: neither tells of a release."""
    made = [each for number in range(60) for each in a_pair(number, handed_over=False)]
    kept_answers = [
        call("baseline" if at % 2 else "candidate", user=f"r{at}", started_at=START + at * SECOND, cache="exact",
             cost_usd=0.0, duration_ms=1.0, handed_over=True, input_tokens=0, output_tokens=0)
        for at in range(120)
    ]  # fmt: skip
    right = [make_score(each, name="answer.correct", value=1.0) for each in made]
    wrong = [make_score(each, name="answer.correct", value=0.0) for each in kept_answers if each.variant == "candidate"]
    kept.add(*made, *kept_answers, *right, *wrong)
    reading = kept.read(*EVERY)
    found = {goal.metric: goal for goal in reading.goals}
    assert {found[name].candidate_units for name in ("errors.rate", "latency.p95_ms", "answer.correct")} == {60}
    assert found["answer.correct"].verdict == "not_enough"
    assert (found["answer.correct"].candidate, found["deflection"].candidate_units) == (1.0, 60)
    assert (reading.candidate.calls, reading.candidate.cached, reading.candidate.made) == (120, 60, 60)
    assert "no evidence, since the cache answered them: 60 calls of the candidate and 60 of the baseline" in left_out(
        reading
    )


def test_what_the_cache_answered_breaks_no_guard(kept: Kept) -> None:
    """A guard's share is of the calls that asked a model, so only their failures are part of it."""
    made = [each for number in range(60) for each in a_pair(number)]
    broken: dict[str, Any] = {"cache": "exact", "status": 504, "error_code": "upstream_timeout"}
    kept.add(*made, *[call(user=f"r{at}", started_at=START + at * SECOND, **broken) for at in range(60)])
    assert kept.read(ERRORS).breaches == []


def test_a_goal_that_no_call_tells_of_says_that_nothing_waits_for_it(kept: Kept) -> None:
    kept.add(*a_pair(1))
    assert kept.goal(CORRECT).note == "No caller of the candidate and none of the baseline tells of it yet."
    assert kept.goal(CORRECT, untold=[CORRECT.metric]).note == "No live call tells of it, so no step waits for it."
