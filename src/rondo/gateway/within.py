"""A bound in time for one piece of work. It is never compiled: see `tests/test_compiled.py` on `async with`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from rondo.errors import UpstreamTimeout

T = TypeVar("T")


async def within(seconds: float | None, work: Awaitable[T], name: str) -> T:
    """`work`, if it takes no longer than that. Raises UpstreamTimeout."""
    if seconds is None:
        return await work
    try:
        async with asyncio.timeout(seconds) as limit:
            return await work
    except TimeoutError:
        if not limit.expired():
            raise
        raise UpstreamTimeout(
            f"The model {name!r} did not answer within {seconds:.3g} s.",
            remedy="`first_token_timeout_s` and `try_timeout_s` say how long it may take.",
        ) from None
