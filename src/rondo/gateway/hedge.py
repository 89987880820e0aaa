"""A second try when the first is slow: the first good answer wins, and the other is called off.

Never more than two at a time. A failure of one is no answer while the other is under way, unless it is the request's
own fault, which the other would only repeat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def hedged(
    first: Coroutine[Any, Any, T],
    second: Callable[[], Coroutine[Any, Any, T] | None],
    *,
    after_s: float,
    decides: Callable[[BaseException], bool],
    discard: Callable[[T], None],
) -> T:
    """The result of `first`, or that of `second` which is made after `after_s` (None: it cannot be).

    `decides` says which errors end both; `discard` lets go of a result that came too late. When this returns or
    raises, both have come to their end.
    """
    tries: list[asyncio.Task[T]] = [asyncio.create_task(first)]
    winner: asyncio.Task[T] | None = None
    try:
        await asyncio.wait(tries, timeout=after_s)
        if not tries[0].done() and (other := second()) is not None:
            tries.append(asyncio.create_task(other))
        winner = await _winner(tries, decides)
        await _call_off(tries, winner, discard)
    except BaseException:
        await _call_off(tries, None, discard)
        raise
    return winner.result()


async def _winner(tries: list[asyncio.Task[T]], decides: Callable[[BaseException], bool]) -> asyncio.Task[T]:
    """The first that ends well, or in a way that decides; else the last that failed."""
    pending = set(tries)
    ended: asyncio.Task[T] = tries[0]
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for ended in (each for each in tries if each in done):
            if ended.cancelled():
                continue
            error = ended.exception()
            if error is None or decides(error):
                return ended
    return ended


async def _call_off(tries: list[asyncio.Task[T]], winner: asyncio.Task[T] | None, discard: Callable[[T], None]) -> None:
    losers = [each for each in tries if each is not winner]
    for loser in losers:
        loser.cancel()
    for result in await asyncio.gather(*losers, return_exceptions=True):
        if not isinstance(result, BaseException):
            discard(result)
