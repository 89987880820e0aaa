"""The statements of datasets: examples by their hash, versions that list them. The project is in every one.

Lists of versions leave the members out: they are megabytes where a dataset is large.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, structs
from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from rondo.catalog.schema_evals import dataset_versions, examples
from rondo.datasets.model import DatasetVersion, Example, Member
from rondo.errors import CorruptData, NotFound
from rondo.settings.table import nearest

_AT_ONCE = 1_000
_SHORTEST_HASH = 6
_VERSION = [column for column in dataset_versions.c if column.name != "members"]
_decoder = msgspec.json.Decoder(Example)
T = TypeVar("T")


class Marks(Struct, frozen=True, kw_only=True):
    """Of an example what says where it belongs: for reports, which never need what was asked."""

    id: str
    tags: dict[str, str] = {}
    group: str | None = None
    must_pass: bool = False


_marks = msgspec.json.Decoder(Marks)


def list_datasets(connection: Connection, project: str) -> list[DatasetVersion]:
    """The newest version of each, by name."""
    newest = (
        select(dataset_versions.c.dataset, func.max(dataset_versions.c.number).label("number"))
        .where(dataset_versions.c.project == project)
        .group_by(dataset_versions.c.dataset)
        .subquery()
    )
    rows = connection.execute(
        select(*_VERSION)
        .join(
            newest,
            (dataset_versions.c.dataset == newest.c.dataset) & (dataset_versions.c.number == newest.c.number),
        )
        .where(dataset_versions.c.project == project)
        .order_by(dataset_versions.c.dataset)
    )
    return [_version(row) for row in rows]


def list_versions(
    connection: Connection, project: str, dataset: str, *, limit: int = 100, before: int | None = None
) -> list[DatasetVersion]:
    """Newest first; `before` is a number. Raises NotFound where there is no such dataset."""
    statement = select(*_VERSION).where(*_of(project, dataset))
    if before is not None:
        statement = statement.where(dataset_versions.c.number < before)
    rows = connection.execute(statement.order_by(dataset_versions.c.number.desc()).limit(limit))
    found = [_version(row) for row in rows]
    if not found and find_newest(connection, project, dataset) is None:
        raise _missing(connection, project, dataset)
    return found


def get_version(connection: Connection, project: str, dataset: str, version: int | str | None = None) -> DatasetVersion:
    """A version by its number or its hash, of which the first digits are enough; the newest where None is given.

    Raises NotFound.
    """
    statement = select(*_VERSION).where(*_of(project, dataset))
    if isinstance(version, int):
        statement = statement.where(dataset_versions.c.number == min(max(version, 0), 2**31 - 1))
    elif version is not None:
        if len(version) < _SHORTEST_HASH or not version.isalnum():
            raise _no_version(connection, project, dataset, version)
        statement = statement.where(dataset_versions.c.hash.startswith(version))
    row = connection.execute(statement.order_by(dataset_versions.c.number.desc()).limit(1)).first()
    if row is None:
        raise _no_version(connection, project, dataset, version)
    return _version(row)


def find_newest(connection: Connection, project: str, dataset: str) -> DatasetVersion | None:
    """The newest version; None where there is no such dataset."""
    newest = select(*_VERSION).where(*_of(project, dataset)).order_by(dataset_versions.c.number.desc()).limit(1)
    row = connection.execute(newest).first()
    return None if row is None else _version(row)


def find_version(connection: Connection, project: str, dataset: str, hash_: str) -> DatasetVersion | None:
    """The version with this whole hash."""
    row = connection.execute(select(*_VERSION).where(*_of(project, dataset), dataset_versions.c.hash == hash_)).first()
    return None if row is None else _version(row)


def members_of(connection: Connection, project: str, dataset: str, hash_: str) -> list[Member]:
    """(id, split) of a version's examples, in order. Raises NotFound."""
    found = connection.execute(
        select(dataset_versions.c.members).where(*_of(project, dataset), dataset_versions.c.hash == hash_)
    ).first()
    if found is None:
        raise _no_version(connection, project, dataset, hash_)
    return [(id_, split) for id_, split in found.members]


