"""Keys and the audit trail."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from rondo.api.door import Asked, Door
from rondo.governance import audit, keys
from rondo.governance.model import CreatedKey, Key, KeyKind, Role


class NewKey(Struct, forbid_unknown_fields=True):
    name: str
    kind: KeyKind = "secret"
    role: str | None = None
    apps: tuple[str, ...] = ()


async def list_keys(asked: Asked) -> dict[str, Any]:
    """All keys, revoked ones included; secrets are not known any more."""
    return {"keys": await asked.control.read(lambda connection: keys.list_keys(connection, asked.project))}


async def create(asked: Asked) -> CreatedKey:
    """A new key. Its secret is in this answer, and nowhere else ever."""
    wanted = await asked.body(NewKey)
    return await asked.control.change(
        lambda: keys.create(
            asked.control.catalog,
            asked.project,
            wanted.name,
            kind=wanted.kind,
            role=wanted.role,
            apps=wanted.apps,
            actor=asked.actor,
        )
    )


async def revoke(asked: Asked) -> Key:
    """End a key for good. The last admin key cannot be revoked."""
    key_id = asked.path("id")
    return await asked.control.change(
        lambda: keys.revoke(asked.control.catalog, asked.project, key_id, actor=asked.actor)
    )


async def trail(asked: Asked) -> dict[str, Any]:
    """The newest audit entries, newest first."""
    limit = asked.query_number("limit", 100, most=1_000)
    entries = await asked.control.read(lambda connection: audit.entries(connection, asked.project, limit=limit))
    return {"entries": entries}


async def verify(asked: Asked) -> audit.Verified:
    """Recompute the chain of hashes; an error names the first entry that is not as it was written."""
    return await asked.control.read(lambda connection: audit.verify(connection, asked.project))


DOORS = [
    Door("GET", "/api/keys", Role.ADMIN, list_keys),
    Door("POST", "/api/keys", Role.ADMIN, create),
    Door("DELETE", "/api/keys/{id}", Role.ADMIN, revoke),
    Door("GET", "/api/audit", Role.VIEWER, trail),
    Door("GET", "/api/audit/verify", Role.VIEWER, verify),
]
