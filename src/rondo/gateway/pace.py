"""How many requests of a batch or an evaluation run at once: as many as may, fewer after a limit was reached, slowly
more again.

A limit is the key's, the model's or ours: one request that is sent back tells of all. So all of them wait as long as
it has to, and half as many go on.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

from rondo import clock
from rondo.errors import BudgetExceeded, RateLimited, RondoError, Unavailable, UpstreamError

_LONGEST_BACKOFF_S = 60.0
_BACKOFF_S = 0.5


class Pace:
    """One batch's or run's. `halt` ends all waiting."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.width = float(most)
        """How many may run at once."""
        self._busy = 0
        self._not_before = 0.0
        self._halted = False
        self._changed = asyncio.Event()

    async def enter(self) -> bool:
        """Wait for a place; False where there is nothing to wait for any more. Follow True by `leave`."""
        while not self._halted:
            wait = self._not_before - clock.monotonic()
            if wait <= 0 and self._busy < int(self.width):
                self._busy += 1
                return True
            changed = self._changed
            with suppress(TimeoutError):
                async with asyncio.timeout(wait if wait > 0 else None):
                    await changed.wait()
        return False

    def leave(self) -> None:
        self._busy -= 1
        self._tell()

    def went_well(self) -> None:
        """A request was answered: one more place for each round of all."""
        self.width = min(float(self._most), self.width + 1 / self.width)

    def sent_back(self, tries: int, retry_after: int | None) -> None:
        """A request is to be tried again, after `tries` tries of it."""
        now = clock.monotonic()
        if now >= self._not_before:  # those that began before the last pause tell nothing new
            self.width = max(1.0, self.width / 2)
        backoff = min(_LONGEST_BACKOFF_S, _BACKOFF_S * 2.0 ** min(tries - 1, 16)) * random.uniform(0.5, 1.0)  # noqa: S311
        self._not_before = max(self._not_before, now + max(float(retry_after or 0), backoff))
        self._tell()

    def halt(self) -> None:
        self._halted = True
        self._tell()

    def _tell(self) -> None:
        told, self._changed = self._changed, asyncio.Event()
        told.set()


def may_go_well(error: RondoError) -> bool:
    """Whether the same request may be answered later."""
    if isinstance(error, UpstreamError):
        return error.status in (429, 503)
    return isinstance(error, RateLimited | Unavailable) and not isinstance(error, BudgetExceeded)
