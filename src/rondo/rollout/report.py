"""A rollout as people read it: where it stands, what it waits for, its verdicts, and the report at its end.

The report is made from what is stored, so it can be made again. Markdown is for tickets; JSON has everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from msgspec import Struct
from sqlalchemy import Connection

from rondo import clock
from rondo.rollout import state, store
from rondo.rollout.model import GoalVerdict, Reading
from rondo.rollout.progress import Event, Progress, Rollout, Status
from rondo.settings.steps import in_words, span


class StepView(Struct, frozen=True, kw_only=True):
    """A step in words, and whether it is over, present or to come."""

    words: str
    kind: str
    state: Literal["done", "now", "next"]


class RolloutView(Struct, frozen=True, kw_only=True):
    """A rollout for the doors. Shares are in percent; `waits_for` is what the present step still lacks,
    `left_out` which callers the verdicts do not rest on, `fault` what
    keeps it from going on."""

    id: str
    app: str
    release: int
    baseline: int
    kind: str
    status: Status
    step: int
    steps: list[StepView]
    share: float
    baseline_share: float
    elapsed_s: float
    waits_for: list[str]
    why: str
    fault: str | None
    reading: Reading | None
    left_out: list[str]
    reason: str
    exception: str | None
    created_at: int
    created_by: str
    start_at: int | None
    began_at: int | None
    ended_at: int | None
    events: list[Event]


Latest = tuple[Progress, Reading | None, str | None]
"""Progress, reading and fault, as the controller knows them now."""


def view(rollout: Rollout, events: list[Event], latest: Latest | None = None) -> RolloutView:
    """A rollout with what the controller knows of it that is newer than the catalog."""
    progress, reading, fault = latest or (rollout.progress, rollout.reading, None)
    terms, runs = rollout.terms, progress.status == "running"
    return RolloutView(
        id=rollout.id,
        app=rollout.app,
        release=rollout.release,
        baseline=rollout.baseline,
        kind=terms.kind,
        status=progress.status,
        step=progress.step,
        steps=_steps(rollout, progress),
        share=progress.share_bp / 100,
        baseline_share=0.0 if progress.has_ended else state.baseline_bp(terms, progress) / 100,
        elapsed_s=progress.elapsed_s,
        waits_for=list(state.lacks(terms, progress, reading, now=clock.now_us())) if runs else [],
        why=progress.why,
        fault=fault,
        reading=reading,
        left_out=list(left_out(reading)) if reading is not None else [],
        reason=rollout.reason,
        exception=None if rollout.exception is None else f"{rollout.exception.by}: {rollout.exception.reason}",
        created_at=rollout.created_at,
        created_by=rollout.created_by,
        start_at=progress.start_at,
        began_at=rollout.began_at,
        ended_at=rollout.ended_at,
        events=events,
    )


def found(connection: Connection, project: str, app: str, rollout: str | None) -> tuple[Rollout, list[Event]] | None:
    """A rollout and its events: by its id, or the one that goes on, else the last one. Raises NotFound."""
    one = (
        store.get(connection, project, app, rollout) if rollout is not None else store.latest(connection, project, app)
    )
    return None if one is None else (one, store.events(connection, project, one.id))


class Going(Struct, frozen=True, kw_only=True):
    """A rollout that goes on, in a line, for overviews."""

    app: str
    id: str
    summary: str
    waits_for: list[str]
    why: str
    fault: str | None


def under_way(connection: Connection, project: str, latest: Callable[[Rollout], Latest]) -> list[RolloutView]:
    """Every rollout of the project that goes on, without its events."""
    return [view(each, [], latest(each)) for each in store.all_active(connection, [project])]


def going(connection: Connection, project: str, latest: Callable[[Rollout], Latest]) -> list[Going]:
    """Every rollout of the project that goes on."""
    return [
        Going(app=it.app, id=it.id, summary=summary(it), waits_for=it.waits_for, why=it.why, fault=it.fault)
        for it in under_way(connection, project, latest)
    ]


def markdown(it: RolloutView) -> str:
    """The report, for a ticket or a pull request."""
    return "\n".join(_lines(it)) + "\n"


def summary(it: RolloutView) -> str:
    """One line: `#8 beside #7, step 2 of 4 (25 % for 1 h), 25 % since 12 min`."""
    told = f"#{it.release} beside #{it.baseline}, {it.status.replace('_', ' ')}"
    if it.status in ("running", "paused"):
        told += f", step {it.step + 1} of {len(it.steps)} ({it.steps[it.step].words}) for {span(it.elapsed_s)}"
    return told


def _steps(rollout: Rollout, progress: Progress) -> list[StepView]:
    whole = progress.status in ("promoted", "reported") and progress.step == len(rollout.terms.steps) - 1

    def stands(number: int) -> Literal["done", "now", "next"]:
        if number < progress.step or whole:
            return "done"
        began = rollout.began_at is not None
        return "now" if number == progress.step and began else "next"

    return [
        StepView(words=in_words(step), kind=step.kind, state=stands(number))
        for number, step in enumerate(rollout.terms.steps)
    ]


def _lines(it: RolloutView) -> Iterator[str]:
    yield f"# {_escaped(it.app)}#{it.release} against #{it.baseline}: {it.status.replace('_', ' ')}"
    yield ""
    if it.why:
        yield _escaped(it.why)
        yield ""
    yield f"- rollout `{it.id}`, {it.kind}, started by {_escaped(it.created_by)}"
    yield f"- from {_when(it.began_at)} to {_when(it.ended_at)}"
    yield f"- steps: {'; '.join(step.words for step in it.steps)}"
    reading = it.reading
    if reading is not None:
        yield (
            f"- candidate: {reading.candidate.calls:,} calls of {reading.candidate.units:,} callers;"
            f" baseline: {reading.baseline.calls:,} calls of {reading.baseline.units:,} callers"
        )
        yield from (f"- {words}" for words in left_out(reading))
        yield from _sums(reading)
        yield from _goals(reading)
    yield ""
    yield "## What happened"
    yield ""
    for event in it.events:
        what = event.kind.replace("_", " ")
        yield f"- {_when(event.at)} {what} ({_escaped(event.actor)}): {_escaped(event.sentence)}"
        if event.traces:
            yield f"  - calls: {', '.join(f'`{trace}`' for trace in event.traces)}"


def left_out(reading: Reading) -> Iterator[str]:
    """Which callers and calls the verdicts do not rest on, a sentence each."""
    ours, theirs = reading.candidate, reading.baseline
    if not reading.goals:
        return
    if ours.fresh or theirs.fresh:
        yield f"too fresh to count: {ours.fresh:,} callers of the candidate and {theirs.fresh:,} of the baseline"
    if (ours.immature, theirs.immature) != (ours.fresh, theirs.fresh):
        yield (
            f"not mature yet, so left out of goals that scores feed: {ours.immature:,} callers of the candidate and"
            f" {theirs.immature:,} of the baseline"
        )
    if ours.cached or theirs.cached:
        yield (
            f"no evidence, since the cache answered them: {ours.cached:,} calls of the candidate and"
            f" {theirs.cached:,} of the baseline"
        )


def _sums(reading: Reading) -> Iterator[str]:
    """Which goals the candidate does better in, which worse, and which cannot be told."""
    for opinion in ("better", "worse", "not_enough"):
        goals = [_escaped(goal.metric) for goal in reading.goals if goal.verdict == opinion]
        if goals:
            yield f"- {opinion.replace('not_enough', 'not enough evidence')}: {', '.join(goals)}"


def _goals(reading: Reading) -> Iterator[str]:
    yield ""
    yield "| goal | verdict | candidate | baseline | difference | interval | callers |"
    yield "|---|---|---|---|---|---|---|"
    for goal in reading.goals:
        cells = [_escaped(goal.metric), goal.verdict.replace("_", " "), *_numbers(goal)]
        yield f"| {' | '.join(cells)} | {goal.candidate_units:,} / {goal.baseline_units:,} |"


def _numbers(goal: GoalVerdict) -> list[str]:
    interval = "–" if goal.low is None or goal.high is None else f"[{goal.low:+.3g}, {goal.high:+.3g}]"
    return [_number(goal.candidate), _number(goal.baseline), _number(goal.difference, signed=True), interval]


def _number(value: float | None, *, signed: bool = False) -> str:
    return "–" if value is None else f"{value:+.3g}" if signed else f"{value:.4g}"


def _when(at: int | None) -> str:
    return "–" if at is None else f"{clock.iso(at)[:19]}Z"


def _escaped(text: str) -> str:
    """On one line, and no markup of its own."""
    line = " ".join(text.split())
    return "".join(f"\\{character}" if character in "\\`*_{}[]<>|#" else character for character in line)
