"""The records' process: DuckDB and the drain, out of the gateway's way. Started by `records_process.py`, never by hand.

Standard input is the control channel. Each connection that comes over it is served by a thread of its own. It imports
as little as it can, since its memory comes on top of the gateway's.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import sys
import threading
import time
from pathlib import Path
from typing import cast

from rondo import clock
from rondo.allocator import hold_little
from rondo.errors import RondoError, Unavailable, unexpected
from rondo.server.log import log_to_stderr
from rondo.server.records_wire import (
    CONNECT,
    DRAIN,
    STOP,
    WAKE,
    Drained,
    Export,
    Held,
    Insert,
    Query,
    Reply,
    Request,
    failed,
    pack,
    request_in,
)
from rondo.server.rolling import Rolling
from rondo.server.scheduling import stand_back
from rondo.store.base import ExportFormat, RecordStore
from rondo.store.duckdb import DuckDBStore
from rondo.traces.drain import Drain
from rondo.traces.otlp.expand import Expander

_FIRST_TO_GO = "500"
_PATIENCE_S = 5.0
_LOOK_EVERY_S = 0.05
_log = logging.getLogger("rondo.records")


class RecordsServer:
    """A store and its drain, at the service of another process."""

    def __init__(self, store: RecordStore, drain: Drain, rolling: Rolling | None = None) -> None:
        self._store = store
        self._drain = drain
        self._rolling = rolling
        self._opened = threading.Event()
        self._draining = threading.Thread(target=self._drain_once_opened, name="drain", daemon=True)

    def run(self, control: socket.socket) -> None:
        """Serve until the other side is gone: at once then, and in good order where it said so before. Ends the
        process."""
        threading.Thread(target=self._open, daemon=True).start()
        while True:
            message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            if message == CONNECT:
                connection = socket.socket(fileno=descriptors[0])
                threading.Thread(target=self._admit, args=(connection,), daemon=True).start()
            elif message == DRAIN:
                self._draining.start()
            elif message == WAKE:
                self._drain.wake()
            elif message == STOP:
                threading.Thread(target=self._finish, daemon=True).start()
            else:
                os._exit(1)  # the gateway's process is dead; the store and the journal can take it

    def serve(self, connection: socket.socket) -> None:
        """Answer a connection's requests, one after the other, until it ends."""
        with connection, contextlib.suppress(OSError):
            while (request := request_in(connection)) is not None:
                connection.sendall(self._reply(request))

    def _admit(self, connection: socket.socket) -> None:
        self._opened.wait()
        self.serve(connection)

    def _reply(self, request: Request) -> bytes:
        try:
            return pack(Reply(None, self._answer(request)))
        except RondoError as error:
            return pack(failed(error))
        except Exception:
            _log.exception("a fault in the record store")
            return pack(failed(unexpected()))

    def _answer(self, request: Request) -> object:
        match request:
            case Query():
                return self._store.query(request.name, request.params, request.filters)
            case Export():
                return self._store.export(
                    request.name,
                    request.params,
                    request.filters,
                    format=cast(ExportFormat, request.format),  # the store looks whether it is one
                    target=Path(os.fsdecode(request.target)),
                )
            case Insert():
                self._store.insert(request.writer, request.batch, request.position)
                return None
            case Held():
                return self._store.holdings()
            case Drained():
                return self._drain.status(), self._drain.known

    def _open(self) -> None:
        """The process before this one may hold the store for a moment yet: nobody is told that it is locked so soon."""
        patient_until = clock.monotonic() + _PATIENCE_S
        try:
            while clock.monotonic() < patient_until:
                with contextlib.suppress(Unavailable):
                    self._store.positions()
                    break
                time.sleep(_LOOK_EVERY_S)
        except Exception as error:
            _log.warning("the record store cannot be opened: %s", error)  # whoever asks is told
        finally:
            self._opened.set()

    def _drain_once_opened(self) -> None:
        self._opened.wait()
        if self._rolling is not None:
            self._rolling.start()
        self._drain.run()

    def _finish(self) -> None:
        status = 1
        try:
            if self._rolling is not None:
                self._rolling.stop()
            self._drain.stop()
            if self._draining.ident is not None:
                self._draining.join()
            self._store.close()
            status = 0
        except Exception:
            _log.exception("the record store did not close well")
        finally:
            os._exit(status)


def main() -> None:
    hold_little()
    journal, records = map(Path, sys.argv[1:])
    log_to_stderr()
    stand_back()  # the gateway goes first, also when memory is short
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
    store = DuckDBStore(records, expand=Expander())
    RecordsServer(store, Drain(journal, store), Rolling(store)).run(socket.socket(fileno=sys.stdin.fileno()))


if __name__ == "__main__":
    main()
