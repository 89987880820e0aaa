"""What becomes of a rollout at each look, as a state machine. Pure: no clock, no chance, no database.

    scheduled → running (step after step) ⇄ paused → promoted | reported | rolled_back | aborted

`decide` is asked every half second with what the stored calls say. In this order:

    a hard guard is broken, or a guarded goal is worse   roll back, also while paused
    the callers on the sides do not fit their shares     pause, once
    the step has lasted, has its calls and its evidence  take the next one

People's decisions (`pause`, `resume`, `approve`, `promote`, `abort`) are functions beside it. A decision can be made
again from its Basis and the terms.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import structs

from rondo.errors import Conflict
from rondo.releases.slots import WHOLE_BP
from rondo.releases.state import percent_text
from rondo.rollout.model import TOTALS, GoalVerdict, Mismatch, Reading, Terms
from rondo.rollout.progress import Basis, Decision, EventKind, Progress
from rondo.settings.steps import Step, in_words, span

MOST_PER_LOOK_S = 10.0
"""A look counts for no more time than this, however long ago the last one was."""


def begin(terms: Terms, progress: Progress) -> Decision:
    """The first step."""
    return _enter(terms, structs.replace(progress, status="running"), 0, calls=0, kind="began", before="")


def schedule(at: int, at_text: str) -> Decision:
    """To begin later."""
    waiting = Progress(status="scheduled", start_at=at)
    return Decision(progress=waiting, kind="scheduled", sentence=f"It begins at {at_text}.")


def decide(terms: Terms, basis: Basis) -> Decision:
    """What a look changes; most change nothing but the time that has passed."""
    progress, reading = basis.before, basis.reading
    if progress.status == "scheduled":
        due = progress.start_at is None or basis.now >= progress.start_at
        return begin(terms, progress) if due else Decision(progress=progress)
    if progress.has_ended or reading is None:
        return Decision(progress=progress)
    if (bad := _harm(reading)) is not None:
        sentence, traces = bad
        return _end(progress, "rolled_back", sentence, traces)
    return Decision(progress=progress) if progress.status == "paused" else _go_on(terms, basis, reading)


def _go_on(terms: Terms, basis: Basis, reading: Reading) -> Decision:
    """What a look changes of a rollout that runs and harms nobody."""
    progress, mismatch = basis.before, reading.mismatch
    if mismatch is not None and mismatch.suspected and not progress.mismatch_accepted:
        return pause(progress, mismatch_told(mismatch))
    passed_s = min(max(basis.passed_s, 0.0), MOST_PER_LOOK_S)
    progress = structs.replace(progress, elapsed_s=progress.elapsed_s + passed_s)
    if not any(lacks(terms, progress, reading, now=basis.now)):
        return _next(terms, progress, reading)
    return _drawn(terms, progress, reading)


def lacks(terms: Terms, progress: Progress, reading: Reading | None, *, now: int) -> Iterator[str]:
    """What the present step still waits for, a phrase each; nothing where it is over."""
    step = terms.steps[progress.step]
    if step.kind == "approve" and progress.approved_by is None:
        yield "an approver's word (`rondo rollout approve`)"
    if step.kind == "at" and now < (step.moment or 0):
        yield f"its time: {in_words(step)}"
    if step.hold_s and progress.elapsed_s < step.hold_s:
        yield f"{span(step.hold_s - progress.elapsed_s)} more"
    calls = _calls(step, reading) - progress.calls_before
    if calls < step.calls:
        yield f"{_what(step)}: {calls:,} of {step.calls:,}"
    if step.until_evidence:
        yield from _unknown(terms, reading)
    if step.kind == "split" and calls < terms.guards.least_calls:
        least = terms.guards.least_calls
        yield f"traffic: the guards need {least:,} calls of the candidate in each step, and this one has {calls:,}"
    if step.kind == "shadow" and not _calls(step, reading):
        yield "traffic: nothing has been copied yet"


def pause(progress: Progress, why: str) -> Decision:
    """Nothing goes on until someone says so. Raises Conflict where there is nothing to pause."""
    if progress.status != "running":
        raise _unfit(progress, "so it cannot be paused")
    return Decision(progress=structs.replace(progress, status="paused", why=why), kind="paused", sentence=why)


def resume(progress: Progress, sentence: str, *, mismatch: bool) -> Decision:
    """Go on; in spite of a `mismatch`, where there is one. Raises Conflict."""
    if progress.status != "paused":
        raise _unfit(progress, "not paused")
    accepted = progress.mismatch_accepted or mismatch
    after = structs.replace(progress, status="running", why="", mismatch_accepted=accepted)
    return Decision(progress=after, kind="resumed", sentence=sentence)


def approve(terms: Terms, progress: Progress, by: str, sentence: str) -> Decision:
    """A person says that it may go on. Raises Conflict where nothing waits for that."""
    waits = progress.status == "running" and terms.steps[progress.step].kind == "approve"
    if not waits or progress.approved_by is not None:
        raise Conflict("The rollout does not wait for an approval.", remedy="`rondo rollout status` says what it does.")
    return Decision(progress=structs.replace(progress, approved_by=by), kind="approved", sentence=sentence)


def promote(progress: Progress, sentence: str) -> Decision:
    """Skip the rest: the candidate serves everyone. Raises Conflict."""
    if progress.status not in ("running", "paused"):
        raise _unfit(progress, "so there is nothing to promote")
    return _end(progress, "promoted", sentence)


def abort(progress: Progress, sentence: str) -> Decision:
    """Nobody gets the candidate any more. Raises Conflict."""
    if progress.has_ended:
        raise _unfit(progress, "so it cannot be aborted")
    return _end(progress, "aborted", sentence)


def awaits_approval(terms: Terms, progress: Progress) -> bool:
    """Whether a step `approve` that nobody has approved is the present one, or still to come."""
    ahead = terms.steps[progress.step + (progress.approved_by is not None) :]
    return any(step.kind == "approve" for step in ahead)


def _unfit(progress: Progress, so: str) -> Conflict:
    return Conflict(
        f"The rollout is {progress.status.replace('_', ' ')}, {so}.",
        remedy="`rondo rollout status` shows it; `rondo rollout abort` ends one that goes on.",
    )


def goal_told(goal: GoalVerdict) -> str:
    """`answer.correct is worse: 0.62 against 0.81, a difference of -0.19 [-0.27, -0.11], from 210 and 205 callers`."""
    told = f"{goal.metric} is {goal.verdict.replace('not_enough', 'not known well enough')}"
    if goal.candidate is not None and goal.baseline is not None:
        told += f": {goal.candidate:.4g} against {goal.baseline:.4g}"
    if goal.difference is not None:
        told += f", a difference of {goal.difference:+.3g}"
    if goal.low is not None and goal.high is not None:
        told += f" [{goal.low:+.3g}, {goal.high:+.3g}]"
    return f"{told}, from {goal.candidate_units:,} and {goal.baseline_units:,} callers"


def mismatch_told(found: Mismatch) -> str:
    """Why a suspected mismatch stops a rollout."""
    return (
        f"The callers do not fit the shares: {found.candidate:,} got the candidate and {found.baseline:,} the baseline,"
        f" where {found.expected_share:.0%} should have got the candidate (p = {found.p_value:.2g}). What sorts them"
        " would distort every comparison: find out what it is, then resume or abort."
    )


def _harm(reading: Reading) -> tuple[str, list[str]] | None:
    """Why it must be rolled back, and calls that show it."""
    for breach in reading.breaches:
        return breach.sentence, breach.traces
    for goal in reading.goals:
        if goal.guarded and goal.verdict == "worse":
            return f"{goal_told(goal)}.", goal.traces
    return None


def _unknown(terms: Terms, reading: Reading | None) -> Iterator[str]:
    """Goals that are not known as well as `until evidence` wants: no worse than the margin; in a test, either way."""
    found = {goal.metric: goal for goal in reading.goals} if reading is not None else {}
    for goal in terms.goals:
        if goal.metric in TOTALS or (not goal.guarded and terms.kind == "canary"):
            continue
        verdict = found.get(goal.metric)
        if goal.metric in terms.untold and (verdict is None or not verdict.candidate_units + verdict.baseline_units):
            continue
        if verdict is None:
            yield f"evidence: {goal.metric} has not been measured"
        elif not verdict.tolerated and verdict.verdict == "not_enough":
            yield f"evidence: {goal_told(verdict)}"


def _calls(step: Step, reading: Reading | None) -> int:
    if reading is None:
        return 0
    return reading.shadow_calls if step.kind == "shadow" else reading.candidate.made


def _what(step: Step) -> str:
    return "copies" if step.kind == "shadow" else "calls of the candidate"


def _next(terms: Terms, progress: Progress, reading: Reading) -> Decision:
    """From a step that is over to the one after it, or to the end."""
    over = terms.steps[progress.step]
    done = f"{in_words(over)} is done after {span(progress.elapsed_s)} and {_calls(over, reading):,} {_what(over)}"
    if progress.step + 1 == len(terms.steps):
        return _end(progress, "reported", f"The last step is over: {done}. The stable release serves everyone.")
    step = terms.steps[progress.step + 1]
    return _enter(terms, progress, progress.step + 1, calls=_calls(step, reading), kind="step", before=done)


def _enter(terms: Terms, progress: Progress, number: int, *, calls: int, kind: EventKind, before: str) -> Decision:
    step = terms.steps[number]
    told = f"Step {number + 1} of {len(terms.steps)}: {in_words(step)}{f', now that {before}' if before else ''}."
    after = structs.replace(
        progress,
        step=number,
        share_bp=step.share_bp if step.kind == "split" else progress.share_bp,
        elapsed_s=0.0,
        calls_before=calls,
        drawn_s=0.0,
        approved_by=None,
    )
    if step.kind == "promote":
        return _end(after, "promoted", f"All steps have been taken. {told}")
    return Decision(progress=after, kind=kind, sentence=told)


def _end(progress: Progress, status: EventKind, sentence: str, traces: list[str] | None = None) -> Decision:
    assert status in ("promoted", "rolled_back", "aborted", "reported")
    share_bp = 10_000 if status == "promoted" else 0
    after = structs.replace(progress, status=status, share_bp=share_bp, why=sentence)
    return Decision(progress=after, kind=status, sentence=sentence, traces=traces or [])


def _drawn(terms: Terms, progress: Progress, reading: Reading) -> Decision:
    """A bandit draws the share anew, once its guards hold: the reading has a share only then."""
    due = progress.elapsed_s - progress.drawn_s >= terms.draw_every_s
    if terms.steps[progress.step].kind != "split" or not due or reading.bandit_share is None:
        return Decision(progress=progress)
    share_bp = round(reading.bandit_share * _both_bp(terms, progress))
    after = structs.replace(progress, share_bp=share_bp, drawn_s=progress.elapsed_s)
    if share_bp == progress.share_bp:
        return Decision(progress=after)
    told = f"The candidate gets {percent_text(share_bp)} % after {percent_text(progress.share_bp)} %, as {terms.reward}"
    return Decision(progress=after, kind="drawn", sentence=f"{told} speaks for it with {reading.bandit_share:.0%}.")


def baseline_bp(terms: Terms, progress: Progress) -> int:
    """How many callers the candidate is compared with: as many as the step gives it, as far as there are so many."""
    return max(0, _both_bp(terms, progress) - progress.share_bp) if terms.baseline and progress.share_bp else 0


def _both_bp(terms: Terms, progress: Progress) -> int:
    """The callers of both sides together. A bandit moves the border between them."""
    given = [step.share_bp for step in terms.steps[: progress.step + 1] if step.kind == "split"]
    return min(WHOLE_BP, 2 * given[-1]) if given else 0
