"""The statements of releases: apps, models, releases, traffic. The project is in every one."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, func, insert, select, update

from rondo.catalog.schema import apps, models, releases, traffic
from rondo.errors import NotFound
from rondo.releases import manifest as manifests
from rondo.releases.model import AppRow, ModelRow, Release, TrafficChange
from rondo.releases.state import Arm, Shadow, Traffic, Trial
from rondo.settings.table import nearest


def list_apps(connection: Connection, project: str) -> list[AppRow]:
    """By name."""
    rows = connection.execute(select(apps).where(apps.c.project == project).order_by(apps.c.name))
    return [AppRow(**row._mapping) for row in rows]


def get_app(connection: Connection, project: str, app: str) -> AppRow:
    """Raises NotFound."""
    found = _app(connection, project, app)
    if found is None:
        names = [each.name for each in list_apps(connection, project)]
        raise NotFound(
            f"There is no app called {app!r:.100}.{nearest(app, names)}",
            remedy="`rondo release` makes one.",
            param="app",
        )
    return found


def save_app(connection: Connection, project: str, app: str, settings: dict[str, Any], at: int) -> bool:
    """Make the app, or give it new settings; whether that changed anything."""
    before = _app(connection, project, app)
    if before is None:
        connection.execute(insert(apps).values(project=project, name=app, settings=settings, created_at=at))
        return True
    if before.settings == settings:
        return False
    connection.execute(update(apps).where(apps.c.project == project, apps.c.name == app).values(settings=settings))
    return True


def list_models(connection: Connection, project: str) -> list[ModelRow]:
    """By name."""
    rows = connection.execute(select(models).where(models.c.project == project).order_by(models.c.name))
    return [ModelRow(**row._mapping) for row in rows]


def save_model(connection: Connection, project: str, name: str, definition: dict[str, Any], at: int) -> bool:
    """Make the model, or define it anew; whether that changed anything."""
    here = (models.c.project == project, models.c.name == name)
    before = connection.execute(select(models.c.definition).where(*here)).first()
    if before is None:
        connection.execute(insert(models).values(project=project, name=name, definition=definition, updated_at=at))
        return True
    if before.definition == definition:
        return False
    connection.execute(update(models).where(*here).values(definition=definition, updated_at=at))
    return True


def next_number(connection: Connection, project: str, app: str) -> int:
    """The number of the app's next release; they begin at 1."""
    newest = select(func.max(releases.c.number)).where(releases.c.project == project, releases.c.app == app)
    return (connection.execute(newest).scalar() or 0) + 1


def insert_release(connection: Connection, release: Release, manifest_text: str) -> None:
    connection.execute(
        insert(releases).values(
            project=release.project,
            app=release.app,
            number=release.number,
            hash=release.hash,
            manifest=manifest_text,
            message=release.message,
            created_by=release.created_by,
            created_at=release.created_at,
            terms=release.terms,
        )
    )


def find_release(connection: Connection, project: str, app: str, hash_: str) -> Release | None:
    """The app's release with this hash, whole."""
    row = connection.execute(
        select(releases).where(releases.c.project == project, releases.c.app == app, releases.c.hash == hash_)
    ).first()
    return None if row is None else _release(row)


def hashes_like(connection: Connection, project: str, app: str, start: str) -> list[str]:
    """Hashes of releases that begin so; two at most."""
    here = releases.c.project == project, releases.c.app == app, releases.c.hash.startswith(start, autoescape=True)
    return list(connection.execute(select(releases.c.hash).where(*here).order_by(releases.c.hash).limit(2)).scalars())


def get_release(connection: Connection, project: str, app: str, number: int) -> Release:
    """Raises NotFound; CorruptData where its manifest is not what was released."""
    row = None
    if 0 < number < 2**31:
        row = connection.execute(
            select(releases).where(releases.c.project == project, releases.c.app == app, releases.c.number == number)
        ).first()
    if row is None:
        get_app(connection, project, app)
        newest = next_number(connection, project, app) - 1
        raise NotFound(
            f"There is no release {number} of {app!r}; "
            + (f"the newest is {newest}." if newest else "it has none yet."),
            remedy=f"`rondo releases list {app}` shows them." if newest else "`rondo release` makes the first one.",
            param="release",
        )
    return _release(row)


def list_releases(
    connection: Connection, project: str, app: str, *, limit: int = 100, before: int | None = None
) -> list[Release]:
    """Newest first; `before` is a release number. Raises CorruptData as `get_release` does."""
    statement = select(releases).where(releases.c.project == project, releases.c.app == app)
    if before is not None:
        statement = statement.where(releases.c.number < before)
    rows = connection.execute(statement.order_by(releases.c.number.desc()).limit(limit))
    return [_release(row) for row in rows]


def get_model(connection: Connection, project: str, name: str) -> ModelRow | None:
    """The project's model of this name, if there is one."""
    row = connection.execute(select(models).where(models.c.project == project, models.c.name == name)).first()
    return None if row is None else ModelRow(**row._mapping)


def traffic_history(connection: Connection, project: str, app: str) -> list[TrafficChange]:
    """Every change of the app's traffic, oldest first, each with the state it led to."""
    rows = connection.execute(_traffic_of(project, app).order_by(traffic.c.sequence))
    return [_change(row) for row in rows]


def current_traffic(connection: Connection, project: str, app: str) -> TrafficChange | None:
    """What holds now; None before the first release."""
    row = connection.execute(_traffic_of(project, app).order_by(traffic.c.sequence.desc()).limit(1)).first()
    return None if row is None else _change(row)


def insert_traffic(connection: Connection, change: TrafficChange) -> None:
    now = change.traffic
    connection.execute(
        insert(traffic).values(
            project=change.project,
            app=change.app,
            sequence=change.sequence,
            at=change.at,
            actor=change.actor,
            action=change.action,
            reason=change.reason,
            stable=now.stable,
            arms=[{"release": arm.release, "share_bp": arm.share_bp, "slots": arm.slots} for arm in now.arms],
            salt=now.salt,
            history=now.history,
            served=sorted(now.served),
            shadows=[msgspec.to_builtins(shadow) for shadow in now.shadows],
            trial=None if now.trial is None else msgspec.to_builtins(now.trial),
        )
    )


def _traffic_of(project: str, app: str) -> Select[Any]:
    return select(traffic).where(traffic.c.project == project, traffic.c.app == app)


def _change(row: Row[Any]) -> TrafficChange:
    arms = tuple(
        Arm(arm["release"], arm["share_bp"], tuple((start, end) for start, end in arm["slots"])) for arm in row.arms
    )
    return TrafficChange(
        project=row.project,
        app=row.app,
        sequence=row.sequence,
        at=row.at,
        actor=row.actor,
        action=row.action,
        reason=row.reason,
        traffic=Traffic(
            stable=row.stable,
            arms=arms,
            salt=row.salt,
            history=tuple(row.history),
            served=frozenset(row.served),
            shadows=msgspec.convert(tuple(row.shadows), tuple[Shadow, ...]),
            trial=msgspec.convert(row.trial, Trial | None),
        ),
    )


def _app(connection: Connection, project: str, app: str) -> AppRow | None:
    row = connection.execute(select(apps).where(apps.c.project == project, apps.c.name == app)).first()
    return None if row is None else AppRow(**row._mapping)


def _release(row: Row[Any]) -> Release:
    return Release(**{**row._mapping, "manifest": manifests.parse(row.manifest, row.hash)})
