"""The statements of alerts, silences and notices. The project is in every one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from rondo.catalog.schema_alerts import alert_events, alert_notices, alert_silences, alerts
from rondo.errors import Conflict, NotFound
from rondo.monitoring.alerts.model import Alert, AlertEvent, Notice, Silence

T = TypeVar("T")


def open_alerts(connection: Connection, project: str) -> list[Alert]:
    """Pending and firing ones, the oldest first."""
    rows = connection.execute(
        select(alerts)
        .where(alerts.c.project == project, alerts.c.ended_at.is_(None))
        .order_by(alerts.c.began_at, alerts.c.id)
    )
    return [_read(row, Alert) for row in rows]


def ended_alerts(connection: Connection, project: str, *, app: str | None, limit: int) -> list[Alert]:
    """The newest first."""
    wanted = select(alerts).where(alerts.c.project == project, alerts.c.ended_at.is_not(None))
    if app is not None:
        wanted = wanted.where(alerts.c.app == app)
    rows = connection.execute(wanted.order_by(alerts.c.ended_at.desc(), alerts.c.id).limit(limit))
    return [_read(row, Alert) for row in rows]


def get(connection: Connection, project: str, alert: str) -> Alert:
    """Raises NotFound."""
    row = connection.execute(select(alerts).where(alerts.c.project == project, alerts.c.id == alert)).first()
    if row is None:
        raise NotFound(f"There is no alert {alert!r:.80}.", remedy="`rondo alerts list --all` shows them.")
    return _read(row, Alert)


def ended_since(connection: Connection, project: str, fingerprint: str, since: int) -> int:
    """How often the same was resolved since then."""
    found = connection.execute(
        select(func.count())
        .select_from(alerts)
        .where(alerts.c.project == project, alerts.c.fingerprint == fingerprint, alerts.c.ended_at >= since)
    ).scalar()
    return int(found or 0)


def insert_alert(connection: Connection, alert: Alert) -> None:
    connection.execute(insert(alerts).values(**msgspec.to_builtins(alert)))


def save_alert(connection: Connection, before: Alert, after: Alert) -> None:
    """Write what became of it. Raises Conflict where somebody else did meanwhile."""
    values = msgspec.to_builtins(after)
    for name in ("id", "project", "app", "rule", "on", "fingerprint", "began_at"):
        del values[name]
    written = connection.execute(update(alerts).where(*_still(before)).values(**values))
    if written.rowcount != 1:
        raise Conflict(f"The alert {before.id} was changed meanwhile.", remedy="Look at it again.")


def drop_alert(connection: Connection, alert: Alert) -> None:
    """One that never fired leaves nothing behind."""
    connection.execute(
        delete(alert_events).where(alert_events.c.project == alert.project, alert_events.c.alert == alert.id)
    )
    connection.execute(delete(alerts).where(*_still(alert)))


def insert_event(connection: Connection, project: str, event: AlertEvent) -> None:
    connection.execute(insert(alert_events).values(project=project, **msgspec.to_builtins(event)))


def events(connection: Connection, project: str, alert: str) -> list[AlertEvent]:
    """What became of it, oldest first."""
    rows = connection.execute(
        select(alert_events)
        .where(alert_events.c.project == project, alert_events.c.alert == alert)
        .order_by(alert_events.c.sequence)
    )
    return [_read(row, AlertEvent) for row in rows]


def silences(connection: Connection, project: str, now: int) -> list[Silence]:
    """Those that are not over, the one that ends first first."""
    rows = connection.execute(
        select(alert_silences)
        .where(alert_silences.c.project == project, alert_silences.c.until > now)
        .order_by(alert_silences.c.until, alert_silences.c.id)
    )
    return [_read(row, Silence) for row in rows]


def insert_silence(connection: Connection, project: str, silence: Silence) -> None:
    connection.execute(insert(alert_silences).values(project=project, **msgspec.to_builtins(silence)))


def end_silence(connection: Connection, project: str, silence: str, now: int) -> None:
    """Raises NotFound where there is none that is not over."""
    written = connection.execute(
        update(alert_silences)
        .where(alert_silences.c.project == project, alert_silences.c.id == silence, alert_silences.c.until > now)
        .values(until=now)
    )
    if not written.rowcount:
        raise NotFound(f"There is no silence {silence!r:.80}.", remedy="`rondo alerts silences` shows them.")


def insert_notice(connection: Connection, notice: Notice) -> None:
    """At the end of its project's line, whatever `order` it was made with. One writer at a time has the catalog."""
    last = connection.execute(
        select(func.max(alert_notices.c.order)).where(alert_notices.c.project == notice.project)
    ).scalar()
    values = {**msgspec.to_builtins(notice), "order": (last or 0) + 1}
    connection.execute(insert(alert_notices).values(**values))


