"""Calls under way, in order of arrival: how far everything is done. Pure.

Calls end in any order; a cursor may only move to where all before it have ended.
"""

from __future__ import annotations


class Window:
    """One reader's. Begins behind the call that `after` names."""

    def __init__(self, after: int) -> None:
        self._read = after
        self._open: dict[int, None] = {}  # in order of arrival, as they are begun

    @property
    def read(self) -> int:
        """The last call that was read."""
        return self._read

    @property
    def done(self) -> int:
        """Every call up to this one is done with."""
        return next(iter(self._open)) - 1 if self._open else self._read

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, arrival: int) -> None:
        """Arrivals must grow."""
        if arrival <= self._read:
            raise ValueError(f"{arrival} comes after {self._read}")
        self._read = arrival
        self._open[arrival] = None

    def passed(self, arrival: int) -> None:
        """Read, and nothing to do."""
        self._read = max(self._read, arrival)

    def end(self, arrival: int) -> None:
        self._open.pop(arrival, None)
