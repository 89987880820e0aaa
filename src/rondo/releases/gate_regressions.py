"""Whether a release is worse than what serves: each guarded goal and slice, by a run that compared both. Pure.

A comparison counts where it was corrected for the questions that the gate asks and no others, and where few examples
are missing from either side. Each run corrects over its own goals and slices (Holm); where several suites compare,
their corrected p are multiplied by how many they are (Bonferroni), so that more suites raise no more false alarms.
"""

from __future__ import annotations

from collections.abc import Iterator

from rondo.evals.evidence import Comparison, MetricReport, SliceReport, TargetReport
from rondo.evals.goals import Goal
from rondo.evals.statistics.standing import is_worse
from rondo.evals.written import amount, compared, difference
from rondo.releases.gate_model import Candidate, Check, GateTerms, RunFacts, Terms, Verdict
from rondo.releases.gate_words import number_of, run_it

_ALPHA = 0.05


def is_against_stable(run: RunFacts, candidate: Candidate) -> bool:
    """Whether there is nothing to compare with, or the run did."""
    return candidate.stable is None or run.baseline == candidate.stable.hash


def is_compared(run: RunFacts, candidate: Candidate) -> bool:
    """Whether the run says how the candidate stands beside what serves."""
    return candidate.stable is not None and not candidate.is_stable and is_against_stable(run, candidate)


def baseline(suite: str, run: RunFacts, candidate: Candidate, terms: Terms) -> Iterator[Check]:
    """Whether the run compared with what serves now, fairly."""
    if candidate.is_stable:
        return
    verdict: Verdict = "inconclusive"
    if candidate.stable is None:
        verdict, said = "pass", "Nothing serves yet, so there is nothing to compare with."
    elif not is_against_stable(run, candidate):
        label = candidate.stable.label(candidate.app)
        against = f"with the release {run.baseline[:12]}, but " if run.baseline else "with nothing, and "
        said = f"The run {run.id} compared {against}{label} serves now: whether it is worse is not known."
    elif run.target is not None and not _asked_the_same(run.target, terms):
        said = f"The run {run.id} was corrected for other goals or slices than the gate has now."
    elif (lost := _lost_by_baseline(run)) > _most_errors(terms):
        label = candidate.stable.label(candidate.app)
        said = f"Of the answers of {label}, {amount(lost, 'share')} are missing from {run.id}."
    else:
        return
    yield Check(
        kind="baseline",
        name=suite,
        suite=suite,
        run=run.id,
        verdict=verdict,
        sentence=said,
        remedy=None if verdict == "pass" else run_it(suite, candidate),
    )


def regressions(goal: Goal, run: RunFacts, metric: MetricReport, gate: GateTerms, families: int) -> Iterator[Check]:
    """The guarded goal as a whole, and in each slice that is guarded and large enough; `families` runs compare."""
    if not goal.guarded:
        return
    most = gate.most_errors
    yield _regression(goal, run, metric, most_errors=most, families=families)
    for part in metric.slices:
        if part.tag in gate.slices and part.estimate.n >= gate.least_slice:
            yield _regression(goal, run, metric, part, most_errors=most, families=families)


def _asked_the_same(report: TargetReport, terms: Terms) -> bool:
    """Whether p was corrected over the goals and the guarded slices that the gate has, of those that were measured."""
    guarded = {goal.metric: goal.guarded for goal in terms.goals}
    tags = terms.gate.slices if terms.gate is not None else []
    return all(
        (metric.standing is not None) == (metric.metric in guarded)
        and all(part.guarded == (guarded.get(metric.metric, False) and part.tag in tags) for part in metric.slices)
        for metric in report.metrics
    )


def _lost_by_baseline(run: RunFacts) -> float:
    beside = run.beside
    asked = 0 if beside is None else beside.answered + beside.failed
    return 0.0 if beside is None or not asked else beside.failed / asked


def _most_errors(terms: Terms) -> float:
    return terms.gate.most_errors if terms.gate is not None else 1.0


def _regression(
    goal: Goal,
    run: RunFacts,
    metric: MetricReport,
    part: SliceReport | None = None,
    *,
    most_errors: float,
    families: int,
) -> Check:
    """Of the whole metric, or of a part of it."""
    found, is_slice = (metric if part is None else part).comparison, part is not None
    name = goal.metric if part is None else f"{goal.metric} [{part.tag}={part.value}]"
    lost = 0.0 if run.beside is None else run.beside.lost.get(metric.metric, 0.0)
    if found is None or found.difference is None or not found.n or lost > most_errors:
        said = "It was not compared." if found is None else "No example has a score from both releases."
        if found is not None and found.n:
            said = f"{amount(lost, 'share')} of the scores of what serves now could not be had, which is too many."
        return Check(
            kind="slice" if is_slice else "regression", name=name, suite=run.suite, run=run.id, unit=metric.unit,
            verdict="inconclusive", sentence=said, remedy=f"Run `rondo eval {run.suite} --against production`.",
        )  # fmt: skip
    verdict, told = _told(found, goal, families)
    visible = None if found.visible is None else difference(found.visible, metric.unit).lstrip("+±")
    seen = f"; {visible} could have been seen" if visible is not None else ""
    more = f", the goal's margin takes {found.needed:,} examples" if (found.needed or 0) > found.n else ""
    numbers = compared(found, metric.unit)
    return Check(
        kind="slice" if is_slice else "regression", name=name, suite=run.suite, run=run.id, unit=metric.unit,
        verdict=verdict, sentence=f"{numbers} over {found.n:,}: {told}{seen}{more}.", n=found.n,
        difference=found.difference, difference_low=found.low, difference_high=found.high,
        p=found.p, visible=found.visible, needed=found.needed,
    )  # fmt: skip


def _told(found: Comparison, goal: Goal, families: int) -> tuple[Verdict, str]:
    if found.outcome == "better":
        return "pass", "better than production"
    if found.outcome != "worse":
        return "pass", "no significant change against production"
    if not is_worse(found, goal.margin):
        return "pass", "worse than production, by less than the goal's margin"
    if found.p is not None and found.p * families > _ALPHA:
        return "pass", f"worse than production, not significantly beside {number_of(families - 1, 'other suite')}"
    return "fail", "worse than production"
