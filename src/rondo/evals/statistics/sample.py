"""What was measured of one metric, and how its parts add up: the input of everything else here. Pure.

Every metric is a function of sums over examples (a mean, a ratio, macro F1 of confusion counts, corpus BLEU of its
n-gram counts) or a quantile. So an example is a row of numbers; repeats of an example are averaged before anything
else, because they say more about that example and nothing about others; and examples of one cluster (a conversation,
a customer) are drawn together, because they resemble each other.

A quantile is the exception: the 95th percentile of averages is not that of answers. There each answer stays a row, and
the repeats of an example are a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rondo.errors import InvalidRequest

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

OfSums = Callable[[Floats], Floats]
"""Sums of rows, (draws, columns), to the metric, (draws,). NaN where it is undefined.

It must not change when all sums are doubled: it is asked about sums over examples, over draws, and over averages.
A function that needs the number of examples has it as a column of ones.
"""

Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of a value per example. `bounds` are the least and largest possible value, where there are such; `least`
    is the least one alone, of times, costs and counts."""

    bounds: Bounds | None = None
    least: float | None = None


@dataclass(frozen=True, slots=True)
class Ratio:
    """A sum over a sum, e.g. cost per solved case: an example's row is (numerator, denominator)."""

    bounds: Bounds | None = None


@dataclass(frozen=True, slots=True)
class Quantile:
    """The smallest value that a share `level` of all answers does not exceed, e.g. 0.95 of latencies."""

    level: float

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise InvalidRequest(f"A quantile's level lies between 0 and 1, not {self.level}.", param="level")


@dataclass(frozen=True, slots=True)
class Sums:
    """Any function of the sums of the examples' rows: macro F1, corpus BLEU. Those with one `name` are one metric."""

    of: OfSums = field(compare=False)
    name: str
    bounds: Bounds | None = None


Statistic = Mean | Ratio | Quantile | Sums

SHARE = Mean(bounds=(0.0, 1.0))
"""A share of yes among yes and no (or of partial credit between 0 and 1)."""

Value = float | int | bool
Measured = Value | Sequence[Value] | None
"""One repeat's value: a number; a row of numbers for `Ratio` and `Sums`; None where there was no score."""


@dataclass(frozen=True, eq=False)
class Sample:
    """A metric of one target. Make it with `sample`.

    `keys` are the examples that have a value, n of them, in order. `rows` holds a row per answer, (answers, columns),
    `example` each row's place in `keys`. `clusters` names each example's cluster, None where each is its own. `absent`
    are examples without any value: they are counted as missing, never as zero.
    """

    statistic: Statistic
    keys: tuple[str, ...]
    rows: Floats
    example: Integers
    clusters: tuple[str, ...] | None
    absent: tuple[str, ...]

    @property
    def n(self) -> int:
        """How many examples have a value."""
        return len(self.keys)

    @property
    def missing(self) -> int:
        return len(self.absent)

    @property
    def is_repeated(self) -> bool:
        return len(self.rows) > len(self.keys)

    @cached_property
    def units(self) -> Integers:
        """What is drawn together, as a number from 0 for each example: its cluster, or itself. Shape (n,)."""
        if self.clusters is None:
            return np.arange(self.n)
        numbers = {name: at for at, name in enumerate(dict.fromkeys(self.clusters))}
        return np.array([numbers[name] for name in self.clusters], np.int64)

    @cached_property
    def unit_count(self) -> int:
        """How many clusters, or examples where there are none."""
        return int(self.units.max(initial=-1)) + 1

    @property
    def is_clustered(self) -> bool:
        """Whether two examples share a cluster."""
        return self.unit_count < self.n

    def only(self, keys: Collection[str]) -> Sample:
        """The sample of these examples: a slice. Examples that it does not have are passed over."""
        wanted = keys if isinstance(keys, (set, frozenset, dict)) else set(keys)
        kept = np.array([key in wanted for key in self.keys], bool)
        place = np.cumsum(kept) - 1
        rows = kept[self.example] if len(kept) else np.zeros(0, bool)
        return replace(
            self,
            keys=tuple(key for key, keep in zip(self.keys, kept, strict=True) if keep),
            rows=self.rows[rows],
            example=place[self.example[rows]],
            clusters=None
            if self.clusters is None
            else tuple(name for name, keep in zip(self.clusters, kept, strict=True) if keep),
            absent=tuple(key for key in self.absent if key in wanted),
        )

    def per_example(self) -> Floats:
        """A row per example, the average of its repeats: (n, columns)."""
        if not self.is_repeated:
            return self.rows
        sums = np.zeros((self.n, self.rows.shape[1]))
        np.add.at(sums, self.example, self.rows)
        counts: Floats = np.bincount(self.example, minlength=self.n).astype(float)
        return sums / counts[:, None]


