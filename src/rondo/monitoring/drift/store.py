"""The statements of drift reports. The project is in every one."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select

from rondo.catalog.schema_watch import drift_reports
from rondo.errors import NotFound
from rondo.monitoring.drift.model import Report

KEPT = 400
"""Reports of an app; older ones are forgotten."""

_NEWEST_FIRST = drift_reports.c.until.desc(), drift_reports.c.created_at.desc(), drift_reports.c.id.desc()


def save(connection: Connection, report: Report) -> None:
    """Keep a report, and forget the oldest."""
    fields = ("id", "project", "app", "since", "until", "scheduled", "verdict", "created_by", "created_at")
    values = {name: getattr(report, name) for name in fields}
    connection.execute(insert(drift_reports).values(**values, report=msgspec.to_builtins(report)))
    of_app = (drift_reports.c.project == report.project) & (drift_reports.c.app == report.app)
    old = (
        select(drift_reports.c.id)
        .where(of_app)
        .order_by(drift_reports.c.created_at.desc(), drift_reports.c.id.desc())
        .offset(KEPT)
    )
    ids = [row.id for row in connection.execute(old.limit(KEPT))]
    if ids:
        connection.execute(delete(drift_reports).where(of_app, drift_reports.c.id.in_(ids)))


def last_until(connection: Connection, project: str, app: str, now: int) -> int | None:
    """Where the newest scheduled window ended, but for those that a wrong clock put into the future."""
    found = connection.execute(
        select(drift_reports.c.until)
        .where(
            drift_reports.c.project == project,
            drift_reports.c.app == app,
            drift_reports.c.scheduled.is_(True),
            drift_reports.c.until <= now,
        )
        .order_by(drift_reports.c.until.desc())
        .limit(1)
    ).scalar()
    return None if found is None else int(found)


def listed(
    connection: Connection, project: str, app: str, *, limit: int, scheduled: bool | None = None
) -> list[Report]:
    """The app's reports, that of the newest window first."""
    wanted = select(drift_reports.c.report).where(drift_reports.c.project == project, drift_reports.c.app == app)
    if scheduled is not None:
        wanted = wanted.where(drift_reports.c.scheduled.is_(scheduled))
    return [_report(row) for row in connection.execute(wanted.order_by(*_NEWEST_FIRST).limit(limit))]


def newest(connection: Connection, project: str, app: str, now: int, *, scheduled: bool | None = None) -> Report | None:
    """That of the newest window, but for those that a wrong clock put into the future."""
    return _one(connection, project, app, drift_reports.c.until <= now, scheduled=scheduled)


def ended_between(connection: Connection, project: str, app: str, since: int, until: int) -> Report | None:
    """The newest scheduled report whose window ended in [since, until]."""
    return _one(connection, project, app, drift_reports.c.until.between(since, until), scheduled=True)


def _one(
    connection: Connection, project: str, app: str, which: ColumnElement[bool], *, scheduled: bool | None
) -> Report | None:
    wanted = select(drift_reports.c.report).where(drift_reports.c.project == project, drift_reports.c.app == app, which)
    if scheduled is not None:
        wanted = wanted.where(drift_reports.c.scheduled.is_(scheduled))
    row = connection.execute(wanted.order_by(*_NEWEST_FIRST).limit(1)).first()
    return None if row is None else _report(row)


def get(connection: Connection, project: str, app: str, report: str) -> Report:
    """Raises NotFound."""
    row = connection.execute(
        select(drift_reports.c.report).where(
            drift_reports.c.project == project, drift_reports.c.app == app, drift_reports.c.id == report
        )
    ).first()
    if row is None:
        raise NotFound(
            f"There is no drift report {report!r:.80} of {app!r:.80}.", remedy="`rondo drift list` shows them."
        )
    return _report(row)


def _report(row: Row[Any]) -> Report:
    return msgspec.convert(row.report, Report)
