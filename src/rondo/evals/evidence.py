"""The report of a run: what was measured, how sure it is, and how it compares. Pure; made by `report.py`.

Everything here can be made again from a run's results. Differences are target minus baseline, on the same examples.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from rondo.evals.model import Outcome

Standing = Literal["met", "missed", "not_enough_evidence"]


class Estimate(Struct, frozen=True, kw_only=True):
    """A metric's value with its 95 % interval, over `n` examples (`clusters` groups); `missing` had no score."""

    value: float | None
    low: float | None
    high: float | None
    n: int
    clusters: int
    missing: int
    method: str


class Comparison(Struct, frozen=True, kw_only=True):
    """A metric against the baseline, over the `n` examples that both have a score for.

    `p` is two-sided and corrected (Holm) over all metrics and slices that are compared together. `outcome` weighs
    better and worse by the metric's own direction. `visible` is the smallest difference that these examples could have
    shown (80 % power), `needed` how many it takes to see the goal's margin.
    """

    baseline: int
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int
    method: str
    outcome: Outcome
    visible: float | None = None
    needed: int | None = None


class SliceReport(Struct, frozen=True, kw_only=True):
    """A metric over the examples whose tag has this value."""

    tag: str
    value: str
    estimate: Estimate
    comparison: Comparison | None = None
    guarded: bool = False


class MetricReport(Struct, frozen=True, kw_only=True):
    """One metric of one target. `standing` is against the goal's bound; None where no goal names the metric.

    `details` has what is more than a number: a confusion matrix, votes. `flaky` is the share of examples whose repeats
    disagree, `lost` the share of scores, over all repeats, that could not be had. `forgives` is the margin that the
    goal itself names: a change for the worse that is smaller does not count; `margin` is never None where a goal is.
    """

    metric: str
    unit: str
    higher_is_better: bool
    estimate: Estimate
    at_least: float | None = None
    at_most: float | None = None
    margin: float | None = None
    forgives: float | None = None
    guarded: bool = False
    standing: Standing | None = None
    comparison: Comparison | None = None
    slices: list[SliceReport] = []
    judge: str | None = None
    judge_version: str | None = None
    flaky: float | None = None
    lost: float = 0.0
    details: dict[str, Any] = {}


class TargetReport(Struct, frozen=True, kw_only=True):
    """One target: how far it came, and its metrics. `must_pass_failed` are ids of examples."""

    label: str
    hash: str | None
    answered: int
    failed: int
    errors: dict[str, int]
    metrics: list[MetricReport]
    must_pass: int
    must_pass_failed: list[str]
    cost_usd: float | None
    seconds: float | None


class Report(Struct, frozen=True, kw_only=True):
    """A whole run."""

    run: str
    app: str
    suite: str
    dataset: str
    dataset_hash: str
    baseline: int | None
    targets: list[TargetReport]
    warnings: list[str]
