"""Keeps the records' process alive: starts it, starts it again where it dies, and ends it in good order.

DuckDB and the drain would share the interpreter's lock with the event loop, and hold most of the memory. Connections
are handed to the process as descriptors over its standard input, so there is no address that could be too long or that
others could reach. The end of standard input ends it, so it never outlives the server, also after a `kill -9`.
"""

from __future__ import annotations

import logging
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rondo import clock
from rondo.server.records_client import RemoteDrain, RemoteStore, away
from rondo.server.records_wire import CONNECT, DRAIN, STOP, WAKE
from rondo.store.base import RecordStore
from rondo.traces.drain import DrainView

_FIRST_BACKOFF_S = 0.2
_LONGEST_BACKOFF_S = 10.0
_SETTLED_S = 30.0  # who has lived so long may be started again at once
_CLOSE_S = 30.0
_log = logging.getLogger("rondo.records")


class _Child:
    """The running process, and our end of its control channel."""

    def __init__(self, command: list[str]) -> None:
        self.control, theirs = socket.socketpair()  # a byte is a message: macOS has no packets here
        self.control.setblocking(False)  # the event loop tells it things, too
        try:
            with theirs, _signals_blocked():
                self.process = subprocess.Popen(  # noqa: S603
                    command, stdin=theirs.fileno(), stdout=subprocess.DEVNULL
                )
        except BaseException:
            self.control.close()
            raise


class RecordsProcess:
    """The record store and its drain in a process of their own."""

    store: RecordStore
    drain: DrainView

    def __init__(self, journal: Path, records: Path) -> None:
        """Starts the process, and does not wait for it: the first calls do."""
        self._command = [sys.executable, "-P", "-m", "rondo.server.records_main", str(journal), str(records)]
        self._guard = threading.Lock()
        self._closing = threading.Event()
        self._draining = False
        self._child: _Child | None = None
        self._remote = RemoteStore(self._connect)
        self.store, self.drain = self._remote, RemoteDrain(self._remote, journal, self._wake)
        self._start()
        self._watching = threading.Thread(target=self._watch, name="records", daemon=True)
        self._watching.start()

    @property
    def pid(self) -> int | None:
        """Of the process, None while there is none."""
        child = self._child
        return child.process.pid if child else None

    def start(self) -> None:
        """Begin to drain. Until then the records stand still, so that they can be added up."""
        with self._guard:
            self._draining = True
            self._tell(DRAIN)

    def close(self) -> None:
        """Let the process drain what it can in a few seconds and close the store. Blocks until it has ended."""
        self._closing.set()
        with self._guard:
            child = self._child
            self._tell(STOP)
        self._watching.join(_CLOSE_S)
        if self._watching.is_alive() and child is not None:
            _log.error("the records' process does not end; killing it")
            child.process.kill()
            self._watching.join()
        self._remote.close()

    def _start(self) -> None:
        with self._guard:
            if self._closing.is_set():
                return
            try:
                self._child = _Child(self._command)
            except OSError as error:
                _log.error("the records' process cannot be started: %s", error)
            if self._draining:
                self._tell(DRAIN)

    def _watch(self) -> None:
        backoff = _FIRST_BACKOFF_S
        while True:
            began, child = clock.monotonic(), self._child
            if child is not None:
                status = child.process.wait()
                with self._guard:
                    self._child = None
                    child.control.close()
                if not self._closing.is_set():
                    _log.error("the records' process ended with status %s; starting it again", status)
                if clock.monotonic() - began > _SETTLED_S:
                    backoff = _FIRST_BACKOFF_S
            if self._closing.wait(backoff):
                return
            backoff = min(backoff * 2, _LONGEST_BACKOFF_S)
            self._start()

    def _connect(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        try:
            with theirs, self._guard:
                if self._child is None:
                    raise away()
                socket.send_fds(self._child.control, [CONNECT], [theirs.fileno()])
        except BaseException as error:
            ours.close()
            if isinstance(error, OSError):
                raise away() from error
            raise
        return ours

    def _wake(self) -> None:
        with self._guard:
            self._tell(WAKE)

    def _tell(self, message: bytes) -> None:
        """With the guard held. A process that is gone is told when it is there again."""
        with suppress(OSError):
            if self._child is not None:
                self._child.control.send(message)


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """A process inherits what is blocked: Ctrl-C and SIGTERM, which often go to the whole group, are for us alone."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
