"""Durable jobs: work that goes on after a crash. The seam to DBOS, which nothing outside this room knows.

A job is a kind and a subject (`batch`, `batch_01…`). Once submitted it runs on the server's event loop until it ends,
over as many lives of the process as it takes: after a crash, or a shutdown in its midst, it is run again from its top.
So its work must find by itself how far it came. A job that waits its turn is not submitted twice; one that is under way
does its work once more when it has ended, since it may be past the point where it would have seen what is new.

DBOS is imported and its database opened with the first job: a server that has none pays nothing for it. It is one
per process, and so is what is started here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from typing import Any

from msgspec import Struct

from rondo.errors import Unavailable

Work = Callable[[str], Awaitable[None]]

_LOOK_EVERY_S = 0.02
_MOST_LOOKS = 1_500
"""How often it is looked whether a job that has done its work is over, before that is given up."""

_log = logging.getLogger("rondo.jobs")


class Interrupted(BaseException):
    """The process is closing, the job has not ended. No Exception, so that DBOS keeps the job for the next start."""


class Kind(Struct, frozen=True):
    """Jobs that do the same work, and how many of them run at once."""

    work: Work
    at_once: int


class Jobs:
    """The jobs of one process. Use it on the event loop."""

    def __init__(self, url: str) -> None:
        """`url` is the database that remembers them, as SQLAlchemy has it: SQLite or Postgres. Opens nothing yet."""
        self._url = url
        self._kinds: dict[str, Kind] = {}
        self._starting = asyncio.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = False
        self._under_way: set[asyncio.Task[Any]] = set()
        self._working: set[tuple[str, str]] = set()
        self._again: set[tuple[str, str]] = set()

    def define(self, kind: str, work: Work, *, at_once: int) -> None:
        """What the jobs of a kind do. Before the first of them is submitted."""
        self._kinds[kind] = Kind(work, at_once)

    @property
    def is_started(self) -> bool:
        return self._loop is not None

    async def submit(self, kind: str, subject: str) -> None:
        """See to it that this job runs, or goes on running, until it ends. Raises Conflict, Unavailable."""
        # Shielded: who submits may leave, but a start that is given up half-way could not be tried again.
        await asyncio.shield(asyncio.create_task(self._submit(kind, subject)))

    async def close(self) -> None:
        """Cancel what runs, which may take the time it needs to end well; the next start goes on with it."""
        async with self._starting:
            self._closing = True
            if self._loop is None:
                return
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
            from rondo.jobs import workflow

            await asyncio.to_thread(workflow.stop)
            self._loop = None

    async def _submit(self, kind: str, subject: str) -> None:
        await self._start()
        for _ in range(_MOST_LOOKS):
            if (kind, subject) in self._working:
                self._again.add((kind, subject))
                return
            async with self._starting:
                if self._loop is None:
                    return  # closing: whoever knows of the job submits it again at the next start
                from rondo.jobs import workflow

                if await asyncio.to_thread(workflow.enqueue, kind, subject):
                    return
            await asyncio.sleep(_LOOK_EVERY_S)  # it begins just now, or has done its work and is not over yet
        raise Unavailable(
            f"The {kind} {subject} is neither begun nor over.", remedy="Try again; or restart the server."
        )

    async def _start(self) -> None:
        """Open the database, and go on with the jobs that an earlier process left."""
        async with self._starting:
            if self._loop is not None or self._closing:
                return
            self._loop = asyncio.get_running_loop()
            try:
                await asyncio.to_thread(self._launch)
            except BaseException:
                self._loop = None
                raise

    def _launch(self) -> None:
        from rondo.jobs import workflow

        workflow.start(self._url, self._run, {name: kind.at_once for name, kind in self._kinds.items()})

    def _run(self, kind: str, subject: str) -> None:
        """One job, on a thread of DBOS: its work runs on the event loop. Raises Interrupted where it has to stop."""
        loop, known = self._loop, self._kinds.get(kind)
        if loop is None or self._closing:
            raise Interrupted
        if known is None:
            _log.error("there is no work for jobs of the kind %s", kind)
            raise Interrupted
        try:
            asyncio.run_coroutine_threadsafe(self._work(known, (kind, subject)), loop).result()
        except CancelledError:
            raise Interrupted from None
        except Exception:
            _log.exception("the job %s:%s has failed", kind, subject)
            raise

    async def _until_done(self, kind: Kind, name: tuple[str, str]) -> None:
        while True:
            self._again.discard(name)
            try:
                await kind.work(name[1])
            except Exception:
                if name not in self._again:
                    raise
                _log.exception("the job %s:%s has failed, and is run again", *name)
            if name not in self._again:
                return

    async def _work(self, kind: Kind, name: tuple[str, str]) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._closing:
            raise asyncio.CancelledError
        self._under_way.add(task)
        self._working.add(name)
        try:
            await self._until_done(kind, name)
        finally:
            self._under_way.discard(task)
            self._working.discard(name)
            self._again.discard(name)
