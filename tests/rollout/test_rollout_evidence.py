"""Stored calls made into a Reading: who counts, when, as what; and what odd clocks and odd traffic do to it."""

from __future__ import annotations

import random
from typing import Any

import pytest

from record_makers import START, after, entry, make_call, make_score
from rondo.evals.goals import Goal
from rondo.records import Call, Score
from rondo.rollout.evidence import Reader, read
from rondo.rollout.model import GoalVerdict, Guards, Reading, Terms
from rondo.rollout.report import left_out
from rondo.settings.steps import parse_step
from rondo.store.base import RecordStore

SECOND, MINUTE, DAY = 1_000_000, 60_000_000, 86_400_000_000
NOW = START + DAY
CORRECT = Goal(metric="answer.correct", at_least=0.8)
ERRORS = Goal(metric="errors.rate", at_most=0.02)
COST = Goal(metric="cost.per_request_usd", at_most=0.01)
EVERY = [
    Goal(metric=name, at_most=1.0)
    for name in (
        "errors.rate",
        "latency.p50_ms",
        "latency.p95_ms",
        "first_token.p95_ms",
        "cost.per_request_usd",
        "tokens.per_request",
        "handed_over.rate",
    )
] + [Goal(metric=name, at_least=0.5) for name in ("deflection", "feedback.positive_rate", "answer.correct")]


def terms(*goals: Goal, **more: Any) -> Terms:
    return Terms(steps=[parse_step("10% until evidence"), parse_step("100%")], goals=list(goals), **more)


def call(variant: str | None = "candidate", **fields: Any) -> Call:
    return make_call(**{"app": "bot", "rollout": "r", "variant": variant, "started_at": START, **fields})


class Kept:
    """A store that records are put into one batch after the other."""

    def __init__(self, store: RecordStore) -> None:
        self.store = store
        self._count = 0

    def add(self, *records: Call | Score) -> None:
        self._count += len(records)
        self.store.insert("w", [entry(each) for each in records], after(self._count))

    def read(self, *goals: Goal, now: int = NOW, since: int = START, **more: Any) -> Reading:
        return read(self.store, "p", "bot", "r", terms(*goals, **more), since=since, now=now, candidate_share_bp=1000)

    def goal(self, goal: Goal, **more: Any) -> GoalVerdict:
        (found,) = self.read(goal, **more).goals
        return found


@pytest.fixture
def kept(store: RecordStore) -> Kept:
    return Kept(store)


def a_pair(number: int, **of_candidate: Any) -> list[Call]:
    """A caller of each side who calls once."""
    at = START + number * SECOND
    plain: dict[str, Any] = {"started_at": at, "cost_usd": 0.002 + 0.0001 * (number % 5), "duration_ms": 100.0 + number}
    return [call(user=f"c{number}", **{**plain, **of_candidate}), call("baseline", user=f"b{number}", **plain)]


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


def test_scores_of_a_call_are_averaged_before_its_calls_are(kept: Kept) -> None:
    first, second = call(user="a"), call(user="a", started_at=START + SECOND)
    kept.add(first, second, *[make_score(first, name="n", value=1.0) for _ in range(3)])
    kept.add(make_score(second, name="n", value=0.0), call("baseline", user="b"))
    thumbs = Goal(metric="n", at_least=0.5)
    assert kept.goal(thumbs).candidate_units == 1
    base = call("baseline", user="c")
    kept.add(base, make_score(base, name="n", value=1.0))
    assert kept.goal(thumbs).candidate == 0.5


def fill(kept: Kept, count: int, **of_candidate: Any) -> None:
    kept.add(*[each for number in range(count) for each in a_pair(number, **of_candidate)])


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


def test_values_that_are_no_numbers_are_left_out(kept: Kept) -> None:
    pair, other = a_pair(0), a_pair(1)
    label = {"data_type": "category", "value": None, "label": "rude"}
    kept.add(*pair, *other, *[make_score(each, name="answer.correct", **label) for each in pair])
    assert kept.goal(CORRECT).candidate_units == 0
    kept.add(*[make_score(each, name="answer.correct", data_type="number", value=0.7) for each in other])
    found = kept.goal(CORRECT)
    assert found.candidate == pytest.approx(0.7)
    assert found.candidate_units == 1


