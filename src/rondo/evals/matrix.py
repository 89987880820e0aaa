"""The decision matrix: which candidate to choose, by the goals' weights and by what a model must have. Pure.

Simple additive weighting (Fishburn 1967; Hwang and Yoon 1981): each criterion is stretched between the worst and the
best candidate to 0 … 1, and the weighted mean counts. A candidate that misses a goal, or lacks what it must have, is
ranked behind all others, with the reason. How often a candidate comes first when every number is drawn anew from its
interval says how sure the ranking is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from rondo.evals.evidence import Estimate, MetricReport, Report
from rondo.gateway.plan import ServedModel

DRAWS = 2_000
_SEED = 20_221_121
_Z95 = 1.959964


class Facts(Struct, frozen=True, kw_only=True):
    """What is known of a candidate besides its scores; prices in US dollars per million tokens."""

    models: list[str] = []
    licence: str | None = None
    context_window: int | None = None
    input_price: float | None = None
    output_price: float | None = None


class About(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `rondo.toml` says of a model besides how to call it."""

    licence: str | None = None
    context_window: int | None = None


class Wish(Struct, frozen=True, kw_only=True):
    """What counts: `weights` by metric, and what a candidate must have."""

    weights: dict[str, float]
    licences: list[str] = []
    least_context_window: int | None = None


class Cell(Struct, frozen=True, kw_only=True):
    """One criterion of one candidate. `share` is where it stands between the worst (0) and the best (1)."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    share: float | None


class Candidate(Struct, frozen=True, kw_only=True):
    """One row. `total` is None where a criterion was not measured; `faults` say why it should not be chosen."""

    target: int
    label: str
    rank: int
    total: float | None
    comes_first: float | None
    cells: list[Cell]
    faults: list[str]
    facts: Facts


class Matrix(Struct, frozen=True, kw_only=True):
    """Candidates, the best first, and the weights (they add up to 1) by which they were ranked."""

    run: str
    weights: dict[str, float]
    candidates: list[Candidate]


def facts_of(models: Sequence[ServedModel], about: Mapping[str, About]) -> Facts:
    """What is known of who answers: prices, licence and context window are those of the model that is tried first."""
    first = models[0]
    known = about.get(first.spec.name, About())
    return Facts(
        models=[model.spec.name for model in models],
        licence=known.licence,
        context_window=known.context_window,
        input_price=None if first.price is None else first.price.input,
        output_price=None if first.price is None else first.price.output,
    )


def decide(report: Report, wish: Wish, facts: Sequence[Facts]) -> Matrix:
    """Rank the targets of a report; `facts` has an entry for each. Metrics that nobody measured are left out."""
    by_target = [{metric.metric: metric for metric in target.metrics} for target in report.targets]
    measured = {name for metrics in by_target for name, metric in metrics.items() if metric.estimate.value is not None}
    weights = {name: weight for name, weight in wish.weights.items() if weight > 0 and name in measured}
    whole = sum(weights.values())
    weights = {name: weight / whole for name, weight in weights.items()} if whole else {}
    cells = [[_cell(name, metrics, by_target) for name in weights] for metrics in by_target]
    firsts = _comes_first(by_target, weights)
    rows = [
        Candidate(
            target=at,
            label=target.label,
            rank=0,
            total=_total(cells[at], weights),
            comes_first=firsts[at],
            cells=cells[at],
            faults=_faults(by_target[at], len(target.must_pass_failed), wish, facts[at]),
            facts=facts[at],
        )
        for at, target in enumerate(report.targets)
    ]
    rows.sort(key=lambda row: (bool(row.faults), row.total is None, -(row.total or 0.0), row.target))
    return Matrix(
        run=report.run,
        weights=weights,
        candidates=[structs.replace(row, rank=position) for position, row in enumerate(rows, 1)],
    )


def _cell(name: str, metrics: Mapping[str, MetricReport], everyone: Sequence[Mapping[str, MetricReport]]) -> Cell:
    metric = metrics.get(name)
    if metric is None or metric.estimate.value is None:
        return Cell(metric=name, value=None, low=None, high=None, share=None)
    estimates = [each[name].estimate for each in everyone if name in each]
    known = [each.value for each in estimates if each.value is not None]
    estimate = metric.estimate
    share = _share(metric.estimate.value, min(known), max(known), higher=metric.higher_is_better)
    return Cell(metric=name, value=estimate.value, low=estimate.low, high=estimate.high, share=share)


def _share(value: float, least: float, most: float, *, higher: bool) -> float:
    if most == least:
        return 1.0
    return (value - least) / (most - least) if higher else (most - value) / (most - least)


def _total(cells: Sequence[Cell], weights: Mapping[str, float]) -> float | None:
    if not cells or any(cell.share is None for cell in cells):
        return None
    return sum(weights[cell.metric] * (cell.share or 0.0) for cell in cells)


def _faults(metrics: Mapping[str, MetricReport], must_pass_failed: int, wish: Wish, facts: Facts) -> list[str]:
    faults = [f"misses the goal {name}" for name, metric in metrics.items() if metric.standing == "missed"]
    if must_pass_failed:
        faults.append(f"fails {must_pass_failed} must-pass examples")
    if wish.licences and facts.licence not in wish.licences:
        faults.append(f"has the licence {facts.licence}" if facts.licence else "has no known licence")
    window, least = facts.context_window, wish.least_context_window
    if least is not None and (window is None or window < least):
        faults.append("has no known context window" if window is None else f"reads only {window:,} tokens")
    return faults


def _comes_first(metrics: Sequence[Mapping[str, MetricReport]], weights: Mapping[str, float]) -> list[float | None]:
    """How often each candidate has the highest total, with each number drawn from a normal that fits its interval."""
    import numpy as np

    whole = [at for at, each in enumerate(metrics) if all(_is_known(each.get(name)) for name in weights)]
    shares: list[float | None] = [None] * len(metrics)
    if not whole or not weights:
        return shares
    random = np.random.default_rng(_SEED)
    totals: Any = np.zeros((DRAWS, len(whole)))
    for name, weight in weights.items():
        drawn = np.stack([_drawn(random, metrics[at][name].estimate) for at in whole], axis=1)
        if not metrics[whole[0]][name].higher_is_better:
            drawn = -drawn
        least, most = drawn.min(axis=1, keepdims=True), drawn.max(axis=1, keepdims=True)
        spread = np.where(most > least, most - least, 1.0)
        totals += weight * np.where(most > least, (drawn - least) / spread, 1.0)
    won = np.isclose(totals, totals.max(axis=1, keepdims=True))
    means = (won / won.sum(axis=1, keepdims=True)).mean(axis=0)
    for position, at in enumerate(whole):
        shares[at] = float(means[position])
    return shares


def _is_known(metric: MetricReport | None) -> bool:
    return metric is not None and metric.estimate.value is not None


def _drawn(random: Any, estimate: Estimate) -> Any:
    value, low, high = estimate.value, estimate.low, estimate.high
    deviation = 0.0 if low is None or high is None else (high - low) / (2 * _Z95)
    return random.normal(value, deviation, DRAWS)
