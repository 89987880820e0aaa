"""Single-flight: of those who ask the same at the same time, one leads, and the others wait for its answer.

A leader that fails or leaves hands over to the next who waits, which asks anew: nobody gets another's error, and
nobody is left waiting. A leader that takes too long (its client reads slowly, say) is overtaken: one of those who wait
leads in its place. Whoever has waited as long as it will goes on alone.
"""

from __future__ import annotations

import asyncio
from collections import deque

from rondo import clock
from rondo.cache.model import Hit

_Waiting = asyncio.Future["Hit | Flight | None"]


class Flight:
    """One turn of leading: those who wait for it, and when they need not wait any longer."""

    def __init__(self, waiting: deque[_Waiting], patience_s: float) -> None:
        self.waiting = waiting
        self.patience_s = patience_s
        self.overtaken_at = clock.monotonic() + patience_s


class Flights:
    """Who leads and who waits, by key. For one event loop."""

    def __init__(self) -> None:
        self._flights: dict[bytes, Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def takes_off(self, key: bytes, patience_s: float) -> Flight | None:
        """The caller's flight, where nobody leads yet. It must `land`, `scatter` or `hand_over` then."""
        if key in self._flights:
            return None
        flight = self._flights[key] = Flight(deque(), patience_s)
        return flight

    async def follow(self, key: bytes, patience_s: float) -> Hit | Flight | None:
        """The leader's answer; a flight that is now the caller's; None where it is to ask alone."""
        future: _Waiting = asyncio.get_running_loop().create_future()
        waiting = self._flights[key].waiting
        waiting.append(future)
        until = clock.monotonic() + patience_s
        try:
            while not future.done():
                now, flight = clock.monotonic(), self._flights[key]
                if now >= flight.overtaken_at:
                    waiting.remove(future)
                    return self._passed_on(key, flight)
                if now >= until:
                    waiting.remove(future)
                    return None
                await asyncio.wait((future,), timeout=min(flight.overtaken_at, until) - now)
        except BaseException:
            if not future.done():
                waiting.remove(future)
            elif isinstance(ours := future.result(), Flight):  # it came as we were leaving
                self.hand_over(key, ours)
            raise
        return future.result()

    def land(self, key: bytes, hit: Hit) -> None:
        """There is an answer: everyone who waits gets it, whoever leads by now."""
        self._end(key, hit)

    def scatter(self, key: bytes, flight: Flight) -> None:
        """The answer is none to share: everyone who waits asks alone, all at once."""
        if self._flights.get(key) is flight:
            self._end(key, None)

    def hand_over(self, key: bytes, flight: Flight) -> None:
        """The leader has no answer: the next one leads. Nothing happens where it has been overtaken."""
        if self._flights.get(key) is not flight:
            return
        if flight.waiting:
            future = flight.waiting.popleft()
            future.set_result(self._passed_on(key, flight))
        else:
            del self._flights[key]

    def _passed_on(self, key: bytes, flight: Flight) -> Flight:
        ours = self._flights[key] = Flight(flight.waiting, flight.patience_s)
        return ours

    def _end(self, key: bytes, outcome: Hit | None) -> None:
        flight = self._flights.pop(key, None)
        for future in flight.waiting if flight is not None else ():
            future.set_result(outcome)
