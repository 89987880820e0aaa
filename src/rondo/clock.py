"""The one place that reads the time, so that tests and simulations can drive it.

Wall time is microseconds since the Unix epoch, in UTC; durations come from `monotonic`, in seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rondo.durations import is_duration, parse_duration

_now_us: Callable[[], int] = lambda: time.time_ns() // 1_000  # noqa: E731
monotonic: Callable[[], float] = time.monotonic


def now_us() -> int:
    """Microseconds since the epoch."""
    return _now_us()


def iso(us: int) -> str:
    """`2026-11-21T10:22:31.123456Z`, for people and JSON."""
    return datetime.fromtimestamp(us / 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_iso(text: str) -> int:
    """Microseconds of an ISO 8601 time; a time without a zone is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1_000_000)


def parse_time(text: str) -> int:
    """Microseconds of `15m`, `24h` or `7d` ago, or of an ISO 8601 time. Raises ValueError, OverflowError."""
    if is_duration(text):
        return now_us() - round(parse_duration(text) * 1_000_000)
    return parse_iso(text)


@contextmanager
def at(us: int) -> Iterator[Callable[[int], None]]:
    """Hold wall time at `us`; the yielded function moves it on by so many microseconds. For tests."""
    global _now_us  # noqa: PLW0603
    before, held = _now_us, us

    def advance(by: int) -> None:
        nonlocal held
        held += by

    _now_us = lambda: held  # noqa: E731
    try:
        yield advance
    finally:
        _now_us = before
