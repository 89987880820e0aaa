"""Who answers: the models of a route in turn, each tried and tried again as far as that makes sense.

A deployment that cannot be reached, is overloaded, fails or talks nonsense is tried again, or another one of the same
model is; after that, the next model of the route takes over. A request that is itself at fault (400, 413, 422, ...)
goes back to the client at once. Once the client has seen a byte, nothing is tried again; that is why `send` must
bring back the first event of a stream.

`route.py` has the steps, `faults.py` says what a failure means, `breaker.py` who is left alone, `gate.py` how many
calls there may be.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from rondo import clock
from rondo.gateway.deadlines import Deadlines
from rondo.gateway.deployments import Deployments, Standing
from rondo.gateway.plan import ServedModel
from rondo.gateway.route import AlongRoute, Means
from rondo.gateway.turn import Turn
from rondo.gateway.won import Won

T = TypeVar("T")


class Tries:
    """One per gateway process: it knows how each deployment has been doing."""

    def __init__(
        self,
        *,
        breaker_failures: int = 5,
        breaker_open_s: float = 15.0,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        now: Callable[[], float] = clock.monotonic,
    ) -> None:
        """`chance` gives numbers from 0 to 1, `sleep` and `now` are the time; tests bring their own."""
        self._deployments = Deployments(failures=breaker_failures, open_s=breaker_open_s, chance=chance)
        self._deadlines = Deadlines()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._means = Means(self._deployments, self._deadlines, chance, sleep, now)

    def first(
        self,
        route: Sequence[ServedModel],
        send: Callable[[ServedModel], Awaitable[T]],
        turn: Turn,
        *,
        total_timeout_s: float,
        streaming: bool = False,
        discard: Callable[[T], None] | None = None,
    ) -> Coroutine[Any, Any, Won[T]]:
        """The first good result of `send` along `route`; each try becomes a span.

        `streaming`: what `send` brings back is a stream up to its first event. `discard` lets go of a result that
        nobody needs (a hedge's loser). With hedges, `send` may run twice at a time, so it must leave the turn alone.
        Raises the RondoError that says most about why nothing was good.
        """
        along = AlongRoute(
            self._means, route, send, turn, total_s=total_timeout_s, streaming=streaming, discard=discard
        )
        return along.run(self._task())

    def _task(self) -> asyncio.Task[object]:
        """The one that runs; asked of the loop that we know, since asking which loop it is takes a system call."""
        task = None if self._loop is None else asyncio.current_task(self._loop)
        if task is None:
            self._loop = asyncio.get_running_loop()
            task = asyncio.current_task(self._loop)
            assert task is not None
        return task

    def standing(self) -> list[Standing]:
        """Every deployment that has been called, as it is now."""
        return self._deployments.standing(self._means.now())
