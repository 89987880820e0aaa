"""Files, as OpenAI's API has them: what batches read, and their results."""

from __future__ import annotations

from typing import Any

from starlette.responses import FileResponse

from rondo.api.door import Asked, Door
from rondo.api.upload import FileForm
from rondo.batches.files import MOST_LISTED
from rondo.batches.model import shown_file
from rondo.errors import InvalidRequest, TooLarge

_FORM = 1 << 20
"""Bytes of a form around its file, at most."""


async def create(asked: Asked) -> dict[str, Any]:
    """Take in a file of requests: a form with `file` and `purpose`, which is `batch`."""
    files, headers = asked.control.batches.files, asked.request.headers
    length = headers.get("content-length", "")
    if length.isdigit() and len(length) < 20 and int(length) > files.max_bytes + _FORM:
        raise TooLarge(f"The file is larger than {files.max_bytes >> 20} MB.", remedy="Send it in parts.", param="file")
    upload = files.begin(asked.grant)
    try:
        form = FileForm(headers.get("content-type", ""), upload)
        return shown_file(await form.read(asked.request.stream()))
    finally:
        await upload.close()


async def list_files(asked: Asked) -> dict[str, Any]:
    """A page of files, newest first (`order` asc: oldest first); `after` is the id of the last one seen."""
    order = asked.query("order") or "desc"
    if order not in ("asc", "desc"):
        raise InvalidRequest(f"There is no order {order!r:.20}.", remedy="Use asc or desc.", param="order")
    found, more = await asked.control.batches.files.page(
        asked.grant,
        purpose=asked.query("purpose"),
        after=asked.query("after"),
        oldest_first=order == "asc",
        limit=asked.query_number("limit", MOST_LISTED, most=MOST_LISTED),
    )
    return page([shown_file(file) for file in found], more=more)


async def show(asked: Asked) -> dict[str, Any]:
    """One file, without its bytes."""
    return shown_file(await asked.control.batches.files.get(asked.grant, asked.path("id")))


async def content(asked: Asked) -> FileResponse:
    """The bytes of a file."""
    file, path = await asked.control.batches.files.content(asked.grant, asked.path("id"))
    return FileResponse(path, media_type="application/octet-stream", filename=file.filename)


async def delete(asked: Asked) -> dict[str, Any]:
    """Remove a file for good; not while a batch reads it."""
    file_id = asked.path("id")
    await asked.control.batches.files.delete(asked.grant, file_id)
    return {"id": file_id, "object": "file", "deleted": True}


def page(items: list[dict[str, Any]], *, more: bool) -> dict[str, Any]:
    """A list as OpenAI's API has them."""
    ends = {"first_id": items[0]["id"], "last_id": items[-1]["id"]} if items else {"first_id": None, "last_id": None}
    return {"object": "list", "data": items, "has_more": more, **ends}


DOORS = [
    Door("POST", "/v1/files", None, create),
    Door("GET", "/v1/files", None, list_files),
    Door("GET", "/v1/files/{id}", None, show),
    Door("DELETE", "/v1/files/{id}", None, delete),
    Door("GET", "/v1/files/{id}/content", None, content),
]
"""Any secret key may use them; `batches/access.py` decides what it sees."""
