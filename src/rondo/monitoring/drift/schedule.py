"""When an app's drift is looked at, and which calls: pure, from the settings, the time and the newest report.

Looks lie on a grid of time (midnight UTC for `1d`), and the catalog knows the last one. So a restart repeats nothing,
a server that was away looks once and not once for each time it missed, and a clock that is set back waits.
"""

from __future__ import annotations

from msgspec import Struct

from rondo.durations import parse_duration
from rondo.settings.drift import DriftSettings

GRACE_US = 60_000_000
"""So long after its end a window is looked at, for what is under way or on its way into the store."""


class Span(Struct, frozen=True, kw_only=True):
    """The window is [since, until), its reference [reference_since, since)."""

    reference_since: int
    since: int
    until: int

    @property
    def slice_us(self) -> int:
        """The length of the shorter one: what a user's coming back is counted by."""
        return max(1, min(self.until - self.since, self.since - self.reference_since))


def due(settings: DriftSettings, now: int, last_until: int | None) -> Span | None:
    """The calls to be looked at now, if it is time; `last_until` is where the newest scheduled look ended."""
    every = _us(settings.every)
    until = (now - GRACE_US) // every * every
    if until <= 0 or (last_until is not None and until <= last_until):
        return None
    return ending(settings, until)


def ending(settings: DriftSettings, until: int) -> Span:
    """The window that ends there. A reference that is longer is as many whole windows as go into it."""
    window, reference = _us(settings.window), _us(settings.reference)
    since = max(0, until - window)
    whole = reference // window * window or reference
    return Span(reference_since=max(0, since - whole), since=since, until=until)


def window_before(since: int, until: int) -> tuple[int, int]:
    """Where the window before may end: no call in common, and at most a window's length away."""
    return since - (until - since), since


def _us(duration: str) -> int:
    return max(1, int(parse_duration(duration) * 1_000_000))
