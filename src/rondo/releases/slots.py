"""Places of callers: who has which of the 10,000, and who moves when shares change. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

K = TypeVar("K")

WHOLE_BP = 10_000
"""All places, which are basis points of the traffic."""

Slots = tuple[tuple[int, int], ...]
"""Ranges [from, to) of the 10,000 places of callers, ascending and apart."""


def slots_of(had: Mapping[K, Slots], shares: Mapping[K, int]) -> dict[K, Slots]:
    """Places of these numbers. Each keeps those it has, as far as its share goes, from the first on.

    What it needs more comes from the stable release, and only when that has none left from those that shrink.
    """
    of_stable = _others([slot for slots in had.values() for slot in slots])
    given_back = [slot for key, slots in had.items() for slot in _after_first(slots, shares[key])]
    pool: Slots = (*of_stable, *given_back)
    found: dict[K, Slots] = {}
    for key, share in shares.items():
        kept = _first(had.get(key, ()), share)
        needed = share - sum(end - start for start, end in kept)
        found[key] = _joined([*kept, *_first(pool, needed)])
        pool = _after_first(pool, needed)
    return found


def _first(slots: Slots, count: int) -> Slots:
    """The first `count` places of these."""
    found: list[tuple[int, int]] = []
    for start, end in slots:
        if count <= 0:
            break
        found.append((start, min(end, start + count)))
        count -= end - start
    return tuple(found)


def _after_first(slots: Slots, count: int) -> Slots:
    """The places after the first `count` of these."""
    found: list[tuple[int, int]] = []
    for start, end in slots:
        if end - start > count:
            found.append((start + count, end))
        count = max(0, count - (end - start))
    return tuple(found)


def _others(taken: list[tuple[int, int]]) -> Slots:
    """The places of the 10,000 that are not in `taken`."""
    found: list[tuple[int, int]] = []
    at = 0
    for start, end in [*sorted(taken), (WHOLE_BP, WHOLE_BP)]:
        if start > at:
            found.append((at, start))
        at = end
    return tuple(found)


def _joined(slots: list[tuple[int, int]]) -> Slots:
    found: list[tuple[int, int]] = []
    for start, end in sorted(slots):
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return tuple(found)
