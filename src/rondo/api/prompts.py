"""Prompts: the versions that releases have been made of."""

from __future__ import annotations

from typing import Any

from rondo.api.door import Asked, Door
from rondo.errors import InvalidRequest
from rondo.governance.model import Role
from rondo.prompts import store
from rondo.prompts.diff import diff, unified
from rondo.prompts.model import Prompt


async def list_prompts(asked: Asked) -> dict[str, Any]:
    """The newest version of every prompt."""
    return {"prompts": await asked.control.read(lambda connection: store.list_prompts(connection, asked.project))}


async def history(asked: Asked) -> dict[str, Any]:
    """All versions of a prompt, newest first."""
    name = asked.path("name")
    return {"versions": await asked.control.read(lambda connection: store.history(connection, asked.project, name))}


async def show(asked: Asked) -> Prompt:
    """One version of a prompt; the first eight or more characters of it are enough."""
    name, version = asked.path("name"), asked.path("version")
    return await asked.control.read(lambda connection: store.get(connection, asked.project, name, version))


async def compare(asked: Asked) -> dict[str, Any]:
    """What changed between two versions, part by part, and as one unified diff."""
    name, before, after = asked.path("name"), asked.query("from"), asked.query("to")
    if before is None or after is None:
        raise InvalidRequest("A diff needs two versions.", remedy="Send `from` and `to`.", param="from")
    old, new = await asked.control.read(
        lambda connection: (
            store.get(connection, asked.project, name, before),
            store.get(connection, asked.project, name, after),
        )
    )
    return {"from": old.version, "to": new.version, "parts": diff(old, new), "text": unified(old, new)}


DOORS = [
    Door("GET", "/api/prompts", Role.VIEWER, list_prompts),
    Door("GET", "/api/prompts/{name}", Role.VIEWER, history),
    Door("GET", "/api/prompts/{name}/diff", Role.VIEWER, compare),
    Door("GET", "/api/prompts/{name}/{version}", Role.VIEWER, show),
]
