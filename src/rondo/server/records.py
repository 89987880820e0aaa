"""Where the record store and its drain are: in this process, for tests and commands, or in one of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from rondo.store.base import RecordStore
from rondo.traces.drain import Drain, DrainView
from rondo.traces.otlp.expand import Expander


class Records(Protocol):
    """An open record store and its drain."""

    @property
    def store(self) -> RecordStore: ...

    @property
    def drain(self) -> DrainView: ...

    def start(self) -> None:
        """Begin to drain."""
        ...

    def close(self) -> None:
        """Drain what can be drained in a few seconds, and let go of the store. Blocks."""
        ...


OpenRecords = Callable[[Path, Path], Records]
"""Given the folder of the journals, and the store's file."""


class RecordsHere:
    """In this process, the drain in a thread."""

    def __init__(self, journal: Path, records: Path) -> None:
        from rondo.server.rolling import Rolling  # 12 MB that a server with a process for it does without
        from rondo.store.duckdb import DuckDBStore

        self.store = DuckDBStore(records, expand=Expander())
        self.drain = Drain(journal, self.store)
        self._draining = threading.Thread(target=self.drain.run, name="drain", daemon=True)
        self._rolling = Rolling(self.store)

    def start(self) -> None:
        self._draining.start()
        self._rolling.start()

    def close(self) -> None:
        self._rolling.stop()
        self.drain.stop()
        if self._draining.is_alive():
            self._draining.join()
        self.store.close()
