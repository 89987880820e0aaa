"""Whether a candidate passes every example that must be passed: those of the gate's suites, and the app's failures that
no suite of the gate asks. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rondo.evals.evidence import TargetReport
from rondo.releases.gate_model import Candidate, Check, Evidence, GateTerms, MustPassFacts, RunFacts
from rondo.releases.gate_words import number_of
from rondo.settings.evaluating import OF_FAILURES

_NAMED = 3
"""Examples that a sentence names."""


def of_suite(suite: str, run: RunFacts, report: TargetReport) -> Iterator[Check]:
    """The must-pass examples that a suite of the gate asked."""
    failed = report.must_pass_failed
    if not report.must_pass:
        return
    yield Check(
        kind="must_pass",
        name="must-pass examples",
        suite=suite,
        run=run.id,
        verdict="fail" if failed else "pass",
        sentence=f"{report.must_pass - len(failed):,} of {number_of(report.must_pass, 'must-pass example')} passed.",
        remedy=f"`rondo runs show {run.id} --failed` shows the answers to {', '.join(failed[:5])}." if failed else None,
        n=report.must_pass,
        examples=failed,
    )


def of_failures(candidate: Candidate, gate: GateTerms, evidence: Evidence) -> Iterator[Check]:
    """The app's failures that no suite of the gate asked of the candidate; what one did ask is that suite's."""
    left = [each for each in evidence.must_pass if each.suite not in gate.suites]
    if not left:
        return
    missing = [each for each in left if each.outcome == "not_asked"]
    if missing:
        yield _not_asked(candidate, missing, len(left))
    if len(missing) < len(left):
        yield _asked([each for each in left if each.outcome != "not_asked"])


def _not_asked(candidate: Candidate, missing: Sequence[MustPassFacts], all_: int) -> Check:
    label = candidate.release.label(candidate.app)
    return Check(
        kind="suite",
        name=OF_FAILURES,
        suite=OF_FAILURES,
        verdict="inconclusive",
        sentence=f"Of the failures that became must-pass examples, {len(missing):,} of {all_:,}"
        f" {'has' if len(missing) == 1 else 'have'} not been asked of {label}: {_named(missing)}.",
        remedy=_run_it(candidate),
        n=all_,
        examples=[each.example for each in missing],
    )


def _asked(asked: Sequence[MustPassFacts]) -> Check:
    failed = [each for each in asked if each.outcome == "failed"]
    unknown = [each for each in asked if each.outcome == "unknown"]
    newest = (failed or unknown or asked)[0].run
    said = f"{len(asked) - len(failed) - len(unknown):,} of {number_of(len(asked), 'must-pass example')} passed."
    remedy = None
    if failed:
        said += f" Failed: {_named(failed)}."
        remedy = f"`rondo runs show {newest} --failed` shows the answers."
    elif unknown:
        said += f" Not known: {_named(unknown)}."
        remedy = (
            f"`rondo runs show {newest} --failed` says why. Where an example has nothing but its `expected` answer,"
            f' name a suite in [gate] that has `dataset = "{unknown[0].dataset}"`, `regressions = true` and scorers'
            " of your own."
        )
    return Check(
        kind="must_pass",
        name="must-pass examples",
        suite=OF_FAILURES,
        run=newest,
        verdict="fail" if failed else "inconclusive" if unknown else "pass",
        sentence=said,
        remedy=remedy,
        n=len(asked),
        examples=[each.example for each in (*failed, *unknown)],
    )


def _named(examples: Sequence[MustPassFacts]) -> str:
    """`"Where is my order?" (failures), and 4 more`."""
    named = [f'"{each.question or each.example}" ({each.dataset})' for each in examples[:_NAMED]]
    more = len(examples) - len(named)
    return ", ".join(named) + (f", and {more:,} more" if more else "")


def _run_it(candidate: Candidate) -> str:
    which = f" --target {candidate.release.number}" if candidate.release.number is not None else ""
    return f"Run `rondo eval {OF_FAILURES}{which}`."
