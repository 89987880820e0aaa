"""The statements of reviews. The project is in every one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from msgspec import Struct, structs
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, exists, func, insert, or_, select, update

from rondo.catalog.schema import apps, projects
from rondo.catalog.schema_evals import review_answers, review_items, review_rubrics
from rondo.catalog.text import canonical_json
from rondo.evals.judges.model import Criterion
from rondo.reviews.model import Item, ReviewAnswer, Status

_AT_ONCE = 500
"""Values of one IN list, rows of one INSERT: both databases take more."""


class ItemFilter(Struct, frozen=True, kw_only=True):
    """All that is set must hold. `waits_for`: open, and not answered by this person yet; `rubric` is a hash.

    `since` and `until` bound when an item came in, `ended_since` when it ended (microseconds).
    """

    app: str | None = None
    source: str | None = None
    statuses: tuple[Status, ...] = ()
    waits_for: str | None = None
    trace_id: str | None = None
    rubric: str | None = None
    since: int | None = None
    until: int | None = None
    ended_since: int | None = None


def rubric_hash(criteria: Sequence[Criterion]) -> str:
    """SHA-256 of a rubric."""
    return sha256(canonical_json(msgspec.to_builtins(criteria)).encode()).hexdigest()


def save_rubric(connection: Connection, project: str, criteria: Sequence[Criterion]) -> None:
    """Keep a rubric, unless it is kept already."""
    hash_ = rubric_hash(criteria)
    here = (review_rubrics.c.project == project, review_rubrics.c.hash == hash_)
    if connection.execute(select(review_rubrics.c.hash).where(*here)).first() is None:
        values = {"project": project, "hash": hash_, "criteria": msgspec.to_builtins(list(criteria))}
        connection.execute(insert(review_rubrics).values(values))


def insert_items(connection: Connection, items: Sequence[Item]) -> None:
    """Their rubrics must be kept already."""
    rubrics_of_items = {id(item.rubric): item.rubric for item in items}  # mostly one for all
    known = {place: rubric_hash(rubric) for place, rubric in rubrics_of_items.items()}
    for start in range(0, len(items), _AT_ONCE):
        rows = [{**structs.asdict(item), "rubric": known[id(item.rubric)]} for item in items[start : start + _AT_ONCE]]
        connection.execute(insert(review_items), rows)


def known_traces(connection: Connection, project: str, trace_ids: Sequence[str]) -> set[str]:
    """Those of these traces that have an item."""
    found: set[str] = set()
    for start in range(0, len(trace_ids), _AT_ONCE):
        some = trace_ids[start : start + _AT_ONCE]
        found.update(
            connection.execute(
                select(review_items.c.trace_id).where(
                    review_items.c.project == project, review_items.c.trace_id.in_(some)
                )
            ).scalars()
        )
    return found


def get_item(connection: Connection, project: str, item_id: str) -> Item | None:
    row = connection.execute(
        select(review_items).where(review_items.c.project == project, review_items.c.id == item_id)
    ).first()
    return None if row is None else _items(connection, project, [row])[0]


def item_of_trace(connection: Connection, project: str, trace_id: str) -> Item | None:
    row = connection.execute(
        select(review_items).where(review_items.c.project == project, review_items.c.trace_id == trace_id)
    ).first()
    return None if row is None else _items(connection, project, [row])[0]


def list_items(
    connection: Connection,
    project: str,
    wanted: ItemFilter,
    *,
    limit: int,
    beyond: tuple[int, str] | None = None,
    newest_first: bool = False,
) -> list[Item]:
    """Oldest first: who has waited longest comes first. `beyond` is (created_at, id) of the item to go on from."""
    columns = review_items.c.created_at, review_items.c.id
    statement = select(review_items).where(*_conditions(project, wanted))
    if beyond is not None:
        at, last = beyond
        if newest_first:
            place = or_(columns[0] < at, and_(columns[0] == at, columns[1] < last))
            statement = statement.where(columns[0] <= at, place)
        else:
            place = or_(columns[0] > at, and_(columns[0] == at, columns[1] > last))
            statement = statement.where(columns[0] >= at, place)
    order = [column.desc() for column in columns] if newest_first else list(columns)
    return _items(connection, project, connection.execute(statement.order_by(*order).limit(limit)).all())


def every_item(connection: Connection, project: str, wanted: ItemFilter, *, at_once: int) -> Iterator[list[Item]]:
    """All items that fit, oldest first, some at a time."""
    beyond = None
    while page := list_items(connection, project, wanted, limit=at_once, beyond=beyond):
        yield page
        beyond = page[-1].created_at, page[-1].id


def count_items(connection: Connection, project: str, wanted: ItemFilter) -> int:
    counted = select(func.count()).select_from(review_items).where(*_conditions(project, wanted))
    return connection.execute(counted).scalar() or 0


def rubrics_in_use(connection: Connection, project: str, wanted: ItemFilter) -> list[list[Criterion]]:
    """Every rubric that these items are reviewed by."""
    hashes = connection.execute(select(review_items.c.rubric).where(*_conditions(project, wanted)).distinct())
    return list(rubrics(connection, project, hashes.scalars()).values())


def totals(connection: Connection, project: str, app: str | None) -> dict[tuple[str, str], int]:
    """How many items there are, by (status, source)."""
    statement = select(review_items.c.status, review_items.c.source, func.count()).where(
        review_items.c.project == project
    )
    if app is not None:
        statement = statement.where(review_items.c.app == app)
    grouped = statement.group_by(review_items.c.status, review_items.c.source)
    return {(status, source): number for status, source, number in connection.execute(grouped)}


def update_status(
    connection: Connection, project: str, item_id: str, status: Status, *, ended_at: int | None = None
) -> None:
    connection.execute(
        update(review_items)
        .where(review_items.c.project == project, review_items.c.id == item_id)
        .values(status=status, ended_at=ended_at)
    )


def unwritten(connection: Connection, project: str, limit: int) -> list[Item]:
    """Items that are done, and whose scores are not known to be in the journal; oldest first."""
    rows = connection.execute(
        select(review_items)
        .where(review_items.c.project == project, review_items.c.status == "done", review_items.c.ended_at.is_(None))
        .order_by(review_items.c.created_at)
        .limit(limit)
    ).all()
    return _items(connection, project, rows)


def answers_of(connection: Connection, project: str, items: Iterable[str]) -> dict[str, list[ReviewAnswer]]:
    """By item, in the order in which they were given; items without answers are left out."""
    wanted = list(items)
    found: dict[str, list[ReviewAnswer]] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        rows = connection.execute(
            select(review_answers)
            .where(review_answers.c.project == project, review_answers.c.item.in_(wanted[start : start + _AT_ONCE]))
            .order_by(review_answers.c.created_at, review_answers.c.reviewer)
        )
        for row in rows:
            found.setdefault(row.item, []).append(_answer(row))
    return found


def delete_answers(connection: Connection, project: str, item_id: str) -> None:
    """What everybody said of this item."""
    here = review_answers.c.project == project, review_answers.c.item == item_id
    connection.execute(delete(review_answers).where(*here))


def replace_answer(connection: Connection, project: str, answer: ReviewAnswer) -> None:
    """Put this answer in the place of the same person's earlier one, if any."""
    connection.execute(
        delete(review_answers).where(
            review_answers.c.project == project,
            review_answers.c.item == answer.item,
            review_answers.c.reviewer == answer.reviewer,
        )
    )
    values = {**structs.asdict(answer), "project": project, "adjudicates": int(answer.adjudicates)}
    connection.execute(insert(review_answers).values(values))


