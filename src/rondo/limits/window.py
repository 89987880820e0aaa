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
"""A second, and the requests and tokens that were taken in it."""


class Window:
    """Requests and tokens of the last minute. Time only goes on: in whole seconds of a clock that does not jump."""

    __slots__ = ("_counts", "_looked", "requests", "tokens")

    def __init__(self) -> None:
        self._counts: deque[Count] = deque()
        self._looked = -1
        self.requests = 0
        self.tokens = 0

    def look(self, now: int) -> None:
        """Forget what is older than a minute."""
        if now != self._looked:
            self._looked = now
            counts, oldest = self._counts, now - SPAN_S
            while counts and counts[0][0] < oldest:
                _, requests, tokens = counts.popleft()
                self.requests -= requests
                self.tokens -= tokens

    def take(self, now: int, tokens: int) -> Count:
        """Count a request of so many tokens now. What is given back is the place to correct them at."""
        counts = self._counts
        if not counts or counts[-1][0] < now:
            counts.append([now, 0, 0])
        place = counts[-1]
        place[1] += 1
        place[2] += tokens
        self.requests += 1
        self.tokens += tokens
        return place

    def correct(self, place: Count, now: int, tokens: int) -> None:
        """Add so many tokens (give back, where below zero) to what was taken at `place`, unless that is forgotten."""
        self.look(now)
        if self._counts and place[0] >= self._counts[0][0]:
            place[2] += tokens
            self.tokens += tokens

    def wait_for_request(self, now: int, limit: int) -> int:
        """In how many seconds there is room for a request, if nothing more is taken: at least one."""
        return self._wait(now, 1, self.requests, 1, limit)

    def wait_for_tokens(self, now: int, tokens: int, limit: int) -> int:
        """The same for so many tokens."""
        return self._wait(now, 2, self.tokens, tokens, limit)

    def _wait(self, now: int, which: int, left: int, units: int, limit: int) -> int:
        for count in self._counts:
            left -= count[which]
            if left + units <= limit:
                return max(1, count[0] + SPAN_S + 1 - now)
        return SPAN_S + 1
