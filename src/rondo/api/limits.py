"""Limits and budgets."""

from __future__ import annotations

from typing import Any

from rondo.api.door import Asked, Door
from rondo.governance.model import Role
from rondo.limits import change
from rondo.limits.change import Wanted, shown
from rondo.limits.status import Status, status
from rondo.limits.store import StoredLimit


async def list_limits(asked: Asked) -> dict[str, Any]:
    """All limits, as they were set."""
    stored = await asked.control.read(lambda connection: change.list_limits(connection, asked.project))
    return {"limits": [_told(each) for each in stored]}


async def now(asked: Asked) -> Status:
    """How much of each limit is used now, which alerts are open, and whether limits can be checked."""
    control = asked.control
    return await status(control.ledger, control.gateway.plan.limits, asked.project, control.alerts)


async def set_limit(asked: Asked) -> dict[str, Any]:
    """Set the limit of a scope, in the place of the one it has."""
    wanted = await asked.body(Wanted)
    asked.control.require_ledger()
    stored = await asked.control.change(
        lambda: change.set_limit(asked.control.catalog, asked.project, wanted, actor=asked.actor)
    )
    return _told(stored)


async def remove(asked: Asked) -> dict[str, Any]:
    """End the limit of a scope."""
    scope = asked.path("scope")
    stored = await asked.control.change(
        lambda: change.remove_limit(asked.control.catalog, asked.project, scope, actor=asked.actor)
    )
    return _told(stored)


def _told(stored: StoredLimit) -> dict[str, Any]:
    return {**shown(stored.limit), "updated_at": stored.updated_at, "updated_by": stored.updated_by}


DOORS = [
    Door("GET", "/api/limits", Role.VIEWER, list_limits),
    Door("GET", "/api/limits/status", Role.VIEWER, now),
    Door("POST", "/api/limits", Role.APPROVER, set_limit),
    Door("DELETE", "/api/limits/{scope:path}", Role.APPROVER, remove),
]
