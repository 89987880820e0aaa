"""Batches for the console's tests: real ones, and ones that another server runs, so that they stay as they are."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from msgspec import structs

from live_server import Live
from rondo import clock
from rondo.batches import store
from rondo.batches.model import WINDOW_US, Batch, StoredFile
from rondo.catalog.engine import Catalog


def request(number: int, model: str = "bot") -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": f"q{number}"}]}
    line = {"custom_id": f"r{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
    return json.dumps(line).encode() + b"\n"


async def batch_of(live: Live, content: bytes, *, key: str = "admin", name: str = "in.jsonl", **more: Any) -> str:
    """The id of a batch over the API, that has ended."""
    files = {"file": (name, content)}
    sent = await live.ask("POST", "/v1/files", key=key, files=files, data={"purpose": "batch"})
    asked = {"input_file_id": sent.json()["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h", **more}
    batch: str = (await live.post("/v1/batches", asked, key=key))["id"]
    async with asyncio.timeout(15):
        while (await live.get(f"/v1/batches/{batch}"))["status"] not in ("completed", "failed"):
            await asyncio.sleep(0.02)
    return batch


def under_way(catalog: Catalog, name: str = "batch_1", **fields: Any) -> Batch:
    """A batch that another server runs, so that it stays as it is."""
    now = clock.now_us()
    batch = Batch(
        id=name,
        project="default",
        folder="elsewhere",
        key_id="key_gone",
        endpoint="/v1/embeddings",
        input_file_id="file-elsewhere",
        metadata={},
        status="in_progress",
        created_at=now,
        expires_at=now + WINDOW_US,
        in_progress_at=now,
        total=40,
        completed=12,
        failed=3,
    )
    batch = structs.replace(batch, **fields)
    file = StoredFile(
        id=batch.input_file_id,
        project=batch.project,
        folder=batch.folder,
        key_id=batch.key_id,
        purpose="batch",
        filename="there.jsonl",
        bytes=9,
        created_at=now,
    )
    with catalog.begin() as connection:
        store.insert_batch(connection, batch)
        if store.get_file(connection, file.project, file.id) is None:
            store.insert_file(connection, file)
    return batch


def changed(catalog: Catalog, batch: Batch, **fields: Any) -> None:
    with catalog.begin() as connection:
        store.update_batch(connection, batch.id, (batch.status,), **fields)
