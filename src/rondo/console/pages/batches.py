"""Batches: a list that shows how far each one is; one batch with its files, and what was wrong; cancelling it.

Pages with a batch that has not ended ask again every two seconds, and stop once it has.
"""

from __future__ import annotations

import asyncio

from msgspec import Struct
from starlette.responses import FileResponse, Response

from rondo.batches import access
from rondo.batches.model import Batch
from rondo.console.visit import Page, Visit, go
from rondo.control import Connection
from rondo.errors import Conflict, Forbidden, NotFound
from rondo.gateway.wire import status_of
from rondo.governance import keys
from rondo.governance.model import Role
from rondo.releases import store as releases

_PAGE = 50


class BatchFile(Struct, frozen=True, kw_only=True):
    """A file of a batch; `missing` says why there is nothing to download."""

    kind: str
    words: str
    filename: str | None = None
    size: int | None = None
    missing: str | None = None


async def list_batches(visit: Visit) -> Response:
    found, more = await visit.control.batches.page(visit.grant, after=visit.query("after"), limit=_PAGE)

    def read(connection: Connection) -> tuple[dict[str, str], list[str]]:
        apps = [] if found else [app.name for app in releases.list_apps(connection, visit.project)]
        return _key_names(connection, visit.project), apps

    names, apps = await visit.control.read(read)
    return visit.page(
        "batches_list.html" if visit.is_partial else "batches.html",
        batches=found,
        names=names,
        more=more,
        live=not all(batch.has_ended for batch in found),
        app=next(iter(apps), "support-bot"),
    )


async def show_batch(visit: Visit) -> Response:
    batch = await _batch(visit)
    names = await visit.control.read(lambda connection: _key_names(connection, visit.project))
    return visit.page(
        "batch_now.html" if visit.is_partial else "batch.html",
        batch=batch,
        name=names.get(batch.key_id),
        files=[
            await _file(visit, "input", "Requests", batch.input_file_id),
            await _file(visit, "output", "Answers", batch.output_file_id),
            await _file(visit, "error", "Errors", batch.error_file_id),
        ],
        may_cancel=_may_cancel(visit, batch),
    )


async def download(visit: Visit) -> Response:
    batch, kind = await _batch(visit), visit.path("kind")
    ids = {"input": batch.input_file_id, "output": batch.output_file_id, "error": batch.error_file_id}
    file_id = ids.get(kind)
    if file_id is None:
        raise NotFound(f"{batch.id} has no file {kind!r:.50}.", remedy="Its page shows the files there are.")
    file, path = await visit.control.batches.files.content(visit.grant, file_id)
    return FileResponse(path, media_type="application/octet-stream", filename=file.filename)


async def cancel_form(visit: Visit) -> Response:
    batch = await _batch(visit)
    access.may_change(visit.grant, batch)
    return visit.page("batch_cancel.html", batch=batch, error=None)


async def cancel(visit: Visit) -> Response:
    try:
        batch = await visit.control.batches.cancel(visit.grant, visit.path("id"))
    except Conflict as error:
        return visit.page("batch_cancel.html", status=status_of(error), batch=await _batch(visit), error=error)
    return go(f"/batches/{batch.id}", did="cancelled")


async def _batch(visit: Visit) -> Batch:
    return await visit.control.batches.get(visit.grant, visit.path("id"))


async def _file(visit: Visit, kind: str, words: str, file_id: str | None) -> BatchFile:
    if file_id is None:
        return BatchFile(kind=kind, words=words)
    missing, files = None, visit.control.batches.files
    try:
        file = await files.get(visit.grant, file_id)
    except NotFound:
        return BatchFile(kind=kind, words=words, missing="deleted")
    try:
        await asyncio.to_thread(files.require_here, file)
    except NotFound as error:
        missing = error.message
    return BatchFile(kind=kind, words=words, filename=file.filename, size=file.bytes, missing=missing)


def _may_cancel(visit: Visit, batch: Batch) -> bool:
    try:
        access.may_change(visit.grant, batch)
    except Forbidden:
        return False
    return batch.status in ("validating", "in_progress")


def _key_names(connection: Connection, project: str) -> dict[str, str]:
    """By id; also of keys that have been revoked."""
    return {key.id: key.name for key in keys.list_keys(connection, project)}


PAGES = [
    Page("GET", "/batches", Role.VIEWER, list_batches),
    Page("GET", "/batches/{id}", Role.VIEWER, show_batch),
    Page("GET", "/batches/{id}/files/{kind}", Role.VIEWER, download),
    Page("GET", "/batches/{id}/cancel", Role.VIEWER, cancel_form),
    Page("POST", "/batches/{id}/cancel", Role.VIEWER, cancel),
]
"""As over the API, a viewer's key may cancel the batches that it made; `batches/access.py` decides."""
