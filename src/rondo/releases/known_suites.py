"""Suites that the server knows of, to be run again: those of the gates as they hold now, and those of earlier runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection

from rondo.errors import NotFound
from rondo.evals import store as runs
from rondo.evals.model import Run
from rondo.evals.ordering import NewRun
from rondo.evals.suites import BESIDE
from rondo.releases import gate_terms, store
from rondo.releases.bundle import is_example_file
from rondo.releases.model import AppRow
from rondo.settings.suites import dataset_name

_LOOKED_AT = 200
"""Runs that are looked through, newest first."""


def known_suites(connection: Connection, project: str) -> list[NewRun]:
    """One of each app and name, by these. A gate's is as the app's newest release has it; another, as it ran last."""
    found: dict[tuple[str, str], NewRun] = {}
    for app in store.list_apps(connection, project):
        for suite in _of_gate(app):
            found.setdefault((suite.app, suite.name), suite)
    for run in runs.list_runs(connection, project, limit=_LOOKED_AT):
        found.setdefault((run.app, run.name), _of_run(run))
    return [found[key] for key in sorted(found)]


def known_suite(connection: Connection, project: str, app: str, name: str) -> NewRun:
    """Raises NotFound."""
    for suite in known_suites(connection, project):
        if (suite.app, suite.name) == (app, name):
            return suite
    raise NotFound(
        f"{app!r:.80} has run no suite {name!r:.80}.", remedy="Run it once with `rondo eval`.", param="suite"
    )


def _of_gate(app: AppRow) -> Iterator[NewRun]:
    gate = gate_terms.of_app(app.settings).gate
    if gate is None:
        return
    for name, suite in gate.suites.items():
        dataset = str(suite["dataset"])
        is_file = is_example_file(dataset)
        yield NewRun(
            app=app.name,
            name=name,
            suite=suite,
            dataset=dataset_name(dataset) if is_file else dataset,
            dataset_hash=gate.dataset_hashes.get(name) if is_file else None,
            goals=app.settings.get("goals") or [],
            guarded_slices=gate.slices,
            least_slice=gate.least_slice,
        )


def _of_run(run: Run) -> NewRun:
    beside: dict[str, Any] = run.suite
    return NewRun(
        app=run.app,
        name=run.name,
        suite={name: value for name, value in run.suite.items() if name not in BESIDE},
        dataset=run.dataset,
        dataset_hash=run.dataset_hash,
        goals=beside.get("goals", []),
        guarded_slices=beside.get("guarded_slices", []),
        least_slice=beside.get("least_slice"),
    )
