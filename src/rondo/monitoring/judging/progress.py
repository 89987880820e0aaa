"""What an app's live judging has done since the server started, and how many calls it scores at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rondo import clock
from rondo.evals.scorers.registry import metrics_of
from rondo.monitoring.judging.model import LiveStatus
from rondo.monitoring.judging.scoring import Scorers


class Counts:
    """One app's; it outlives new releases."""

    def __init__(self) -> None:
        self._scored = self._failed = self._skipped = self._errors = 0
        self._last_error: str | None = None
        self._waiting: dict[int, float] = {}  # arrival -> when it was begun
        self._busy = 0
        self._left = asyncio.Event()

    def begin(self, arrival: int) -> None:
        self._waiting[arrival] = clock.monotonic()

    def end(self, arrival: int, *, failed: bool, rested: bool) -> None:
        self._waiting.pop(arrival, None)
        if failed:
            self._failed += 1
        elif rested:
            self._skipped += 1
        else:
            self._scored += 1

    def error(self, message: str) -> None:
        self._errors += 1
        self._last_error = message

    def went_well(self) -> None:
        """What failed before works again."""
        self._last_error = None

    @asynccontextmanager
    async def room(self, most: int) -> AsyncIterator[None]:
        """Wait until fewer than `most` are scored at the same time."""
        while self._busy >= most:
            left = self._left
            await left.wait()
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            told, self._left = self._left, asyncio.Event()
            told.set()

    def status(self, scorers: Scorers, *, fault: str | None) -> LiveStatus:
        oldest = next(iter(self._waiting.values()), None)
        return LiveStatus(
            app=scorers.watched.app,
            scorers=[metric.name for each in scorers.scorers for metric in metrics_of(each)],
            scored=self._scored,
            failed=self._failed,
            skipped=self._skipped,
            errors=self._errors,
            waiting=len(self._waiting),
            lag_s=0.0 if oldest is None else clock.monotonic() - oldest,
            spent_usd=scorers.spent_usd,
            budget_usd=scorers.watched.settings.budget_usd_per_day,
            resting=scorers.resting,
            is_spent=scorers.is_spent,
            last_error=self._last_error,
            fault=fault,
        )


def unable(app: str, fault: str) -> LiveStatus:
    """Of an app whose scorers cannot be made."""
    return LiveStatus(
        app=app,
        scorers=[],
        scored=0,
        failed=0,
        skipped=0,
        errors=0,
        waiting=0,
        lag_s=0.0,
        spent_usd=0.0,
        budget_usd=None,
        fault=fault,
    )
