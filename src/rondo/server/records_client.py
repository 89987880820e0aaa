"""The record store and its drain as the gateway's process sees them: calls to the process that has them.

Every call blocks its own thread. A few connections are kept open between calls.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from rondo.errors import InvalidRequest, RondoError, Unavailable
from rondo.journal.replay import Journals
from rondo.records import Entry, Position
from rondo.server.records_wire import Drained, Export, Held, Insert, Query, Request, pack, reply_in
from rondo.store.base import NO_FILTERS, ExportFormat, Holdings
from rondo.traces.drain import DrainStatus, count

_KEPT = 8
_PATIENCE_S = 60.0
_STATUS_PATIENCE_S = 10.0

Connect = Callable[[], socket.socket]
"""Makes a connection to the records' process, from any thread. Raises Unavailable."""


class RemoteStore:
    """A RecordStore over connections. A call that the other side does not live to answer raises Unavailable."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._idle: list[socket.socket] = []

    def insert(self, writer: str, batch: Sequence[Entry], position: Position) -> None:
        self.ask(Insert(writer, list(batch), position))

    def holdings(self) -> Holdings:
        return msgspec.convert(self.ask(Held()), Holdings)

    def positions(self) -> dict[str, Position]:
        return self.holdings().positions

    def query(
        self, name: str, params: Mapping[str, object], filters: Mapping[str, object] = NO_FILTERS
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.ask(Query(name, dict(params), dict(filters)))  # type: ignore[arg-type]
        return rows

    def export(
        self,
        name: str,
        params: Mapping[str, object],
        filters: Mapping[str, object],
        *,
        format: ExportFormat,
        target: Path,
    ) -> int:
        asked = Export(name, dict(params), dict(filters), format, os.fsencode(target.absolute()))  # type: ignore[arg-type]
        rows: int = self.ask(asked, patience_s=None)
        return rows

    def ask(self, request: Request, *, patience_s: float | None = _PATIENCE_S) -> Any:
        """The result of a request. Raises what the other side raised; Unavailable where it cannot be asked, where it
        dies, and where it is silent for `patience_s`."""
        try:
            frame = pack(request)
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidRequest(f"The record store cannot be asked for that: {error}", param="filter") from error
        connection = self._take()
        try:
            connection.settimeout(patience_s)
            connection.sendall(frame)
            reply = reply_in(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, OSError):
                raise away() from error
            raise
        if reply is None:
            connection.close()
            raise away()
        self._keep(connection)
        if reply.failure is not None:
            raise reply.failure.error()
        return reply.result

    def close(self) -> None:
        while self._idle:
            with suppress(IndexError):
                self._idle.pop().close()

    def _take(self) -> socket.socket:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return self._connect()
            if _is_open(connection):
                return connection
            connection.close()  # of a process that has died since

    def _keep(self, connection: socket.socket) -> None:
        if len(self._idle) < _KEPT:
            self._idle.append(connection)
        else:
            connection.close()


class RemoteDrain:
    """A DrainView of the drain in the other process. While that is away, the journals are counted here."""

    def __init__(self, store: RemoteStore, journal_root: Path, wake: Callable[[], None]) -> None:
        self._store = store
        self._journals = Journals(journal_root)
        self._known = Holdings({}, 0, 0)
        self._wake = wake

    def status(self) -> DrainStatus:
        try:
            found = self._store.ask(Drained(), patience_s=_STATUS_PATIENCE_S)
        except RondoError as error:
            return count(self._journals, self._known, last_error=str(error))
        status, self._known = msgspec.convert(found, tuple[DrainStatus, Holdings])
        return status

    def wake(self) -> None:
        self._wake()


def away() -> Unavailable:
    """What a call raises that cannot be answered."""
    return Unavailable(
        "The record store's process does not answer.",
        remedy="It is started again by itself; no record is lost meanwhile, the journal keeps them.",
    )


def _is_open(connection: socket.socket) -> bool:
    """Between two calls there is nothing to read but the end."""
    connection.setblocking(False)
    try:
        connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
