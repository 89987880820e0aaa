"""A count over the last minute, for requests and tokens. Pure: whoever asks brings the time.

Libraries for this count attempts: they neither take many units at once for several limits, all or none, nor give back
what was taken too much, and cost more than the whole of the rest here. So this is one: a count for each second with any
use, and their sum. A use is forgotten 60 to 61 seconds later, never sooner; so in no minute, wherever it begins, is
there more than the limit allows, and nobody waits longer than a second more than they would have to.
"""

from __future__ import annotations

from collections import deque

SPAN_S = 60

Count = list[int]
"""A second, and the units that were taken in it."""


class Window:
    """Units of the last minute. Time only goes on: it is in seconds of a clock that does not jump."""

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts: deque[Count] = deque()
        self.total = 0

    def look(self, now: float) -> int:
        """The units of the last minute."""
        counts, oldest = self._counts, int(now) - SPAN_S
        while counts and counts[0][0] < oldest:
            self.total -= counts.popleft()[1]
        return self.total

    def take(self, now: float, units: int) -> Count:
        """Count `units` now. What is given back is the place to correct them at."""
        second, counts = int(now), self._counts
        if not counts or counts[-1][0] < second:
            counts.append([second, 0])
        place = counts[-1]
        place[1] += units
        self.total += units
        return place

    def correct(self, place: Count, now: float, units: int) -> None:
        """Add so many units (give back, where below zero) to what was taken at `place`, unless that is forgotten."""
        self.look(now)
        if self._counts and place[0] >= self._counts[0][0]:
            place[1] += units
            self.total += units

    def wait(self, now: float, units: int, limit: int) -> int:
        """In how many seconds there is room for `units`, if nothing more is taken: at least one."""
        left = self.look(now)
        for second, taken in self._counts:
            left -= taken
            if left + units <= limit:
                return max(1, second + SPAN_S + 1 - int(now))
        return SPAN_S + 1