def heads(connection: Connection, projects: Iterable[str]) -> list[Notice]:
    """Of each channel that has notices to send, the first: the others wait for it."""
    first = (
        select(func.min(alert_notices.c.order).label("order"), alert_notices.c.project)
        .where(alert_notices.c.project.in_(list(projects)), alert_notices.c.status == "waiting")
        .group_by(alert_notices.c.project, alert_notices.c.app, alert_notices.c.channel)
        .subquery()
    )
    rows = connection.execute(
        select(alert_notices)
        .join(first, (alert_notices.c.order == first.c.order) & (alert_notices.c.project == first.c.project))
        .order_by(alert_notices.c.due_at)
    )
    return [_read(row, Notice) for row in rows]


def take_notice(connection: Connection, notice: Notice, until: int) -> bool:
    """Have it for oneself until then; False where another server was first. Whoever dies meanwhile lets go of it."""
    written = connection.execute(
        update(alert_notices)
        .where(
            alert_notices.c.project == notice.project,
            alert_notices.c.id == notice.id,
            alert_notices.c.status == "waiting",
            alert_notices.c.attempts == notice.attempts,
        )
        .values(attempts=notice.attempts + 1, due_at=until)
    )
    return written.rowcount == 1


def save_notice(connection: Connection, notice: Notice) -> None:
    """How the try went, unless another server has tried since."""
    connection.execute(
        update(alert_notices)
        .where(
            alert_notices.c.project == notice.project,
            alert_notices.c.id == notice.id,
            alert_notices.c.attempts == notice.attempts,
        )
        .values(status=notice.status, error=notice.error, due_at=notice.due_at, ended_at=notice.ended_at)
    )


def notices_of(connection: Connection, project: str, alert: str) -> list[Notice]:
    """Who was told of an alert, in order."""
    rows = connection.execute(
        select(alert_notices)
        .where(alert_notices.c.project == project, alert_notices.c.alert == alert)
        .order_by(alert_notices.c.order)
    )
    return [_read(row, Notice) for row in rows]


def channels_told(connection: Connection, project: str, alert: str) -> list[str]:
    """Those that have a notice of an alert, by name."""
    found = connection.execute(
        select(alert_notices.c.channel)
        .where(alert_notices.c.project == project, alert_notices.c.alert == alert)
        .distinct()
        .order_by(alert_notices.c.channel)
    )
    return list(found.scalars())


def undelivered(connection: Connection, project: str, since: int) -> list[Notice]:
    """Those that were given up since then, or sent and not to all, and those that were tried and wait; in order."""
    rows = connection.execute(
        select(alert_notices)
        .where(
            alert_notices.c.project == project,
            alert_notices.c.error.is_not(None),
            (alert_notices.c.status == "waiting") | (alert_notices.c.ended_at >= since),
        )
        .order_by(alert_notices.c.order)
    )
    return [_read(row, Notice) for row in rows]


def forget(connection: Connection, project: str, app: str, before: int) -> None:
    """The alerts of an app that were over before then, with all that became of them; notices that were sent before then
    go also where their alert goes on."""
    over = select(alerts.c.id).where(alerts.c.project == project, alerts.c.app == app, alerts.c.ended_at < before)
    connection.execute(
        delete(alert_notices).where(
            alert_notices.c.project == project,
            alert_notices.c.app == app,
            (alert_notices.c.ended_at < before) | alert_notices.c.alert.in_(over),
        )
    )
    connection.execute(delete(alert_events).where(alert_events.c.project == project, alert_events.c.alert.in_(over)))
    connection.execute(delete(alerts).where(alerts.c.project == project, alerts.c.id.in_(over)))


def forget_silences(connection: Connection, project: str, before: int) -> None:
    """Those that ended before then; the audit log still has them."""
    connection.execute(
        delete(alert_silences).where(alert_silences.c.project == project, alert_silences.c.until < before)
    )


def _still(alert: Alert) -> tuple[Any, ...]:
    """The alert as it was read, and open."""
    return (
        alerts.c.project == alert.project,
        alerts.c.id == alert.id,
        alerts.c.sequence == alert.sequence,
        alerts.c.ended_at.is_(None),
    )


def _read(row: Row[Any], shape: type[T]) -> T:
    """By plain names: the driver's own kind of text is none that msgspec takes. The project is not in every shape."""
    return msgspec.convert({str(name): value for name, value in row._mapping.items()}, shape)
