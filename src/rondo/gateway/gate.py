"""How many calls a model has at the same time, and who waits for a place: first come, first served, not for ever.

A place that is given back goes to the first in the queue, never to one who comes by at that moment. A full queue
refuses at once, and whoever waits too long is told so: overload turns into quick answers, not into collapse.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from math import ceil

from rondo.errors import Overloaded, RateLimited

_LONGEST_RETRY_AFTER_S = 60
_SMOOTHING = 0.1


class Gate:
    """One model's, whichever plan it is called from; so the limits come with each call."""

    __slots__ = ("_mean_s", "_waiting", "in_flight")

    def __init__(self) -> None:
        self.in_flight = 0
        self._waiting: OrderedDict[asyncio.Future[bool], int] = OrderedDict()
        self._mean_s = 0.0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def has_room(self, limit: int | None) -> bool:
        """Whether a call would get a place at once."""
        return limit is None or (self.in_flight < limit and not self._waiting)

    def take_now(self, limit: int | None) -> bool:
        """Take a place if there is one."""
        if limit is not None and (self.in_flight >= limit or self._waiting):
            return False
        self.in_flight += 1
        return True

    async def take(self, name: str, *, limit: int, queue: int, timeout_s: float) -> None:
        """Wait for a place. Raises RateLimited where too many wait already, Overloaded where it takes too long."""
        if self.waiting >= queue:
            raise RateLimited(
                f"The model {name!r} is busy with {self.in_flight} calls, and {self.waiting} wait already.",
                retry_after=self._retry_after(limit),
                remedy="Try again then; `max_concurrent` and `queue` set how many there may be.",
            )
        loop = asyncio.get_running_loop()
        place: asyncio.Future[bool] = loop.create_future()
        self._waiting[place] = limit
        timer = loop.call_later(timeout_s, self._expire, place)
        try:
            if await place:
                return
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.result():
                self.give_back(None)  # it was given to us just as we were leaving
            raise
        finally:
            timer.cancel()
            if self._waiting.pop(place, None) is not None:
                self._pass_on()  # those behind us may have a wider limit
        late = Overloaded(
            f"The model {name!r} had no place for this call within {timeout_s:.3g} s.",
            remedy="Try again later; `max_concurrent` and `queue_timeout_s` set how long calls wait.",
        )
        late.retry_after = self._retry_after(limit)
        raise late

    def give_back(self, held_s: float | None) -> None:
        """A call has ended, after `held_s` where that says how long calls take; its place goes to the next."""
        self.in_flight -= 1
        if held_s is not None:
            self._mean_s = held_s if self._mean_s == 0.0 else self._mean_s + _SMOOTHING * (held_s - self._mean_s)
        if self._waiting:
            self._pass_on()

    def _pass_on(self) -> None:
        while self._waiting:
            place, limit = next(iter(self._waiting.items()))
            if not place.done():
                if self.in_flight >= limit:
                    return
                self.in_flight += 1
                place.set_result(True)
            del self._waiting[place]

    def _expire(self, place: asyncio.Future[bool]) -> None:
        if not place.done():
            place.set_result(False)

    def _retry_after(self, limit: int) -> int:
        """About when the queue, as it is now, will have moved through."""
        return min(_LONGEST_RETRY_AFTER_S, max(1, ceil((self.waiting + 1) * self._mean_s / limit)))
