"""What a gate decides by, and what it says. Pure.

Terms are what an app holds its releases to; evidence is what was found of a candidate; a decision is what follows from
both, by `gate.py` and by nothing else. The three are kept together, so each decision can be made again from its record.
Times are microseconds since the epoch.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from rondo.evals.evidence import TargetReport
from rondo.evals.goals import Goal
from rondo.evals.model import MustPassOutcome, RunStatus

Verdict = Literal["pass", "fail", "inconclusive"]
CheckKind = Literal["gate", "terms", "suite", "baseline", "errors", "judge", "goal", "regression", "slice", "must_pass"]


class GateTerms(Struct, frozen=True, kw_only=True):
    """The table `[gate]`, and the suites that it names as they were when the app was last released.

    `suites` has each suite's settings, `dataset_hashes` the hash of its examples, where they are a file of the project.
    """

    suites: dict[str, dict[str, Any]]
    dataset_hashes: dict[str, str] = {}
    most_errors: float
    slices: list[str]
    least_slice: int


class Terms(Struct, frozen=True, kw_only=True):
    """What a release is held to. `gate` is None where the app declares none; `marks` are those of its judges."""

    goals: list[Goal] = []
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


class MustPassFacts(Struct, frozen=True, kw_only=True):
    """A failure of the app that became a must-pass example, and what came of it on the candidate.

    `suite` and `run` are where it was asked: a suite of the gate, else `must-pass`. `question` is the line to know it
    by, left out of those that passed.
    """

    example: str
    dataset: str
    outcome: MustPassOutcome = "not_asked"
    suite: str | None = None
    run: str | None = None
    question: str = ""


class Evidence(Struct, frozen=True, kw_only=True):
    """What was found: runs, newest first; `suite_hashes` what runs of each suite must bear, with the release's judges;
    `datasets` what each suite takes, where that is known; `judges` are those of the release, by name; `must_pass`
    what every release of the app must pass, whichever suite asks it.
    """

    runs: list[RunFacts] = []
    suite_hashes: dict[str, str] = {}
    datasets: dict[str, DatasetFacts] = {}
    judges: dict[str, JudgeFacts] = {}
    must_pass: list[MustPassFacts] = []


class Check(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was looked at. `examples` are ids of must-pass examples that failed, or that nobody asked.

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


class FailedExample(Struct, frozen=True, kw_only=True):
    """An example that a candidate failed: its question and why, a line each."""

    example: str
    question: str
    suite: str
    run: str
    must_pass: bool
    why: str


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
