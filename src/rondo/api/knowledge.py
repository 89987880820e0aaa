"""Knowledge: index versions, built and searched."""

from __future__ import annotations

import asyncio
from typing import Any

from rondo.api.door import Asked, Door
from rondo.api.releases import bundle_body
from rondo.control import ControlPlane
from rondo.errors import InvalidRequest, NotFound
from rondo.governance.model import Role
from rondo.knowledge import index, store
from rondo.knowledge.model import IndexVersion
from rondo.knowledge.search import open_index
from rondo.releases import bundle


async def list_versions(asked: Asked) -> dict[str, Any]:
    """Index versions, newest first."""
    name = asked.query("name")
    return {
        "versions": await asked.control.read(lambda connection: store.list_versions(connection, asked.project, name))
    }


async def build(asked: Asked) -> IndexVersion:
    """Build the index of a project folder, sent as a zip, without releasing it."""
    name, archive, control = asked.path("name"), await bundle_body(asked), asked.control
    return await control.change(lambda: _build(control, asked.project, name, archive))


async def search(asked: Asked) -> dict[str, Any]:
    """The passages of an index version that match best; of the newest version where none is named."""
    name, query, version = asked.path("name"), asked.query("q"), asked.query("version")
    k = asked.query_number("k", 5, most=50)
    if query is None:
        raise InvalidRequest("There is nothing to search for.", remedy="Send `q`.", param="q")
    found = await asked.control.read(lambda connection: store.list_versions(connection, asked.project, name))
    wanted = next((each.version for each in found if version is None or each.version.startswith(version)), None)
    if wanted is None:
        raise NotFound(
            f"There is no such version of the knowledge {name!r}.", remedy="`rondo knowledge list` shows them."
        )

    def run() -> list[Any]:
        opened = open_index(asked.control.knowledge_root, wanted)
        try:
            return list(opened.search(query, k))
        finally:
            opened.close()

    return {"version": wanted, "chunks": await asyncio.to_thread(run)}


def _build(control: ControlPlane, project: str, name: str, archive: bytes) -> IndexVersion:
    files = bundle.from_zip(archive)
    settings = bundle.settings_of(files)
    if name != settings.app.knowledge:
        raise NotFound(f"The app of this bundle does not use a knowledge called {name!r:.60}.", param="name")
    with control.catalog.read() as connection:
        versions = store.list_versions(connection, project, name)
    built = index.build(
        bundle.documents(files, settings),
        settings.knowledge[name],
        control.knowledge_root,
        name=name,
        previous=versions[0].version if versions else None,
    )
    with control.catalog.begin() as connection:
        store.save(connection, project, name, built)
    return built


DOORS = [
    Door("GET", "/api/knowledge", Role.VIEWER, list_versions),
    Door("POST", "/api/knowledge/{name}", Role.DEVELOPER, build),
    Door("GET", "/api/knowledge/{name}/search", Role.VIEWER, search),
]
