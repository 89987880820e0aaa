"""When a caller counts as evidence: after its window, with the scores that have come by then, whatever clocks do."""

from __future__ import annotations

import random
from typing import Any

from record_makers import START, make_score
from rollout.evidence_house import CORRECT, COST, DAY, ERRORS, MINUTE, NOW, SECOND, Kept, a_pair, call
from rondo.evals.goals import Goal
from rondo.records import Score
from rondo.rollout.report import left_out


def test_a_caller_counts_after_its_window_and_never_changes_again(kept: Kept) -> None:
    kept.add(*a_pair(0, cost_usd=1.0), call(user="c0", cost_usd=2.0, started_at=START + 50 * SECOND))
    assert kept.goal(COST, now=START + 89 * SECOND).candidate_units == 0
    kept.add(call(user="c0", cost_usd=30.0, started_at=START + 61 * SECOND))
    for now in (START + 90 * SECOND, NOW):
        assert kept.goal(COST, now=now).candidate == 1.5
    assert kept.goal(COST, now=START + SECOND, window_s=0.0, settle_s=1.0).candidate == 1.0


def test_callers_that_do_not_count_yet_are_counted_and_told(kept: Kept) -> None:
    kept.add(*a_pair(0), *a_pair(1, started_at=START + 10 * SECOND), call(user="c2", started_at=START + 60 * SECOND))
    kept.add(call(user="c0", started_at=START + 200 * SECOND))  # a caller is as old as its first call
    for now, fresh in ((START + 89 * SECOND, (3, 2)), (START + 90 * SECOND, (2, 1)), (START + 150 * SECOND, (0, 0))):
        found = kept.read(ERRORS, now=now)
        assert (found.candidate.fresh, found.baseline.fresh) == fresh
        assert (found.candidate.immature, found.baseline.immature) == fresh
        (goal,) = found.goals
        assert goal.candidate_units + found.candidate.fresh == found.candidate.units
        told = f"too fresh to count: {fresh[0]} callers of the candidate and {fresh[1]} of the baseline"
        assert list(left_out(found)) == ([told] if any(fresh) else [])
    ended = kept.read(ERRORS, now=START + 150 * SECOND, maturity_s=60.0)
    assert (ended.candidate.fresh, ended.candidate.immature, ended.baseline.immature) == (0, 2, 1)
    (words,) = left_out(ended)
    assert words == (
        "not mature yet, so left out of goals that scores feed: 2 callers of the candidate and 1 of the baseline"
    )
    assert list(left_out(kept.read(now=START))) == [], "without goals there is nothing to be left out of"


def test_an_outcome_counts_if_it_comes_before_the_caller_is_mature(kept: Kept) -> None:
    pair = a_pair(0)
    solved = [make_score(each, name="ticket.solved", kind="outcome", value=1.0) for each in pair]
    kept.add(*pair, *solved)
    goal = Goal(metric="ticket.solved", at_least=0.9)
    two_days = {"maturity_s": 2 * 86_400.0}
    ripe = START + 2 * DAY + 90 * SECOND
    assert kept.goal(goal, now=ripe - 1, **two_days).candidate_units == 0
    reopened = make_score(pair[0], id=solved[0].id, name="ticket.solved", kind="outcome", value=0.0)
    kept.add(Score(**{**_fields(reopened), "created_at": START + 2 * DAY}))
    found = kept.goal(goal, now=ripe, **two_days)
    assert (found.candidate, found.baseline) == (0.0, 1.0)
    late = make_score(pair[1], name="ticket.solved", kind="outcome", value=0.0, created_at=ripe + 1)
    kept.add(late)
    assert kept.goal(goal, now=ripe + DAY, **two_days).baseline == 1.0


def _fields(score: Score) -> dict[str, Any]:
    return {name: getattr(score, name) for name in score.__struct_fields__}


def test_a_late_judge_is_waited_for_and_then_not_again(kept: Kept) -> None:
    pair = a_pair(0)
    at = START + 10 * MINUTE
    kept.add(*pair)
    assert kept.goal(CORRECT, now=at).candidate_units == 0
    kept.add(*[make_score(each, name="answer.correct", kind="judge", value=1.0, created_at=at) for each in pair])
    assert kept.goal(CORRECT, now=at - 1).candidate_units == 0
    assert kept.goal(CORRECT, now=at).candidate == 1.0
    kept.add(make_score(pair[0], name="answer.correct", kind="human", value=0.0, created_at=at + 1))
    assert kept.goal(CORRECT).candidate == 1.0


def test_neither_a_clock_that_jumps_nor_the_order_of_arrival_changes_a_verdict(kept: Kept) -> None:
    calls = [each for number in range(200) for each in a_pair(number, cost_usd=0.004)]
    random.Random(1).shuffle(calls)
    kept.add(*calls)
    plain = kept.goal(COST)
    assert plain.verdict == "worse"
    # An hour before the rollout began, by a clock that has been set back; and an hour into the future.
    kept.add(call(user="early", cost_usd=0.002, started_at=START - 3_600 * SECOND))
    kept.add(call(user="late", cost_usd=99.0, started_at=NOW + 3_600 * SECOND))
    jumped = kept.goal(COST)
    assert jumped.verdict == "worse"
    assert jumped.candidate_units == plain.candidate_units + 1
    assert kept.goal(COST, now=START - DAY).verdict == "not_enough"
