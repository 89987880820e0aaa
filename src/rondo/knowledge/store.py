"""Index versions in the catalog: which there are. The indexes themselves are directories (`index.py`)."""

from __future__ import annotations

from sqlalchemy import Connection, desc, select
from sqlalchemy.dialects import postgresql, sqlite

from rondo import clock
from rondo.catalog import revision
from rondo.catalog.schema import knowledge_versions as table
from rondo.errors import NotFound
from rondo.knowledge.model import IndexVersion, StoredVersion


def save(connection: Connection, project: str, name: str, version: IndexVersion) -> str:
    """Keep a version, unless it is there already; its hash.

    Plans are made anew where its directory was: a release may have waited for it, since it was lost.
    """
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = {
        "project": project,
        "name": name,
        "version": version.version,
        "documents": version.documents,
        "chunks": version.chunks,
        "bytes": version.bytes,
        "created_at": clock.now_us(),
    }
    connection.execute(insert(table).values(row).on_conflict_do_nothing())
    if version.made:
        revision.bump(connection)
    return version.version


def list_versions(connection: Connection, project: str, name: str | None = None) -> list[StoredVersion]:
    """All versions of one knowledge, or of all, newest first."""
    query = select(table).where(table.c.project == project).order_by(desc(table.c.created_at), table.c.version)
    if name is not None:
        query = query.where(table.c.name == name)
    return [
        StoredVersion(
            name=row.name,
            version=row.version,
            documents=row.documents,
            chunks=row.chunks,
            bytes=row.bytes,
            created_at=row.created_at,
        )
        for row in connection.execute(query)
    ]


def latest(connection: Connection, project: str, name: str) -> StoredVersion:
    """The version saved last: the one to build the next upon. Raises NotFound."""
    found = list_versions(connection, project, name)
    if not found:
        raise NotFound(
            f"There is no index of the knowledge {name!r} yet.", remedy="A release builds it: `rondo release`."
        )
    return found[0]
