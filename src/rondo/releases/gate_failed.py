"""The first examples that a candidate failed, for who reads a gate's summary: must-pass examples before others."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from rondo.datasets import store as datasets
from rondo.errors import NotFound
from rondo.evals import store as runs
from rondo.evals.filtering import failed, place_of
from rondo.evals.model import Result, Run
from rondo.evals.written import line
from rondo.releases.gate_model import Decision, FailedExample

MOST_FAILED = 10
_AT_ONCE = 200
_MOST_LOOKED_THROUGH = 2_000
"""Results of a run: a summary is no export."""


def first(connection: Connection, project: str, decision: Decision) -> list[FailedExample]:
    """Of the runs that the decision goes by, each example once."""
    found: dict[str, tuple[Run, Result]] = {}
    for run, at in _runs(connection, project, decision):
        named = [each for check in decision.checks if check.run == run.id for each in check.examples][:MOST_FAILED]
        must_pass = runs.results_of(connection, project, run.id, named, len(run.targets))
        _take(found, run, (result for result in must_pass if result.target == at))
    for run, at in _runs(connection, project, decision):
        _take(found, run, _pages(connection, project, run, at))
    known = {each.id: each for each in datasets.read_examples(connection, project, [(id_, None) for id_ in found])}
    return [
        FailedExample(
            example=id_,
            question=line(known[id_].question),
            suite=run.name,
            run=run.id,
            must_pass=known[id_].must_pass,
            why=line(_why(result)),
        )
        for id_, (run, result) in found.items()
    ]


def _runs(connection: Connection, project: str, decision: Decision) -> Iterator[tuple[Run, int]]:
    for run_id in dict.fromkeys(check.run for check in decision.checks if check.run is not None):
        try:
            run = runs.get_run(connection, project, run_id)
        except NotFound:
            continue
        for at, target in enumerate(run.targets):
            if target.hash == decision.release.hash:
                yield run, at


def _pages(connection: Connection, project: str, run: Run, at: int) -> Iterator[Result]:
    after = None
    for _ in range(0, _MOST_LOOKED_THROUGH, _AT_ONCE):
        page = runs.results(connection, project, run.id, target=at, after=after, limit=_AT_ONCE)
        yield from page
        if len(page) < _AT_ONCE:
            return
        after = place_of(page[-1])


def _take(found: dict[str, tuple[Run, Result]], run: Run, results: Iterator[Result]) -> None:
    if len(found) >= MOST_FAILED:
        return
    for result in results:
        if failed(result):
            found.setdefault(result.example, (run, result))
        if len(found) >= MOST_FAILED:
            return


def _why(result: Result) -> str:
    if result.answer is None:
        return f"no answer: {result.error_message or result.error}"
    return next(
        f"{name}: {scored.reason or scored.error or 'not passed'}"
        for name, scored in result.scores.items()
        if scored.passed is False or scored.error is not None
    )
