"""What a gate decides by, and what it says. Pure.

Terms are what an app holds its releases to; evidence is what was found of a candidate; a decision is what follows from
both, by `gate.py` and by nothing else. The three are kept together, so each decision can be made again from its record.
Times are microseconds since the epoch.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from rondo.evals.evidence import TargetReport
from rondo.evals.model import RunStatus

Verdict = Literal["pass", "fail", "inconclusive"]
CheckKind = Literal["gate", "suite", "baseline", "errors", "judge", "goal", "regression", "slice", "must_pass"]


class GateTerms(Struct, frozen=True, kw_only=True):
    """The table `[gate]`, and the suites that it names as they were when the app was last released.

    `suites` has each suite's settings, `dataset_hashes` the hash of its examples, where they are a file of the project.
    """

    suites: dict[str, dict[str, Any]]
    dataset_hashes: dict[str, str] = {}
    most_errors: float
    slices: list[str]
    least_slice: int


class GoalTerms(Struct, frozen=True, kw_only=True):
    """A goal as `rondo.toml` has it."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    margin: float | None = None
    guarded: bool = True

    @property
    def limit(self) -> float:
        """The value of its bound."""
        return self.at_least if self.at_least is not None else self.at_most or 0.0

    @property
    def bound(self) -> str:
        """`at least 0.85`, as `rondo.toml` has it."""
        return f"at {'most' if self.at_least is None else 'least'} {self.limit:g}"


class Terms(Struct, frozen=True, kw_only=True):
    """What a release is held to. `gate` is None where the app declares none; `marks` are those of its judges."""

    goals: list[GoalTerms] = []
    gate: GateTerms | None = None
    marks: dict[str, float | None] = {}


class Named(Struct, frozen=True, kw_only=True):
    """A release by its hash; a draft has no number."""

    hash: str
    number: int | None = None

    def label(self, app: str) -> str:
        """`bot#7`, or `bot@1a2b3c4d` for a draft."""
        return f"{app}#{self.number}" if self.number is not None else f"{app}@{self.hash[:8]}"


class Candidate(Struct, frozen=True, kw_only=True):
    """Whose evidence is weighed, and what serves now. `stable_terms` are those that the stable release was made under;
    None where they were not kept yet.
    """

    app: str
    release: Named
    stable: Named | None
    stable_terms: Terms | None

    @property
    def is_stable(self) -> bool:
        return self.stable is not None and self.stable.hash == self.release.hash


class BesideFacts(Struct, frozen=True, kw_only=True):
    """What became of the baseline in a run. `lost` is the share of a metric's scores that could not be had."""

    answered: int
    failed: int
    lost: dict[str, float]


class RunFacts(Struct, frozen=True, kw_only=True):
    """A run of a suite on the candidate. `target` is the candidate's part of its report, loaded where it is weighed.

    `baseline` is the hash that the candidate was compared with, and `beside` how much of it there is.
    """

    id: str
    suite: str
    suite_hash: str
    dataset: str
    dataset_hash: str
    status: RunStatus
    done: int
    total: int
    created_at: int
    stop_reason: str | None = None
    baseline: str | None = None
    beside: BesideFacts | None = None
    target: TargetReport | None = None


class DatasetFacts(Struct, frozen=True, kw_only=True):
    """The version of a dataset that a suite takes now."""

    label: str
    hash: str


class JudgeFacts(Struct, frozen=True, kw_only=True):
    """A judge in the release's own version: whether its word counts, and by which calibration."""

    version: str
    counts: bool
    sentence: str
    calibration: str | None = None
    kappa: float | None = None


class Evidence(Struct, frozen=True, kw_only=True):
    """What was found: runs, newest first; `suite_hashes` what runs of each suite must bear, with the release's judges;
    `datasets` what each suite takes, where that is known; `judges` are those of the release, by name.
    """

    runs: list[RunFacts] = []
    suite_hashes: dict[str, str] = {}
    datasets: dict[str, DatasetFacts] = {}
    judges: dict[str, JudgeFacts] = {}


class Check(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was looked at. `examples` are ids of must-pass examples that failed.

    `value` and `difference` bear their 95 % intervals; `visible` is the smallest difference that could have been seen,
    `needed` how many examples it takes to see the goal's margin.
    """

    kind: CheckKind
    name: str
    verdict: Verdict
    sentence: str
    remedy: str | None = None
    suite: str | None = None
    run: str | None = None
    unit: str | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    bound: str | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p: float | None = None
    visible: float | None = None
    needed: int | None = None
    examples: list[str] = []


class Decision(Struct, frozen=True, kw_only=True):
    """Whether a release may take traffic. `changes` say how the terms differ from those of the stable release."""

    app: str
    release: Named
    stable: Named | None
    declared: bool
    verdict: Verdict
    sentence: str
    checks: list[Check]
    changes: list[str]

    @property
    def label(self) -> str:
        return self.release.label(self.app)

    @property
    def why(self) -> str:
        """The sentence, with the first thing that keeps the gate shut."""
        first = next(iter(self.missing), None) if self.declared else None
        return f"{self.sentence} {first.name}: {first.sentence}" if first is not None else self.sentence

    @property
    def missing(self) -> list[Check]:
        """The checks that keep the gate shut, failures first."""
        return sorted((each for each in self.checks if each.verdict != "pass"), key=lambda each: each.verdict != "fail")


class Weighed(Struct, frozen=True, kw_only=True):
    """A decision with all that it was decided by: what is kept of it."""

    decision: Decision
    candidate: Candidate
    terms: Terms
    evidence: Evidence


class KeptDecision(Struct, frozen=True, kw_only=True):
    """A row of `gate_decisions`: a decision that let traffic pass or kept it out, or a person's exception to one."""

    id: str
    app: str
    hash: str
    kind: Literal["decision", "exception"]
    verdict: Verdict
    reason: str
    report: dict[str, Any]
    created_by: str
    created_at: int