def app_settings(connection: Connection, project: str, app: str) -> dict[str, Any] | None:
    """An app's settings as of its latest release; None where there is no such app."""
    row = connection.execute(select(apps.c.settings).where(apps.c.project == project, apps.c.name == app)).first()
    return None if row is None else dict(row.settings)


def app_names(connection: Connection, project: str) -> list[str]:
    return list(
        connection.execute(select(apps.c.name).where(apps.c.project == project).order_by(apps.c.name)).scalars()
    )


def project_names(connection: Connection) -> list[str]:
    """Of all projects: for the server, which fills the queues of all."""
    return list(connection.execute(select(projects.c.name).order_by(projects.c.name)).scalars())


def _conditions(project: str, wanted: ItemFilter) -> list[ColumnElement[bool]]:
    items = review_items.c
    conditions: list[ColumnElement[bool]] = [items.project == project]
    statuses: tuple[Status, ...] = ("open",) if wanted.waits_for is not None else wanted.statuses
    if statuses:
        conditions.append(items.status.in_(statuses) if len(statuses) > 1 else items.status == statuses[0])
    for column, value in ((items.app, wanted.app), (items.source, wanted.source), (items.trace_id, wanted.trace_id)):
        if value is not None:
            conditions.append(column == value)
    if wanted.rubric is not None:
        conditions.append(items.rubric == wanted.rubric)
    if wanted.since is not None:
        conditions.append(items.created_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(items.created_at < wanted.until)
    if wanted.ended_since is not None:
        conditions.append(items.ended_at >= wanted.ended_since)
    if wanted.waits_for is not None:
        answered = exists().where(review_answers.c.item == items.id, review_answers.c.reviewer == wanted.waits_for)
        conditions.append(~answered)
    return conditions


def rubrics(connection: Connection, project: str, hashes: Iterable[str]) -> dict[str, list[Criterion]]:
    """By hash."""
    rows = connection.execute(
        select(review_rubrics.c.hash, review_rubrics.c.criteria).where(
            review_rubrics.c.project == project, review_rubrics.c.hash.in_(list(hashes))
        )
    )
    return {hash_: msgspec.convert(criteria, list[Criterion]) for hash_, criteria in rows}


def _items(connection: Connection, project: str, rows: Sequence[Row[Any]]) -> list[Item]:
    known = rubrics(connection, project, {row.rubric for row in rows}) if rows else {}
    return [Item(**{**row._mapping, "rubric": known[row.rubric]}) for row in rows]


def _answer(row: Row[Any]) -> ReviewAnswer:
    values = dict(row._mapping)
    del values["project"]
    return ReviewAnswer(**{**values, "adjudicates": bool(values["adjudicates"])})
