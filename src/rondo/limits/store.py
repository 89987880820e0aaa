"""The statements of limits. The project is in every one but the plan's."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from sqlalchemy import Connection, Row, delete, insert, select

from rondo.catalog.schema import limits
from rondo.limits.model import Limit, scope_order


class StoredLimit(Struct, frozen=True, kw_only=True):
    """A limit, and who set it when (microseconds)."""

    limit: Limit
    updated_at: int
    updated_by: str


def replace_limit(connection: Connection, project: str, limit: Limit, *, at: int, actor: str) -> None:
    """Put this limit in the place of the scope's earlier one, if any."""
    delete_limit(connection, project, limit.scope)
    connection.execute(
        insert(limits).values(
            project=project,
            scope=limit.scope,
            requests_per_minute=limit.requests_per_minute,
            tokens_per_minute=limit.tokens_per_minute,
            concurrent=limit.concurrent,
            nano_per_day=limit.nano_per_day,
            nano_per_month=limit.nano_per_month,
            alert_at=list(limit.alert_at),
            updated_at=at,
            updated_by=actor,
        )
    )


def delete_limit(connection: Connection, project: str, scope: str) -> None:
    connection.execute(delete(limits).where(limits.c.project == project, limits.c.scope == scope))


def get_limit(connection: Connection, project: str, scope: str) -> StoredLimit | None:
    row = connection.execute(select(limits).where(limits.c.project == project, limits.c.scope == scope)).first()
    return None if row is None else _stored(row)


def list_limits(connection: Connection, project: str) -> list[StoredLimit]:
    """The project's, then those of apps, keys and users."""
    rows = connection.execute(select(limits).where(limits.c.project == project))
    return sorted(map(_stored, rows), key=lambda stored: scope_order(stored.limit.scope))


def all_limits(connection: Connection) -> list[tuple[str, Limit]]:
    """(project, limit) of every project: for the plan, which serves all projects."""
    return [(row.project, _stored(row).limit) for row in connection.execute(select(limits))]


def is_empty(connection: Connection) -> bool:
    """Whether no project has a limit."""
    return connection.execute(select(limits.c.scope).limit(1)).first() is None


def _stored(row: Row[Any]) -> StoredLimit:
    limit = Limit(
        scope=row.scope,
        requests_per_minute=row.requests_per_minute,
        tokens_per_minute=row.tokens_per_minute,
        concurrent=row.concurrent,
        nano_per_day=row.nano_per_day,
        nano_per_month=row.nano_per_month,
        alert_at=tuple(row.alert_at),
    )
    return StoredLimit(limit=limit, updated_at=row.updated_at, updated_by=row.updated_by)
