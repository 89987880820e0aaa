"""Copies of live requests, for a candidate that nobody sees.

A copy is made when the live answer has been recorded, runs in the background, never streams, and counts against no
limit. There are only so many at a time: those that find no room are not made, and counted. What becomes of a copy is
in its own record; the live request knows nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from msgspec import Struct

from rondo.errors import RondoError
from rondo.gateway.assign import place
from rondo.gateway.plan import ServedApp, ServedRelease

MOST = 32
"""Copies under way at a time, in one process."""


class Copied(Struct, frozen=True):
    """What a copy is a copy of, and who answers it."""

    trace_id: str
    release: ServedRelease


class Shadows:
    """The copies of one process."""

    def __init__(self) -> None:
        self.left_out = 0
        """Copies that found no room."""
        self._under_way: set[asyncio.Task[None]] = set()

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    def copy(
        self,
        app: ServedApp,
        trace_id: str,
        answer: Callable[[Copied], Awaitable[object]],
        *,
        rerouted: bool = False,
    ) -> None:
        """Begin the copies that fall to this request.

        One that a rule or a guard has `rerouted` is not copied to a model in the place of the route: it would answer
        by the same rule, and tell nothing of that model.
        """
        for position, (release, share) in enumerate(app.shadows):
            if rerouted and release.hash == app.stable.hash:
                continue
            if place(f"shadow {position} {app.salt}", trace_id) >= share:
                continue
            if len(self._under_way) >= MOST:
                self.left_out += 1
                continue
            task = asyncio.create_task(_quietly(answer, Copied(trace_id, release)))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """End those under way; each that has begun is recorded as far as it got."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)


async def _quietly(answer: Callable[[Copied], Awaitable[object]], copied: Copied) -> None:
    """A copy that fails has told its record so."""
    with suppress(RondoError):
        await answer(copied)
