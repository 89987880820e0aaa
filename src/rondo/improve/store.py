"""The statements of runs that found patterns. The project is in every one."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, delete, insert, select

from rondo.catalog.schema_watch import pattern_runs
from rondo.errors import NotFound
from rondo.improve.model import Found, Pattern

KEPT = 100
"""Runs of a project; older ones are forgotten."""

_NEWEST_FIRST = pattern_runs.c.created_at.desc(), pattern_runs.c.id.desc()


def save(connection: Connection, found: Found) -> None:
    """Keep a run, and forget the oldest."""
    fields = ("id", "project", "app", "since", "until", "created_by", "created_at")
    values = {name: getattr(found, name) for name in fields}
    connection.execute(insert(pattern_runs).values(**values, report=msgspec.to_builtins(found)))
    old = (
        select(pattern_runs.c.id)
        .where(pattern_runs.c.project == found.project)
        .order_by(*_NEWEST_FIRST)
        .offset(KEPT)
        .limit(KEPT)
    )
    ids = [row.id for row in connection.execute(old)]
    if ids:
        connection.execute(
            delete(pattern_runs).where(pattern_runs.c.project == found.project, pattern_runs.c.id.in_(ids))
        )


def listed(connection: Connection, project: str, *, limit: int, app: str | None = None) -> list[Found]:
    """The newest first; `app` only those of it."""
    wanted = select(pattern_runs.c.report).where(pattern_runs.c.project == project)
    if app is not None:
        wanted = wanted.where(pattern_runs.c.app == app)
    rows = connection.execute(wanted.order_by(*_NEWEST_FIRST).limit(limit))
    return [msgspec.convert(row.report, Found) for row in rows]


def get(connection: Connection, project: str, run: str) -> Found:
    """Raises NotFound."""
    row = connection.execute(
        select(pattern_runs.c.report).where(pattern_runs.c.project == project, pattern_runs.c.id == run)
    ).first()
    if row is None:
        raise NotFound(f"There is no run of patterns {run!r:.80}.", remedy="`rondo patterns list` shows them.")
    return msgspec.convert(row.report, Found)


def pattern(found: Found, number: int) -> Pattern:
    """One pattern of a run. Raises NotFound."""
    for each in found.patterns:
        if each.number == number:
            return each
    raise NotFound(
        f"The run has no pattern {number}.", remedy=f"It has {len(found.patterns)}: `rondo patterns show {found.id}`."
    )


def earlier(connection: Connection, project: str, app: str | None) -> list[Pattern]:
    """The patterns of the last run over the same app."""
    of_app = pattern_runs.c.app.is_(None) if app is None else pattern_runs.c.app == app
    wanted = select(pattern_runs.c.report).where(pattern_runs.c.project == project, of_app)
    row = connection.execute(wanted.order_by(*_NEWEST_FIRST).limit(1)).first()
    return [] if row is None else msgspec.convert(row.report, Found).patterns