def test_hard_guards_see_calls_at_once_and_name_them(kept: Kept) -> None:
    now = START + 30 * SECOND
    bad = [
        call(user=f"u{at}", status=504, error_code="upstream_timeout", started_at=now - 1000 + at) for at in range(40)
    ]
    kept.add(*bad, *[call("baseline", started_at=now - 1000) for _ in range(40)])
    reading = kept.read(ERRORS, now=now)
    assert [each.guard for each in reading.breaches] == ["errors", "timeouts"]
    assert reading.breaches[0].traces == [each.trace_id for each in reversed(bad)][:5]
    assert reading.goals[0].candidate_units == 0
    assert kept.read(now=now, guards=Guards(errors_at_most=1.0, timeouts_at_most=1.0)).breaches == []


def test_guards_see_the_copies_of_a_shadow(kept: Kept) -> None:
    kept.add(*[call(arm="shadow", status=500, user=f"u{at}") for at in range(30)])
    reading = kept.read(ERRORS)
    assert [each.guard for each in reading.breaches] == ["errors"]
    assert len(reading.breaches[0].traces) == 5
    assert (reading.shadow_calls, reading.candidate.calls) == (30, 0)


def test_callers_that_do_not_fit_the_shares_are_told(kept: Kept) -> None:
    kept.add(*[call(user=f"c{at}") for at in range(150)], *[call("baseline", user=f"b{at}") for at in range(50)])
    found = kept.read().mismatch
    assert found is not None
    assert (found.candidate, found.baseline, found.expected_share, found.suspected) == (150, 50, 0.5, True)
    assert kept.read(kind="bandit").mismatch is None
    assert kept.read(baseline=False).mismatch is None


def test_a_bandit_has_a_share_once_its_guards_hold(kept: Kept) -> None:
    fill(kept, 100, cost_usd=0.004)
    dear = Goal(metric="cost.per_request_usd", at_most=1.0, guarded=False)
    assert kept.read(dear).bandit_share is None
    assert kept.read(dear, kind="bandit").bandit_share == pytest.approx(0.1)
    assert kept.read(ERRORS, kind="bandit", reward="cost.per_request_usd").bandit_share == pytest.approx(0.1)
    assert kept.read(COST, kind="bandit").goals[0].verdict == "worse"
    assert kept.read(COST, kind="bandit").bandit_share is None
    assert kept.read(kind="bandit").bandit_share is None


def test_a_reader_looks_at_the_guards_each_time_and_at_the_rest_when_it_is_cheap(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 0.0

    def monotonic() -> float:
        nonlocal moment
        moment += 1.0
        return moment

    monkeypatch.setattr("rondo.rollout.evidence.clock.monotonic", monotonic)
    reader = Reader()

    def look(now: int) -> Reading:
        share = {"since": START, "now": now, "candidate_share_bp": 1000}
        return reader(kept.store, "p", "bot", "r", terms(ERRORS), **share)

    fill(kept, 5)
    first = look(NOW)
    assert first.candidate.calls == 5
    kept.add(*[call(user=f"u{at}", status=500, started_at=NOW + at) for at in range(40)])
    second = look(NOW + SECOND)
    assert (second.at, second.candidate.calls) == (NOW + SECOND, 5)
    assert [each.guard for each in second.breaches] == ["errors"]
    moment += 100.0
    assert look(NOW + SECOND).candidate.calls == 45


def test_what_ends_a_rollout_is_told_with_all_numbers_if_they_are_soon_there(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 0.0

    def monotonic() -> float:
        nonlocal moment
        moment += 0.01
        return moment

    monkeypatch.setattr("rondo.rollout.evidence.clock.monotonic", monotonic)
    reader = Reader()

    def look(now: int) -> Reading:
        share = {"since": START, "now": now, "candidate_share_bp": 1000}
        return reader(kept.store, "p", "bot", "r", terms(ERRORS), **share)

    fill(kept, 5)
    assert look(NOW).candidate.calls == 5
    kept.add(*[call(user=f"u{at}", status=500, started_at=NOW + at) for at in range(40)])
    told = look(NOW + SECOND)
    assert ([each.guard for each in told.breaches], told.candidate.calls) == (["errors"], 45)
