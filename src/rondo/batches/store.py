"""The statements of files and batches. The project is in every one but those of the server itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import structs
from sqlalchemy import Connection, Row, Table, and_, delete, insert, or_, select, update

from rondo.batches.model import ENDED, Batch, Problem, Status, StoredFile
from rondo.catalog.schema import batches, files


def insert_file(connection: Connection, file: StoredFile) -> None:
    connection.execute(insert(files).values(structs.asdict(file)))


def get_file(connection: Connection, project: str, file_id: str) -> StoredFile | None:
    row = connection.execute(select(files).where(files.c.project == project, files.c.id == file_id)).first()
    return None if row is None else StoredFile(**row._mapping)


def delete_file(connection: Connection, project: str, file_id: str) -> None:
    connection.execute(delete(files).where(files.c.project == project, files.c.id == file_id))


def list_files(
    connection: Connection,
    project: str,
    *,
    key_id: str | None,
    purpose: str | None,
    after: StoredFile | None,
    oldest_first: bool,
    limit: int,
) -> list[StoredFile]:
    """The files, or those that one key made."""
    conditions = [files.c.project == project]
    if key_id is not None:
        conditions.append(files.c.key_id == key_id)
    if purpose is not None:
        conditions.append(files.c.purpose == purpose)
    if after is not None:
        conditions.append(_beyond(files, after.created_at, after.id, oldest_first=oldest_first))
    statement = select(files).where(*conditions).order_by(*_order(files, oldest_first=oldest_first)).limit(limit)
    return [StoredFile(**row._mapping) for row in connection.execute(statement)]


def insert_batch(connection: Connection, batch: Batch) -> None:
    values = structs.asdict(batch)
    connection.execute(insert(batches).values({**values, "errors": msgspec.to_builtins(batch.errors)}))


def get_batch(connection: Connection, project: str, batch_id: str) -> Batch | None:
    row = connection.execute(select(batches).where(batches.c.project == project, batches.c.id == batch_id)).first()
    return None if row is None else _batch(row)


def find_batch(connection: Connection, batch_id: str) -> Batch | None:
    """Whosever it is: for the server, which runs the batches of all projects."""
    row = connection.execute(select(batches).where(batches.c.id == batch_id)).first()
    return None if row is None else _batch(row)


def list_batches(
    connection: Connection, project: str, *, key_id: str | None, after: Batch | None, limit: int
) -> list[Batch]:
    """Newest first: all, or those that one key made."""
    conditions = [batches.c.project == project]
    if key_id is not None:
        conditions.append(batches.c.key_id == key_id)
    if after is not None:
        conditions.append(_beyond(batches, after.created_at, after.id, oldest_first=False))
    statement = select(batches).where(*conditions).order_by(*_order(batches, oldest_first=False)).limit(limit)
    return [_batch(row) for row in connection.execute(statement)]


def unfinished(connection: Connection, folder: str) -> list[str]:
    """Ids of the batches, of all projects, that have not ended and whose files are in this data folder."""
    return list(
        connection.execute(
            select(batches.c.id)
            .where(batches.c.folder == folder, batches.c.status.not_in(ENDED))
            .order_by(batches.c.created_at)
        ).scalars()
    )


def is_read_by_a_batch(connection: Connection, project: str, file_id: str) -> bool:
    """Whether a batch that has not ended has this file as its input."""
    found = select(batches.c.id).where(
        batches.c.project == project, batches.c.input_file_id == file_id, batches.c.status.not_in(ENDED)
    )
    return connection.execute(found.limit(1)).first() is not None


def update_batch(connection: Connection, batch_id: str, statuses: Sequence[Status], **values: Any) -> None:
    """Change a batch that has one of these statuses."""
    connection.execute(update(batches).where(batches.c.id == batch_id, batches.c.status.in_(statuses)).values(**values))


def _order(table: Table, *, oldest_first: bool) -> tuple[Any, Any]:
    columns = table.c.created_at, table.c.id
    return columns if oldest_first else (columns[0].desc(), columns[1].desc())


def _beyond(table: Table, at: int, row_id: str, *, oldest_first: bool) -> Any:
    """Rows that come after this one in the list."""
    if oldest_first:
        return or_(table.c.created_at > at, and_(table.c.created_at == at, table.c.id > row_id))
    return or_(table.c.created_at < at, and_(table.c.created_at == at, table.c.id < row_id))


def _batch(row: Row[Any]) -> Batch:
    values = dict(row._mapping)
    return Batch(**{**values, "errors": [Problem(**each) for each in values["errors"]]})
