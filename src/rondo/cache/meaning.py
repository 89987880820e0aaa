"""Finding questions that mean the same: exact cosine search over vectors, in this process.

Vectors lie in groups; requests of one group differ in the wording of their last question only, and, unless the release
says otherwise, come from one user. A group is searched as a whole, which takes a millisecond or two for 1,000 vectors
of 1,536 numbers. NumPy does it: an optional package, loaded when the first vector comes.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from rondo import clock

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_EACH = 1_000
"""Vectors of one group; the oldest makes room."""

_MOST_NUMBERS = 8_192

Vector = list[float]


class _Group:
    """The vectors of a group, each of length one, in rows that are written over in turn."""

    def __init__(self, width: int) -> None:
        import numpy

        self.width = width
        self.rows: NDArray[Any] = numpy.zeros((4, width), numpy.float32)
        self.keys: list[bytes] = []
        self.until: list[float] = []
        self._next = 0

    @property
    def size(self) -> int:
        return int(self.rows.nbytes) + 200 * len(self.keys) + 500

    def add(self, row: NDArray[Any], key: bytes, until: float) -> None:
        import numpy

        at = self._place(key)
        if at == len(self.rows):
            grown = numpy.zeros((min(2 * at, MOST_EACH), self.width), numpy.float32)
            grown[:at] = self.rows
            self.rows = grown
        self.rows[at] = row
        if at == len(self.keys):
            self.keys.append(key)
            self.until.append(until)
        else:
            self.keys[at], self.until[at] = key, until

    def _place(self, key: bytes) -> int:
        if key in self.keys:
            return self.keys.index(key)
        if len(self.keys) < MOST_EACH:
            return len(self.keys)
        self._next = (self._next + 1) % MOST_EACH
        return self._next

    def nearest(self, row: NDArray[Any], now: float) -> tuple[bytes, float] | None:
        """Key and similarity of the nearest that is not too old."""
        near = self.rows[: len(self.keys)] @ row
        for at in near.argsort()[::-1][:8]:
            if self.until[at] > now:
                return self.keys[at], float(near[at])
        return None


class Meanings:
    """Which kept answer belongs to which meaning; the least recently used groups go first."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._groups: OrderedDict[bytes, _Group] = OrderedDict()
        self._bytes = 0

    def add(self, group: bytes, vector: Vector, key: bytes, ttl_s: float) -> None:
        """The question with this vector has its answer under `key`."""
        row = _of_length_one(vector)
        if row is None:
            return
        found = self._groups.get(group)
        if found is not None and found.width != len(vector):
            self._drop(group)
            found = None
        if found is None:
            found = self._groups[group] = _Group(len(vector))
        else:
            self._bytes -= found.size
        found.add(row, key, clock.monotonic() + ttl_s)
        self._bytes += found.size
        self._groups.move_to_end(group)
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._groups)))

    def find(self, group: bytes, vector: Vector, at_least: float) -> tuple[bytes, float] | None:
        """Key and cosine similarity of the nearest question in the group, if it is near enough."""
        found = self._groups.get(group)
        row = _of_length_one(vector) if found is not None and found.width == len(vector) else None
        if found is None or row is None:
            return None
        self._groups.move_to_end(group)
        nearest = found.nearest(row, clock.monotonic())
        # Single precision: the same vector twice may come to a hair less than one.
        return nearest if nearest is not None and nearest[1] >= at_least - 1e-6 else None

    def _drop(self, group: bytes) -> None:
        self._bytes -= self._groups.pop(group).size


def _of_length_one(vector: Vector) -> NDArray[Any] | None:
    """None where it has no direction."""
    import numpy

    if not 0 < len(vector) <= _MOST_NUMBERS:
        return None
    row = numpy.array(vector, numpy.float64)
    with numpy.errstate(over="ignore", invalid="ignore"):
        length = float(numpy.sqrt(row @ row))
    if not math.isfinite(length) or length == 0:
        return None
    unit: NDArray[Any] = (row / length).astype(numpy.float32)
    return unit
