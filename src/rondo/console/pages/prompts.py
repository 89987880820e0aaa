"""Prompts: the versions that releases have been made of, their text, and what changed between two."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from rondo.console.visit import Page, Visit
from rondo.control import Connection
from rondo.errors import InvalidRequest
from rondo.governance.model import Role
from rondo.prompts import store
from rondo.prompts.diff import diff
from rondo.prompts.model import Prompt, PromptVersion
from rondo.releases import store as releases


async def list_prompts(visit: Visit) -> Response:
    found = await visit.control.read(lambda connection: store.list_prompts(connection, visit.project))
    return visit.page("prompts.html", prompts=found)


async def show_history(visit: Visit) -> Response:
    name = visit.path("name")

    def read(connection: Connection) -> tuple[list[PromptVersion], dict[str, list[str]]]:
        return store.history(connection, visit.project, name), used_by(connection, visit.project, "prompt")

    versions, users = await visit.control.read(read)
    return visit.page("prompt_history.html", name=name, versions=versions, users=users)


async def show_version(visit: Visit) -> Response:
    name, version = visit.path("name"), visit.path("version")

    def read(connection: Connection) -> tuple[Prompt, list[PromptVersion], dict[str, list[str]]]:
        return (
            store.get(connection, visit.project, name, version),
            store.history(connection, visit.project, name),
            used_by(connection, visit.project, "prompt"),
        )

    prompt, versions, users = await visit.control.read(read)
    position = next((at for at, each in enumerate(versions) if each.version == prompt.version), 0)
    older = versions[position + 1] if position + 1 < len(versions) else None
    return visit.page(
        "prompt.html", prompt=prompt, stored=versions[position], older=older, users=users.get(prompt.version, [])
    )


async def compare(visit: Visit) -> Response:
    name, before, after = visit.path("name"), visit.query("from"), visit.query("to")
    if before is None or after is None:
        raise InvalidRequest("A comparison needs two versions.", remedy="Choose them in the list.", param="from")
    old, new = await visit.control.read(
        lambda connection: (
            store.get(connection, visit.project, name, before),
            store.get(connection, visit.project, name, after),
        )
    )
    return visit.page("prompt_diff.html", name=name, old=old, new=new, parts=diff(old, new))


def used_by(connection: Connection, project: str, part: str) -> dict[str, list[str]]:
    """Labels of the newest releases by the version of this part (`prompt` or `knowledge`) that they are made of."""
    users: dict[str, list[str]] = {}
    for app in releases.list_apps(connection, project):
        for release in releases.list_releases(connection, project, app.name):
            used: dict[str, Any] | None = release.manifest[part]
            if used is not None:
                users.setdefault(used["version"], []).append(release.label)
    return users


PAGES = [
    Page("GET", "/prompts", Role.VIEWER, list_prompts),
    Page("GET", "/prompts/{name}", Role.VIEWER, show_history),
    Page("GET", "/prompts/{name}/diff", Role.VIEWER, compare),
    Page("GET", "/prompts/{name}/{version}", Role.VIEWER, show_version),
]
