"""Batches on a catalog and a data folder, before a gateway that answers as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from rondo.batches import store
from rondo.batches.folder import FileFolder
from rondo.batches.model import WINDOW_US, Batch, StoredFile
from rondo.batches.runner import BatchLimits, Runner
from rondo.catalog.engine import Catalog
from rondo.errors import RondoError
from rondo.gateway.reply import Whole
from rondo.governance.model import Grant
from rondo.governance.store import insert_project

CHAT = "/v1/chat/completions"
GRANT = Grant(project="p", key_id="k", name="shop", kind="secret")
NOW = 1_800_000_000_000_000


def line(number: int, **body: Any) -> bytes:
    body = {"model": "m", "messages": [{"role": "user", "content": f"q{number}"}], **body}
    return json.dumps({"custom_id": f"r{number}", "method": "POST", "url": CHAT, "body": body}).encode() + b"\n"


class Desk:
    """Answers each request as the script says: by default well. `asked` holds the custom ids in order."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.tags: list[dict[str, str]] = []
        self.most_at_once = 0
        self.script: dict[str, list[RondoError | Callable[[], Any]]] = {}
        self.pause_s = 0.0
        self._now = 0

    async def __call__(self, grant: Grant, path: str, body: bytes, tags: dict[str, str]) -> Whole:
        assert (grant, path) == (GRANT, CHAT)
        name = tags["custom_id"]
        self.asked.append(name)
        self.tags.append(tags)
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            await asyncio.sleep(self.pause_s)
            steps = self.script.get(name)
            step = steps.pop(0) if steps else None
            if isinstance(step, RondoError):
                raise step
            if step is not None:
                await step()
        finally:
            self._now -= 1
        said = json.loads(body)["messages"][0]["content"]
        answer = json.dumps({"said": said}, indent=1).encode()  # over several lines, as providers do
        return Whole(200, answer, [(b"x-rondo-trace-id", f"trace-{name}".encode())])


class BatchHouse:
    """A runner, and the way to its batches."""

    def __init__(self, catalog: Catalog, path: Path, **limits: int) -> None:
        self.catalog = catalog
        self.folder = FileFolder(path / "files")
        self.desk = Desk()
        self.grants: dict[tuple[str, str], Grant] = {("p", "k"): GRANT}
        self.limits = BatchLimits(**{"concurrent": 4, "max_body_bytes": 10_000, **limits})
        with catalog.begin() as connection:
            insert_project(connection, "p", NOW)
        self.runner = self.new_runner()

    def new_runner(self) -> Runner:
        """What a restart brings."""
        return Runner(self.catalog, self.folder, self.desk, lambda *who: self.grants.get(who), self.limits)

    def batch(self, content: bytes, *, at: int, name: str = "batch_1") -> str:
        """A new batch, not yet run."""
        file = StoredFile(
            id=f"file-in-{name}",
            project="p",
            folder=self.folder.id(),
            key_id="k",
            purpose="batch",
            filename="in.jsonl",
            bytes=len(content),
            created_at=at,
        )
        batch = Batch(
            id=name,
            project="p",
            folder=file.folder,
            key_id="k",
            endpoint=CHAT,
            input_file_id=file.id,
            metadata={},
            status="validating",
            created_at=at,
            expires_at=at + WINDOW_US,
        )
        path = self.folder.path("p", file.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        with self.catalog.begin() as connection:
            store.insert_file(connection, file)
            store.insert_batch(connection, batch)
        return name

    def get(self, name: str = "batch_1") -> Batch:
        with self.catalog.read() as connection:
            found = store.find_batch(connection, name)
        assert found is not None
        return found

    def set(self, name: str, **values: Any) -> None:
        with self.catalog.begin() as connection:
            store.update_batch(connection, name, (self.get_status(name),), **values)

    def get_status(self, name: str) -> Any:
        return self.get(name).status

    def results(self, kind: str, name: str = "batch_1") -> list[dict[str, Any]]:
        path = self.folder.path("p", f"file-{name.removeprefix('batch_')}-{kind}")
        return [msgspec.json.decode(each) for each in path.read_bytes().splitlines()] if path.exists() else []

    def ids(self, kind: str, name: str = "batch_1") -> list[str]:
        return sorted(each["custom_id"] for each in self.results(kind, name))
