"""Calls that became tests: which release broke each, and which one answered it rightly again."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import Connection, desc, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from rondo.catalog.schema_evals import regressions as table
from rondo.datasets import store
from rondo.records import Call


class Regression(Struct, frozen=True, kw_only=True):
    """An example that a release got wrong in production. `fixed` is None until a release has passed it."""

    example: str
    app: str
    dataset: str
    trace_id: str | None
    broke: int | None
    broke_hash: str | None
    fixed: int | None
    fixed_hash: str | None
    fixed_at: int | None
    created_by: str
    created_at: int


class Wrong(Struct, frozen=True, kw_only=True):
    """Whose answer was wrong: a release of an app, or a draft (without a number), in a call or in a red team's run."""

    app: str
    trace_id: str | None = None
    number: int | None = None
    hash: str | None = None


def note_broken(
    connection: Connection, project: str, example: str, dataset: str, call: Call, *, actor: str, at: int
) -> bool:
    """Remember that the call's release got this example wrong; whether that is new.

    A call that no app answered has no release, and is not remembered.
    """
    if call.app is None:
        return False
    wrong = Wrong(app=call.app, trace_id=call.trace_id, number=call.release, hash=call.release_hash)
    return note_wrong(connection, project, example, dataset, wrong, actor=actor, at=at)


def note_wrong(
    connection: Connection, project: str, example: str, dataset: str, wrong: Wrong, *, actor: str, at: int
) -> bool:
    """Remember who got this example wrong; whether that is new."""
    kind = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = {
        "project": project,
        "example": example,
        "app": wrong.app,
        "dataset": dataset,
        "trace_id": wrong.trace_id,
        "broke": wrong.number,
        "broke_hash": wrong.hash,
        "created_by": actor,
        "created_at": at,
    }
    written = connection.execute(kind(table).values(row).on_conflict_do_nothing().returning(table.c.example))
    return written.first() is not None


def note_fixed(  # noqa: PLR0917 - who, what, by what: in the order one says it
    connection: Connection, project: str, app: str, example: str, number: int, hash: str, at: int
) -> bool:
    """Remember that release `number` of the app passed an example which an earlier one broke; whether that is news.

    The first release that passes is kept. The release that broke it and those before it have fixed nothing, however
    they answer today.
    """
    changed = connection.execute(
        update(table)
        .where(
            table.c.project == project,
            table.c.app == app,
            table.c.example == example,
            table.c.fixed.is_(None),
            or_(table.c.broke.is_(None), table.c.broke < number),
            table.c.broke_hash.is_distinct_from(hash),
        )
        .values(fixed=number, fixed_hash=hash, fixed_at=at)
    )
    return changed.rowcount == 1


def list_regressions(
    connection: Connection,
    project: str,
    *,
    app: str | None = None,
    dataset: str | None = None,
    open_only: bool = False,
    limit: int = 1_000,
) -> list[Regression]:
    """Newest first; `open_only`: those that no release has fixed."""
    statement = select(table).where(table.c.project == project)
    if app is not None:
        statement = statement.where(table.c.app == app)
    if dataset is not None:
        statement = statement.where(table.c.dataset == dataset)
    if open_only:
        statement = statement.where(table.c.fixed.is_(None))
    rows = connection.execute(statement.order_by(desc(table.c.created_at), table.c.example).limit(limit))
    return [Regression(**{name: row._mapping[name] for name in Regression.__struct_fields__}) for row in rows]


def required(connection: Connection, project: str, app: str) -> dict[str, list[str]]:
    """The examples that every release of the app must pass from now on, by the dataset whose newest version has them.

    Fixed or not: what was fixed once must not break again. Whoever takes an example out of its dataset lets it go.
    """
    rows = connection.execute(
        select(table.c.dataset, table.c.example)
        .where(table.c.project == project, table.c.app == app)
        .order_by(table.c.dataset, table.c.created_at, table.c.example)
    )
    noted: dict[str, list[str]] = {}
    for row in rows:
        noted.setdefault(row.dataset, []).append(row.example)
    found: dict[str, list[str]] = {}
    for dataset, examples in noted.items():
        newest = store.find_newest(connection, project, dataset)
        members = () if newest is None else store.members_of(connection, project, dataset, newest.hash)
        there = {example for example, _ in members}
        if kept := [example for example in examples if example in there]:
            found[dataset] = kept
    return found


def of_app(connection: Connection, project: str, app: str) -> set[str]:
    """The ids of all that the app has got wrong, whichever dataset has them."""
    return set(
        connection.execute(select(table.c.example).where(table.c.project == project, table.c.app == app)).scalars()
    )
