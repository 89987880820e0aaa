"""What scorers that run here have spent: each answer of the gateway says what it cost, and is counted for its case.

Ragas and DeepEval ask through HTTP clients that are made here, with hooks that read the answer's header.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import isfinite
from typing import Any

HEADER = "x-rondo-cost-usd"

_paid: ContextVar[list[float] | None] = ContextVar("rondo_own_paid", default=None)


@contextmanager
def counting() -> Iterator[list[float]]:
    """What is paid from here on, in this task and those that it starts."""
    paid: list[float] = []
    token = _paid.set(paid)
    try:
        yield paid
    finally:
        _paid.reset(token)


def note(response: Any) -> None:
    """A hook of an HTTP client that waits."""
    paid = _paid.get()
    try:
        cost = float(response.headers.get(HEADER, "0"))
    except ValueError:
        return
    if paid is not None and isfinite(cost) and cost > 0:
        paid.append(cost)


async def note_later(response: Any) -> None:
    """A hook of an asynchronous HTTP client."""
    note(response)
