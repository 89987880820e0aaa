"""Prompts: the versions that releases have been made of."""

from __future__ import annotations

from typing import Any

from rondo.api.door import Asked, Door
from rondo.errors import InvalidRequest
from rondo.governance.model import Role
from rondo.prompts import store
from rondo.prompts.diff import diff, unified


async def list_prompts(asked: Asked) -> dict[str, Any]:
    return {"prompts": await asked.control.read(lambda connection: store.list_prompts(connection, asked.project))}


async def history(asked: Asked) -> dict[str, Any]:
    name = asked.path("name")
    return {"versions": await asked.control.read(lambda connection: store.history(connection, asked.project, name))}


async def show(asked: Asked) -> Any:
    name, version = asked.path("name"), asked.path("version")
    return await asked.control.read(lambda connection: store.get(connection, asked.project, name, version))


async def compare(asked: Asked) -> dict[str, Any]:
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
