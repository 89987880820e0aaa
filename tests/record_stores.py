"""Fixtures: an open, empty record store in a folder of its own, in this process and as another process sees it.

Whoever takes `store` is run on both, so the tests of the store and of all that reads it hold for both.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from rondo.server.records_client import RemoteStore
from rondo.server.records_main import RecordsServer
from rondo.store.base import RecordStore
from rondo.store.duckdb import DuckDBStore
from rondo.traces.drain import Drain


class Served(RemoteStore):
    """A client of `database`, which threads of this process serve over sockets."""

    def __init__(self, database: DuckDBStore) -> None:
        super().__init__(self._open)
        self.database = database
        self._server = RecordsServer(database, Drain(database.path.parent / "journal", database))
        self._serving: list[threading.Thread] = []

    def _open(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        self._serving.append(threading.Thread(target=self._server.serve, args=(theirs,)))
        self._serving[-1].start()
        return ours

    def close(self) -> None:
        super().close()
        for thread in self._serving:
            thread.join()


def behind(store: RecordStore) -> DuckDBStore:
    """The database itself, for a look behind the contract."""
    database = store.database if isinstance(store, Served) else store
    assert isinstance(database, DuckDBStore)
    return database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[DuckDBStore]:
    opened = DuckDBStore(tmp_path / "data" / "records.duckdb")
    yield opened
    opened.close()


@pytest.fixture(params=["here", "remote"])
def store(request: pytest.FixtureRequest, database: DuckDBStore) -> Iterator[RecordStore]:
    if request.param == "here":
        yield database
        return
    served = Served(database)
    yield served
    served.close()
