"""Drafts: what a working tree would be as a release, so that it can be evaluated before there is one.

A draft has the hash that the release of the same content will have, so its evidence is the release's. It has no
number, takes no traffic, and changes nothing that is served: its models cannot be called by name, and the app's
settings stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct
from pydantic import ValidationError
from sqlalchemy import Connection, insert, select

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.catalog.schema_evals import drafts
from rondo.errors import InvalidRequest, NotFound
from rondo.governance import audit, projects
from rondo.providers.base import ModelSpec
from rondo.releases import bundle as bundles
from rondo.releases import manifest as manifests
from rondo.releases import store
from rondo.releases.freeze import Parts, about_app, put_together, save_parts
from rondo.releases.model import Bundle
from rondo.settings.project import FILE
from rondo.settings.table import nearest
from rondo.settings.tables import ProjectSettings


class Draft(Struct, frozen=True, kw_only=True):
    """A frozen working tree. `prices` are its models' own prices, which no manifest holds."""

    project: str
    app: str
    hash: str
    manifest: dict[str, Any]
    prices: dict[str, dict[str, Any]]
    created_by: str
    created_at: int


class Drafted(Struct, frozen=True, kw_only=True):
    """What a bundle became: `number` is that of the release with the same content, where there is one."""

    app: str
    hash: str
    number: int | None
    created: bool
    prompt: str
    route: list[str]


def draft(
    catalog: Catalog,
    knowledge_root: Path,
    project: str,
    bundle: Bundle,
    *,
    actor: str,
    prompt: str | None = None,
    route: Sequence[str] = (),
    check_model: Callable[[ModelSpec], object] | None = None,
) -> Drafted:
    """Freeze a bundle without a number; with another `prompt` file or another `route` in the place of its own.

    Raises as `freeze` does.
    """
    settings = varied(bundles.settings_of(bundle), prompt=prompt, route=route)
    parts = put_together(catalog, knowledge_root, project, bundle, settings, check_model=check_model)
    text, hash_ = manifests.text_and_hash(parts.manifest)
    app = settings.app.name
    with catalog.begin() as connection:
        projects.require(connection, project)
        _ensure_app(connection, project, settings)
        release = store.find_release(connection, project, app, hash_)
        save_parts(connection, project, parts)
        created = find(connection, project, app, hash_) is None
        if created:
            _insert(connection, project, parts, (text, hash_), actor)
    return Drafted(
        app=app,
        hash=hash_,
        number=None if release is None else release.number,
        created=created,
        prompt=parts.prompt.name,
        route=list(settings.app.route),
    )


def varied(settings: ProjectSettings, *, prompt: str | None = None, route: Sequence[str] = ()) -> ProjectSettings:
    """The settings with another prompt file or another route. Raises InvalidRequest."""
    unknown = [name for name in route if name not in settings.models]
    if unknown:
        raise InvalidRequest(
            f"There is no model called {unknown[0]!r:.100} in {FILE}.{nearest(unknown[0], list(settings.models))}",
            param="route",
        )
    changed: dict[str, Any] = {}
    if prompt is not None:
        changed["prompt"] = prompt
    if route:
        changed["route"] = list(route)
    if not changed:
        return settings
    values = settings.model_dump(mode="python")
    values["app"] |= changed
    try:
        return ProjectSettings.model_validate(values)
    except ValidationError as error:
        raise InvalidRequest(f"The project cannot be varied so: {error.errors()[0]['msg']}.", param="prompt") from None


def find(connection: Connection, project: str, app: str, hash_: str) -> Draft | None:
    """The app's draft with this hash. Raises CorruptData where its manifest is not what was frozen."""
    row = connection.execute(
        select(drafts).where(drafts.c.project == project, drafts.c.app == app, drafts.c.hash == hash_)
    ).first()
    return None if row is None else Draft(**{**row._mapping, "manifest": manifests.parse(row.manifest, row.hash)})


def get(connection: Connection, project: str, app: str, hash_: str) -> Draft:
    """Raises NotFound."""
    found = find(connection, project, app, hash_)
    if found is None:
        raise NotFound(
            f"There is no release and no draft {hash_:.12} of {app!r:.100}.",
            remedy="`rondo eval` makes a draft of the working tree.",
            param="target",
        )
    return found


def newest(connection: Connection, project: str, app: str) -> Draft | None:
    """The app's last draft; None where it has none."""
    here = drafts.c.project == project, drafts.c.app == app
    found = select(drafts.c.hash).where(*here).order_by(drafts.c.created_at.desc(), drafts.c.hash).limit(1)
    hash_ = connection.execute(found).scalar()
    return None if hash_ is None else find(connection, project, app, hash_)


def hashes_like(connection: Connection, project: str, app: str, start: str) -> list[str]:
    """Hashes of drafts that begin so; two at most."""
    here = drafts.c.project == project, drafts.c.app == app, drafts.c.hash.startswith(start, autoescape=True)
    return list(connection.execute(select(drafts.c.hash).where(*here).order_by(drafts.c.hash).limit(2)).scalars())


def _ensure_app(connection: Connection, project: str, settings: ProjectSettings) -> None:
    """A draft may be the first that is heard of an app; the settings of one that is there stay."""
    app = settings.app.name
    if all(row.name != app for row in store.list_apps(connection, project)):
        store.save_app(connection, project, app, about_app(settings), clock.now_us())


def _insert(connection: Connection, project: str, parts: Parts, frozen: tuple[str, str], actor: str) -> None:
    text, hash_ = frozen
    models = parts.settings.models
    prices = {name: model.price.model_dump(mode="json") for name, model in models.items() if model.price is not None}
    app = parts.settings.app.name
    connection.execute(
        insert(drafts).values(
            project=project,
            app=app,
            hash=hash_,
            manifest=text,
            prices=prices,
            created_by=actor,
            created_at=clock.now_us(),
        )
    )
    audit.record(connection, project, actor, "draft.create", f"draft:{app}@{hash_[:12]}", {"hash": hash_})
