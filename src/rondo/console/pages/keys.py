"""Keys: who may do what. A new key's secret is shown once, on the page that answers the form, and never again."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from rondo.console.visit import Page, Visit, go
from rondo.control import Connection
from rondo.errors import Conflict, InvalidRequest, NotFound, RondoError
from rondo.gateway.wire import status_of
from rondo.governance import keys
from rondo.governance.model import CreatedKey, Key, Role
from rondo.releases import store as releases


async def list_keys(visit: Visit) -> Response:
    return await _page(visit)


async def create(visit: Visit) -> Response:
    sent = await visit.form()
    kind: Any = sent.get("kind", "secret")
    apps = [name.removeprefix("app.") for name in sent if name.startswith("app.")]
    try:
        created = await visit.control.change(
            lambda: keys.create(
                visit.control.catalog,
                visit.project,
                sent.get("name", "").strip(),
                kind=kind,
                role=sent.get("role") or None,
                apps=apps,
                actor=visit.actor,
            )
        )
    except (InvalidRequest, Conflict) as error:
        return await _page(visit, sent=sent, error=error)
    return await _page(visit, created=created)


async def revoke_form(visit: Visit) -> Response:
    return visit.page("key_revoke.html", key=await _key(visit))


async def revoke(visit: Visit) -> Response:
    key_id = visit.path("id")
    try:
        await visit.control.change(lambda: keys.revoke(visit.control.catalog, visit.project, key_id, actor=visit.actor))
    except Conflict as error:
        return await _page(visit, error=error)
    return go("/keys", did="revoked")


async def _key(visit: Visit) -> Key:
    wanted = visit.path("id")
    for key in await visit.control.read(lambda connection: keys.list_keys(connection, visit.project)):
        if key.id == wanted:
            return key
    raise NotFound(f"There is no key {wanted!r:.100}.", remedy="The list shows them.", param="id")


async def _page(
    visit: Visit,
    *,
    created: CreatedKey | None = None,
    sent: dict[str, str] | None = None,
    error: RondoError | None = None,
) -> Response:
    def read(connection: Connection) -> tuple[list[Key], list[str]]:
        apps = [app.name for app in releases.list_apps(connection, visit.project)]
        return keys.list_keys(connection, visit.project), apps

    found, apps = await visit.control.read(read)
    return visit.page(
        "keys.html",
        status=status_of(error) if error else 200,
        live=[key for key in found if key.revoked_at is None],
        revoked=[key for key in found if key.revoked_at is not None],
        roles=list(Role),
        apps=apps,
        created=created,
        sent=sent or {},
        error=error,
    )


PAGES = [
    Page("GET", "/keys", Role.ADMIN, list_keys),
    Page("POST", "/keys", Role.ADMIN, create),
    Page("GET", "/keys/{id}/revoke", Role.ADMIN, revoke_form),
    Page("POST", "/keys/{id}/revoke", Role.ADMIN, revoke),
]
