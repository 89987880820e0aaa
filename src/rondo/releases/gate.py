"""The gate: from terms and evidence to PASS, FAIL or INCONCLUSIVE, with a sentence for each thing that was looked at.
Pure.

A release passes where, for every suite of `[gate]`, a finished run on its own hash shows that

    its goals are met                      the interval lies within the goal's bound and margin
    nothing guarded has become worse       significantly, against the stable release, on the same examples, corrected
                                           over all goals and guarded slices (Holm); a goal that names its margin
                                           forgives less than that
    every must-pass example passed         and every failure of the app that became one, whichever dataset has it
    few examples went unanswered           `most_errors`
    its judges are its own, and agree with people
    it is held to no less than the stable release was, as far as one can tell

Evidence that is missing, stale or too thin makes it INCONCLUSIVE, which keeps the gate shut as FAIL does: it says what
to run. A goal that only production can measure does not count here. That nothing has become significantly worse is not
that nothing has become worse: each comparison says the smallest change that it could have seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rondo.evals.evidence import MetricReport, TargetReport
from rondo.evals.goals import Goal
from rondo.evals.statistics.standing import standing
from rondo.evals.written import amount, estimated
from rondo.releases import gate_must_pass
from rondo.releases.gate_model import Candidate, Check, Decision, Evidence, RunFacts, Terms, Verdict
from rondo.releases.gate_regressions import baseline, is_against_stable, is_compared, regressions
from rondo.releases.gate_terms import changes, weaker
from rondo.releases.gate_words import number_of, run_it

LIVE_ONLY = frozenset(("calls.count", "cost.total_usd", "cost.unknown_count", "handed_over.known_count")) | frozenset(
    ("feedback.positive_rate", "feedback.count")
)
"""Metrics of `goal_metrics.sql` that only calls of users can give."""

OF_PRODUCTION = ("human.", "outcome.")
"""What reviewers say of live calls, and what became of them: metrics that begin so."""


def decide(candidate: Candidate, terms: Terms, evidence: Evidence) -> Decision:
    """Whether the candidate may take traffic."""
    checks = list(_checks(candidate, terms, evidence))
    verdict: Verdict = "pass"
    if any(check.verdict == "fail" for check in checks):
        verdict = "fail"
    elif any(check.verdict == "inconclusive" for check in checks):
        verdict = "inconclusive"
    gate = terms.gate
    return Decision(
        app=candidate.app,
        release=candidate.release,
        stable=candidate.stable,
        declared=gate is not None,
        verdict=verdict,
        sentence=_summary(verdict, checks) if gate is not None else checks[0].sentence,
        checks=checks,
        changes=changes(candidate.stable_terms, terms) if candidate.stable_terms is not None else [],
    )


def weighed_runs(candidate: Candidate, terms: Terms, evidence: Evidence) -> dict[str, RunFacts]:
    """The run of each suite that counts, by suite: the newest that is whole, current and against the stable release.

    Where there is none such, the newest that is whole and current; a suite without one is left out.
    """
    chosen: dict[str, RunFacts] = {}
    for suite in terms.gate.suites if terms.gate is not None else ():
        sound = [run for run in evidence.runs if run.suite == suite and not _faults(run, evidence)]
        sound.sort(key=lambda run: (is_against_stable(run, candidate), run.created_at), reverse=True)
        if sound:
            chosen[suite] = sound[0]
    return chosen


def _checks(candidate: Candidate, terms: Terms, evidence: Evidence) -> Iterator[Check]:
    gate = terms.gate
    if gate is None:
        yield _undeclared(candidate)
        return
    chosen = weighed_runs(candidate, terms, evidence)
    reports: dict[str, TargetReport] = {}
    for suite in gate.suites:
        run = chosen.get(suite)
        yield _suite(suite, run, candidate, evidence)
        if run is None or run.target is None:
            continue
        reports[suite] = run.target
        yield _errors(suite, run, run.target, gate.most_errors)
        yield from gate_must_pass.of_suite(suite, run, run.target)
        yield from _judges(suite, run, run.target, candidate, evidence)
        yield from baseline(suite, run, candidate, terms)
    yield from gate_must_pass.of_failures(candidate, gate, evidence)
    families = sum(is_compared(chosen[suite], candidate) for suite in reports)
    for goal in terms.goals:
        measured = [
            (chosen[suite], metric)
            for suite, report in reports.items()
            for metric in report.metrics
            if metric.metric == goal.metric
        ]
        met_in = next((run.suite for run, metric in measured if _is_met(goal, metric, gate.most_errors)), None)
        for run, metric in measured:
            yield _goal(goal, run, metric, gate.most_errors, met_in)
            if is_compared(run, candidate):
                yield from regressions(goal, run, metric, gate, families)
        if not measured and len(reports) == len(gate.suites):
            yield _unmeasured(goal)
    if len(reports) == len(gate.suites):
        yield from _missing_slices(reports.values(), gate.slices)
    yield from weaker(candidate, terms)


def _undeclared(candidate: Candidate) -> Check:
    before = candidate.stable_terms
    if before is None or before.gate is None or candidate.stable is None:
        sentence = "No gate is declared: any release may take traffic."
        return Check(kind="gate", name="gate", verdict="pass", sentence=sentence)
    suites = ", ".join(before.gate.suites)
    return Check(
        kind="gate",
        name="gate",
        verdict="inconclusive",
        sentence=f"{candidate.stable.label(candidate.app)} was released under a gate ({suites}); now none is declared.",
        remedy="Put [gate] back into rondo.toml, or give traffic by an exception.",
    )


def _suite(suite: str, run: RunFacts | None, candidate: Candidate, evidence: Evidence) -> Check:
    if run is not None and run.target is not None:
        same = sum(each.suite == suite and each.id != run.id and not _faults(each, evidence) for each in evidence.runs)
        again = f"; {number_of(same, 'other run')} of the same evidence, this is the newest" if same else ""
        asked = number_of(run.target.answered + run.target.failed, "answer")
        said = f"Run {run.id} of {run.dataset} {run.dataset_hash[:8]}, {asked}{again}."
        return Check(kind="suite", name=suite, suite=suite, run=run.id, verdict="pass", sentence=said)
    newest = run or next((each for each in evidence.runs if each.suite == suite), None)
    if newest is None:
        why = f"The suite {suite!r} has not been run on {candidate.release.label(candidate.app)}."
    else:
        faults = _faults(newest, evidence) or ["its report is gone"]
        why = f"The newest run on it, {newest.id}, does not count: {'; '.join(faults)}."
    return Check(
        kind="suite",
        name=suite,
        suite=suite,
        run=newest.id if newest else None,
        verdict="inconclusive",
        sentence=why,
        remedy=run_it(suite, candidate),
    )


def _faults(run: RunFacts, evidence: Evidence) -> list[str]:
    """Why a run is no evidence, or is none any more."""
    if run.status != "finished":
        reason = f" ({run.stop_reason})" if run.stop_reason else ""
        return [f"it is {run.status.replace('_', ' ')}{reason}, {run.done:,} of {run.total:,} done"]
    faults = []
    if run.suite_hash != evidence.suite_hashes.get(run.suite):
        faults.append("the suite or its judges have changed since")
    taken = evidence.datasets.get(run.suite)
    if taken is None:
        faults.append("the dataset that the suite takes is not there")
    elif taken.hash != run.dataset_hash:
        faults.append(f"it asked another version of the dataset ({run.dataset_hash[:8]}) than {taken.label} is now")
    return faults


def _errors(suite: str, run: RunFacts, report: TargetReport, most: float) -> Check:
    asked = report.answered + report.failed
    share = report.failed / asked if asked else 1.0
    kinds = ", ".join(f"{name} {count}" for name, count in sorted(report.errors.items()))
    told = f"{report.failed:,} of {asked:,} without an answer{f' ({kinds})' if kinds else ''}"
    said = f"{told}; at most {amount(most, 'share')} may be."
    if not asked:
        said = "It asked nothing."
    return Check(
        kind="errors",
        name="errors",
        suite=suite,
        run=run.id,
        verdict="pass" if asked and share <= most else "inconclusive",
        sentence=said,
        remedy=None if asked and share <= most else f"`rondo runs show {run.id} --failed` says why; then run it again.",
        unit="share",
        value=share if asked else None,
        n=asked,
    )


def _judges(
    suite: str, run: RunFacts, report: TargetReport, candidate: Candidate, evidence: Evidence
) -> Iterator[Check]:
    used = {metric.judge: metric.judge_version for metric in report.metrics if metric.judge is not None}
    for judge, version in sorted(used.items()):
        own = evidence.judges.get(judge)
        remedy: str | None = run_it(suite, candidate)
        if own is None or own.version != version:
            counts = False
            said = "The release has no such judge." if own is None else "The run used another version of it."
        else:
            counts, said, remedy = own.counts, own.sentence, None
        yield Check(
            kind="judge", name=judge, suite=suite, run=run.id, verdict="pass" if counts else "inconclusive",
            sentence=said, remedy=remedy, value=own.kappa if own else None,
        )  # fmt: skip


def _is_met(goal: Goal, metric: MetricReport, most_errors: float) -> bool:
    estimate = metric.estimate
    known = estimate.missing <= most_errors * (estimate.n + estimate.missing) and metric.lost <= most_errors
    stands = standing(estimate, at_least=goal.at_least, at_most=goal.at_most, margin=goal.margin)
    return known and stands == "met"


def _goal(goal: Goal, run: RunFacts, metric: MetricReport, most_errors: float, met_in: str | None) -> Check:
    """The goal as it is now, whatever it was when the run was made.

    What one suite shows, another need not show too: a handful of must-pass examples says little of a latency. `met_in`
    is a suite that meets the goal.
    """
    estimate = metric.estimate
    asked = estimate.n + estimate.missing
    stands = standing(estimate, at_least=goal.at_least, at_most=goal.at_most, margin=goal.margin)
    verdict: Verdict = "inconclusive"
    remedy: str | None = f"`rondo runs show {run.id} --failed` says why."
    bound = _bound(goal, metric.unit)
    told = f"{estimated(estimate, metric.unit)}, wanted {bound}"
    if estimate.value is None:
        said = f"Wanted {bound}: no example has a score."
    elif estimate.missing > most_errors * asked:
        said = f"{told}: {estimate.missing:,} of {asked:,} have no score, which is too many."
    elif metric.lost > most_errors:
        said = f"{told}: {amount(metric.lost, 'share')} of its scores could not be had, which is too many."
    elif stands == "not_enough_evidence":
        said = f"{told}: {number_of(estimate.n, 'example')} cannot tell."
        if met_in is not None:
            verdict, said, remedy = "pass", f"{said[:-1]}; {met_in} meets it.", None
        else:
            remedy = "Add examples to the dataset, or repeats to the suite."
    elif stands == "met":
        verdict, said, remedy = "pass", f"{told}: met.", None
    else:
        verdict, said, remedy = "fail", f"{told}: missed.", None
    return Check(
        kind="goal", name=goal.metric, suite=run.suite, run=run.id, verdict=verdict, sentence=said, remedy=remedy,
        unit=metric.unit, value=estimate.value, low=estimate.low, high=estimate.high, n=estimate.n, bound=bound,
    )  # fmt: skip


def _bound(goal: Goal, unit: str) -> str:
    """`at least 85.0 %`."""
    return f"at {'most' if goal.at_least is None else 'least'} {amount(goal.limit, unit)}"


def _unmeasured(goal: Goal) -> Check:
    if goal.metric in LIVE_ONLY or goal.metric.startswith(OF_PRODUCTION):
        said = f"Wanted {goal.bound}: only production can measure it, `rondo status` does."
        return Check(kind="goal", name=goal.metric, verdict="pass", sentence=said, bound=goal.bound)
    return Check(
        kind="goal",
        name=goal.metric,
        verdict="inconclusive",
        sentence=f"Wanted {goal.bound}: no suite of the gate measures it.",
        remedy=f"Give a suite a scorer whose metric is {goal.metric!r}, or add the suite that has one to [gate].",
        bound=goal.bound,
    )


def _missing_slices(reports: Iterable[TargetReport], tags: Sequence[str]) -> Iterator[Check]:
    """A tag that no suite is split by guards nothing, whatever its author believes."""
    split = {part.tag for report in reports for metric in report.metrics for part in metric.slices}
    for tag in tags:
        if tag not in split:
            yield Check(
                kind="slice",
                name=tag,
                verdict="inconclusive",
                sentence=f"No example of the gate's suites has the tag {tag!r}, so no slice of it was looked at.",
                remedy="Tag the examples, or take it out of `gate.slices`.",
            )


def _summary(verdict: Verdict, checks: Sequence[Check]) -> str:
    if verdict == "pass":
        return f"The gate is passed: {number_of(len(checks), 'check')}."
    failed = sum(check.verdict == "fail" for check in checks)
    open_ = sum(check.verdict == "inconclusive" for check in checks)
    counts = [f"{count} {word}" for count, word in ((failed, "failed"), (open_, "inconclusive")) if count]
    return f"The gate is shut: {', '.join(counts)} of {number_of(len(checks), 'check')}."
