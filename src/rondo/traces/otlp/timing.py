"""When a span began and how long it took, in the record's units, whatever its clock says. Pure."""

from __future__ import annotations

from typing import NamedTuple

EARLIEST = 946_684_800_000_000
"""The year 2000, in microseconds: what is before it comes from no clock."""

MOST_AHEAD = 86_400_000_000
LONGEST_MS = 30 * 86_400_000.0


class Timing(NamedTuple):
    """`note` says what was wrong with the times that were sent, None where nothing was."""

    started_at: int
    duration_ms: float
    note: str | None


def timing_of(start_ns: int, end_ns: int, now: int) -> Timing:
    """Times that no clock shows are put right: a start to the end, else to `now`; an end before the start to it."""
    start, end = start_ns // 1_000, end_ns // 1_000
    wrong: list[str] = []
    if not _sound(start, now):
        wrong.append(f"start was {start_ns}")
        start = end if _sound(end, now) else now
    if not start <= end:
        wrong.append(f"end was {end_ns}")
        end = start
    duration = max(0.0, (end_ns - start_ns) / 1e6) if not wrong else (end - start) / 1_000
    if duration > LONGEST_MS:
        wrong.append(f"end was {end_ns}")
        duration = LONGEST_MS
    return Timing(start, duration, f"clock: {', '.join(wrong)} ns" if wrong else None)


def _sound(at: int, now: int) -> bool:
    return EARLIEST <= at <= now + MOST_AHEAD
