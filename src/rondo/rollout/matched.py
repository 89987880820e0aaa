"""One candidate's caller against one of the baseline that came at about the same time. Pure.

What is compared are differences within groups: the first caller of each side, then the second, and so on. So whatever
changes with the time of day strikes both sides of a difference, and the differences are one sequence, which the
confidence sequences of `sequential.py` are about.

Where one side has far more callers, as when a bandit moves them, several of them stand against one. How many is decided
by who came before, never by what came of it: so the bets on the next difference stay fair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rondo.evals.statistics.sample import Floats, Integers

_FIRST = 32  # groups before the sides are first counted; twice as many each time after
_MOST = 100  # callers in a group
_SENSELESS = 1e100  # a value beyond it tells nothing, and its square is no number any more


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """One side's callers, in the order in which they counted: since when (microseconds), and the value of each."""

    entered: Integers
    values: Floats

    @classmethod
    def of(cls, entered: Sequence[int], values: Sequence[float | None], place: Sequence[int] | None = None) -> Observed:
        """Callers without a value, or with a senseless one, are left out. `place` decides between those of the same
        moment."""
        numbers, moments = np.array(values, dtype=np.float64), np.array(entered, dtype=np.int64)
        order = np.lexsort((moments,) if place is None else (np.array(place, dtype=np.uint64), moments))
        numbers, moments = numbers[order], moments[order]
        known = np.abs(numbers) < _SENSELESS
        return cls(moments[known], numbers[known])

    def __len__(self) -> int:
        return len(self.values)


NOBODY = Observed.of([], [])


def matched(candidate: Observed, baseline: Observed, *, most: int = _MOST) -> tuple[Floats, Floats]:
    """The means of both sides in each group, of at most so many callers of a side. Whoever waits for a counterpart is
    left out. One against one, a difference is as likely positive as negative where nothing differs, however lopsided
    the values are."""
    groups, sizes = _FIRST, (1, 1)
    used = [0, 0]
    parts: list[tuple[Floats, Floats]] = []
    while True:
        ready = min((len(candidate) - used[0]) // sizes[0], (len(baseline) - used[1]) // sizes[1])
        count = min(groups, ready)
        parts.append(
            (_means(candidate.values, used[0], count, sizes[0]), _means(baseline.values, used[1], count, sizes[1]))
        )
        used = [used[0] + count * sizes[0], used[1] + count * sizes[1]]
        if count < groups:
            return np.concatenate([each[0] for each in parts]), np.concatenate([each[1] for each in parts])
        moment = max(candidate.entered[used[0] - 1], baseline.entered[used[1] - 1])
        came = [int(np.searchsorted(side.entered, moment, side="right")) for side in (candidate, baseline)]
        sizes = (_part(came[0] / came[1], most), _part(came[1] / came[0], most))
        groups *= 2


def _part(ratio: float, most: int) -> int:
    return min(most, max(1, round(ratio)))


def _means(values: Floats, start: int, groups: int, size: int) -> Floats:
    means: Floats = values[start : start + groups * size].reshape(groups, size).mean(axis=1)
    return means
