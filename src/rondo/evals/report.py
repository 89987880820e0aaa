"""The report of a run, made from its stored results: each metric with its interval, against its goal, the baseline and
in slices.

What is decided on together is corrected together (Holm): the goals with their guarded slices; and, apart from them,
everything else. A slice smaller than `least_slice` has a value but is not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import isnan
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from rondo.catalog.engine import Catalog
from rondo.errors import InvalidRequest
from rondo.evals.columns import Column, Columns, Gathered, Source, gather
from rondo.evals.evidence import Comparison, Estimate, MetricReport, Report, SliceReport, TargetReport
from rondo.evals.goals import Goal
from rondo.evals.model import Run
from rondo.evals.scorers import corpus
from rondo.evals.statistics.compare import Pair, compare_all
from rondo.evals.statistics.estimate import estimate_all
from rondo.evals.statistics.flakiness import flakiness
from rondo.evals.statistics.sample import Mean, Measured, Quantile, Sample, Statistic, Sums, sample, sample_of
from rondo.evals.statistics.standing import standing
from rondo.evals.suites import settings_of

LEAST_SLICE = 20
_MOST_SLICES = 50
_ALL = ""
_NEVER_NEGATIVE = frozenset(("ms", "usd", "tokens"))
_LABELS = ("macro_f1", "weighted_f1", "macro_precision", "macro_recall")


class Cell(Struct, frozen=True, kw_only=True):
    """One question of a report: a metric, over all examples or over those of a slice (tag, value)."""

    source: Source
    slice: tuple[str, str] | None = None


class Figures(Struct, frozen=True, kw_only=True):
    """What was found of one cell and one target."""

    estimate: Estimate
    comparison: Comparison | None
    flaky: float | None


def build(catalog: Catalog, run: Run) -> tuple[Report, list[list[str]]]:
    """The report, and for each target the must-pass examples that it passed.

    Takes seconds where there is much to draw: call it off the event loop. Raises RondoError.
    """
    with catalog.read() as connection:
        columns = gather(connection, run)
    passed = [[example for example, good in each.passed.items() if good] for each in columns.targets]
    return _Maker(run, columns).report(), passed


def to_builtins(report: Report) -> dict[str, Any]:
    """As JSON values."""
    values: dict[str, Any] = msgspec.to_builtins(report)
    return values


class _Maker:
    """One report's."""

    def __init__(self, run: Run, columns: Columns) -> None:
        self._run = run
        self._columns = columns
        self._suite = settings_of(run)
        self._goals = {goal.metric: goal for goal in msgspec.convert(run.suite.get("goals", []), list[Goal])}
        self._guarded = [str(tag) for tag in run.suite.get("guarded_slices", [])]
        self._least_slice = int(run.suite.get("least_slice") or LEAST_SLICE)
        self._slices = self._slices_of(dict.fromkeys([*self._suite.slices, *self._guarded]))
        self._warnings: list[str] = []

    def report(self) -> Report:
        run = self._run
        samples = {
            (source.metric.name, at): each
            for source in self._columns.sources
            for at, each in enumerate(self._samples(source))
        }
        figures = self._figures(samples)
        targets = [
            self._target(at, gathered, {cell: found for (place, cell), found in figures.items() if place == at})
            for at, gathered in enumerate(self._columns.targets)
        ]
        self._warn(targets)
        return Report(
            run=run.id,
            app=run.app,
            suite=run.name,
            dataset=run.dataset,
            dataset_hash=run.dataset_hash,
            baseline=run.baseline,
            targets=targets,
            warnings=self._warnings,
        )

    def _samples(self, source: Source) -> list[Sample]:
        """One for each target; a metric of the corpus has the same statistic in all."""
        columns = [target.columns[source.metric.name] for target in self._columns.targets]
        if source.adds_sums:
            return self._corpus(source, columns)
        statistic = _statistic(source)
        try:
            return [self._sample(column, statistic) for column in columns]
        except InvalidRequest as error:
            if statistic == Mean():
                raise
            self._warnings.append(f"{source.metric.name} is no share: {error.message}")
            return [self._sample(column, Mean()) for column in columns]

    def _sample(self, column: Column, statistic: Statistic) -> Sample:
        places, values = np.frombuffer(column.places, np.int64), np.frombuffer(column.values)
        return sample_of(self._examples, places, values, statistic, self._columns.clusters or None)

    @cached_property
    def _examples(self) -> tuple[str, ...]:
        return tuple(self._columns.examples)

    def _corpus(self, source: Source, columns: Sequence[Column]) -> list[Sample]:
        flat = [[scored for repeats in column.scored.values() for scored in repeats] for column in columns]
        adding = corpus.adding(source.metric, *flat)
        bounds = (0.0, 1.0) if source.metric.unit == "share" else None
        statistic = Sums(of=adding.fold, name=source.metric.adds_up, bounds=bounds)
        made = []
        for column, scores in zip(columns, flat, strict=True):
            rows = iter(adding.rows(scores))
            values: dict[str, Sequence[Measured]] = {
                example: [_row(next(rows)) for _ in repeats] for example, repeats in column.scored.items()
            }
            made.append(sample(values, statistic, self._columns.clusters or None))
        return made

    def _figures(self, samples: Mapping[tuple[str, int], Sample]) -> dict[tuple[int, Cell], Figures]:
        found: dict[tuple[int, Cell], Figures] = {}
        base = self._run.baseline
        for at in range(len(self._columns.targets)):
            cells = [cell for cell in self._cells() if self._has(samples, cell, at)]
            cut = [self._cut(samples, cell, at) for cell in cells]
            estimates = estimate_all(cut)
            compared: dict[Cell, Comparison] = {}
            if base is not None and at != base:
                for family in (True, False):
                    compared |= self._compared(samples, [c for c in cells if self._is_goals(c) is family], at, base)
            found |= {
                (at, cell): Figures(estimate=estimate, comparison=compared.get(cell), flaky=_flaky(cell, each))
                for cell, estimate, each in zip(cells, estimates, cut, strict=True)
            }
        return found

    def _compared(
        self, samples: Mapping[tuple[str, int], Sample], cells: Sequence[Cell], at: int, base: int
    ) -> dict[Cell, Comparison]:
        pairs: dict[Cell, Pair] = {}
        for cell in cells:
            ours, theirs = self._cut(samples, cell, at), self._cut(samples, cell, base)
            if cell.slice is not None and min(ours.n, theirs.n) < self._least_slice:
                continue
            goal = self._goals.get(cell.source.metric.name)
            margin = None if goal is None else goal.least_change
            pairs[cell] = Pair(ours, theirs, cell.source.metric.higher_is_better, margin)
        return dict(zip(pairs, compare_all(list(pairs.values()), baseline=base), strict=True))

    def _cells(self) -> Iterator[Cell]:
        for source in self._columns.sources:
            yield Cell(source=source)
            if source.of is None or source.metric.name in self._goals:
                for place in self._slices:
                    yield Cell(source=source, slice=place)

    def _has(self, samples: Mapping[tuple[str, int], Sample], cell: Cell, at: int) -> bool:
        """Whether there is anything to say: a metric that applies to no example is left out."""
        whole = samples[cell.source.metric.name, at]
        return bool(whole.n or (whole.missing and cell.source.of is None))

    def _cut(self, samples: Mapping[tuple[str, int], Sample], cell: Cell, at: int) -> Sample:
        whole = samples[cell.source.metric.name, at]
        return whole if cell.slice is None else whole.only(self._slices[cell.slice])

    def _is_goals(self, cell: Cell) -> bool:
        """Whether it is one of the questions that are decided on: a goal, as a whole or in a guarded slice."""
        goal = self._goals.get(cell.source.metric.name)
        return goal is not None and (cell.slice is None or (goal.guarded and cell.slice[0] in self._guarded))

    def _slices_of(self, tags: Mapping[str, None]) -> dict[tuple[str, str], set[str]]:
        """The examples of each value of each tag; of one with very many values, the most frequent, and all that are
        guarded."""
        found: dict[tuple[str, str], set[str]] = {}
        for tag in tags:
            values: dict[str, set[str]] = {}
            for example, given in self._columns.tags.items():
                if tag in given:
                    values.setdefault(given[tag], set()).add(example)
            largest = sorted(values.items(), key=lambda item: (-len(item[1]), item[0]))
            shown = [
                (value, examples)
                for place, (value, examples) in enumerate(largest)
                if place < _MOST_SLICES or (tag in self._guarded and len(examples) >= self._least_slice)
            ]
            found.update({(tag, value): examples for value, examples in shown})
        return found

    def _target(self, at: int, gathered: Gathered, figures: Mapping[Cell, Figures]) -> TargetReport:
        target, run = self._run.targets[at], self._run
        metrics = [self._metric(cell.source, gathered, figures) for cell in figures if cell.slice is None]
        took = None if run.started_at is None or run.ended_at is None else (run.ended_at - run.started_at) / 1e6
        return TargetReport(
            label=target.label,
            hash=target.hash,
            answered=gathered.answered,
            failed=gathered.failed,
            errors=dict(gathered.errors.most_common()),
            metrics=metrics,
            must_pass=len(gathered.passed),
            must_pass_failed=[example for example, passed in gathered.passed.items() if not passed],
            cost_usd=gathered.cost_usd if gathered.cost_known else None,
            seconds=took,
        )

    def _metric(self, source: Source, gathered: Gathered, figures: Mapping[Cell, Figures]) -> MetricReport:
        metric, goal = source.metric, self._goals.get(source.metric.name)
        whole = figures[Cell(source=source)]
        column = gathered.columns[metric.name]
        return MetricReport(
            metric=metric.name,
            unit=metric.unit,
            higher_is_better=metric.higher_is_better,
            estimate=whole.estimate,
            at_least=None if goal is None else goal.at_least,
            at_most=None if goal is None else goal.at_most,
            margin=None if goal is None else goal.least_change,
            forgives=None if goal is None else goal.margin,
            guarded=goal is not None and goal.guarded,
            standing=None
            if goal is None
            else standing(whole.estimate, at_least=goal.at_least, at_most=goal.at_most, margin=goal.margin),
            comparison=whole.comparison,
            slices=[
                SliceReport(
                    tag=cell.slice[0],
                    value=cell.slice[1],
                    estimate=found.estimate,
                    comparison=found.comparison,
                    guarded=self._is_goals(cell),
                )
                for cell, found in figures.items()
                if cell.slice is not None and cell.source is source
            ],
            judge=source.judge,
            judge_version=source.judge_version,
            flaky=whole.flaky,
            lost=column.lost,
            details=_details(source, column),
        )

    def _warn(self, targets: Sequence[TargetReport]) -> None:
        run = self._run
        if run.baseline is None:
            same = run.suite.get("same_as")
            why = f"What was asked is the same as {same}" if same else "There is no baseline"
            self._warnings.append(f"{why}, so nothing is compared.")
        for gathered, target in zip(self._columns.targets, targets, strict=True):
            unknown = gathered.answered - gathered.cost_known
            if unknown and gathered.answered:
                self._warnings.append(f"{target.label}: what {unknown:,} answers cost is not known.")
            if gathered.answered == 0:
                self._warnings.append(f"{target.label} has not answered anything.")
        measured = {source.metric.name for source in self._columns.sources}
        self._warnings += [
            f"No scorer of this suite measures the goal {name}." for name in self._goals.keys() - measured
        ]


def _statistic(source: Source) -> Statistic:
    level = corpus.quantile_of(source.metric)
    if level is not None:
        return Quantile(level)
    # What a judge gives is a share of its scale, whatever it is called.
    if source.metric.unit == "share" or source.judge is not None:
        return Mean((0.0, 1.0))
    return Mean(least=0.0) if source.metric.unit in _NEVER_NEGATIVE else Mean()


def _row(numbers: Any) -> Measured:
    values: list[float] = numbers.tolist()
    return None if any(isnan(value) for value in values) else values


def _flaky(cell: Cell, whole: Sample) -> float | None:
    """The share of examples, of those with several scores, whose repeats disagree. Times and costs always do."""
    found = flakiness(whole) if cell.source.of is None and cell.slice is None else None
    return None if found is None else found.disagree.value


def _details(source: Source, column: Column) -> dict[str, Any]:
    details: dict[str, Any] = {"errors": dict(column.errors.most_common())} if column.errors else {}
    if source.metric.adds_up in _LABELS:
        details["confusion"] = corpus.confusion([scored for repeats in column.scored.values() for scored in repeats])
    return details
