"""Runs a batch from whatever state it is in to its end: validate, answer, put the results together.

Every step can be cut off anywhere and done again: the catalog says which step is next, the result files say which
requests are left. A fault of the machine (a full disk, a database that is away) is waited out.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

from msgspec import Struct

from rondo import clock
from rondo.batches import store
from rondo.batches.answering import Answering, Ask, GrantOf
from rondo.batches.folder import FileFolder
from rondo.batches.lines import Requests, Unfit, check
from rondo.batches.model import Batch, Problem, Status, StoredFile, result_file_id
from rondo.batches.results import Kind, Results
from rondo.catalog.engine import Catalog
from rondo.errors import Unavailable
from rondo.gateway.reply import Whole
from rondo.governance.model import Grant

_TICK_S = 1.0
_LONGEST_WAIT_S = 60.0
_RUNNING: tuple[Status, ...] = ("validating", "in_progress", "finalizing", "cancelling")
_KINDS: tuple[Kind, ...] = ("output", "error")

_log = logging.getLogger("rondo.batches")


class BatchLimits(Struct, frozen=True, kw_only=True):
    """How large a file and a batch may be, and how many requests of all batches run at once."""

    max_file_bytes: int = 200 << 20
    max_requests: int = 50_000
    concurrent: int = 8
    max_body_bytes: int = 20 << 20


class Runner:
    """All batches of one process."""

    def __init__(self, catalog: Catalog, folder: FileFolder, ask: Ask, grant_of: GrantOf, limits: BatchLimits) -> None:
        self._catalog = catalog
        self._folder = folder
        self._ask = ask
        self._grant_of = grant_of
        self._limits = limits
        self._places = asyncio.Semaphore(limits.concurrent)
        self._answering: dict[str, Answering] = {}

    async def run(self, batch_id: str) -> None:
        """Until the batch has ended."""
        tries = 0
        while True:
            try:
                return await self._run(batch_id)
            except (Unavailable, OSError) as error:
                tries += 1
                wait = min(_LONGEST_WAIT_S, 2.0 ** min(tries, 8) / 2)
                _log.warning("%s waits %.0f s: %s", batch_id, wait, error)
                await asyncio.sleep(wait)
            except Unfit as unfit:
                return await self.fail(batch_id, Problem(code="input_file_changed", message=unfit.message))
            except Exception:
                _log.exception("%s has failed", batch_id)
                message = "Something went wrong inside Rondo; the server's log has the details."
                return await self.fail(batch_id, Problem(code="internal_error", message=message))

    def cancel(self, batch_id: str) -> None:
        """Ask no more of its requests. (The catalog knows already; this is quicker.)"""
        answering = self._answering.get(batch_id)
        if answering is not None:
            answering.halt("batch_cancelled")

    async def _run(self, batch_id: str) -> None:
        batch = await asyncio.to_thread(self._find, batch_id)
        if batch is not None and not batch.has_ended and not self._has_input(batch):
            missing = Problem(code="input_file_missing", message="The input file is not in the data folder.")
            return await self.fail(batch_id, missing)
        if batch is not None and batch.status in ("validating", "cancelling") and batch.in_progress_at is None:
            batch = await self._validate(batch)
        if batch is None or batch.has_ended:
            return None
        results = await asyncio.to_thread(self._results, batch)
        try:
            if batch.in_progress_at is not None and batch.status != "finalizing":
                await self._answer(batch, results)
            await self._finish(batch, results)
        finally:
            results.close()

    async def _validate(self, batch: Batch) -> Batch | None:
        path, limits = self._folder.path(batch.project, batch.input_file_id), self._limits
        checked = await asyncio.to_thread(
            check, path, batch.endpoint, most_requests=limits.max_requests, max_body_bytes=limits.max_body_bytes
        )
        if checked.problems:
            await self.fail(batch.id, *checked.problems)
            return None
        changed = {"status": "in_progress", "total": checked.requests, "in_progress_at": clock.now_us()}
        await self._update(batch.id, ("validating",), **changed)
        return await asyncio.to_thread(self._find, batch.id)

    async def _answer(self, batch: Batch, results: Results) -> None:
        path = self._folder.path(batch.project, batch.input_file_id)
        requests = Requests(path, batch.endpoint, max_body_bytes=self._limits.max_body_bytes)
        answering = Answering(batch, results, requests, self._in_place, self._grant_of, at_once=self._limits.concurrent)
        if batch.status == "cancelling":
            answering.halt("batch_cancelled")
        self._answering[batch.id] = answering
        watching = asyncio.create_task(self._watch(batch, answering, results))
        try:
            await answering.run()
        finally:
            del self._answering[batch.id]
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            requests.close()

    async def _in_place(self, grant: Grant, path: str, body: bytes, tags: dict[str, str]) -> Whole:
        """Ask, when there is a place among the requests of all batches."""
        async with self._places:
            return await self._ask(grant, path, body, tags)

    async def _watch(self, batch: Batch, answering: Answering, results: Results) -> None:
        """Now and then: keep the results for good, tell how far it came, look for the end of the window and for a
        cancellation that came another way."""
        told = (batch.completed, batch.failed)
        while True:
            await asyncio.sleep(_TICK_S)
            answering.check_window()
            counts = (results.counts["output"], results.counts["error"])
            try:
                if counts != told:
                    await asyncio.to_thread(results.sync)
                    await self._update(batch.id, _RUNNING, completed=counts[0], failed=counts[1])
                    told = counts
                found = await asyncio.to_thread(self._find, batch.id)
            except (Unavailable, OSError) as error:
                _log.warning("the progress of %s could not be kept: %s", batch.id, error)
                continue
            if found is None or found.status == "cancelling":
                answering.halt("batch_cancelled")

    async def _finish(self, batch: Batch, results: Results) -> None:
        await self._update(batch.id, ("in_progress",), status="finalizing", finalizing_at=clock.now_us())
        sizes = await asyncio.to_thread(results.finish)
        await asyncio.to_thread(self._end, batch.id, results, sizes)

    def _end(self, batch_id: str, results: Results, sizes: dict[Kind, int]) -> None:
        """The last change of a batch: its result files and its end, both or neither."""
        now = clock.now_us()
        with self._catalog.begin() as connection:
            batch = store.find_batch(connection, batch_id)
            if batch is None or batch.has_ended:
                return
            if results.unasked == "batch_expired":
                ending: Status = "expired"
            else:
                ending = "cancelled" if batch.status == "cancelling" or results.unasked else "completed"
            for kind, size in sizes.items():
                store.insert_file(connection, _result_file(batch, kind, size, now))
            store.update_batch(
                connection,
                batch_id,
                (batch.status,),
                status=ending,
                ended_at=now,
                completed=results.counts["output"],
                failed=results.counts["error"],
                **{f"{kind}_file_id": result_file_id(batch_id, kind) for kind in sizes},
            )

    async def fail(self, batch_id: str, *problems: Problem) -> None:
        """End a batch without results."""
        errors = [{"code": p.code, "message": p.message, "line": p.line, "param": p.param} for p in problems]
        await self._update(batch_id, _RUNNING, status="failed", errors=errors, ended_at=clock.now_us())

    def _find(self, batch_id: str) -> Batch | None:
        with self._catalog.read() as connection:
            return store.find_batch(connection, batch_id)

    async def _update(self, batch_id: str, statuses: tuple[Status, ...], **values: Any) -> None:
        def update() -> None:
            with self._catalog.begin() as connection:
                store.update_batch(connection, batch_id, statuses, **values)

        await asyncio.to_thread(update)

    def _has_input(self, batch: Batch) -> bool:
        return batch.status == "finalizing" or self._folder.path(batch.project, batch.input_file_id).exists()

    def _results(self, batch: Batch) -> Results:
        return Results(
            batch.id,
            {kind: self._folder.partial(batch.project, batch.id, kind) for kind in _KINDS},
            {kind: self._folder.path(batch.project, result_file_id(batch.id, kind)) for kind in _KINDS},
        )


def _result_file(batch: Batch, kind: Kind, size: int, now: int) -> StoredFile:
    return StoredFile(
        id=result_file_id(batch.id, kind),
        project=batch.project,
        folder=batch.folder,
        key_id=batch.key_id,
        purpose="batch_output",
        filename=f"{batch.id}_{kind}.jsonl",
        bytes=size,
        created_at=now,
    )
