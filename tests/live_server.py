"""The whole server in this process, without a port: catalog, gateway, API, console, journal and record store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from journeys.running import make_project

if TYPE_CHECKING:  # this file is loaded for every test, the server only for those that open one
    from rondo.server.app import Server

HELLO = [{"role": "user", "content": "hello"}]


class Live:
    """A server and the ways to ask it. `admin` is the key it made on its first start."""

    def __init__(self, server: Server, project: Path) -> None:
        self.server = server
        self.project = project
        self.data = server.data.path
        self.admin = (self.data / "admin.key").read_text().strip()

    async def ask(
        self, method: str, path: str, *, key: str | None = "admin", headers: dict[str, str] | None = None, **more: Any
    ) -> httpx2.Response:
        """Any request; by default with the admin key."""
        sent = dict(headers or {})
        if key is not None:
            sent["authorization"] = f"Bearer {self.admin if key == 'admin' else key}"
        transport = httpx2.ASGITransport(self.server)
        async with httpx2.AsyncClient(transport=transport, base_url="http://rondo.test") as client:
            return await client.request(method, path, headers=sent, **more)

    async def get(self, path: str, **params: Any) -> Any:
        """The JSON of an API door that must answer."""
        response = await self.ask("GET", path, params=params)
        assert response.status_code == 200, response.text
        return response.json()

    async def post(self, path: str, body: object, *, key: str | None = "admin") -> Any:
        """The JSON of what must be accepted."""
        response = await self.ask("POST", path, json=body, key=key)
        assert response.status_code == 200, response.text
        return response.json()

    async def chat(self, model: str = "bot", *, key: str | None = "admin", **fields: Any) -> httpx2.Response:
        body = {"model": model, "messages": HELLO, **fields}
        return await self.ask("POST", "/v1/chat/completions", json=body, key=key)

    async def key(self, name: str = "app", **fields: Any) -> tuple[str, str]:
        """(id, secret) of a new key."""
        made = await self.post("/api/keys", {"name": name, **fields})
        return made["key"]["id"], made["secret"]

    async def release(self, **files: str) -> int:
        """A new release of the project with these files changed; its number."""
        from rondo.releases import bundle

        for name, text in files.items():
            (self.project / f"{name}.md").write_text(text)
        archive = bundle.to_zip(bundle.read_folder(self.project))
        response = await self.ask("POST", "/api/releases", content=archive, params={"message": "next"})
        assert response.status_code == 200, response.text
        number: int = response.json()["release"]["number"]
        return number

    async def drained(self) -> None:
        """Wait until every record is in the store."""
        async with asyncio.timeout(10):
            while True:
                status = await asyncio.to_thread(self.server.control.drain.status)
                if status.queued == 0:
                    return
                self.server.control.drain.wake()
                await asyncio.sleep(0.01)


@asynccontextmanager
async def live_on(project: Path, data: Path | None = None) -> AsyncIterator[Live]:
    from rondo.server.app import open_server

    async with open_server(data or project / ".rondo", project) as server:
        yield Live(server, project)


@pytest.fixture
async def live(tmp_path: Path) -> AsyncIterator[Live]:
    """A server on the small project of the journeys: app `bot`, models `parrot` and `quoter`."""
    project = make_project(tmp_path / "project")
    async with live_on(project) as opened:
        yield opened
