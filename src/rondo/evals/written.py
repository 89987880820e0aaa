"""A report in words: numbers as people read them, what is better or worse, and the whole as Markdown. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from rondo.errors import InvalidRequest
from rondo.evals.evidence import Comparison, Estimate, MetricReport, Report, SliceReport, TargetReport
from rondo.evals.model import Run
from rondo.evals.statistics.standing import is_worse

OUTCOMES = {"better": "better", "worse": "worse", "not_enough_evidence": "not enough evidence"}
STANDINGS = {"met": "met", "missed": "missed", "not_enough_evidence": "not enough evidence"}


def read(values: Mapping[str, Any]) -> Report:
    """A stored report."""
    return msgspec.convert(values, Report)


def amount(value: float | None, unit: str) -> str:
    """A metric's value: shares in percent, money in dollars, times in milliseconds."""
    if value is None:
        return "–"
    if unit == "share":
        return f"{value * 100:.1f} %"
    if unit == "usd":
        return f"${value:.6f}" if abs(value) < 0.01 else f"${value:.4f}"
    if unit == "ms":
        return (
            f"{value / 1000:.2f} s"
            if abs(value) >= 10_000
            else f"{value:.0f} ms"
            if abs(value) >= 10
            else f"{value:.2f} ms"
        )
    if unit == "tokens":
        return f"{value:,.0f}"
    return f"{value:.3f}"


def line(text: str, most: int = 80) -> str:
    """A text as one line, cut where it is longer."""
    words = " ".join(text.split())
    return words if len(words) <= most else f"{words[: most - 1].rstrip()}…"


def difference(value: float | None, unit: str) -> str:
    """The same with its sign; shares differ by points."""
    if value is None:
        return "–"
    sign = "+" if value > 0 else "−" if value < 0 else "±"
    shown = amount(abs(value), unit)
    return sign + (shown.replace(" %", " pts") if unit == "share" else shown)


def interval(low: float | None, high: float | None, unit: str, *, signed: bool = False) -> str:
    """`[81.0 %, 93.1 %]`; empty where nothing is known."""
    if low is None and high is None:
        return ""
    say = difference if signed else amount
    return f"[{say(low, unit)}, {say(high, unit)}]"


def estimated(estimate: Estimate, unit: str) -> str:
    """`87.5 % [79.2 %, 92.9 %]`."""
    return f"{amount(estimate.value, unit)} {interval(estimate.low, estimate.high, unit)}".strip()


def compared(comparison: Comparison | None, unit: str) -> str:
    """`+3.2 pts [−0.4 pts, +6.8 pts]`."""
    if comparison is None:
        return ""
    span = interval(comparison.low, comparison.high, unit, signed=True)
    return f"{difference(comparison.difference, unit)} {span}".strip()


def outcome(metric: MetricReport | SliceReport) -> str:
    """`better`, `worse`, or `not enough evidence`, with how many examples it would take where that is known."""
    comparison = metric.comparison
    if comparison is None:
        return ""
    words = OUTCOMES[comparison.outcome]
    if comparison.outcome == "not_enough_evidence" and comparison.needed is not None:
        more = comparison.needed > comparison.n
        return f"{words} ({comparison.needed:,} examples needed, {comparison.n:,} there)" if more else words
    return words


def bound(metric: MetricReport) -> str:
    """`at least 85.0 %`."""
    if metric.at_least is not None:
        return f"at least {amount(metric.at_least, metric.unit)}"
    return f"at most {amount(metric.at_most, metric.unit)}" if metric.at_most is not None else ""


def notable(metric: MetricReport) -> list[SliceReport]:
    """The slices that have become better or worse."""
    return [
        each
        for each in metric.slices
        if each.comparison is not None and each.comparison.outcome != "not_enough_evidence"
    ]


def failing(target: TargetReport) -> list[str]:
    """Why a target is not good enough, a sentence each: goals missed, guarded goals worse, must-pass failed."""
    found = []
    for metric in target.metrics:
        if metric.standing == "missed":
            found.append(
                f"{metric.metric} is {amount(metric.estimate.value, metric.unit)}; the goal is {bound(metric)}."
            )
        if metric.comparison is not None and is_worse(metric.comparison, metric.forgives) and _counts(metric):
            found.append(f"{metric.metric} has become worse: {compared(metric.comparison, metric.unit)}.")
        found += [
            f"{metric.metric} has become worse where {part.tag} is {part.value}:"
            f" {compared(part.comparison, metric.unit)}."
            for part in notable(metric)
            if part.guarded and part.comparison is not None and is_worse(part.comparison, metric.forgives)
        ]
    if target.must_pass_failed:
        found.append(f"{len(target.must_pass_failed):,} of {target.must_pass:,} must-pass examples failed.")
    return found


def _counts(metric: MetricReport) -> bool:
    """Whether it matters that a metric is worse: a guarded goal."""
    return metric.standing is not None and metric.guarded


def as_markdown(run: Run) -> str:
    """The report of a finished run, for a pull request or a page. Raises InvalidRequest where there is none."""
    if run.report is None:
        raise InvalidRequest(f"{run.id} has no report yet.")
    return "\n".join(_lines(run, read(run.report))) + "\n"


def _lines(run: Run, report: Report) -> Iterator[str]:
    yield f"## {_cell(report.suite)}: {_cell(report.app)}"
    yield ""
    yield f"Run `{run.id}`, dataset {_cell(report.dataset)} (`{report.dataset_hash[:12]}`)."
    for at, target in enumerate(report.targets):
        yield from _target_lines(target, is_baseline=at == report.baseline)
    if report.warnings:
        yield ""
        yield from (f"> {_cell(warning)}" for warning in report.warnings)


def _target_lines(target: TargetReport, *, is_baseline: bool) -> Iterator[str]:
    yield ""
    yield f"### {_cell(target.label)}{' (baseline)' if is_baseline else ''}"
    yield ""
    errors = ", ".join(f"{_cell(name)} {count:,}" for name, count in target.errors.items())
    yield f"{target.answered:,} answered, {target.failed:,} failed{f' ({errors})' if errors else ''}."
    yield ""
    yield "| metric | value | goal | | against the baseline | |"
    yield "|---|---|---|---|---|---|"
    for metric in target.metrics:
        cells = (
            metric.metric,
            estimated(metric.estimate, metric.unit),
            bound(metric),
            "" if metric.standing is None else STANDINGS[metric.standing],
            compared(metric.comparison, metric.unit),
            outcome(metric),
        )
        yield f"| {' | '.join(map(_cell, cells))} |"
    for sentence in failing(target):
        yield ""
        yield f"**{_cell(sentence)}**"


def _cell(text: str) -> str:
    """Text that cannot break out of a table's cell."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())
