"""The rollups of the record store, kept up to date in the background, beside the drain.

It goes slowly on purpose: after each slice it rests for longer than the slice took, so that a store which was never
counted is counted without holding up the drain. Queries are exact at every moment, with whatever has been counted.
"""

from __future__ import annotations

import logging
import threading

from rondo import clock
from rondo.errors import RondoError
from rondo.store.duckdb import DuckDBStore

_log = logging.getLogger(__name__)

_EVERY_S = 10.0
_REST = 3  # times as long as the work before it
_LONGEST_REST_S = 5.0
_LATER_S = 30.0  # after an error


class Rolling:
    """Counts what has come, every few seconds, until `stop`."""

    def __init__(self, store: DuckDBStore, *, every_s: float = _EVERY_S) -> None:
        self._store = store
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rollups", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End it, and wait until it has. From any thread."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        """Never raises: the loop must outlive every error."""
        wait = self._every_s
        while not self._stopping.wait(wait):
            began = clock.monotonic()
            try:
                busy = self.step()
            except RondoError as error:
                _log.debug("the rollups wait: %s", error)  # the drain says the same, and aloud
                wait = _LATER_S
            except Exception:
                _log.exception("a fault in the rollups")
                wait = _LATER_S
            else:
                spent = clock.monotonic() - began
                wait = min(spent * _REST, _LONGEST_REST_S) if busy else self._every_s

    def step(self) -> bool:
        """One slice, and where all is counted one part made smaller; whether there is more to do."""
        counted = self._store.fold()
        return counted >= MANY or self._store.compact()


MANY = 50_000
"""From so many calls and scores on, the next slice is not far."""
