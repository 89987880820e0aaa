"""Releases: made from a zip of a project folder, listed, shown, compared."""

from __future__ import annotations

from typing import Any

from rondo.api.door import Asked, Door
from rondo.control import Connection
from rondo.errors import InvalidRequest
from rondo.governance.model import Role
from rondo.monitoring.overview import shares
from rondo.releases import bundle, freeze, store
from rondo.releases.compare import changes_between
from rondo.releases.model import Frozen, Release
from rondo.releases.state import NOTHING, standing


async def create(asked: Asked) -> Frozen:
    """Freeze a project folder, sent as a zip, into a release; the same content gives the same release again."""
    control = asked.control
    archive = await bundle_body(asked)
    message = asked.query("message") or ""
    return await control.change(
        lambda: freeze.freeze(
            control.catalog,
            control.knowledge_root,
            asked.project,
            bundle.from_zip(archive),
            actor=asked.actor,
            message=message,
            check_model=control.check_model,
        )
    )


async def list_releases(asked: Asked) -> dict[str, Any]:
    """Releases of an app, newest first, with their state and share; `before` is a release number."""
    app = asked.path("app")
    limit = asked.query_number("limit", 100, most=1_000)
    before = asked.query_number("before", 2**31 - 1, most=2**31 - 1)

    def read(connection: Connection) -> list[dict[str, Any]]:
        store.get_app(connection, asked.project, app)
        change = store.current_traffic(connection, asked.project, app)
        traffic = change.traffic if change else NOTHING
        now = shares(traffic)
        return [
            {**_summary(each), "state": standing(traffic, each.number), "share": now.get(each.number, 0)}
            for each in store.list_releases(connection, asked.project, app, limit=limit, before=before)
        ]

    return {"releases": await asked.control.read(read)}


async def show(asked: Asked) -> Release:
    """One release with its whole manifest."""
    app, number = asked.path("app"), asked.number("number")
    return await asked.control.read(lambda connection: store.get_release(connection, asked.project, app, number))


async def compare(asked: Asked) -> dict[str, Any]:
    """What differs between two releases, field by field, and the prompt's text line by line."""
    app = asked.path("app")
    before, after = asked.query_number("from", 0, most=2**31 - 1), asked.query_number("to", 0, most=2**31 - 1)
    if not before or not after:
        raise InvalidRequest("A diff needs two releases.", remedy="Send `from` and `to`.", param="from")

    changes = await asked.control.read(
        lambda connection: changes_between(connection, asked.project, app, before, after)
    )
    return {"from": before, "to": after, "changes": changes}


async def bundle_body(asked: Asked) -> bytes:
    """The request's body, a zip. Raises TooLarge."""
    return await asked.body_of_at_most(bundle.MAX_BYTES)


def _summary(release: Release) -> dict[str, Any]:
    return {
        "app": release.app,
        "number": release.number,
        "hash": release.hash,
        "message": release.message,
        "created_by": release.created_by,
        "created_at": release.created_at,
    }


DOORS = [
    Door("POST", "/api/releases", Role.DEVELOPER, create),
    Door("GET", "/api/apps/{app}/releases", Role.VIEWER, list_releases),
    Door("GET", "/api/apps/{app}/releases/{number}", Role.VIEWER, show),
    Door("GET", "/api/apps/{app}/diff", Role.VIEWER, compare),
]
