"""Batches, as OpenAI's API has them: many requests in a file, answered when there is time."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from rondo.api.door import Asked, Door
from rondo.api.files import page
from rondo.batches.batches import MOST_LISTED
from rondo.batches.model import shown_batch


class NewBatch(Struct, forbid_unknown_fields=True):
    input_file_id: str
    endpoint: str
    completion_window: str
    metadata: dict[str, str] | None = None


async def create(asked: Asked) -> dict[str, Any]:
    """Begin a batch over the requests in a file."""
    wanted = await asked.body(NewBatch)
    batch = await asked.control.batches.create(
        asked.grant,
        input_file_id=wanted.input_file_id,
        endpoint=wanted.endpoint,
        window=wanted.completion_window,
        metadata=wanted.metadata or {},
    )
    return shown_batch(batch)


async def list_batches(asked: Asked) -> dict[str, Any]:
    """A page of batches, newest first; `after` is the id of the last one seen."""
    found, more = await asked.control.batches.page(
        asked.grant, after=asked.query("after"), limit=asked.query_number("limit", 20, most=MOST_LISTED)
    )
    return page([shown_batch(batch) for batch in found], more=more)


async def show(asked: Asked) -> dict[str, Any]:
    """One batch: its status, how far it is, and the ids of its result files."""
    return shown_batch(await asked.control.batches.get(asked.grant, asked.path("id")))


async def cancel(asked: Asked) -> dict[str, Any]:
    """Ask no more of a batch's requests. Those under way end, and what there is goes into the result files."""
    return shown_batch(await asked.control.batches.cancel(asked.grant, asked.path("id")))


DOORS = [
    Door("POST", "/v1/batches", None, create),
    Door("GET", "/v1/batches", None, list_batches),
    Door("GET", "/v1/batches/{id}", None, show),
    Door("POST", "/v1/batches/{id}/cancel", None, cancel),
]
"""Any secret key may use them; `batches/access.py` decides what it sees."""
