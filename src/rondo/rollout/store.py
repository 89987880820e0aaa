"""The statements of rollouts. The project is in every one."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, and_, func, insert, select, update

from rondo.catalog.schema_rollout import rollout_events, rollouts
from rondo.errors import NotFound
from rondo.rollout.model import Reading
from rondo.rollout.progress import ENDED, Event, Progress, Rollout


def insert_rollout(connection: Connection, rollout: Rollout) -> None:
    connection.execute(insert(rollouts).values(**msgspec.to_builtins(rollout)))


def save(connection: Connection, rollout: Rollout) -> None:
    """Write where it stands."""
    values = msgspec.to_builtins(rollout)
    changed = {name: values[name] for name in ("baseline", "sequence", "progress", "reading", "began_at", "ended_at")}
    connection.execute(
        update(rollouts).where(rollouts.c.project == rollout.project, rollouts.c.id == rollout.id).values(**changed)
    )


def save_progress(connection: Connection, rollout: Rollout, progress: Progress, reading: Reading | None) -> bool:
    """Keep the time that has passed and the last reading, unless something was decided meanwhile."""
    written = connection.execute(
        update(rollouts)
        .where(
            rollouts.c.project == rollout.project,
            rollouts.c.id == rollout.id,
            rollouts.c.sequence == rollout.sequence,
            rollouts.c.ended_at.is_(None),
        )
        .values(progress=msgspec.to_builtins(progress), reading=msgspec.to_builtins(reading))
    )
    return written.rowcount == 1


def insert_event(connection: Connection, project: str, event: Event) -> None:
    connection.execute(insert(rollout_events).values(project=project, **msgspec.to_builtins(event)))


def active(connection: Connection, project: str, app: str) -> Rollout | None:
    """The app's rollout that has not ended."""
    row = connection.execute(
        select(rollouts).where(rollouts.c.project == project, rollouts.c.app == app, rollouts.c.ended_at.is_(None))
    ).first()
    return None if row is None else _rollout(row)


def all_active(connection: Connection, projects: list[str]) -> list[Rollout]:
    """Of these projects, every rollout that has not ended."""
    rows = connection.execute(
        select(rollouts)
        .where(rollouts.c.project.in_(projects), rollouts.c.ended_at.is_(None))
        .order_by(rollouts.c.project, rollouts.c.app)
    )
    return [_rollout(row) for row in rows]


def ended_counts(connection: Connection, project: str) -> dict[str, dict[str, int]]:
    """How many rollouts of each app ended in which way: all the ways, for every app that has had a rollout."""
    ends = and_(rollout_events.c.rollout == rollouts.c.id, rollout_events.c.kind.in_(ENDED))
    rows = connection.execute(
        select(rollouts.c.app, rollout_events.c.kind, func.count())
        .select_from(rollouts.outerjoin(rollout_events, ends))
        .where(rollouts.c.project == project)
        .group_by(rollouts.c.app, rollout_events.c.kind)
    )
    found: dict[str, dict[str, int]] = {}
    for app, kind, count in rows:
        ways = found.setdefault(app, dict.fromkeys(sorted(ENDED), 0))
        if kind is not None:  # one that has not ended has no such event
            ways[kind] = count
    return found


def latest(connection: Connection, project: str, app: str) -> Rollout | None:
    """The one that goes on, or else the last one."""
    found = listed(connection, project, app, limit=1)
    return found[0] if found else None


def listed(connection: Connection, project: str, app: str, *, limit: int) -> list[Rollout]:
    """The app's rollouts, newest first."""
    rows = connection.execute(
        select(rollouts)
        .where(rollouts.c.project == project, rollouts.c.app == app)
        .order_by(rollouts.c.created_at.desc(), rollouts.c.id.desc())
        .limit(limit)
    )
    return [_rollout(row) for row in rows]


def get(connection: Connection, project: str, app: str, rollout: str) -> Rollout:
    """Raises NotFound."""
    row = connection.execute(
        select(rollouts).where(rollouts.c.project == project, rollouts.c.app == app, rollouts.c.id == rollout)
    ).first()
    if row is None:
        raise NotFound(
            f"There is no rollout {rollout!r:.80} of {app!r:.80}.", remedy="`rondo rollout history` lists them."
        )
    return _rollout(row)


def events(connection: Connection, project: str, rollout: str) -> list[Event]:
    """Everything that was decided, oldest first."""
    rows = connection.execute(
        select(rollout_events)
        .where(rollout_events.c.project == project, rollout_events.c.rollout == rollout)
        .order_by(rollout_events.c.sequence)
    )
    return [msgspec.convert(_values(row), Event) for row in rows]


def _rollout(row: Row[Any]) -> Rollout:
    return msgspec.convert(_values(row), Rollout)


def _values(row: Row[Any]) -> dict[str, Any]:
    """By plain names: the driver's own kind of text is none that msgspec takes."""
    return {str(name): value for name, value in row._mapping.items()}
