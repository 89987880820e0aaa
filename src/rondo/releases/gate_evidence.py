"""Gathers what a gate decides by, as the catalog has it in one transaction: runs, datasets, calibrations, terms.

It judges nothing; `gate.py` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import structs
from sqlalchemy import Connection

from rondo.datasets import store as datasets
from rondo.datasets.model import parse_label
from rondo.errors import NotFound
from rondo.evals import store as runs
from rondo.evals.evidence import Report, TargetReport
from rondo.evals.judges.declared import of_manifest
from rondo.evals.model import Run
from rondo.releases import gate_asked, gate_terms, store
from rondo.releases.gate import decide, weighed_runs
from rondo.releases.gate_model import (
    BesideFacts,
    Candidate,
    DatasetFacts,
    Evidence,
    GateTerms,
    JudgeFacts,
    Named,
    RunFacts,
    Terms,
    Weighed,
)
from rondo.settings.evaluating import SuiteSettings

MOST_RUNS = 200
"""How many of a suite's newest runs are looked through for one on the release."""


def weigh(
    connection: Connection,
    project: str,
    app: str,
    release: Named,
    manifest: Mapping[str, Any],
    *,
    terms: Terms | None = None,
) -> Weighed:
    """The decision about a release or a draft as of now, by the app's terms or by others. Raises NotFound."""
    if terms is None:
        terms = gate_terms.of_app(store.get_app(connection, project, app).settings)
    terms = gate_terms.with_marks(terms, manifest)
    candidate = _candidate(connection, project, app, release)
    evidence = _gather(connection, project, candidate, manifest, terms)
    return Weighed(decision=decide(candidate, terms, evidence), candidate=candidate, terms=terms, evidence=evidence)


def _candidate(connection: Connection, project: str, app: str, release: Named) -> Candidate:
    change = store.current_traffic(connection, project, app)
    if change is None or change.traffic.stable is None:
        return Candidate(app=app, release=release, stable=None, stable_terms=None)
    stable = store.get_release(connection, project, app, change.traffic.stable)
    return Candidate(
        app=app,
        release=release,
        stable=Named(hash=stable.hash, number=stable.number),
        stable_terms=gate_terms.of_release(stable.terms, stable.manifest),
    )


def _gather(
    connection: Connection, project: str, candidate: Candidate, manifest: Mapping[str, Any], terms: Terms
) -> Evidence:
    """Runs on the candidate, with the reports of those that count, the suites' newest datasets, and its judges."""
    if terms.gate is None:
        return Evidence()
    app, hash_ = candidate.app, candidate.release.hash
    found: list[Run] = []
    for suite in terms.gate.suites:
        of_suite = runs.list_runs(connection, project, app=app, name=suite, limit=MOST_RUNS)
        found += [run for run in of_suite if any(target.hash == hash_ for target in run.targets)]
    evidence = Evidence(
        runs=[_facts(run) for run in found],
        suite_hashes=_suite_hashes(terms.gate, manifest),
        datasets=_datasets(connection, project, terms.gate),
        judges=_judges(connection, project, app, manifest),
    )
    chosen = {run.id for run in weighed_runs(candidate, terms, evidence).values()}
    weighed = [run for run in found if run.id in chosen]
    with_reports = [_reported(connection, project, run, hash_) if run.id in chosen else run for run in evidence.runs]
    must_pass = gate_asked.of_failures(connection, project, app, hash_, weighed)
    return structs.replace(evidence, runs=with_reports, must_pass=must_pass)


def _suite_hashes(gate: GateTerms, manifest: Mapping[str, Any]) -> dict[str, str]:
    """What a run of each suite bears that scores with the release's own judges."""
    from rondo.evals.suites import suite_hash  # brings every scorer

    judges = of_manifest(manifest)
    return {name: suite_hash(SuiteSettings.model_validate(settings), judges) for name, settings in gate.suites.items()}


def _datasets(connection: Connection, project: str, gate: GateTerms) -> dict[str, DatasetFacts]:
    """What each suite takes now: a file's examples, the version that it names, or else the newest of a dataset."""
    found: dict[str, DatasetFacts] = {}
    for suite, settings in gate.suites.items():
        taken = settings["dataset"]
        if suite in gate.dataset_hashes:
            found[suite] = DatasetFacts(label=taken, hash=gate.dataset_hashes[suite])
            continue
        try:
            version = datasets.get_version(connection, project, *parse_label(taken))
        except NotFound:
            continue  # the gate says so
        found[suite] = DatasetFacts(label=version.label, hash=version.hash)
    return found


def _judges(connection: Connection, project: str, app: str, manifest: Mapping[str, Any]) -> dict[str, JudgeFacts]:
    judges = of_manifest(manifest)
    if not judges:
        return {}
    from rondo.evals.judges.standing import standing  # brings NumPy

    found: dict[str, JudgeFacts] = {}
    for name, judge in judges.items():
        now = standing(connection, project, app, judge)
        last = now.calibration
        found[name] = JudgeFacts(
            version=now.version,
            counts=now.counts,
            sentence=now.sentence,
            calibration=last.id if last is not None else None,
            kappa=last.kappa if last is not None else None,
        )
    return found


def _facts(run: Run) -> RunFacts:
    baseline = run.baseline
    return RunFacts(
        id=run.id,
        suite=run.name,
        suite_hash=run.suite_hash,
        dataset=run.dataset,
        dataset_hash=run.dataset_hash,
        status=run.status,
        done=run.done,
        total=run.total,
        created_at=run.created_at,
        stop_reason=run.stop_reason,
        baseline=run.targets[baseline].hash if baseline is not None and baseline < len(run.targets) else None,
    )


def _reported(connection: Connection, project: str, run: RunFacts, hash_: str) -> RunFacts:
    """With the release's part of the run's report; without where there is none, or none that this Rondo can read."""
    try:
        told = runs.get_run(connection, project, run.id).report
        targets = msgspec.convert(told, Report).targets
    except (NotFound, msgspec.ValidationError):
        return run
    beside = _of(targets, run.baseline) if run.baseline is not None else None
    return structs.replace(run, target=_of(targets, hash_), beside=None if beside is None else _beside(beside))


def _of(targets: list[TargetReport], hash_: str) -> TargetReport | None:
    return next((target for target in targets if target.hash == hash_), None)


def _beside(report: TargetReport) -> BesideFacts:
    lost = {metric.metric: metric.lost for metric in report.metrics if metric.lost}
    return BesideFacts(answered=report.answered, failed=report.failed, lost=lost)
