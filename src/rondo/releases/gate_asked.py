"""Which of an app's failures a candidate was asked again, and with what outcome: looked up in the runs that count.

A result counts that came from a suite of the gate, in the run that is weighed, or else from the newest run of the
suite `must-pass` on the candidate's hash that has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import structs
from sqlalchemy import Connection

from rondo.datasets import regressions
from rondo.datasets import store as datasets
from rondo.evals import store as runs
from rondo.evals.model import Result, Run
from rondo.evals.written import line
from rondo.releases.gate_model import MustPassFacts
from rondo.settings.evaluating import OF_FAILURES

_MOST_RUNS = 50
"""How many of the newest runs of `must-pass` are looked through."""


def of_failures(
    connection: Connection, project: str, app: str, hash_: str, weighed: Iterable[Run]
) -> list[MustPassFacts]:
    """Of each example that every release of the app must pass; `weighed` are the runs of the gate's suites."""
    required = regressions.required(connection, project, app)
    open_ = {example: dataset for dataset, examples in required.items() for example in examples}
    if not open_:
        return []
    from rondo.evals.must_pass import outcome  # brings every scorer

    found: dict[str, MustPassFacts] = {}
    for run in (*weighed, *_own(connection, project, app, hash_)):
        for example, results in _results(connection, project, run, hash_, [*open_.keys() - found.keys()]).items():
            found[example] = MustPassFacts(
                example=example, dataset=open_[example], outcome=outcome(results), suite=run.name, run=run.id
            )
    facts = [found.get(example) or MustPassFacts(example=example, dataset=open_[example]) for example in open_]
    return _with_questions(connection, project, facts)


def _own(connection: Connection, project: str, app: str, hash_: str) -> list[Run]:
    """Finished runs of the suite `must-pass`, newest first, that scored as it does."""
    from rondo.evals.must_pass import hash_of_suite

    own = hash_of_suite()
    newest = runs.list_runs(connection, project, app=app, name=OF_FAILURES, status="finished", limit=_MOST_RUNS)
    return [run for run in newest if run.suite_hash == own and any(each.hash == hash_ for each in run.targets)]


def _results(
    connection: Connection, project: str, run: Run, hash_: str, examples: Sequence[str]
) -> dict[str, list[Result]]:
    at = next(place for place, target in enumerate(run.targets) if target.hash == hash_)
    found: dict[str, list[Result]] = {}
    for result in runs.results_of(connection, project, run.id, examples, len(run.targets)):
        if result.target == at:
            found.setdefault(result.example, []).append(result)
    return found


def _with_questions(connection: Connection, project: str, facts: list[MustPassFacts]) -> list[MustPassFacts]:
    """So that people know which is meant, of those that have not passed."""
    open_ = [(each.example, None) for each in facts if each.outcome != "passed"]
    asked = {each.id: line(each.question) for each in datasets.read_examples(connection, project, open_)}
    return [structs.replace(each, question=asked.get(each.example, "")) for each in facts]
