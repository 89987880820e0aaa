"""Single-flight: of those who ask the same at the same time, one leads, and the others wait for its answer.

A leader that fails or leaves hands over to the next who waits, which asks anew: nobody gets another's error, and
nobody is left waiting. A leader that takes too long (its client reads slowly, say) is overtaken: one of those who wait
leads in its place. Whoever has waited as long as it will goes on alone.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import NamedTuple

from rondo import clock
from rondo.cache.model import Hit

_Outcome = asyncio.Future["Hit | Flight | None"]


class _Waiting(NamedTuple):
    """One who waits, and how long the others would wait for it if it led."""

    outcome: _Outcome
    patience_s: float


class Flight:
    """One turn of leading: those who wait for it, and when they need not wait any longer."""

    def __init__(self, waiting: deque[_Waiting], patience_s: float) -> None:
        self.waiting = waiting
        self.overtaken_at = clock.monotonic() + patience_s


class Flights:
    """Who leads and who waits, by key. For one event loop."""

    def __init__(self) -> None:
        self._flights: dict[bytes, Flight] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def takes_off(self, key: bytes, patience_s: float) -> Flight | None:
        """The caller's flight, where nobody leads yet. It must `land`, `scatter` or `hand_over` then.

        `patience_s` is how long others wait for it.
        """
        if key in self._flights:
            return None
        flight = self._flights[key] = Flight(deque(), patience_s)
        return flight

    async def follow(self, key: bytes, patience_s: float, own_s: float) -> Hit | Flight | None:
        """The leader's answer; a flight that is now the caller's; None where it is to ask alone.

        `own_s` is how long the caller waits at most.
        """
        outcome: _Outcome = asyncio.get_running_loop().create_future()
        us = _Waiting(outcome, patience_s)
        waiting = self._flights[key].waiting
        waiting.append(us)
        until = clock.monotonic() + own_s
        try:
            while not outcome.done():
                now, flight = clock.monotonic(), self._flights[key]
                if now >= flight.overtaken_at:
                    waiting.remove(us)
                    return self._passed_on(key, waiting, patience_s)
                if now >= until:
                    waiting.remove(us)
                    return None
                await asyncio.wait((outcome,), timeout=min(flight.overtaken_at, until) - now)
        except BaseException:
            if not outcome.done():
                waiting.remove(us)
            elif isinstance(ours := outcome.result(), Flight):  # it came as we were leaving
                self.hand_over(key, ours)
            raise
        return outcome.result()

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
            following = flight.waiting.popleft()
            following.outcome.set_result(self._passed_on(key, flight.waiting, following.patience_s))
        else:
            del self._flights[key]

    def _passed_on(self, key: bytes, waiting: deque[_Waiting], patience_s: float) -> Flight:
        flight = self._flights[key] = Flight(waiting, patience_s)
        return flight

    def _end(self, key: bytes, outcome: Hit | None) -> None:
        flight = self._flights.pop(key, None)
        for following in flight.waiting if flight is not None else ():
            following.outcome.set_result(outcome)
