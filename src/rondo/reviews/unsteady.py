"""Answers of evaluation runs on which a judge is not at one with itself.

Its votes on one answer lie far apart, or it was torn between two orders, or it gave repeats of one example very
different scores. What people say of those answers tells which of its words to trust.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from msgspec import Struct

from rondo.catalog.engine import Catalog
from rondo.evals import store as runs
from rondo.evals.model import Result, Run, Scored
from rondo.evals.suites import judges_of

_MOST_RUNS = 50


class Unsteady(Struct, frozen=True):
    """A call of an evaluation, and why people should look at it."""

    trace_id: str
    at: int
    why: str


def judged(catalog: Catalog, project: str, app: str, *, since: int, gap: float, limit: int) -> Iterator[Unsteady]:
    """Such answers of the app's runs that ended since then; `gap` is a share of a judge's scale."""
    with catalog.read() as connection:
        finished = runs.list_runs(connection, project, app=app, status="finished", limit=_MOST_RUNS)
    found = 0
    for run in finished:
        if run.ended_at is None or run.ended_at < since or not judges_of(run):
            continue
        with catalog.read() as connection:
            results = runs.every_result(connection, project, run.id)
            for trace_id, why in _of_run(results, _widths(run), gap):
                yield Unsteady(trace_id, run.ended_at, why)
                found += 1
                if found == limit:
                    return


def _of_run(results: Iterator[Result], widths: Mapping[str, float], gap: float) -> Iterator[tuple[str, str]]:
    for _, group in groupby(results, key=lambda each: (each.target, each.example)):
        repeats = [each for each in group if each.answer is not None]
        for result in repeats:
            for name, scored in result.scores.items():
                spread = _spread(scored, widths.get(name, widths.get(name.rpartition(".")[2])))
                if spread is not None and spread >= gap:
                    yield from _trace(result, f"The votes of {name} lie {spread:.0%} of its scale apart.")
        yield from _between(repeats, gap)


def _between(repeats: list[Result], gap: float) -> Iterator[tuple[str, str]]:
    """The repeat that a judge liked least, where it liked another far better."""
    names = {name for each in repeats for name, scored in each.scores.items() if "votes" in scored.details}
    for name in sorted(names):
        valued = [(value, each) for each in repeats if (value := _value(each, name)) is not None]
        if len(valued) < 2:
            continue
        lowest, result = min(valued, key=lambda pair: pair[0])
        highest = max(value for value, _ in valued)
        if highest - lowest >= gap:
            yield from _trace(result, f"{name} gave repeats of this from {lowest:.2f} to {highest:.2f}.")


def _value(result: Result, name: str) -> float | None:
    scored = result.scores.get(name)
    return None if scored is None else scored.value


def _spread(scored: Scored, width: float | None) -> float | None:
    """How far a judge's votes lie apart, as a share of its scale; None where it had one vote, or is no judge."""
    votes = scored.details.get("votes")
    if not isinstance(votes, list) or not votes or not all(isinstance(vote, int | float) for vote in votes):
        return None
    if scored.details.get("inconsistent"):
        return 1.0
    if len(votes) < 2:
        return None
    spread = float(max(votes) - min(votes))
    if width is None:
        return spread if min(votes) >= 0 and max(votes) <= 1 else None
    return spread / width


def _widths(run: Run) -> dict[str, float]:
    """The width of a judge's scale, by criterion, and by what its metric is called."""
    found: dict[str, float] = {}
    for judge in judges_of(run).values():
        for each in judge.criteria if judge.scores_criteria else ():
            width = float(each.highest - each.lowest)
            found.update({each.name: width, judge.metric_of(each.name): width})
    return found


def _trace(result: Result, why: str) -> Iterator[tuple[str, str]]:
    if result.answer is not None and result.answer.trace_id is not None:
        yield result.answer.trace_id, why
