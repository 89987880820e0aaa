"""What a rollout is, and what is known of its two sides. Pure.

`evidence.py` reads the stored calls and gives a Reading; `controller.py` acts on it. Neither knows the other.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from rondo.evals.goals import Goal
from rondo.settings.steps import Step

Variant = Literal["candidate", "baseline"]
Opinion = Literal["better", "worse", "not_enough"]

TOTALS = frozenset({"calls.count", "cost.total_usd", "cost.unknown_count", "handed_over.known_count", "feedback.count"})
"""Metrics that grow with the traffic of a side, and say nothing of its quality."""


class Measure(Struct, frozen=True):
    """How a metric adds up over callers. `level` is that of a quantile."""

    kind: Literal["share", "mean", "quantile"]
    level: float = 0.0


SHARE, MEAN = Measure("share"), Measure("mean")

MEASURES = {
    "errors.rate": SHARE,
    "handed_over.rate": SHARE,
    "deflection": SHARE,
    "cost.per_request_usd": MEAN,
    "tokens.per_request": MEAN,
    "latency.p50_ms": Measure("quantile", 0.5),
    "latency.p95_ms": Measure("quantile", 0.95),
    "first_token.p95_ms": Measure("quantile", 0.95),
}
"""The metrics that come with the calls. Any other name is that of a score."""


class Guards(Struct, frozen=True, kw_only=True):
    """Limits on the candidate's calls; see `settings/rollout.py`."""

    errors_at_most: float = 0.2
    timeouts_at_most: float = 0.1
    cost_ratio_at_most: float = 3.0
    least_calls: int = 20


class Terms(Struct, frozen=True, kw_only=True):
    """What a rollout was started with; it never changes. Times are in seconds.

    A caller's evidence is what it does within `window_s` of its first call, and counts `settle_s` after that, so that
    slow calls are over and stored; `maturity_s` more where scores tell of it. Nothing says that live calls tell of
    the goals in `untold`, so that a step waits for their evidence only once a caller does.
    """

    steps: list[Step]
    kind: Literal["canary", "ab", "bandit"] = "canary"
    sticky: Literal["user", "session"] = "user"
    baseline: bool = True
    false_alarms: float = 0.05
    maturity_s: float = 0.0
    window_s: float = 60.0
    settle_s: float = 30.0
    draw_every_s: float = 600.0
    reward: str | None = None
    goals: list[Goal] = []
    untold: list[str] = []
    guards: Guards = Guards()


class Side(Struct, frozen=True, kw_only=True):
    """How much there is of one side: calls, and the callers (users, sessions) that they came from.

    `cached` calls were answered from the cache and are no evidence. Of the callers, `fresh` came too short a time ago
    to count for any goal, and `immature` (the fresh ones too) for goals that scores feed.
    """

    calls: int = 0
    units: int = 0
    fresh: int = 0
    immature: int = 0
    cached: int = 0

    @property
    def made(self) -> int:
        """The calls that asked a model."""
        return self.calls - self.cached


class GoalVerdict(Struct, frozen=True, kw_only=True):
    """One goal, candidate against baseline. `difference` is candidate − baseline in the metric's own unit, [`low`,
    `high`] its always-valid confidence sequence at the level that the goal has been given; None while unknown.

    `worse` means that the interval lies on the bad side of zero. `tolerated` tells that, whatever else, the candidate
    is not worse by more than the margin: what a step `until evidence` waits for. `traces` are calls that show it.
    """

    metric: str
    verdict: Opinion
    guarded: bool
    candidate: float | None = None
    baseline: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float = 0.0
    tolerated: bool = False
    candidate_units: int = 0
    baseline_units: int = 0
    method: str = ""
    traces: list[str] = []
    note: str | None = None


class Breach(Struct, frozen=True, kw_only=True):
    """A hard guard that the candidate has broken, in a sentence, with calls that show it."""

    guard: Literal["errors", "timeouts", "cost"]
    observed: float
    limit: float
    calls: int
    sentence: str
    traces: list[str] = []


class Mismatch(Struct, frozen=True, kw_only=True):
    """Callers on each side against what the shares promise; `suspected` where chance does not explain it."""

    candidate: int
    baseline: int
    expected_share: float
    p_value: float
    suspected: bool


class Reading(Struct, frozen=True, kw_only=True):
    """What the stored calls say of a rollout at a moment (microseconds).

    `bandit_share` is the candidate's part of both sides' callers that the reward speaks for; None for other kinds,
    while a guard is broken or a guarded goal worse, and as long as too little is known.
    """

    at: int
    candidate: Side = Side()
    baseline: Side = Side()
    shadow_calls: int = 0
    goals: list[GoalVerdict] = []
    breaches: list[Breach] = []
    mismatch: Mismatch | None = None
    bandit_share: float | None = None
