"""Makes what a gate weighs: reports, runs, terms; each good unless a test says otherwise."""

from __future__ import annotations

from typing import Any

from rondo.evals.evidence import Comparison, Estimate, MetricReport, SliceReport, TargetReport
from rondo.evals.goals import Goal
from rondo.evals.model import Outcome
from rondo.releases.gate_model import Candidate, DatasetFacts, Evidence, GateTerms, JudgeFacts, Named, RunFacts, Terms

CANDIDATE, STABLE = "c" * 64, "a" * 64
GOAL = Goal(metric="answer.correct", at_least=0.8)


def estimate(value: float | None = 0.9, *, n: int = 100, missing: int = 0, spread: float = 0.05) -> Estimate:
    low, high = (None, None) if value is None else (value - spread, value + spread)
    return Estimate(value=value, low=low, high=high, n=n, clusters=n, missing=missing, method="wilson")


def comparison(outcome: Outcome = "not_enough_evidence", **more: Any) -> Comparison:
    difference = {"worse": -0.1, "better": 0.1, "not_enough_evidence": 0.01}[outcome]
    given: dict[str, Any] = {
        "baseline": 0,
        "difference": difference,
        "low": difference - 0.04,
        "high": difference + 0.04,
        "p": 0.5 if outcome == "not_enough_evidence" else 0.001,
        "n": 100,
        "method": "mcnemar",
        "outcome": outcome,
        "visible": 0.06,
        "needed": 240,
    }
    return Comparison(**{**given, **more})


def part(value: str = "de", *, outcome: Outcome = "not_enough_evidence", n: int = 40) -> SliceReport:
    compared = comparison(outcome, n=n)
    return SliceReport(tag="language", value=value, estimate=estimate(n=n), comparison=compared, guarded=True)


def metric(name: str = "answer.correct", **more: Any) -> MetricReport:
    given: dict[str, Any] = {
        "metric": name,
        "unit": "share",
        "higher_is_better": True,
        "estimate": estimate(),
        "at_least": 0.8,
        "standing": "met",
        "guarded": True,
        "comparison": comparison(),
    }
    return MetricReport(**{**given, **more})


def target(*metrics: MetricReport, **more: Any) -> TargetReport:
    given: dict[str, Any] = {
        "label": "bot@cccccccc",
        "hash": CANDIDATE,
        "answered": 100,
        "failed": 0,
        "errors": {},
        "metrics": list(metrics) or [metric()],
        "must_pass": 4,
        "must_pass_failed": [],
        "cost_usd": 0.1,
        "seconds": 3.0,
    }
    return TargetReport(**{**given, **more})


def run(**more: Any) -> RunFacts:
    given: dict[str, Any] = {
        "id": "run_1",
        "suite": "answers",
        "suite_hash": "s1",
        "dataset": "questions",
        "dataset_hash": "d3",
        "status": "finished",
        "done": 100,
        "total": 100,
        "created_at": 1,
        "baseline": STABLE,
        "target": target(),
    }
    return RunFacts(**{**given, **more})


def terms(*goals: Goal, slices: tuple[str, ...] = (), suites: tuple[str, ...] = ("answers",)) -> Terms:
    gate = GateTerms(
        suites={name: {"dataset": "questions"} for name in suites},
        most_errors=0.05,
        slices=list(slices),
        least_slice=20,
    )
    return Terms(goals=list(goals) or [GOAL], gate=gate)


def candidate(*, stable: str | None = STABLE, release: str = CANDIDATE, before: Terms | None = None) -> Candidate:
    serving = Named(hash=stable, number=3) if stable is not None else None
    return Candidate(app="bot", release=Named(hash=release, number=7), stable=serving, stable_terms=before)


def evidence(*runs: RunFacts, judges: dict[str, JudgeFacts] | None = None) -> Evidence:
    newest = dict.fromkeys(("answers", "hard"), DatasetFacts(label="questions@3", hash="d3"))
    hashes = {"answers": "s1", "hard": "s1"}
    return Evidence(runs=list(runs), suite_hashes=hashes, datasets=newest, judges=judges or {})