def examples_of(connection: Connection, project: str, dataset: str, hash_: str) -> list[Example]:
    """A version's examples in order, each with its split. Raises NotFound; CorruptData where one is missing."""
    return list(read_examples(connection, project, members_of(connection, project, dataset, hash_)))


def read_examples(connection: Connection, project: str, members: Sequence[Member]) -> Iterator[Example]:
    """The examples of these members in order, a thousand in memory at a time. Raises CorruptData."""
    for start in range(0, len(members), _AT_ONCE):
        some = members[start : start + _AT_ONCE]
        payloads = _payloads(connection, project, some)
        for id_, split in some:
            yield _example(id_, payloads.get(id_), split)


def read_marks(connection: Connection, project: str, members: Sequence[Member]) -> list[Marks]:
    """What says where the examples of these members belong, in order. Raises CorruptData."""
    found: list[Marks] = []
    for start in range(0, len(members), _AT_ONCE):
        some = members[start : start + _AT_ONCE]
        payloads = _payloads(connection, project, some)
        found += [_read(_marks, id_, payloads.get(id_)) for id_, _ in some]
    return found


def get_example(connection: Connection, project: str, id_: str) -> Example:
    """An example by its id, without a split. Raises NotFound."""
    payload = connection.execute(
        select(examples.c.payload).where(examples.c.project == project, examples.c.id == id_)
    ).scalar()
    if payload is None:
        raise NotFound(f"There is no example {id_!r:.60}.", remedy="`rondo datasets show` lists them.", param="example")
    return _example(id_, payload, None)


def insert_examples(connection: Connection, project: str, payloads: Sequence[tuple[str, str]]) -> None:
    """Keep (id, payload) pairs, but for those that are there already."""
    if payloads:
        kind = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        rows = [{"project": project, "id": id_, "payload": payload} for id_, payload in payloads]
        connection.execute(kind(examples).on_conflict_do_nothing(), rows)


def insert_version(connection: Connection, version: DatasetVersion, members: Sequence[Member]) -> None:
    connection.execute(insert(dataset_versions).values(**structs.asdict(version), members=members))


def update_report(connection: Connection, version: DatasetVersion) -> None:
    """Keep the version's report, which knows more than it did. It is no part of the version's hash."""
    where = (*_of(version.project, version.dataset), dataset_versions.c.hash == version.hash)
    connection.execute(update(dataset_versions).where(*where).values(report=version.report))


def _of(project: str, dataset: str) -> tuple[Any, Any]:
    return dataset_versions.c.project == project, dataset_versions.c.dataset == dataset


def _missing(connection: Connection, project: str, dataset: str) -> NotFound:
    names = connection.execute(
        select(dataset_versions.c.dataset).where(dataset_versions.c.project == project).distinct()
    ).scalars()
    return NotFound(
        f"There is no dataset called {dataset!r:.100}.{nearest(dataset, list(names))}",
        remedy="`rondo datasets import` makes one.",
        param="dataset",
    )


def _no_version(connection: Connection, project: str, dataset: str, version: int | str | None) -> NotFound:
    newest = find_newest(connection, project, dataset)
    if newest is None:
        return _missing(connection, project, dataset)
    return NotFound(
        f"There is no version {version!r:.80} of the dataset {dataset!r}; the newest is {newest.number}.",
        remedy=f"`rondo datasets show {dataset}` lists them.",
        param="version",
    )


def _version(row: Row[Any]) -> DatasetVersion:
    return DatasetVersion(**row._mapping)


def _payloads(connection: Connection, project: str, members: Sequence[Member]) -> dict[str, str]:
    wanted = select(examples.c.id, examples.c.payload).where(
        examples.c.project == project, examples.c.id.in_([id_ for id_, _ in members])
    )
    return {row.id: row.payload for row in connection.execute(wanted).all()}


def _example(id_: str, payload: str | None, split: Any) -> Example:
    return structs.replace(_read(_decoder, id_, payload), split=split)


def _read(decoder: msgspec.json.Decoder[T], id_: str, payload: str | None) -> T:
    if payload is None:
        raise CorruptData(f"The example {id_} is missing.", remedy="Restore the catalog from a backup.")
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, json.JSONDecodeError) as error:
        raise CorruptData(
            f"The example {id_} cannot be read: {error}.",
            remedy="A newer Rondo may have written it: start that version.",
        ) from None
