"""From a sample to units and back: the sums that are drawn, and what a metric makes of them. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rondo.evals.statistics.intervals import effective_n, quantile
from rondo.evals.statistics.resample import Weights
from rondo.evals.statistics.sample import Floats, Integers, Mean, OfSums, Quantile, Ratio, Sample, Sums


def unit_sums(sample: Sample) -> Floats:
    """The rows of each unit's examples, added up: (units, columns). A mean gets a column that counts its examples."""
    rows = sample.per_example()
    if isinstance(sample.statistic, Mean):
        rows = np.column_stack([rows, np.ones(len(rows))])
    if not sample.is_clustered:
        return rows
    sums = np.zeros((sample.unit_count, rows.shape[1]))
    np.add.at(sums, sample.units, rows)
    return sums


def of_sums(statistic: Mean | Ratio | Sums) -> OfSums:
    """The metric as a function of (draws, columns); NaN where it is undefined, without a warning."""
    of = statistic.of if isinstance(statistic, Sums) else _ratio

    def quietly(sums: Floats) -> Floats:
        with np.errstate(all="ignore"):
            return np.asarray(of(sums), np.float64)

    return quietly


def _ratio(sums: Floats) -> Floats:
    return np.asarray(sums[:, 0] / sums[:, 1], np.float64)


def value_of(sample: Sample) -> float | None:
    """The metric; None where there are no examples, or where it is undefined."""
    if sample.n == 0:
        return None
    if isinstance(sample.statistic, Quantile):
        return quantile(sample.rows[:, 0], sample.statistic.level)
    value = float(of_sums(sample.statistic)(unit_sums(sample).sum(axis=0, keepdims=True))[0])
    return value if np.isfinite(value) else None


class Residuals(NamedTuple):
    """A mean or ratio, taken apart: `error` is its standard error, `columns` what is drawn to studentise it."""

    error: float
    columns: Floats


def residuals(numerators: Floats, denominators: Floats) -> Residuals:
    """Per unit, how far the numerator is from what its denominator lets expect, scaled to about 1.

    The standard error is that of a ratio, by linearisation (Cochran 1977, ch. 6): the cluster-robust one of a mean.
    """
    units = len(numerators)
    total = float(denominators.sum())
    rest = numerators - numerators.sum() / total * denominators
    scale = float(np.sqrt((rest**2).mean()))
    size = float(np.abs(numerators).mean())
    if units < 2 or scale <= 1e-12 * size:  # all alike, but for rounding
        return Residuals(0.0, np.zeros((units, 5)))
    e, d = rest / scale, denominators / denominators.mean()
    return Residuals(
        scale * units / total * float(np.sqrt(1 / (units - 1))),
        np.column_stack([e, d, e * e, e * d, d * d]),
    )


def studentised_draws(sums: Floats) -> Floats:
    """(drawn value - value) / drawn standard error, from draws of the columns of `residuals`.

    Infinite where a draw has no spread; draws of nothing are left out.
    """
    sums = sums[sums[:, 1] > 0]
    units = sums[:, 1]  # denominators are scaled to a mean of one
    shift = sums[:, 0] / units
    spread = sums[:, 2] - 2 * shift * sums[:, 3] + shift**2 * sums[:, 4]
    error = np.sqrt(np.maximum(spread, 0.0) / np.maximum(units - 1, 0.5) / units)
    with np.errstate(divide="ignore", invalid="ignore"):
        drawn = shift / error
    return np.asarray(np.where(shift == 0, 0.0, drawn), np.float64)


class Window(NamedTuple):
    """The values among which a drawn quantile lies, so that draws need not look at all of them.

    `values` and `units` are those in the window, in rising order; `columns` are each unit's number of values below it,
    and in all.
    """

    values: Floats
    units: Integers
    columns: Floats


def window(values: Floats, units: Integers, level: float) -> Window:
    """Six standard deviations to either side of the quantile's rank. `units` numbers each value's unit from 0."""
    n = len(values)
    order = np.argsort(values, kind="stable")
    reach = 10 + 6 * np.sqrt(level * (1 - level) / effective_n(values, units, level)) * n
    start, stop = max(0, int(level * n - reach)), min(n, int(level * n + reach) + 1)
    inside = order[start:stop]
    count = int(units.max()) + 1
    below = np.bincount(units[order[:start]], minlength=count)
    total = np.bincount(units, minlength=count)
    return Window(values[inside], units[inside], np.column_stack([below, total]).astype(float))


def quantile_draws(within: Window, sums: Floats, weights: Weights, level: float) -> Floats:
    """The quantile in each draw, from the sums of the window's columns and the weights of its units: (draws,)."""
    reached = np.cumsum(weights, axis=0, dtype=np.float32)
    wanted = level * sums[:, 1] - sums[:, 0] - 1e-6
    place = (reached < wanted).sum(axis=0)
    return np.asarray(within.values[np.minimum(place, len(within.values) - 1)], np.float64)
