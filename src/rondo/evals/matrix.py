"""The decision matrix: which candidate to choose, by the goals' weights and by what a model must have. Pure.

Simple additive weighting (Fishburn 1967; Hwang and Yoon 1981): on each criterion the best candidate has 1, the others
less by their distance from it, the worst 0; the weighted mean counts. Where all candidates stand closer together than
the goal's margin, the margin is the scale: a difference that does not count is not blown up. A candidate that misses a
goal, or lacks what it must have, is ranked behind all others, with the reason. How often a candidate comes first when
every number is drawn anew from its interval (the first rank's acceptability of SMAA-2, Lahdelma and Salminen 2001)
says how sure the ranking is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from rondo.evals.evidence import Estimate, MetricReport, Report, TargetReport
from rondo.evals.selection import Selection

DRAWS = 2_000
MOST_MISSING = 0.05
"""Share of examples without an answer, or a score, above which a candidate is not to be chosen: too little is known."""

COST = "cost.per_request_usd"
_SEED = 20_221_121
_Z95 = 1.959964
_SAME = 1e-9
"""Totals that are so near are the same rank."""

Metrics = Mapping[str, MetricReport]


class AskedModel(Struct, frozen=True, kw_only=True):
    """What is known of a model besides its scores; prices in US dollars per million tokens.

    `rule_based` is the baseline without a model: it needs no licence, and reads passages of any length.
    """

    name: str
    rule_based: bool = False
    licence: str | None = None
    context_window: int | None = None
    input_price: float | None = None
    output_price: float | None = None


class Contender(Struct, frozen=True, kw_only=True):
    """Who is to be ranked: what it is called, and its models in the order they are tried."""

    label: str
    models: list[AskedModel] = []


class Cell(Struct, frozen=True, kw_only=True):
    """One criterion of one candidate. `share` is how near it comes to the best, from 0 to 1."""

    metric: str
    unit: str
    value: float | None
    low: float | None
    high: float | None
    share: float | None


class Candidate(Struct, frozen=True, kw_only=True):
    """One row. `rank` and `total` are None where a criterion was not measured; `faults` say why not to choose it.

    `comes_first` is None for candidates with faults as long as there are others. `usd_per_month` is what its answers
    would cost for the month's requests.
    """

    target: int
    label: str
    rank: int | None
    total: float | None
    comes_first: float | None
    cells: list[Cell]
    faults: list[str]
    models: list[AskedModel]
    usd_per_month: float | None = None


class Matrix(Struct, frozen=True, kw_only=True):
    """Candidates, the best first, and the weights (they add up to 1) by which they were ranked.

    `unmeasured` are metrics that were to count, and that no candidate has a value of. `selection` is what was asked.
    """

    run: str
    weights: dict[str, float]
    unmeasured: list[str]
    selection: Selection
    candidates: list[Candidate]


def decide(report: Report, selection: Selection, contenders: Sequence[Contender]) -> Matrix:
    """Rank the targets of a report; `contenders` has an entry for each. Metrics that nobody measured are left out."""
    by_target = [{metric.metric: metric for metric in target.metrics} for target in report.targets]
    measured = {name for metrics in by_target for name in metrics if _is_known(metrics.get(name))}
    wanted = {name: weight for name, weight in selection.weights.items() if weight > 0}
    whole = sum(weight for name, weight in wanted.items() if name in measured)
    weights = {name: weight / whole for name, weight in wanted.items() if name in measured}
    faults = [
        _faults(target, metrics, weights, selection, contender.models)
        for target, metrics, contender in zip(report.targets, by_target, contenders, strict=True)
    ]
    cells = [[_cell(name, metrics, by_target) for name in weights] for metrics in by_target]
    firsts = _comes_first(by_target, weights, [not each for each in faults])
    rows = [
        Candidate(
            target=at,
            label=contender.label,
            rank=None,
            total=_total(cells[at], weights),
            comes_first=firsts[at],
            cells=cells[at],
            faults=faults[at],
            models=contender.models,
            usd_per_month=_per_month(by_target[at].get(COST), selection),
        )
        for at, contender in enumerate(contenders)
    ]
    unmeasured = [name for name in wanted if name not in measured]
    return Matrix(run=report.run, weights=weights, unmeasured=unmeasured, selection=selection, candidates=_ranked(rows))


def counts_most(report: Report, weights: Mapping[str, float]) -> str | None:
    """The metric that counts most; of several, the one that the suite names first, before times and costs."""
    names = [
        name for name in dict.fromkeys(each.metric for target in report.targets for each in target.metrics)
        if any(each.metric == name and _is_known(each) for target in report.targets for each in target.metrics)
    ]  # fmt: skip
    return max(names, key=lambda name: weights.get(name, 0.0), default=None)


def share(value: float, known: Sequence[float], *, higher: bool, margin: float | None) -> float:
    """How near a value comes to the best of those that are known: 1 for the best, 0 for the worst."""
    best = max(known) if higher else min(known)
    scale = max(max(known) - min(known), margin or 0.0)
    return 1.0 - abs(best - value) / scale if scale > 0 else 1.0


def _ranked(rows: Sequence[Candidate]) -> list[Candidate]:
    """The best first; what is as good has the same rank, and the next one's counts all before it."""
    ordered = sorted(rows, key=lambda row: (row.total is None, bool(row.faults), -(row.total or 0.0), row.target))
    ranked: list[Candidate] = []
    for position, row in enumerate(ordered, 1):
        before = ranked[-1] if ranked else None
        rank = None if row.total is None else position
        if before is not None and rank is not None and _is_as_good(row, before):
            rank = before.rank
        ranked.append(structs.replace(row, rank=rank))
    return ranked


