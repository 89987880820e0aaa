"""How far each reader of the stored calls has come: what reads them in order of arrival goes on where it stopped.

Arrivals are counted by a server's own records. Servers on one Postgres have records of their own, so each has cursors
of its own.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.catalog.schema_watch import cursors


def named(catalog: Catalog, name: str, source: str) -> str:
    """The reader's cursor over the records that `source` names. A catalog of one server needs no such name."""
    return name if catalog.is_sqlite else f"{name}@{source}"


def find(connection: Connection, project: str, name: str) -> int | None:
    """The arrival of the last call that the reader is done with; None for a reader that never read."""
    found = connection.execute(select(cursors.c.arrival).where(*_this(project, name))).scalar()
    return None if found is None else int(found)


def save(connection: Connection, project: str, name: str, arrival: int) -> None:
    """It is done with all calls up to there."""
    values = {"arrival": arrival, "updated_at": clock.now_us()}
    changed = connection.execute(update(cursors).where(*_this(project, name)).values(**values))
    if not changed.rowcount:
        connection.execute(insert(cursors).values(project=project, name=name, **values))


def forget(connection: Connection, project: str, name: str) -> None:
    """The reader begins anew, should it ever read again."""
    connection.execute(delete(cursors).where(*_this(project, name)))


def _this(project: str, name: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return cursors.c.project == project, cursors.c.name == name
