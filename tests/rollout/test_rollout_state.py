"""The state machine of rollouts, alone: readings in, decisions out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from rondo.errors import Conflict
from rondo.evals.goals import Goal
from rondo.rollout import state
from rondo.rollout.model import Breach, GoalVerdict, Guards, Mismatch, Reading, Side, Terms
from rondo.rollout.progress import ENDED, Basis, Decision, Progress
from rondo.settings.steps import parse_step

GOAL = Goal(metric="answer.correct", at_least=0.8, margin=0.02)
NOW = 1_800_000_000_000_000


def terms(*steps: str, **more: Any) -> Terms:
    parsed = [parse_step(step) for step in steps or ("5% 30m", "25% 1h 400 calls", "100%")]
    return Terms(steps=parsed, goals=[GOAL], guards=Guards(least_calls=1), **more)


def reading(calls: int = 100, **more: Any) -> Reading:
    return Reading(at=NOW, candidate=Side(calls=calls, units=calls), baseline=Side(calls=calls, units=calls), **more)


def verdict(opinion: Any = "worse", **more: Any) -> GoalVerdict:
    values: dict[str, Any] = {
        "metric": "answer.correct", "verdict": opinion, "guarded": True, "candidate": 0.6, "baseline": 0.8,
        "difference": -0.2, "low": -0.3, "high": -0.1, "candidate_units": 210, "baseline_units": 205,
        "traces": ["t1"],
    }  # fmt: skip
    return GoalVerdict(**{**values, **more})


def begun(of: Terms) -> Progress:
    return state.begin(of, Progress(status="scheduled")).progress


def look(of: Terms, before: Progress, seen: Reading | None, *, passed_s: float = 1.0, now: int = NOW) -> Decision:
    return state.decide(of, Basis(before=before, passed_s=passed_s, now=now, reading=seen))


def wait(of: Terms, progress: Progress, seconds: float, seen: Reading) -> Decision:
    """Look every ten seconds for so long, or until something is decided."""
    decision = Decision(progress=progress)
    for _ in range(round(seconds / 10)):
        decision = look(of, decision.progress, seen, passed_s=10)
        if decision.kind is not None:
            break
    return decision


def test_a_step_ends_when_its_time_and_its_calls_are_over() -> None:
    of = terms()
    now = begun(of)
    assert (now.status, now.step, now.share_bp) == ("running", 0, 500)
    assert wait(of, now, 29 * 60, reading()).kind is None
    second = wait(of, now, 31 * 60, reading())
    assert (second.kind, second.progress.step, second.progress.share_bp) == ("step", 1, 2_500)
    assert second.progress.calls_before == 100
    assert "25 % for 1 h and 400 calls" in second.sentence
    assert wait(of, second.progress, 2 * 3_600, reading(499)).kind is None
    last = wait(of, second.progress, 2 * 3_600, reading(500))
    assert (last.kind, last.progress.status, last.progress.share_bp) == ("promoted", "promoted", 10_000)


def test_no_traffic_waits_and_says_so() -> None:
    of = terms()
    now = wait(of, begun(of), 3_600, reading(0))
    assert now.kind is None
    (told,) = state.lacks(of, now.progress, reading(0), now=NOW)
    assert told.startswith("traffic:")
    assert list(state.lacks(of, now.progress, reading(1), now=NOW)) == []


def test_a_shadow_that_is_over_is_told_by_its_copies() -> None:
    of = terms("shadow 1m", "100%")
    told = wait(of, begun(of), 70, reading(0, shadow_calls=12))
    assert told.kind is not None
    assert ", now that shadow 10 % for 1 min is done after 1 min and 12 copies." in told.sentence


@pytest.mark.parametrize("status", ["running", "paused"])
def test_a_worse_guarded_goal_rolls_back_at_once_and_says_why(status: Any) -> None:
    of = terms()
    found = look(of, structs.replace(begun(of), status=status), reading(goals=[verdict()]))
    assert (found.kind, found.progress.status, found.progress.share_bp) == ("rolled_back", "rolled_back", 0)
    assert found.sentence == (
        "answer.correct is worse: 0.6 against 0.8, a difference of -0.2 [-0.3, -0.1], from 210 and 205 callers."
    )
    assert found.traces == ["t1"]
    assert found.progress.why == found.sentence


def test_a_goal_that_is_not_guarded_rolls_nothing_back() -> None:
    of = terms()
    assert look(of, begun(of), reading(goals=[verdict(guarded=False)])).kind is None


def test_a_hard_guard_rolls_back_at_once() -> None:
    of = terms("shadow 10m", "5% 30m", "100%")
    breach = Breach(guard="errors", observed=0.9, limit=0.2, calls=20, sentence="Nine of ten fail.", traces=["a", "b"])
    found = look(of, begun(of), reading(0, breaches=[breach]))
    assert (found.kind, found.sentence, found.traces) == ("rolled_back", "Nine of ten fail.", ["a", "b"])


def test_a_mismatch_pauses_once_and_a_person_may_accept_it() -> None:
    of = terms()
    seen = reading(mismatch=Mismatch(candidate=90, baseline=10, expected_share=0.5, p_value=1e-9, suspected=True))
    found = look(of, begun(of), seen)
    assert (found.kind, found.progress.status) == ("paused", "paused")
    assert "90 got the candidate and 10 the baseline" in found.sentence
    assert look(of, found.progress, seen).kind is None
    resumed = state.resume(found.progress, "go on", mismatch=True).progress
    assert look(of, resumed, seen).kind is None
    assert look(of, resumed, seen).progress.status == "running"


def test_paused_time_does_not_count() -> None:
    of = terms()
    paused = state.pause(begun(of), "wait").progress
    after = wait(of, paused, 3_600, reading()).progress
    assert after == paused


def test_a_jump_of_the_clock_neither_skips_a_step_nor_lengthens_it() -> None:
    of = terms()
    ahead = look(of, begun(of), reading(), passed_s=1e9)
    assert (ahead.kind, ahead.progress.elapsed_s) == (None, state.MOST_PER_LOOK_S)
    back = look(of, ahead.progress, reading(), passed_s=-1e9)
    assert back.progress.elapsed_s == state.MOST_PER_LOOK_S


def test_a_step_without_traffic_waits_whatever_came_in_the_steps_before() -> None:
    of = structs.replace(terms("5% 1m", "25% 1m", "100%"), guards=Guards(least_calls=20))
    second = wait(of, begun(of), 100, reading(30)).progress
    assert (second.step, second.calls_before) == (1, 30)
    assert wait(of, second, 600, reading(49)).kind is None
    assert wait(of, second, 600, reading(50)).kind == "promoted"


def test_a_goal_that_only_grows_is_no_evidence_to_wait_for() -> None:
    total = Goal(metric="cost.total_usd", at_most=100.0)
    of = structs.replace(terms("25% until evidence", "100%"), goals=[GOAL, total])
    unknown = verdict("not_enough", metric=total.metric)
    assert look(of, begun(of), reading(goals=[verdict("not_enough", tolerated=True), unknown])).kind == "promoted"


def test_until_evidence_waits_for_every_guarded_goal() -> None:
    of = terms("25% until evidence", "100%")
    now = begun(of)
    assert look(of, now, reading()).kind is None
    vague = reading(goals=[verdict("not_enough", tolerated=False)])
    assert look(of, now, vague).kind is None
    (told,) = state.lacks(of, now, vague, now=NOW)
    assert told.startswith("evidence: answer.correct is not known well enough")
    assert look(of, now, reading(goals=[verdict("not_enough", tolerated=True)])).kind == "promoted"
    assert look(of, now, reading(goals=[verdict("better")])).kind == "promoted"


def test_what_no_caller_tells_of_is_waited_for_only_where_one_could() -> None:
    of = structs.replace(terms("25% until evidence", "100%"), goals=[GOAL, Goal(metric="suite.only", at_least=0.5)])
    known, silent = (
        verdict("not_enough", tolerated=True),
        GoalVerdict(metric="suite.only", verdict="not_enough", guarded=True),
    )
    assert look(of, begun(of), reading(goals=[known, silent])).kind is None
    of = structs.replace(of, untold=["suite.only"])
    assert look(of, begun(of), reading(goals=[known, silent])).kind == "promoted"
    told_by_one = structs.replace(silent, baseline_units=1)
    assert look(of, begun(of), reading(goals=[known, told_by_one])).kind is None


def test_an_approval_is_waited_for() -> None:
    of = terms("approve", "5% 30m", "100%")
    now = begun(of)
    assert now.share_bp == 0
    assert wait(of, now, 3_600, reading()).kind is None
    approved = state.approve(of, now, "ann", "ann has approved it.").progress
    with pytest.raises(Conflict):
        state.approve(of, approved, "ann", "")
    after = look(of, approved, reading())
    assert (after.kind, after.progress.share_bp, after.progress.approved_by) == ("step", 500, None)


def test_it_goes_on_at_its_moment() -> None:
    of = terms("5% 1s", "at 2030-01-01", "100%")
    now = wait(of, begun(of), 30, reading()).progress
    assert (now.step, now.share_bp) == (1, 500)
    moment = of.steps[1].moment
    assert moment is not None
    assert look(of, now, reading(), now=moment - 1).kind is None
    assert look(of, now, reading(), now=moment).kind == "promoted"


def test_a_scheduled_one_begins_when_it_is_time() -> None:
    of = terms()
    waiting = state.schedule(NOW, "later").progress
    assert look(of, waiting, None, now=NOW - 1) == Decision(progress=waiting)
    found = look(of, waiting, None, now=NOW)
    assert (found.kind, found.progress.status) == ("began", "running")


def test_a_test_ends_in_a_report() -> None:
    of = terms("50% 1h", kind="ab")
    found = wait(of, begun(of), 3_700, reading(goals=[verdict("not_enough")]))
    assert (found.kind, found.progress.share_bp) == ("reported", 0)


def test_a_bandit_draws_now_and_then_and_only_once_it_may() -> None:
    of = terms("30% 10h", kind="bandit", draw_every_s=60.0, reward="answer.correct")
    now = begun(of)
    assert state.baseline_bp(of, now) == 3_000
    assert wait(of, now, 300, reading()).kind is None
    found = wait(of, now, 300, reading(bandit_share=0.75))
    assert (found.kind, found.progress.share_bp, found.progress.elapsed_s) == ("drawn", 4_500, 60.0)
    assert state.baseline_bp(of, found.progress) == 1_500
    assert "75%" in found.sentence
    assert wait(of, found.progress, 50, reading(bandit_share=0.2)).kind is None


def test_the_baseline_is_as_large_as_the_candidate_as_far_as_there_is_room() -> None:
    of = terms("20% 1h", "75% 1h", "100%")
    first = begun(of)
    assert state.baseline_bp(of, first) == 2_000
    assert state.baseline_bp(of, structs.replace(first, step=1, share_bp=7_500)) == 2_500
    assert state.baseline_bp(structs.replace(of, baseline=False), first) == 0
    assert state.baseline_bp(terms("shadow 5m", "5% 1h", "100%"), Progress(status="running")) == 0


def test_people_cannot_do_what_does_not_fit() -> None:
    of = terms()
    ended = state.abort(begun(of), "enough").progress
    refused: list[Callable[[], object]] = [
        lambda: state.abort(ended, ""),
        lambda: state.promote(ended, ""),
        lambda: state.pause(ended, ""),
        lambda: state.resume(begun(of), "", mismatch=False),
        lambda: state.approve(of, begun(of), "x", ""),
        lambda: state.promote(Progress(status="scheduled"), ""),
    ]
    for verb in refused:
        with pytest.raises(Conflict):
            verb()


STEPS = st.sampled_from(["shadow 1m", "5% 1m", "10% 50 calls", "25% until evidence", "50% 1m", "approve"])
READINGS = st.builds(
    lambda calls, copies, opinion, tolerated, bad, unfair: reading(
        calls,
        shadow_calls=copies,
        goals=[verdict(opinion, tolerated=tolerated)] if opinion else [],
        breaches=[Breach(guard="cost", observed=9, limit=3, calls=9, sentence="dear")] if bad else [],
        mismatch=Mismatch(candidate=1, baseline=9, expected_share=0.5, p_value=0.0, suspected=unfair),
    ),
    st.integers(0, 300),
    st.integers(0, 300),
    st.sampled_from([None, "better", "not_enough", "not_enough", "not_enough", "worse"]),
    st.booleans(),
    st.sampled_from([False] * 9 + [True]),
    st.sampled_from([False] * 9 + [True]),
)
LOOKS = st.lists(st.tuples(st.floats(-1e6, 1e6), READINGS), max_size=40)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=5), LOOKS)
def test_never_more_than_planned_and_an_end_is_an_end(steps: list[str], looks: list[tuple[float, Reading]]) -> None:
    parsed = sorted((parse_step(step) for step in steps), key=lambda step: step.share_bp * (step.kind == "split"))
    of = structs.replace(terms(), steps=[*parsed, parse_step("100%")])
    progress = begun(of)
    for passed_s, seen in looks:
        basis = Basis(before=progress, passed_s=passed_s, now=NOW, reading=seen)
        decision = state.decide(of, basis)
        assert decision == state.decide(of, basis)  # what was kept is enough to decide it again
        after = decision.progress
        planned = max([step.share_bp for step in of.steps[: after.step + 1] if step.kind == "split"], default=0)
        harmful = bool(seen.breaches) or any(goal.verdict == "worse" for goal in seen.goals)
        if progress.has_ended:
            assert after == progress
        elif harmful:
            assert (after.status, after.share_bp) == ("rolled_back", 0)
        elif after.status == "promoted":
            assert after.step == len(of.steps) - 1
        elif after.status not in ENDED:
            assert after.share_bp == planned
            assert after.step - progress.step in (0, 1)
            assert progress.status != "paused" or after == progress
            assert 0 <= after.elapsed_s <= progress.elapsed_s + state.MOST_PER_LOOK_S
        assert bool(decision.sentence) == (decision.kind is not None)
        progress = after
