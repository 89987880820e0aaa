"""A metric's value with its 95 % interval. Pure. Which interval is used when, and why: `intervals.py`.

Well defined at the edges: no examples give no value; one example gives no interval unless the metric has bounds; equal
values without bounds have an interval without width. An end of an interval that cannot be known is None.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rondo.evals.evidence import Estimate
from rondo.evals.statistics.intervals import (
    Interval,
    bca,
    bounded,
    jackknife,
    quantile_interval,
    studentised,
    wilson,
)
from rondo.evals.statistics.resample import DRAWS, bootstrap_sums
from rondo.evals.statistics.sample import Floats, Mean, Quantile, Ratio, Sample, Statistic, Sums
from rondo.evals.statistics.sums import of_sums, residuals, studentised_draws, unit_sums, value_of


def estimate(sample: Sample, *, draws: int = DRAWS, seed: int = 0) -> Estimate:
    """One metric's estimate."""
    return estimate_all([sample], draws=draws, seed=seed)[0]


def estimate_all(samples: Sequence[Sample], *, draws: int = DRAWS, seed: int = 0) -> list[Estimate]:
    """Estimates of many metrics and slices; those that need a bootstrap share its draws, and take hardly longer."""
    values = [value_of(each) for each in samples]
    columns = {at: _drawn_columns(each) for at, each in enumerate(samples) if _is_drawn(each, values[at])}
    found = {at: _estimate(each, values[at], None) for at, each in enumerate(samples) if at not in columns}
    for at, sums in bootstrap_sums(columns, draws, seed):
        found[at] = _estimate(samples[at], values[at], sums)
    return [found[at] for at in range(len(samples))]


def _is_drawn(sample: Sample, value: float | None) -> bool:
    statistic = sample.statistic
    if value is None or isinstance(statistic, Quantile) or statistic.bounds is not None:
        return False
    if isinstance(statistic, Sums):
        return True
    sums = unit_sums(sample)
    return residuals(sums[:, 0], sums[:, 1]).error > 0  # what is all alike needs no draws


def _drawn_columns(sample: Sample) -> Floats:
    sums = unit_sums(sample)
    if isinstance(sample.statistic, Sums):
        return sums
    return residuals(sums[:, 0], sums[:, 1]).columns


def _estimate(sample: Sample, value: float | None, drawn: Floats | None) -> Estimate:
    interval: Interval = (None, None)
    method = "none: undefined" if sample.n else "none: no examples"
    if value is not None:
        (low, high), method = _interval(sample, value, drawn)
        low = _within(sample.statistic, low)
        interval = (None if low is None else min(low, value), None if high is None else max(high, value))
        if sample.is_clustered:
            method += ", clustered"
    low, high = interval
    return Estimate(
        value=value,
        low=low,
        high=high,
        n=sample.n,
        clusters=sample.unit_count,
        missing=sample.missing,
        method=method,
    )


def _within(statistic: Statistic, low: float | None) -> float | None:
    """An interval's lower end, but for what cannot be: to leave that out takes nothing from how often it covers."""
    if low is None or not isinstance(statistic, Mean) or statistic.least is None:
        return low
    return max(low, statistic.least)


def _interval(sample: Sample, value: float, drawn: Floats | None) -> tuple[Interval, str]:
    statistic = sample.statistic
    if isinstance(statistic, Quantile):
        return quantile_interval(sample.rows[:, 0], sample.units[sample.example], statistic.level), "order statistics"
    sums = unit_sums(sample)
    units = len(sums)
    if statistic.bounds is not None:
        if is_yes_or_no(sample) and not sample.is_clustered:
            return wilson(value, sample.n), "Wilson"
        return bounded(value, _variance(statistic, sums), units, statistic.bounds), "Wilson, effective n"
    if units < 2:
        return (None, None), "none: one example" if sample.n == 1 else "none: one cluster"
    if drawn is None:
        return (value, value), "all equal"
    return _drawn_interval(statistic, value, sums, drawn)


def _drawn_interval(statistic: Mean | Ratio | Sums, value: float, sums: Floats, drawn: Floats) -> tuple[Interval, str]:
    if isinstance(statistic, Sums):
        return _accelerated(statistic, value, sums, drawn)
    error = residuals(sums[:, 0], sums[:, 1]).error
    return studentised(value, error, studentised_draws(drawn), len(sums)), "studentised bootstrap"


def _accelerated(statistic: Sums, value: float, sums: Floats, drawn: Floats) -> tuple[Interval, str]:
    of = of_sums(statistic)
    values = of(drawn)
    values = values[np.isfinite(values)]
    if len(values) < len(drawn) / 2:
        return (None, None), "none: undefined in most draws"
    return bca(value, values, jackknife(of, sums)[1]), "BCa bootstrap"


def _variance(statistic: Mean | Ratio | Sums, sums: Floats) -> float | None:
    """The variance of the metric's estimate; None for a single unit."""
    if len(sums) < 2:
        return None
    if isinstance(statistic, Sums):
        return jackknife(of_sums(statistic), sums)[0]
    return residuals(sums[:, 0], sums[:, 1]).error ** 2


def is_yes_or_no(sample: Sample) -> bool:
    """Whether the sample is one yes or no for each example."""
    statistic = sample.statistic
    return (
        isinstance(statistic, Mean)
        and statistic.bounds == (0.0, 1.0)
        and not sample.is_repeated
        and bool(np.isin(sample.rows, (0.0, 1.0)).all())
    )
