"""How much memory the database may take: its whole limit while someone reads, little while it only takes batches.

DuckDB holds rows in memory until a checkpoint writes them into the file, so under load a store grows by 3 KB a call as
far as its limit lets it. With a small limit it puts them aside in a file, for hardly more CPU time.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import duckdb

from rondo import clock

LITTLE = "96MB"
"""Enough for a small batch (`staging.is_small`), whose JSON takes 32 MiB in each of two threads, and a checkpoint."""

_KEPT_S = 5.0  # after a query: the next one finds in memory what this one read
_LATER_S = 3600.0  # after little was not enough
T = TypeVar("T")


class Headroom:
    """The memory limit of one database, which is the same for all who are at work in it. From any thread."""

    def __init__(self, whole: str, little: str | None = LITTLE) -> None:
        self._whole = whole
        self._little = little
        self._changing = threading.Lock()
        self._is_little = False
        self._in_use = 0
        self._keep_until = 0.0

    @contextlib.contextmanager
    def whole(self, cursor: duckdb.DuckDBPyConnection, *, kept_s: float = _KEPT_S) -> Iterator[None]:
        """All of the memory for what is done meanwhile, and for `kept_s` seconds longer."""
        with self._changing:
            if self._is_little:
                cursor.execute(f"SET memory_limit = '{self._whole}'")
                self._is_little = False
            self._in_use += 1
        try:
            yield
        finally:
            with self._changing:
                self._in_use -= 1
                self._keep(kept_s)

    @contextlib.contextmanager
    def for_batch(self, cursor: duckdb.DuckDBPyConnection, *, small: bool) -> Iterator[None]:
        """Little memory for what is done meanwhile, if it is a small batch and nobody needs more."""
        if not (small and self._give_back(cursor)):
            with self.whole(cursor, kept_s=0):
                yield
            return
        try:
            yield
        except duckdb.Error:  # maybe for want of memory: the same batch comes again, and is to have more
            self._keep(_LATER_S)
            raise

    def sparing(self, cursor: duckdb.DuckDBPyConnection, work: Callable[[], T]) -> T:
        """What `work` gives: with little memory, and again with the whole where that is not enough.

        It is for work beside the batches, which would take the memory that they do without: rows that were put aside
        come back as far as the limit lets them. `work` leaves nothing behind where it fails.
        """
        if self._give_back(cursor):
            with contextlib.suppress(duckdb.OutOfMemoryException):
                return work()
        with self.whole(cursor, kept_s=0):
            return work()

    def _give_back(self, cursor: duckdb.DuckDBPyConnection) -> bool:
        """Make do with little, unless someone needs more; whether that is so now."""
        with self._changing:
            if self._little is None or self._in_use or clock.monotonic() < self._keep_until:
                return False
            if self._is_little:
                return True
            try:
                cursor.execute(f"SET memory_limit = '{self._little}'")
            except duckdb.OutOfMemoryException:  # what cannot be put aside takes more than that
                self._keep(_LATER_S)
                return False
            self._is_little = True
            return True

    def _keep(self, seconds: float) -> None:
        self._keep_until = max(self._keep_until, clock.monotonic() + seconds)

    def opened_anew(self) -> None:
        """A database that has just been opened has the whole limit."""
        with self._changing:
            self._is_little = False
