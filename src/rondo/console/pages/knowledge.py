"""Knowledge: the versions of each index, and a search that shows which chunks a question finds, with their scores."""

from __future__ import annotations

import asyncio
from pathlib import Path

from starlette.responses import Response

from rondo.console.pages.prompts import used_by
from rondo.console.visit import Page, Visit, whole_number
from rondo.control import Connection
from rondo.errors import InvalidRequest, NotFound
from rondo.governance.model import Role
from rondo.knowledge import store
from rondo.knowledge.model import Manifest, StoredVersion
from rondo.knowledge.search import open_index
from rondo.records import Chunk

_MOST = 50
_LONGEST_QUESTION = 4_000


async def list_knowledge(visit: Visit) -> Response:
    def read(connection: Connection) -> list[StoredVersion]:
        return store.list_versions(connection, visit.project)

    versions = await visit.control.read(read)
    newest = {each.name: each for each in reversed(versions)}
    return visit.page("knowledges.html", newest=sorted(newest.values(), key=lambda each: each.name), versions=versions)


async def show_knowledge(visit: Visit) -> Response:
    name = visit.path("name")

    def read(connection: Connection) -> tuple[list[StoredVersion], dict[str, list[str]]]:
        return store.list_versions(connection, visit.project, name), used_by(connection, visit.project, "knowledge")

    versions, users = await visit.control.read(read)
    if not versions:
        raise NotFound(f"There is no knowledge called {name!r:.100}.", remedy="A release builds it: `rondo release`.")
    chosen = _choose(versions, visit.query("version"))
    question = (visit.query("q") or "").strip()
    if len(question) > _LONGEST_QUESTION:
        raise InvalidRequest(f"A question has at most {_LONGEST_QUESTION} characters.", param="q")
    k = min(max(whole_number(visit.query("k") or "5", "k"), 1), _MOST)
    manifest, chunks = await asyncio.to_thread(_search, visit.control.knowledge_root, chosen.version, question, k)
    return visit.page(
        "knowledge_results.html" if visit.is_partial else "knowledge.html",
        name=name,
        versions=versions,
        users=users,
        chosen=chosen,
        manifest=manifest,
        question=question,
        k=k,
        chunks=chunks,
        best=max((chunk.score for chunk in chunks), default=0.0),
    )


def _choose(versions: list[StoredVersion], prefix: str | None) -> StoredVersion:
    """The version asked for (its beginning is enough), or the newest."""
    if prefix is None:
        return versions[0]
    for each in versions:
        if each.version.startswith(prefix):
            return each
    raise NotFound(f"There is no version {prefix!r:.80}.", remedy="The list shows them.", param="version")


def _search(root: Path, version: str, question: str, k: int) -> tuple[Manifest, list[Chunk]]:
    index = open_index(root, version)
    try:
        return index.manifest, index.search(question, k) if question else []
    finally:
        index.close()


PAGES = [
    Page("GET", "/knowledge", Role.VIEWER, list_knowledge),
    Page("GET", "/knowledge/{name}", Role.VIEWER, show_knowledge),
]
