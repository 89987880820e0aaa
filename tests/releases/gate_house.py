"""A catalog with an app behind a gate, and the evidence that tests put into it."""

from __future__ import annotations

from itertools import count
from typing import Any

import msgspec
from sqlalchemy import Connection

from releases.gate_makers import target
from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.datasets import store as datasets
from rondo.datasets.model import DatasetVersion
from rondo.evals import store as runs
from rondo.evals.evidence import Report, TargetReport
from rondo.evals.goals import Goal
from rondo.evals.model import Run, Target
from rondo.evals.suites import suite_hash
from rondo.releases import gate_terms, store, traffic
from rondo.releases import manifest as manifests
from rondo.releases.gate_model import GateTerms, Terms
from rondo.releases.model import Release
from rondo.settings.evaluating import SuiteSettings

SUITE: dict[str, Any] = {"dataset": "questions", "scorers": [{"kind": "exact"}]}
GATE = GateTerms(
    suites={"answers": SUITE},
    most_errors=0.05,
    slices=[],
    least_slice=20,
)
TERMS = Terms(goals=[Goal(metric="answer.correct", at_least=0.8)], gate=GATE)
_numbers = count(1)


def set_terms(connection: Connection, terms: Terms, app: str = "bot") -> None:
    """As a release does."""
    values = gate_terms.kept(terms)
    store.save_app(connection, "p", app, {"goals": values["goals"], **gate_terms.beside_goals(terms)}, 0)


def add_release(
    connection: Connection, *, by: str = "dev", terms: Terms = TERMS, app: str = "bot", **more: Any
) -> Release:
    """A release without parts: gates look at its hash, its judges and its terms. `more` goes into its manifest."""
    set_terms(connection, terms, app)
    number = store.next_number(connection, "p", app)
    manifest = {"format": 1, "app": app, "number": number, "route": [], **more}
    text, hash_ = manifests.text_and_hash(manifest)
    release = Release(
        project="p",
        app=app,
        number=number,
        hash=hash_,
        manifest=manifest,
        message="",
        created_by=by,
        created_at=clock.now_us(),
        terms=gate_terms.kept(terms),
    )
    store.insert_release(connection, release, text)
    traffic.first(connection, release, actor=by)
    return release


def hash_of(catalog: Catalog, number: int) -> str:
    with catalog.read() as connection:
        return store.get_release(connection, "p", "bot", number).hash


def add_run(
    catalog: Catalog, number: int, *, against: int | None = 1, report: TargetReport | None = None, **more: Any
) -> str:
    """A finished run of `answers` on a release, good unless `report` says otherwise; its id."""
    hash_ = hash_of(catalog, number)
    targets = [Target(label=f"bot#{number}", app="bot", number=number, hash=hash_)]
    reports = [msgspec.structs.replace(report or target(), hash=hash_)]
    if against is not None:
        targets.append(Target(label=f"bot#{against}", app="bot", number=against, hash=hash_of(catalog, against)))
        reports.append(msgspec.structs.replace(target(), hash=targets[1].hash))
    baseline = 1 if against is not None else None
    run_id = f"run_{next(_numbers)}"
    made = Report(
        run=run_id,
        app="bot",
        suite="answers",
        dataset="questions@1",
        dataset_hash="d1",
        baseline=baseline,
        targets=reports,
        warnings=[],
    )
    run = Run(
        id=run_id,
        project="p",
        app="bot",
        name="answers",
        suite={},
        targets=targets,
        baseline=baseline,
        created_by="dev",
        created_at=clock.now_us(),
        key_id="key_1",
        max_concurrency=8,
        total=100,
        **{
            "done": 100,
            "suite_hash": suite_hash(SuiteSettings.model_validate(SUITE), {}),
            "dataset": "questions",
            "dataset_hash": "d1",
            "status": "finished",
            "report": msgspec.to_builtins(made),
            **more,
        },
    )
    with catalog.begin() as connection:
        runs.insert_run(connection, run)
    return run_id


def add_dataset(catalog: Catalog, number: int = 1) -> None:
    """Version `number` of `questions`; its hash is `d<number>`."""
    version = DatasetVersion(
        project="p",
        dataset="questions",
        number=number,
        hash=f"d{number}",
        parent=None,
        examples=0,
        note="",
        report={},
        created_by="dev",
        created_at=0,
    )
    with catalog.begin() as connection:
        datasets.insert_version(connection, version, [])
