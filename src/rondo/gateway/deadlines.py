"""One timer for the deadlines of all requests, since nearly none of them is ever reached.

A timer of its own would cost each request several microseconds. Here a request is put into the drawer of the moment
when it will be overdue, and taken out when it is done; the loop is asked to wake us for the first drawer only. Moments
are tenths of a second apart, or whole seconds where there is long to go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_PER_SECOND = 10
_LONG_S = 10


class Alarm:
    """Rings once, and a little late, unless it is put off before."""

    __slots__ = ("_drawer", "_ring", "rang")

    def __init__(self, ring: Callable[[], object], drawer: set[Alarm]) -> None:
        self._ring = ring
        self._drawer = drawer
        self.rang = False
        drawer.add(self)

    def off(self) -> None:
        self._drawer.discard(self)

    def go(self) -> None:
        self.rang = True
        self._ring()


class Deadlines:
    """Those of one event loop. Times are the loop's."""

    __slots__ = ("_armed_for", "_drawers", "_timer")

    def __init__(self) -> None:
        self._drawers: dict[int, set[Alarm]] = {}
        self._armed_for = 0
        self._timer: asyncio.TimerHandle | None = None

    def after(self, seconds: float, ring: Callable[[], object], loop: asyncio.AbstractEventLoop) -> Alarm:
        """Have `ring` called in `seconds`."""
        at = loop.time() + seconds
        moment = int(at * _PER_SECOND) + 1 if seconds < _LONG_S else (int(at) + 1) * _PER_SECOND
        drawer = self._drawers.get(moment)
        if drawer is None:
            drawer = self._drawers[moment] = set()
            if self._timer is None or moment < self._armed_for:
                self._arm(loop)
        return Alarm(ring, drawer)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._drawers:
            self._armed_for = min(self._drawers)
            self._timer = loop.call_at(self._armed_for / _PER_SECOND, self._wake, loop)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        now = loop.time() * _PER_SECOND + 0.01  # the loop may wake us a hair early
        for moment in [moment for moment, drawer in self._drawers.items() if moment <= now or not drawer]:
            for alarm in list(self._drawers.pop(moment)):
                alarm.go()
        self._arm(loop)