def _is_as_good(row: Candidate, other: Candidate) -> bool:
    return bool(row.faults) == bool(other.faults) and abs((row.total or 0.0) - (other.total or 0.0)) <= _SAME


def _cell(name: str, metrics: Metrics, everyone: Sequence[Metrics]) -> Cell:
    metric = metrics.get(name) or next(each[name] for each in everyone if name in each)
    if name not in metrics or metric.estimate.value is None:
        return Cell(metric=name, unit=metric.unit, value=None, low=None, high=None, share=None)
    values = [each[name].estimate.value for each in everyone if name in each]
    known = [value for value in values if value is not None]
    estimate, value = metric.estimate, metric.estimate.value
    return Cell(
        metric=name,
        unit=metric.unit,
        value=value,
        low=estimate.low,
        high=estimate.high,
        share=share(value, known, higher=metric.higher_is_better, margin=metric.margin),
    )


def _total(cells: Sequence[Cell], weights: Mapping[str, float]) -> float | None:
    if not cells or any(cell.share is None for cell in cells):
        return None
    return sum(weights[cell.metric] * (cell.share or 0.0) for cell in cells)


def _per_month(cost: MetricReport | None, selection: Selection) -> float | None:
    if cost is None or cost.estimate.value is None or not selection.requests_per_month:
        return None
    return cost.estimate.value * selection.requests_per_month


def _faults(
    target: TargetReport,
    metrics: Metrics,
    weights: Mapping[str, float],
    selection: Selection,
    models: Sequence[AskedModel],
) -> list[str]:
    asked, lacks = target.answered + target.failed, _lacks(models, selection)
    if not target.answered:
        return [f"gave no answer to any of {asked:,}", *lacks]
    few = target.failed <= MOST_MISSING * asked
    faults = [] if few else [f"gave no answer to {target.failed:,} of {asked:,}"]
    faults += [f"misses the goal {name}" for name, metric in metrics.items() if metric.standing == "missed"]
    if target.must_pass_failed:
        faults.append(f"fails {len(target.must_pass_failed):,} of {target.must_pass:,} must-pass examples")
    for name in weights:
        found = metrics.get(name)
        if found is None or found.estimate.value is None:
            faults.append(f"has no {name}")
        elif few and _is_patchy(found.estimate):
            of = found.estimate.n + found.estimate.missing
            faults.append(f"has no {name} for {found.estimate.missing:,} of {of:,}")
    return [*faults, *lacks]


def _is_patchy(estimate: Estimate) -> bool:
    return estimate.missing > MOST_MISSING * (estimate.n + estimate.missing)


def _lacks(models: Sequence[AskedModel], selection: Selection) -> list[str]:
    """What models must have and have not: each that may be asked, the fallbacks too."""
    faults = []
    least = selection.least_context_window
    for model in models:
        if model.rule_based:
            continue
        name = f"{model.name} " if len(models) > 1 else ""
        if selection.licences and model.licence not in selection.licences:
            faults.append(name + (f"has the licence {model.licence}" if model.licence else "has no known licence"))
        if least and (model.context_window is None or model.context_window < least):
            window = model.context_window
            faults.append(name + ("has no known context window" if window is None else f"reads only {window:,} tokens"))
    return faults


def _comes_first(metrics: Sequence[Metrics], weights: Mapping[str, float], good: Sequence[bool]) -> list[float | None]:
    """How often each candidate has the highest total of those without faults (of all where there is none), with each
    number drawn from its interval."""
    import numpy as np

    whole = [at for at, each in enumerate(metrics) if all(_is_known(each.get(name)) for name in weights)]
    shares: list[float | None] = [None] * len(metrics)
    if not whole or not weights:
        return shares
    random = np.random.default_rng(_SEED)
    totals: Any = np.zeros((DRAWS, len(whole)))
    for name, weight in weights.items():
        drawn = np.stack([_drawn(random, metrics[at][name].estimate) for at in whole], axis=1)
        first = metrics[whole[0]][name]
        best = drawn.max(axis=1, keepdims=True) if first.higher_is_better else drawn.min(axis=1, keepdims=True)
        scale = np.maximum(np.ptp(drawn, axis=1, keepdims=True), first.margin or 0.0)
        totals += weight * (1.0 - np.abs(best - drawn) / np.where(scale > 0, scale, 1.0))
    counted = [place for place, at in enumerate(whole) if good[at]] or list(range(len(whole)))
    totals = totals[:, counted]
    won = totals >= totals.max(axis=1, keepdims=True) - _SAME
    means = (won / won.sum(axis=1, keepdims=True)).mean(axis=0)
    for mean, place in zip(means, counted, strict=True):
        shares[whole[place]] = float(mean)
    return shares


def _is_known(metric: MetricReport | None) -> bool:
    return metric is not None and metric.estimate.value is not None


def _drawn(random: Any, estimate: Estimate) -> Any:
    """From two half normals that meet in the value and fit the two arms of its interval, which may be of unequal length
    (a share near 1, a percentile of times). An arm whose end is not known has no length."""
    import numpy as np

    value, low, high = estimate.value, estimate.low, estimate.high
    assert value is not None
    below = 0.0 if low is None else max(value - low, 0.0) / _Z95
    above = 0.0 if high is None else max(high - value, 0.0) / _Z95
    normal = random.standard_normal(DRAWS)
    return value + normal * np.where(normal < 0, below, above)