def sample(
    values: Mapping[str, Sequence[Measured]],
    statistic: Statistic = SHARE,
    clusters: Mapping[str, str | None] | None = None,
) -> Sample:
    """What was measured: for each example by its id, a value per repeat, None for a repeat without a score.

    `clusters` names the cluster of an example; one without stands for itself. An example whose repeats all lack a score
    counts as missing. Raises InvalidRequest for NaN, infinities, rows of unequal length, and values out of bounds, and
    names the example.
    """
    keys: list[str] = []
    absent: list[str] = []
    rows: list[Any] = []
    example: list[int] = []
    for key, repeats in values.items():
        known = [value for value in repeats if value is not None]
        if not known:
            absent.append(key)
            continue
        rows.extend(known)
        example.extend([len(keys)] * len(known))
        keys.append(key)
    matrix = _matrix(rows, statistic)
    places = np.array(example, np.int64)
    _check(matrix, places, keys, statistic)
    return Sample(statistic, tuple(keys), matrix, places, _named(keys, clusters), tuple(absent))


def sample_of(
    keys: tuple[str, ...],
    example: Integers,
    values: Floats,
    statistic: Statistic = SHARE,
    clusters: Mapping[str, str | None] | None = None,
) -> Sample:
    """As `sample`, for one number an answer: `values`, NaN where there was no score, each of the example whose place in
    `keys` it names. An example without any value is none of the sample's. Raises InvalidRequest as `sample` does."""
    known = ~np.isnan(values)
    has = np.bincount(example[known], minlength=len(keys)) > 0
    lacks = (np.bincount(example, minlength=len(keys)) > 0) & ~has
    kept = keys if has.all() else tuple(keys[at] for at in np.flatnonzero(has))
    example, values = (np.cumsum(has) - 1)[example[known]], values[known]
    order = np.argsort(example, kind="stable")
    matrix, places = values[order][:, None], example[order]
    _check(matrix, places, kept, statistic)
    absent = tuple(keys[at] for at in np.flatnonzero(lacks))
    return Sample(statistic, kept, matrix, places, _named(kept, clusters), absent)


def paired(target: Sample, baseline: Sample) -> tuple[Sample, Sample]:
    """Both samples on the examples that both have a value for, in the same order.

    Raises InvalidRequest where they measure different things, or cluster the same examples differently.
    """
    if target.statistic != baseline.statistic:
        raise InvalidRequest("Only samples of the same metric can be compared.", param="statistic")
    if target.keys == baseline.keys and target.clusters == baseline.clusters:
        return target, baseline
    common = set(target.keys) & set(baseline.keys)
    ours = target.only(common)
    theirs = _in_order(baseline.only(common), ours.keys)
    if ours.clusters != theirs.clusters:
        raise InvalidRequest("An example must be in the same cluster in both samples.", param="clusters")
    return ours, theirs


def _in_order(one: Sample, keys: tuple[str, ...]) -> Sample:
    if one.keys == keys:
        return one
    place = {key: at for at, key in enumerate(keys)}
    moved = np.array([place[key] for key in one.keys], np.int64)
    example = moved[one.example]
    order = np.argsort(example, kind="stable")
    clusters = None
    if one.clusters is not None:
        named = dict(zip(one.keys, one.clusters, strict=True))
        clusters = tuple(named[key] for key in keys)
    return replace(one, keys=keys, rows=one.rows[order], example=example[order], clusters=clusters)


def _named(keys: Sequence[str], clusters: Mapping[str, str | None] | None) -> tuple[str, ...] | None:
    if clusters is None:
        return None
    # An example's own id cannot be another one's cluster by accident: the prefix keeps the two kinds apart.
    groups = [clusters.get(key) for key in keys]
    return tuple(f"=:{key}" if name is None else f"g:{name}" for key, name in zip(keys, groups, strict=True))


def _matrix(rows: list[Any], statistic: Statistic) -> Floats:
    """The rows as (answers, columns); raises where they are no numbers, or not equally long."""
    columns = {Mean: 1, Quantile: 1, Ratio: 2}.get(type(statistic))
    if not rows:
        return np.zeros((0, columns or 1))
    try:
        matrix = np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(
            f"Values must be numbers, or rows of equally many numbers: {error}", param="values"
        ) from None
    if matrix.ndim == 1:
        matrix = matrix[:, None]
    if matrix.ndim != 2 or (columns is not None and matrix.shape[1] != columns):
        raise InvalidRequest(f"A value of this metric has {columns or 'a row of'} numbers.", param="values")
    return matrix


def _check(matrix: Floats, example: Integers, keys: Sequence[str], statistic: Statistic) -> None:
    finite = np.isfinite(matrix).all(axis=1)
    if not finite.all():
        at = int(np.argmin(finite))
        raise InvalidRequest(
            f"The value of example {keys[example[at]]!r} is {matrix[at].tolist()}, which is not a finite number.",
            remedy="A score that could not be had is None, not NaN.",
            param="values",
        )
    if isinstance(statistic, Mean) and statistic.bounds is not None:
        low, high = statistic.bounds
        outside = (matrix[:, 0] < low) | (matrix[:, 0] > high)
        if outside.any():
            at = int(np.argmax(outside))
            raise InvalidRequest(
                f"The value of example {keys[example[at]]!r} is {matrix[at, 0]:g}, outside of {low:g} to {high:g}.",
                param="values",
            )
    if isinstance(statistic, Ratio) and (matrix[:, 1] < 0).any():
        raise InvalidRequest("A denominator cannot be negative.", param="values")
