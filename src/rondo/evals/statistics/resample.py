"""Draws: the bootstrap of thousands of sums at once, and the swapping of labels. Pure, and the same for the same seed.

A bootstrap draw gives each unit (a cluster, or an example) a weight: how often it was drawn. Weights here are
independent, with the law of Poisson(1) up to its third moment (the Poisson bootstrap; Chamandy et al. 2012,
"Estimating uncertainty for massive data streams"; Præstgaard & Wellner 1993 for exchangeable weights). That makes them
cheap: a random byte through a table is a weight, a block of units at a time is one matrix product for all metrics and
slices, and a sample with fewer units uses the first of the same weights. Memory is a block and some sums, whatever the
number of examples, metrics and slices. Metrics divide by the weights drawn, so their varying number changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rondo.evals.statistics.sample import Floats, Integers

DRAWS = 10_000
_BLOCK = 512  # units at a time: 5 MB of bytes and 20 MB of floats at 10,000 draws

# How many of 256 bytes give weight 0, 1, 2, ...: mean and variance are 1 exactly, the third factorial moment 258/256.
_BYTES_PER_WEIGHT = (93, 98, 43, 17, 4, 1)
_WEIGHT_OF_BYTE = bytes(weight for weight, count in enumerate(_BYTES_PER_WEIGHT) for _ in range(count))

_WIDTH = 128  # columns at a time: 10 MB of sums at 10,000 draws

Columns = Mapping[int, Floats]
"""Matrices (units, k) by a number of the caller's, each with its own number of units and columns."""

Weights = NDArray[np.uint8]
"""How often each unit was drawn: (units, draws)."""


def bootstrap_sums(columns: Columns, draws: int = DRAWS, seed: int = 0) -> Iterator[tuple[int, Floats]]:
    """Sums of each matrix's rows under bootstrap weights: (draws, k) for each, a few at a time and in any order.

    All are under the same weights: row d of two matrices of the same units belongs to the same draw.
    """
    return ((at, sums) for at, sums, _ in bootstrap(columns, {}, draws, seed))


def bootstrap(
    columns: Columns, kept: Mapping[int, Sequence[Integers]], draws: int = DRAWS, seed: int = 0
) -> Iterator[tuple[int, Floats, list[Weights]]]:
    """As `bootstrap_sums`, and besides the weights of some units, (units asked for, draws) for each list of units."""
    for batch in _batches(columns):
        found = {at: [np.empty((len(units), draws), np.uint8) for units in kept.get(at, ())] for at in batch}
        asked = [pair for at in batch for pair in zip(found[at], kept.get(at, ()), strict=True)]
        sums = _sums(batch, partial(_weights, draws, seed, asked), draws)
        yield from ((at, sums[at], found[at]) for at in batch)


def swapped_sums(columns: Columns, draws: int = DRAWS, seed: int = 0) -> Iterator[tuple[int, Floats]]:
    """Sums of each matrix's rows over a random half of the units: each is in or out by a fair coin. As above."""
    for batch in _batches(columns):
        yield from _sums(batch, partial(_coins, draws, seed), draws).items()


def all_swaps(matrix: Floats) -> Floats:
    """Sums over every subset of the units: (2 ** units, k). The first is the empty one."""
    subsets = (np.arange(2 ** len(matrix))[:, None] >> np.arange(len(matrix))) & 1
    return np.asarray(subsets @ matrix, np.float64)


def _weights(draws: int, seed: int, asked: Sequence[tuple[Weights, Integers]], start: int, count: int) -> Weights:
    """The weights of a block of units. Those of `asked` units are kept."""
    drawn = _generator(seed, start, 0).bytes(count * draws).translate(_WEIGHT_OF_BYTE)
    block = np.frombuffer(drawn, np.uint8).reshape(count, draws)
    for into, units in asked:
        here = np.flatnonzero((units >= start) & (units < start + count))
        into[here] = block[units[here] - start]
    return block


def _coins(draws: int, seed: int, start: int, count: int) -> Weights:
    width = -(-draws // 8)
    drawn = np.frombuffer(_generator(seed, start, 1).bytes(count * width), np.uint8)
    return np.unpackbits(drawn.reshape(count, width), axis=1, count=draws)


def _generator(seed: int, start: int, kind: int) -> np.random.Generator:
    """A generator for each block, so that a block's draws do not depend on what was drawn before it."""
    return np.random.Generator(np.random.SFC64([seed, start, kind]))


def _batches(columns: Columns) -> Iterator[Columns]:
    """The matrices, some at a time, so that memory stays bounded; the longest together, which share the most draws."""
    batch: dict[int, Floats] = {}
    width = 0
    for at, each in sorted(columns.items(), key=lambda item: -len(item[1])):
        if batch and width + each.shape[1] > _WIDTH:
            yield batch
            batch, width = {}, 0
        batch[at] = each
        width += each.shape[1]
    if batch:
        yield batch


def _sums(columns: Columns, block: Callable[[int, int], Weights], draws: int) -> dict[int, Floats]:
    """Weights times rows, a block of units at a time: single precision within a block, double across blocks."""
    ends = np.cumsum([each.shape[1] for each in columns.values()])
    longest = max(len(each) for each in columns.values())
    sums = np.zeros((int(ends[-1]), draws))
    single = np.empty((min(_BLOCK, longest), draws), np.float32)
    for start in range(0, longest, _BLOCK):
        count = min(_BLOCK, longest - start)
        rows = np.zeros((sums.shape[0], count), np.float32)
        for each, end in zip(columns.values(), ends, strict=True):
            part = each[start : start + count]
            rows[end - each.shape[1] : end, : len(part)] = part.T
        np.copyto(single[:count], block(start, count))
        sums += rows @ single[:count]
    return {at: sums[end - each.shape[1] : end].T for (at, each), end in zip(columns.items(), ends, strict=True)}
