"""The statements of governance: projects, keys and audit entries. The project is in every one but the plan's."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from rondo.catalog.schema import audit_entries, keys, projects
from rondo.governance.model import AuditEntry, Key, Role


def insert_project(connection: Connection, name: str, at: int) -> None:
    connection.execute(insert(projects).values(name=name, created_at=at))


def project_exists(connection: Connection, name: str) -> bool:
    return connection.execute(select(projects.c.name).where(projects.c.name == name)).first() is not None


def project_names(connection: Connection) -> list[str]:
    return list(connection.execute(select(projects.c.name).order_by(projects.c.name)).scalars())


def insert_key(connection: Connection, key: Key, hash_: str) -> None:
    connection.execute(
        insert(keys).values(
            id=key.id,
            project=key.project,
            name=key.name,
            kind=key.kind,
            role=key.role.value if key.role else None,
            apps=list(key.apps),
            hash=hash_,
            hint=key.hint,
            created_at=key.created_at,
            created_by=key.created_by,
        )
    )


def hash_is_known(connection: Connection, hash_: str) -> bool:
    """Whether any project has, or had, a key with this hash."""
    return connection.execute(select(keys.c.id).where(keys.c.hash == hash_)).first() is not None


def get_key(connection: Connection, project: str, key_id: str) -> Key | None:
    row = connection.execute(select(keys).where(keys.c.project == project, keys.c.id == key_id)).first()
    return None if row is None else _key(row)


def list_keys(connection: Connection, project: str) -> list[Key]:
    """Oldest first, revoked ones included."""
    rows = connection.execute(select(keys).where(keys.c.project == project).order_by(keys.c.created_at, keys.c.id))
    return [_key(row) for row in rows]


def revoke_key(connection: Connection, project: str, key_id: str, at: int) -> None:
    connection.execute(update(keys).where(keys.c.project == project, keys.c.id == key_id).values(revoked_at=at))


def live_keys(connection: Connection) -> list[tuple[str, Key]]:
    """(hash, key) of every key of every project that is not revoked: for the plan, which serves all projects."""
    rows = connection.execute(select(keys).where(keys.c.revoked_at.is_(None)))
    return [(row.hash, _key(row)) for row in rows]


def last_entry(connection: Connection, project: str) -> AuditEntry | None:
    newest = entries(connection, project, limit=1)
    return newest[0] if newest else None


def insert_entry(connection: Connection, entry: AuditEntry) -> None:
    connection.execute(
        insert(audit_entries).values({field: getattr(entry, field) for field in AuditEntry.__struct_fields__})
    )


def entries(
    connection: Connection, project: str, *, limit: int, before: int | None = None, subject: str | None = None
) -> list[AuditEntry]:
    """Newest first; `before` is a sequence number."""
    statement = select(audit_entries).where(audit_entries.c.project == project)
    if before is not None:
        statement = statement.where(audit_entries.c.sequence < before)
    if subject is not None:
        statement = statement.where(audit_entries.c.subject == subject)
    statement = statement.order_by(audit_entries.c.sequence.desc()).limit(limit)
    return [_entry(row) for row in connection.execute(statement)]


def entries_after(connection: Connection, project: str, after: int, limit: int) -> list[AuditEntry]:
    """Oldest first."""
    statement = select(audit_entries).where(audit_entries.c.project == project, audit_entries.c.sequence > after)
    return [_entry(row) for row in connection.execute(statement.order_by(audit_entries.c.sequence).limit(limit))]


def _key(row: Row[Any]) -> Key:
    return Key(
        id=row.id,
        project=row.project,
        name=row.name,
        kind=row.kind,
        role=Role(row.role) if row.role else None,
        apps=tuple(row.apps),
        hint=row.hint,
        created_at=row.created_at,
        created_by=row.created_by,
        revoked_at=row.revoked_at,
    )


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(**row._mapping)
