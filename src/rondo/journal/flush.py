"""fsync in groups: while one runs, the next group gathers.

A thread syncs, so that the event loop never waits for a disk. One sync serves everyone who asked before it began.
"""

from __future__ import annotations

import asyncio
import os
import threading


class GroupFlush:
    """Syncs file descriptors on behalf of many waiting coroutines."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._retired: list[int] = []
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="rondo-journal-flush", daemon=True)
        self._thread.start()

    def flushed(self, descriptor: int) -> asyncio.Future[None]:
        """Done once all that has been written to `descriptor` is on the disk; fails with OSError."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._changed:
            self._waiting.append((descriptor, future))
            self._changed.notify()
        return future

    def retire(self, descriptor: int) -> None:
        """Sync `descriptor` a last time and close it, after those who wait for it."""
        with self._changed:
            self._retired.append(descriptor)
            self._changed.notify()

    def close(self) -> None:
        """Serve everyone who waits, then end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._waiting or self._retired or self._closing):
                    self._changed.wait()
                waiting, self._waiting = self._waiting, []
                retired, self._retired = self._retired, []
                if not (waiting or retired):
                    return
            failures: dict[int, OSError] = {}
            for descriptor in {*(descriptor for descriptor, _ in waiting), *retired}:
                try:
                    os.fdatasync(descriptor)
                except OSError as error:
                    failures[descriptor] = error
            _settle(waiting, failures)
            for descriptor in retired:
                os.close(descriptor)


def _settle(waiting: list[tuple[int, asyncio.Future[None]]], failures: dict[int, OSError]) -> None:
    """Wake the waiters in their event loops: one call per loop, however many wait."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[int, asyncio.Future[None]]]] = {}
    for descriptor, future in waiting:
        by_loop.setdefault(future.get_loop(), []).append((descriptor, future))

    def wake(group: list[tuple[int, asyncio.Future[None]]]) -> None:
        for descriptor, future in group:
            if future.done():  # its request was cancelled
                continue
            error = failures.get(descriptor)
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    for loop, group in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(wake, group)
