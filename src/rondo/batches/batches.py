"""The verbs of batches: create, list, show, cancel; and what begins and ends with the server."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping

from rondo import clock
from rondo.batches import access, store
from rondo.batches.files import Files
from rondo.batches.folder import FileFolder
from rondo.batches.grants import LiveGrants
from rondo.batches.model import ENDED, ENDPOINTS, WINDOW_US, Batch, Problem
from rondo.batches.runner import BatchLimits, Runner
from rondo.catalog.engine import Catalog
from rondo.catalog.text import check_text
from rondo.errors import Conflict, InvalidRequest, NotFound
from rondo.gateway.endpoint import Gateway
from rondo.governance import audit
from rondo.governance.model import Grant
from rondo.jobs.durable import Jobs

MOST_LISTED = 100
_KIND = "batch"
_AT_ONCE = 32
"""Batches under way; they share the places for requests."""

_MOST_METADATA = 16
_LONGEST_METADATA_KEY = 64
_LONGEST_METADATA = 512

_log = logging.getLogger("rondo.batches")


class Batches:
    """Batches and files, as the doors see them. Of all processes on a data folder, one has them."""

    def __init__(self, catalog: Catalog, folder: FileFolder, jobs: Jobs, gateway: Gateway, limits: BatchLimits) -> None:
        self._catalog = catalog
        self._folder = folder
        self._jobs = jobs
        grants = LiveGrants(lambda: gateway.plan)
        self._runner = Runner(catalog, folder, gateway.carry_out, grants, limits)
        self.files = Files(catalog, folder, max_bytes=limits.max_file_bytes)
        jobs.define(_KIND, self._runner.run, at_once=_AT_ONCE)

    async def resume(self) -> None:
        """Go on with the batches that an earlier process left. Costs nothing where there were never any."""
        try:
            for batch_id in await asyncio.to_thread(self._left):
                _log.info("going on with %s", batch_id)
                await self._jobs.submit(_KIND, batch_id)
        except Exception:
            _log.exception("batches of an earlier start wait for the next one")

    async def create(
        self, grant: Grant, *, input_file_id: str, endpoint: str, window: str, metadata: Mapping[str, str]
    ) -> Batch:
        """Begin a batch. Raises InvalidRequest, and Unavailable where no jobs can run."""
        access.only_of(grant)
        _check(endpoint, window, metadata)
        batch = await asyncio.to_thread(self._insert, grant, input_file_id, endpoint, dict(metadata))
        try:
            await self._jobs.submit(_KIND, batch.id)
        except Exception:
            await self._runner.fail(batch.id, Problem(code="not_started", message="The batch could not be started."))
            raise
        return batch

    async def get(self, grant: Grant, batch_id: str) -> Batch:
        """Raises NotFound."""

        def read() -> Batch:
            with self._catalog.read() as connection:
                return _seen(grant, store.get_batch(connection, grant.project, batch_id), batch_id)

        return await asyncio.to_thread(read)

    async def page(self, grant: Grant, *, after: str | None, limit: int) -> tuple[list[Batch], bool]:
        """A page of batches, newest first, and whether there are more. Raises NotFound for an unknown `after`."""

        def read() -> list[Batch]:
            with self._catalog.read() as connection:
                last = None
                if after is not None:
                    last = _seen(grant, store.get_batch(connection, grant.project, after), after)
                only = access.only_of(grant)
                return store.list_batches(connection, grant.project, key_id=only, after=last, limit=limit + 1)

        found = await asyncio.to_thread(read)
        return found[:limit], len(found) > limit

    async def cancel(self, grant: Grant, batch_id: str) -> Batch:
        """Ask no more of its requests; those under way end. Raises NotFound, Forbidden, Conflict."""
        batch = await asyncio.to_thread(self._cancel, grant, batch_id)
        self._runner.cancel(batch_id)
        return batch

    def _left(self) -> list[str]:
        if not self._folder.is_there:
            return []
        self._folder.sweep()
        with self._catalog.read() as connection:
            return store.unfinished(connection, self._folder.id())

    def _insert(self, grant: Grant, input_file_id: str, endpoint: str, metadata: dict[str, str]) -> Batch:
        now = clock.now_us()
        with self._catalog.begin() as connection:
            file = store.get_file(connection, grant.project, input_file_id)
            try:
                access.may_see(grant, file, f"file {input_file_id!r}")
                assert file is not None
                self.files.require_here(file)
            except NotFound as error:
                raise InvalidRequest(error.message, remedy=error.remedy, param="input_file_id") from None
            if file.purpose != "batch":
                raise InvalidRequest(
                    f"{input_file_id} has the purpose {file.purpose}.",
                    remedy="Send the requests as a file with the purpose batch.",
                    param="input_file_id",
                )
            batch = Batch(
                id=f"batch_{secrets.token_hex(12)}",
                project=grant.project,
                folder=file.folder,
                key_id=grant.key_id,
                endpoint=endpoint,
                input_file_id=input_file_id,
                metadata=metadata,
                status="validating",
                created_at=now,
                expires_at=now + WINDOW_US,
            )
            store.insert_batch(connection, batch)
            details = {"input_file_id": input_file_id, "endpoint": endpoint}
            audit.record(connection, grant.project, grant.name, "batch.create", f"batch:{batch.id}", details)
            return batch

    def _cancel(self, grant: Grant, batch_id: str) -> Batch:
        with self._catalog.begin() as connection:
            batch = _seen(grant, store.get_batch(connection, grant.project, batch_id), batch_id)
            access.may_change(grant, batch)
            if batch.status == "cancelling":
                return batch
            if batch.status in ENDED or batch.status == "finalizing":
                raise Conflict(f"{batch_id} is {batch.status}.", remedy="There is nothing left to cancel.")
            now = clock.now_us()
            store.update_batch(connection, batch_id, (batch.status,), status="cancelling", cancelling_at=now)
            audit.record(connection, grant.project, grant.name, "batch.cancel", f"batch:{batch_id}", {})
            return _seen(grant, store.get_batch(connection, grant.project, batch_id), batch_id)


def _seen(grant: Grant, batch: Batch | None, batch_id: str) -> Batch:
    access.may_see(grant, batch, f"batch {batch_id!r}")
    assert batch is not None
    return batch


def _check(endpoint: str, window: str, metadata: Mapping[str, str]) -> None:
    if endpoint not in ENDPOINTS:
        raise InvalidRequest(
            f"`endpoint` {endpoint!r:.100} takes no batches.",
            remedy=f"Use one of {', '.join(ENDPOINTS)}.",
            param="endpoint",
        )
    if window != "24h":
        raise InvalidRequest(
            f"`completion_window` must be 24h, not {window!r:.20}.", remedy="Send 24h.", param="completion_window"
        )
    if len(metadata) > _MOST_METADATA:
        raise InvalidRequest(f"`metadata` may have {_MOST_METADATA} keys.", remedy="Send fewer.", param="metadata")
    for key, value in metadata.items():
        check_text(key, param="metadata", longest=_LONGEST_METADATA_KEY, required=True)
        check_text(value, param=f"metadata.{key}", longest=_LONGEST_METADATA)
