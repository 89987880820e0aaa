"""The audit log: who did what to what, when. Each entry carries the hash of the one before it.

Entries are written in the transaction of what they tell of. Changing, removing or inserting one breaks the chain,
and `verify` says where. Someone who can write to the database can still cut the newest entries off: keep the last
hash elsewhere to notice.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection

from rondo import clock
from rondo.catalog.text import canonical_json
from rondo.errors import CorruptData
from rondo.governance import store
from rondo.governance.model import AuditEntry

GENESIS = "0" * 64
_BATCH = 1_000


class Verified(Struct, frozen=True):
    """What a whole chain comes to: how many entries, and the hash of the last (GENESIS where there are none)."""

    entries: int
    hash: str


def record(  # noqa: PLR0917 - who, what, to what: in the order one says it
    connection: Connection, project: str, actor: str, action: str, subject: str, details: dict[str, Any]
) -> AuditEntry:
    """Add an entry. Call it inside `Catalog.begin`, which lets one writer at a time extend the chain."""
    last = store.last_entry(connection, project)
    entry = AuditEntry(
        project=project,
        sequence=last.sequence + 1 if last else 1,
        at=clock.now_us(),
        actor=actor,
        action=action,
        subject=subject,
        details=details,
        previous_hash=last.hash if last else GENESIS,
        hash="",
    )
    entry = AuditEntry(**{**_fields(entry), "hash": hash_of(entry)})
    store.insert_entry(connection, entry)
    return entry


def entries(
    connection: Connection, project: str, *, limit: int = 100, before: int | None = None, subject: str | None = None
) -> list[AuditEntry]:
    """Newest first, at most `limit`; `before` is the sequence number to go on from."""
    return store.entries(connection, project, limit=limit, before=before, subject=subject)


def verify(connection: Connection, project: str) -> Verified:
    """Recompute the whole chain. Raises CorruptData, which names the first entry that is not as it was written."""
    count, previous = 0, GENESIS
    while batch := store.entries_after(connection, project, count, _BATCH):
        for entry in batch:
            whole = entry.sequence == count + 1 and entry.previous_hash == previous and entry.hash == hash_of(entry)
            if not whole:
                raise CorruptData(
                    f"The audit log of {project!r} is broken at entry {count + 1}.",
                    remedy="Someone changed the database. Compare with a backup.",
                )
            count, previous = count + 1, entry.hash
    return Verified(count, previous)


def hash_of(entry: AuditEntry) -> str:
    """SHA-256, in hex, of the canonical JSON of all fields but `hash`. Pure."""
    content = {name: value for name, value in _fields(entry).items() if name != "hash"}
    return sha256(canonical_json(content).encode()).hexdigest()


def _fields(entry: AuditEntry) -> dict[str, Any]:
    return {name: getattr(entry, name) for name in AuditEntry.__struct_fields__}
