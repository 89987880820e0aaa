"""The verbs of keys: create, list, revoke; and the first admin key.

A secret exists in full only in what `create` returns. A revoked key stays in the list, and its secret never becomes
valid again. Every change bumps the revision, so gateways drop a revoked key with their next plan.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection

from rondo import clock, ids
from rondo.catalog import revision
from rondo.catalog.engine import Catalog
from rondo.catalog.text import check_name, check_text
from rondo.errors import Conflict, InvalidRequest, NotFound, SettingsError
from rondo.governance import audit, projects, store
from rondo.governance.admit import digest
from rondo.governance.model import DEFAULT_PROJECT, KINDS, CreatedKey, Grant, Key, KeyKind, Role

_PREFIX: dict[str, str] = {"secret": "rondo_sk_", "feedback": "rondo_pk_"}
_WANTED_SECRET = re.compile(r"[\x21-\x7e]{16,512}")


def ensure_admin(
    catalog: Catalog, wanted: str | None = None, *, keep: Callable[[str], None] | None = None
) -> str | None:
    """On the very first start, create the project "default" and its admin key, and give the key's secret.

    The secret is `wanted` where given. `keep` puts it away before the key exists for good: a key that nobody knows
    would lock everyone out. Later starts, by any process, change nothing and give None. Raises SettingsError where
    `wanted` is no good as a secret.
    """
    with catalog.read() as connection:
        if _has_admin(connection):
            return None
    if wanted is not None and _WANTED_SECRET.fullmatch(wanted) is None:
        raise SettingsError(
            "a key has 16 to 512 ASCII characters without spaces.",
            file="RONDO_ADMIN_KEY",
            remedy="Use a long random one, or unset it to have one made.",
        )
    with catalog.begin() as connection:
        if _has_admin(connection):
            return None
        if not store.project_exists(connection, DEFAULT_PROJECT):
            projects.add(connection, DEFAULT_PROJECT, actor="setup")
        secret = wanted or ids.new_secret(_PREFIX["secret"])
        _insert(
            connection, DEFAULT_PROJECT, "admin", kind="secret", role=Role.ADMIN, apps=(), actor="setup", secret=secret
        )
        if keep is not None:
            keep(secret)
        return secret


def create(
    catalog: Catalog,
    project: str,
    name: str,
    *,
    kind: KeyKind = "secret",
    role: Role | str | None = None,
    apps: tuple[str, ...] | list[str] = (),
    actor: str,
) -> CreatedKey:
    """A new key. Raises InvalidRequest, which names the field, and NotFound where there is no such project."""
    check_text(name, param="name", longest=100, required=True)
    checked = _check_role(kind, role, apps)
    for app in apps:
        check_name(app, param="apps")
    with catalog.begin() as connection:
        projects.require(connection, project)
        secret = ids.new_secret(_PREFIX[kind])
        return _insert(
            connection,
            project,
            name,
            kind=kind,
            role=checked,
            apps=tuple(sorted(set(apps))),
            actor=actor,
            secret=secret,
        )


def list_keys(connection: Connection, project: str) -> list[Key]:
    """All keys of the project, oldest first, revoked ones included."""
    return store.list_keys(connection, project)


def revoke(catalog: Catalog, project: str, key_id: str, *, actor: str) -> Key:
    """End a key for good; revoking it again changes nothing.

    Raises NotFound, and Conflict for the last admin key, without which nobody could make another.
    """
    with catalog.begin() as connection:
        key = store.get_key(connection, project, key_id)
        if key is None:
            raise NotFound(
                f"There is no key {key_id!r:.100} in {project!r}.", remedy="`rondo keys list` shows them.", param="id"
            )
        if key.revoked_at is not None:
            return key
        admins = [each.id for each in store.list_keys(connection, project) if _is_live_admin(each)]
        if admins == [key.id]:
            raise Conflict(
                f"{key.name!r} is the last admin key of {project!r}.",
                remedy="Create another first: `rondo keys create NAME --role admin`.",
            )
        store.revoke_key(connection, project, key_id, clock.now_us())
        audit.record(connection, project, actor, "key.revoke", f"key:{key_id}", {"name": key.name})
        revision.bump(connection)
        revoked = store.get_key(connection, project, key_id)
        assert revoked is not None
        return revoked


def grants(connection: Connection) -> dict[str, Grant]:
    """What every live key of every project grants, by the SHA-256 (hex) of its secret: the gateway's view of keys."""
    return {
        hash_: Grant(project=key.project, key_id=key.id, name=key.name, kind=key.kind, role=key.role, apps=key.apps)
        for hash_, key in store.live_keys(connection)
    }


def _insert(
    connection: Connection,
    project: str,
    name: str,
    *,
    kind: KeyKind,
    role: Role | None,
    apps: tuple[str, ...],
    actor: str,
    secret: str,
) -> CreatedKey:
    key = Key(
        id=f"key_{secrets.token_hex(8)}",
        project=project,
        name=name,
        kind=kind,
        role=role,
        apps=apps,
        hint=secret[-4:],
        created_at=clock.now_us(),
        created_by=actor,
    )
    if store.hash_is_known(connection, digest(secret)):
        raise Conflict("This secret has been a key before.", remedy="Use a new one.")
    store.insert_key(connection, key, digest(secret))
    details: dict[str, Any] = {"name": name, "kind": kind, "role": role.value if role else None, "apps": list(apps)}
    audit.record(connection, project, actor, "key.create", f"key:{key.id}", details)
    revision.bump(connection)
    return CreatedKey(key, secret)


def _check_role(kind: str, role: Role | str | None, apps: tuple[str, ...] | list[str]) -> Role | None:
    if kind not in KINDS:
        raise InvalidRequest(
            f"There is no kind of key called {kind!r:.50}.", remedy=f"Use one of: {', '.join(KINDS)}.", param="kind"
        )
    if role is None:
        return None
    if role not in list(Role):
        raise InvalidRequest(
            f"There is no role called {role!r:.50}.", remedy=f"Use one of: {', '.join(Role)}.", param="role"
        )
    if kind == "feedback":
        raise InvalidRequest(
            "A feedback key has no role: it is meant to be seen in browsers.", remedy="Leave `role` out.", param="role"
        )
    if apps:
        raise InvalidRequest(
            "A key with a role sees its whole project and cannot be limited to apps.",
            remedy="Leave `apps` out, or make two keys.",
            param="apps",
        )
    return Role(role)


def _is_live_admin(key: Key) -> bool:
    return key.role is Role.ADMIN and key.revoked_at is None


def _has_admin(connection: Connection) -> bool:
    """Revoked ones count: the last live one cannot be revoked, so there always is one after the first start."""
    return any(key.role is Role.ADMIN for key in store.list_keys(connection, DEFAULT_PROJECT))
