"""The gate decides: passing evidence on the release's own hash, and nothing else, opens it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from releases.gate_makers import (
    CANDIDATE,
    GOAL,
    STABLE,
    candidate,
    comparison,
    estimate,
    evidence,
    metric,
    part,
    run,
    target,
    terms,
)
from rondo.evals.goals import Goal
from rondo.evals.written import failing
from rondo.releases.gate import decide
from rondo.releases.gate_model import BesideFacts, Check, Decision, JudgeFacts, RunFacts, Terms, Weighed

MISSED_METRIC = metric(estimate=estimate(0.7))


def the(decision: Decision, kind: str) -> Check:
    (check,) = [check for check in decision.checks if check.kind == kind]
    return check


def decided(*runs: RunFacts, **more: Any) -> Decision:
    return decide(more.pop("whose", candidate()), more.pop("by", terms()), evidence(*runs, **more))


def test_whole_and_good_evidence_opens_the_gate() -> None:
    decision = decided(run())
    assert (decision.verdict, decision.label, decision.missing) == ("pass", "bot#7", [])
    assert {check.kind for check in decision.checks} == {"suite", "errors", "must_pass", "goal", "regression"}
    assert all(check.run == "run_1" for check in decision.checks)
    regression = the(decision, "regression")
    assert (regression.visible, regression.needed) == (0.06, 240)
    assert "6.0 pts could have been seen, the goal's margin takes 240 examples" in regression.sentence
    assert decision.sentence == "The gate is passed: 5 checks."


FAILURES = {
    "a goal is missed": (target(metric(estimate=estimate(0.7))), "goal"),
    "a guarded goal is worse": (target(metric(comparison=comparison("worse"))), "regression"),
    "a must-pass example failed": (target(must_pass_failed=["e1", "e2"]), "must_pass"),
}


@pytest.mark.parametrize(("report", "kind"), FAILURES.values(), ids=FAILURES)
def test_bad_evidence_fails(report: Any, kind: str) -> None:
    decision = decided(run(target=report))
    assert decision.verdict == "fail"
    assert [check.kind for check in decision.missing] == [kind]
    assert decision.sentence.startswith("The gate is shut: 1 failed of")


def test_the_goal_that_holds_now_is_weighed_not_the_one_of_the_run() -> None:
    """Nobody needs to ask a thousand questions again because a bound has changed."""
    ran = run(target=target(metric(at_least=0.5, standing="met")))
    assert decided(ran, by=terms(structs.replace(GOAL, at_least=0.99))).verdict == "fail"
    assert decided(ran, by=terms(structs.replace(GOAL, at_least=0.88, margin=0.01))).verdict == "inconclusive"
    assert decided(ran, by=terms(structs.replace(GOAL, at_least=0.88, margin=0.05))).verdict == "pass"


def test_a_change_smaller_than_the_margin_that_a_goal_names_counts_for_nothing() -> None:
    ran = run(target=target(metric(comparison=comparison("worse"))))
    assert decided(ran, by=terms(structs.replace(GOAL, margin=0.09))).verdict == "fail"
    decision = decided(ran, by=terms(structs.replace(GOAL, margin=0.11)))
    assert decision.verdict == "pass"
    assert "worse than production, by less than the goal's margin" in the(decision, "regression").sentence


def test_failed_must_pass_examples_are_named() -> None:
    check = the(decided(run(target=target(must_pass_failed=["e1", "e2"]))), "must_pass")
    assert check.examples == ["e1", "e2"]
    assert check.sentence == "2 of 4 must-pass examples passed."
    assert "e1, e2" in (check.remedy or "")


THIN = {
    "too many errors": (target(answered=94, failed=6, errors={"upstream_error": 6}), "errors", "upstream_error 6"),
    "nothing was asked": (target(answered=0, failed=0), "errors", "asked nothing"),
    "too few examples": (target(metric(estimate=estimate(0.82, spread=0.2))), "goal", "100 examples cannot tell"),
    "too many without a score": (target(metric(estimate=estimate(missing=6))), "goal", "6 of 106 have no score"),
    "no score at all": (target(metric(estimate=estimate(None, n=0))), "goal", "no example has a score"),
    "not compared": (target(metric(comparison=None)), "regression", "was not compared"),
    "no pairs": (
        target(metric(comparison=comparison(difference=None, low=None, high=None, p=None, n=0))),
        "regression",
        "No example has a score from both",
    ),
    "the goal is not measured": (target(metric("tone", standing=None)), "goal", "no suite of the gate measures it"),
}


@pytest.mark.parametrize(("report", "kind", "said"), THIN.values(), ids=THIN)
def test_thin_evidence_keeps_it_shut(report: Any, kind: str, said: str) -> None:
    decision = decided(run(target=report))
    assert decision.verdict == "inconclusive"
    (missing,) = decision.missing
    assert missing.kind == kind
    assert said in missing.sentence
    assert missing.remedy


STALE = {
    "no run at all": ([], "has not been run on bot#7"),
    "running": ([run(status="running", done=40)], "it is running, 40 of 100 done"),
    "failed": ([run(status="failed", stop_reason="budget")], "it is failed (budget)"),
    "awaiting scores": ([run(status="awaiting_scores")], "it is awaiting scores"),
    "the suite changed": ([run(suite_hash="s0")], "the suite or its judges have changed"),
    "the dataset changed": ([run(dataset_hash="d2")], "another version of the dataset (d2) than questions@3 is now"),
    "its report is gone": ([run(target=None)], "its report is gone"),
    "of another suite": ([run(suite="other")], "has not been run"),
}  # fmt: skip


@pytest.mark.parametrize(("runs", "said"), STALE.values(), ids=STALE)
def test_stale_evidence_is_named(runs: list[RunFacts], said: str) -> None:
    decision = decided(*runs)
    assert decision.verdict == "inconclusive"
    check = the(decision, "suite")
    assert said in check.sentence
    assert check.remedy == "Run `rondo eval answers --target 7 --against production`."
    assert [each.kind for each in decision.checks] == ["suite"]  # no goal is judged by what does not count


def test_the_newest_run_that_counts_is_the_one() -> None:
    old, newest = (
        run(id="run_old", created_at=1),
        run(id="run_new", created_at=9, target=target(MISSED_METRIC)),
    )
    decision = decided(newest, old)
    assert decision.verdict == "fail"
    assert "1 other run of the same evidence, this is the newest" in the(decision, "suite").sentence
    broken = run(id="run_newer", created_at=10, status="failed")
    assert the(decided(broken, newest, old), "suite").run == "run_new"


def test_evidence_against_another_release_says_nothing_of_a_regression() -> None:
    for baseline, said in (("b" * 64, "compared with the release bbbbbbbbbbbb"), (None, "compared with nothing")):
        decision = decided(run(baseline=baseline))
        assert decision.verdict == "inconclusive"
        (missing,) = decision.missing
        assert (missing.kind, missing.remedy) == (
            "baseline", "Run `rondo eval answers --target 7 --against production`.",
        )  # fmt: skip
        assert said in missing.sentence
        assert the(decision, "goal").verdict == "pass"  # this much is known
        assert "regression" not in {check.kind for check in decision.checks}


def test_a_run_against_the_stable_release_is_taken_before_a_newer_one_that_is_not() -> None:
    decision = decided(run(id="run_alone", created_at=9, baseline=None), run())
    assert decision.verdict == "pass"
    assert the(decision, "suite").run == "run_1"


def test_without_a_stable_release_there_is_nothing_to_compare_with() -> None:
    decision = decided(run(baseline=None, target=target(metric(comparison=None))), whose=candidate(stable=None))
    assert decision.verdict == "pass"
    assert the(decision, "baseline").sentence == "Nothing serves yet, so there is nothing to compare with."
    assert (
        the(decide(candidate(stable=None), terms(), evidence()), "suite").remedy
        == "Run `rondo eval answers --target 7`."
    )


def test_the_stable_release_is_not_compared_with_itself() -> None:
    decision = decided(run(baseline=None), whose=candidate(stable=CANDIDATE))
    assert decision.verdict == "pass"
    assert {check.kind for check in decision.checks} == {"suite", "errors", "must_pass", "goal"}


def test_a_suite_whose_dataset_is_not_there_has_no_evidence() -> None:
    found = structs.replace(evidence(run()), datasets={})
    decision = decide(candidate(), terms(), found)
    assert decision.verdict == "inconclusive"
    assert "the dataset that the suite takes is not there" in decision.why


def test_scores_that_are_lost_in_single_repeats_count() -> None:
    decision = decided(run(target=target(metric(lost=0.06))))
    assert (decision.verdict, decision.missing[0].kind) == ("inconclusive", "goal")
    assert "6.0 % of its scores could not be had" in decision.why
    assert decided(run(target=target(metric(lost=0.04)))).verdict == "pass"


@pytest.mark.parametrize(
    ("beside", "kind"),
    [
        (BesideFacts(answered=90, failed=10, lost={}), "baseline"),
        (BesideFacts(answered=0, failed=100, lost={}), "baseline"),
        (BesideFacts(answered=100, failed=0, lost={"answer.correct": 0.5}), "regression"),
    ],
)
def test_a_baseline_that_failed_shows_no_regression_and_hides_none(beside: BesideFacts, kind: str) -> None:
    decision = decided(run(beside=beside))
    assert (decision.verdict, [check.kind for check in decision.missing]) == ("inconclusive", [kind])
    assert decided(run(beside=BesideFacts(answered=99, failed=1, lost={}))).verdict == "pass"


@pytest.mark.parametrize(
    "measured",
    [
        [metric(standing=None)],  # the run did not know the goal: it was corrected with everything else
        [metric(), metric("tone", standing="met")],  # it had a goal that there is no more
        [metric(slices=[structs.replace(part(), guarded=False)])],
    ],
)
def test_a_run_that_was_corrected_for_other_questions_shows_no_regression(measured: list[Any]) -> None:
    decision = decided(run(target=target(*measured)), by=terms(slices=("language",)))
    assert (decision.verdict, decision.missing[0].kind) == ("inconclusive", "baseline")
    assert "other goals or slices" in decision.why


def test_more_suites_raise_no_more_false_alarms() -> None:
    def verdict(p: float) -> str:
        worse = target(metric(comparison=comparison("worse", p=p)))
        runs = run(), run(id="run_2", suite="hard", target=worse)
        return decided(*runs, by=terms(suites=("answers", "hard"))).verdict

    assert [verdict(0.03), verdict(0.02)] == ["pass", "fail"]
    assert decided(run(target=target(metric(comparison=comparison("worse", p=0.03))))).verdict == "fail"


def test_unguarded_goals_may_become_worse() -> None:
    report = target(metric(comparison=comparison("worse")))
    assert decided(run(target=report), by=terms(structs.replace(GOAL, guarded=False))).verdict == "pass"


def test_slices_are_guarded_where_they_are_large_enough() -> None:
    report = target(metric(slices=[part("de"), part("fr", outcome="worse"), part("it", outcome="worse", n=19)]))
    decision = decided(run(target=report), by=terms(slices=("language",)))
    assert decision.verdict == "fail"
    assert [check.name for check in decision.missing] == ["answer.correct [language=fr]"]
    assert [check.name for check in decision.checks if check.kind == "slice"] == [
        "answer.correct [language=de]", "answer.correct [language=fr]",
    ]  # fmt: skip
    free = [structs.replace(part("fr", outcome="worse"), guarded=False)]
    assert decided(run(target=target(metric(slices=free)))).verdict == "pass"  # nobody guards it


def test_a_tag_that_nothing_is_split_by_guards_nothing_and_is_said_to() -> None:
    (missing,) = decided(run(), by=terms(slices=("langauge",))).missing
    assert (missing.kind, missing.verdict) == ("slice", "inconclusive")
    assert "langauge" in missing.sentence


@pytest.mark.parametrize("name", ["feedback.positive_rate", "human.accuracy", "outcome.ticket_closed"])
def test_what_only_production_measures_is_left_to_production(name: str) -> None:
    goals = (GOAL, Goal(metric=name, at_least=0.7))
    decision = decided(run(), by=terms(*goals))
    assert decision.verdict == "pass"
    assert "only production can measure it" in decision.checks[-1].sentence


def test_what_one_suite_shows_a_small_one_need_not_show_too() -> None:
    small = metric(estimate=estimate(n=2, spread=0.4))
    runs = run(), run(id="run_2", suite="hard", target=target(small))
    decision = decide(candidate(), terms(suites=("answers", "hard")), evidence(*runs))
    (told,) = [each for each in decision.checks if each.kind == "goal" and each.suite == "hard"]
    assert (told.verdict, told.sentence.endswith("2 examples cannot tell; answers meets it.")) == ("pass", True)
    alone = decide(candidate(), terms(suites=("hard",)), evidence(runs[1]))
    assert [each.verdict for each in alone.checks if each.kind == "goal"] == ["inconclusive"]
    unscored = run(id="run_2", suite="hard", target=target(metric(estimate=estimate(n=90, missing=10))))
    decision = decide(candidate(), terms(suites=("answers", "hard")), evidence(runs[0], unscored))
    assert [each.verdict for each in decision.checks if each.kind == "goal"] == ["pass", "inconclusive"]


def test_a_goal_counts_in_each_suite_that_measures_it() -> None:
    good, bad = run(), run(id="run_2", suite="hard", target=target(MISSED_METRIC))
    decision = decided(good, bad, by=terms(suites=("answers", "hard")))
    assert decision.verdict == "fail"
    assert [check.suite for check in decision.missing] == ["hard"]
    assert decided(good, by=terms(suites=("answers", "hard"))).verdict == "inconclusive"


JUDGED = target(metric(judge="quality", judge_version="v2"))


def judge(**more: Any) -> dict[str, JudgeFacts]:
    own = JudgeFacts(version="v2", counts=True, sentence="The judge quality agrees with people.", kappa=0.8)
    return {"quality": structs.replace(own, **more)}


def test_a_judge_counts_while_it_is_the_releases_own_and_agrees_with_people() -> None:
    assert the(decided(run(target=JUDGED), judges=judge()), "judge").value == 0.8
    assert decided(run(target=JUDGED), judges=judge()).verdict == "pass"
    for judges, said in (
        (judge(version="v3"), "another version"),
        (judge(counts=False, sentence="It does not count."), "It does not count."),
        ({}, "no such judge"),
    ):
        decision = decided(run(target=JUDGED), judges=judges)
        assert decision.verdict == "inconclusive"
        assert [check.kind for check in decision.missing] == ["judge"]
        assert said in decision.missing[0].sentence


def test_failures_come_before_what_is_not_known() -> None:
    report = target(metric(estimate=estimate(0.7), comparison=None))
    decision = decided(run(target=report))
    assert decision.verdict == "fail"
    assert [check.verdict for check in decision.missing] == ["fail", "inconclusive"]
    assert "1 failed, 1 inconclusive" in decision.sentence


def test_an_app_without_a_gate_moves_freely() -> None:
    decision = decide(candidate(), Terms(goals=[GOAL]), evidence())
    assert (decision.verdict, decision.declared) == ("pass", False)
    assert decision.sentence == "No gate is declared: any release may take traffic."


def test_a_gate_does_not_go_away_unseen() -> None:
    decision = decide(candidate(before=terms()), Terms(goals=[GOAL]), evidence())
    assert decision.verdict == "inconclusive"
    assert "bot#3 was released under a gate (answers); now none is declared" in decision.why
    assert decision.changes == ["no gate is declared any more: weaker"]


def test_changed_terms_are_told() -> None:
    before = terms(GOAL, Goal(metric="latency.p95_ms", at_most=2000), slices=("language",))
    after = terms(structs.replace(GOAL, at_least=0.6, guarded=False), Goal(metric="tone", at_least=0.5))
    decision = decide(candidate(before=before), after, evidence(run()))
    assert decision.changes == [
        "goal answer.correct: at least 0.8 → at least 0.6: weaker",
        "goal answer.correct: no longer guarded: weaker",
        "goal latency.p95_ms (at most 2000) is gone: weaker",
        "goal tone (at least 0.5) is new: stricter",
        "slices by language are no longer guarded: weaker",
    ]
    assert decide(candidate(before=after), after, evidence(run())).changes == []
    assert decide(candidate(before=None), after, evidence(run())).changes == []


def test_a_higher_ceiling_is_weaker_and_a_higher_floor_stricter() -> None:
    def told(before: Goal, after: Goal) -> list[str]:
        return decide(candidate(before=terms(before)), terms(after), evidence()).changes

    latency = Goal(metric="latency.p95_ms", at_most=2000)
    assert told(latency, structs.replace(latency, at_most=3000))[0].endswith("weaker")
    assert told(latency, structs.replace(latency, at_most=1000))[0].endswith("stricter")
    assert told(GOAL, structs.replace(GOAL, at_least=0.9))[0].endswith("stricter")


def test_what_is_weaker_keeps_the_gate_shut() -> None:
    def verdict(before: Goal, after: Goal) -> str:
        return decide(candidate(before=terms(before)), terms(after), evidence(run())).verdict

    assert verdict(GOAL, structs.replace(GOAL, at_least=0.7)) == "inconclusive"
    assert verdict(GOAL, structs.replace(GOAL, margin=0.2)) == "inconclusive"
    assert verdict(GOAL, structs.replace(GOAL, margin=0.01)) == "inconclusive"  # it forgave no change for the worse
    assert verdict(structs.replace(GOAL, margin=0.2), structs.replace(GOAL, margin=0.1)) == "pass"
    assert verdict(structs.replace(GOAL, at_least=0.7), GOAL) == "pass"
    stable = candidate(before=terms(structs.replace(GOAL, at_least=0.85)), stable="c" * 64)
    assert not [check for check in decide(stable, terms(), evidence(run())).checks if check.kind == "terms"]


def test_a_decision_can_be_made_again_from_its_record() -> None:
    before = terms(structs.replace(GOAL, at_least=0.9))
    whose, by = candidate(before=before), terms(slices=("language",))
    found = evidence(run(target=target(metric(slices=[part("fr", outcome="worse")]))), run(id="run_0", created_at=0))
    weighed = Weighed(decision=decide(whose, by, found), candidate=whose, terms=by, evidence=found)
    kept = msgspec.convert(msgspec.json.decode(msgspec.json.encode(weighed)), Weighed)
    assert decide(kept.candidate, kept.terms, kept.evidence) == weighed.decision


ESTIMATES = {
    "met": estimate(0.9),
    "missed": estimate(0.7),
    "not_enough_evidence": estimate(0.82, spread=0.2),
}
outcomes = st.sampled_from(["better", "worse", "not_enough_evidence"])
standings = st.sampled_from(list(ESTIMATES))


@given(
    standing=standings,
    outcome=outcomes,
    of_slice=outcomes,
    failed=st.integers(0, 100),
    lost=st.integers(0, 3),
    against=st.sampled_from([STABLE, "b" * 64, None]),
)
def test_only_whole_and_good_evidence_ever_passes(
    standing: Any, outcome: Any, of_slice: Any, failed: int, lost: int, against: str | None
) -> None:
    measured = metric(estimate=ESTIMATES[standing], comparison=comparison(outcome), slices=[part(outcome=of_slice)])
    report = target(measured, answered=100 - failed, failed=failed, must_pass_failed=[f"e{n}" for n in range(lost)])
    decision = decided(run(target=report, baseline=against), by=terms(slices=("language",)))
    bad = standing == "missed" or lost or (against == STABLE and "worse" in (outcome, of_slice))
    thin = standing == "not_enough_evidence" or failed > 5 or against != STABLE
    assert decision.verdict == ("fail" if bad else "inconclusive" if thin else "pass")
    assert (decision.verdict == "pass") == (not decision.missing)
    assert all(check.sentence for check in decision.checks)


@pytest.mark.parametrize("margin", [None, 0.05, 0.2])
def test_rondo_eval_and_the_gate_agree_on_what_is_worse(margin: float | None) -> None:
    goal = structs.replace(GOAL, margin=margin)
    worse = comparison("worse")
    slices = [structs.replace(part("fr"), comparison=worse)]
    report = target(metric(comparison=worse, slices=slices, forgives=margin))
    by = terms(goal, slices=("language",))
    assert bool(failing(report)) == (decided(run(target=report), by=by).verdict == "fail") == (margin != 0.2)
