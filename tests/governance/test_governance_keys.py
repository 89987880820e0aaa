"""Keys: created once, shown once, revoked for good; the first admin; what a grant allows."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import select

from rondo.catalog.engine import Catalog, open_catalog
from rondo.catalog.revision import current
from rondo.catalog.schema import keys as keys_table
from rondo.errors import Conflict, Forbidden, InvalidRequest, NotFound, SettingsError
from rondo.governance import audit, keys, projects
from rondo.governance.admit import digest, may_call, require
from rondo.governance.model import Grant, Key, Role


def all_keys(catalog: Catalog, project: str = "default") -> list[Key]:
    with catalog.read() as connection:
        return keys.list_keys(connection, project)


def all_grants(catalog: Catalog) -> dict[str, Grant]:
    with catalog.read() as connection:
        return keys.grants(connection)


def revision_of(catalog: Catalog) -> int:
    with catalog.read() as connection:
        return current(connection)


def test_first_start_makes_one_admin_key(catalog: Catalog) -> None:
    secret = keys.ensure_admin(catalog)
    assert secret is not None
    assert secret.startswith("rondo_sk_")
    (key,) = all_keys(catalog)
    assert (key.role, key.kind, key.apps, key.hint) == (Role.ADMIN, "secret", (), secret[-4:])
    assert all_grants(catalog) == {digest(secret): Grant("default", key.id, "admin", "secret", Role.ADMIN, ())}
    assert keys.ensure_admin(catalog) is None
    assert keys.ensure_admin(catalog, "another-wanted-secret") is None
    assert all_keys(catalog) == [key]


def test_first_start_takes_the_wanted_secret(catalog: Catalog) -> None:
    assert keys.ensure_admin(catalog, "my-very-own-admin-key") == "my-very-own-admin-key"
    assert list(all_grants(catalog)) == [digest("my-very-own-admin-key")]


@pytest.mark.parametrize("wanted", ["", "short", "with a space in it and more", "ünïcödé-ünïcödé-ünïcödé", "x" * 513])
def test_a_weak_wanted_secret_is_refused(catalog: Catalog, wanted: str) -> None:
    with pytest.raises(SettingsError, match="RONDO_ADMIN_KEY"):
        keys.ensure_admin(catalog, wanted)
    assert all_keys(catalog) == []


def test_an_admin_key_that_cannot_be_put_away_does_not_exist(catalog: Catalog) -> None:
    def full(secret: str) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        keys.ensure_admin(catalog, keep=full)
    assert all_keys(catalog) == []
    kept: list[str] = []
    assert [keys.ensure_admin(catalog, keep=kept.append)] == kept
    assert keys.ensure_admin(catalog, keep=kept.append) is None
    assert list(all_grants(catalog)) == [digest(kept[0])]


def test_processes_that_start_at_once_make_one_admin_key(catalog_url: str) -> None:
    catalogs = [open_catalog(catalog_url) for _ in range(4)]
    start = threading.Barrier(4)

    def first(catalog: Catalog) -> str | None:
        start.wait()
        return keys.ensure_admin(catalog)

    with ThreadPoolExecutor(4) as pool:
        secrets = list(pool.map(first, catalogs))
    assert len([secret for secret in secrets if secret]) == 1
    assert len(all_keys(catalogs[0])) == 1
    for catalog in catalogs:
        catalog.close()


def test_a_secret_is_nowhere_in_the_database(catalog: Catalog) -> None:
    keys.ensure_admin(catalog)
    created = keys.create(catalog, "default", "ci", actor="tests")
    with catalog.read() as connection:
        rows = str(connection.execute(select(keys_table)).all())
        log = str(audit.entries(connection, "default"))
    assert created.secret not in rows + log
    assert digest(created.secret) in rows
    assert digest(created.secret) not in log


def test_create_and_revoke(catalog: Catalog) -> None:
    keys.ensure_admin(catalog)
    before = revision_of(catalog)
    created = keys.create(catalog, "default", "shop", apps=["b", "a", "b"], actor="key:1")
    assert created.key.apps == ("a", "b")
    assert created.key.role is None
    assert all_keys(catalog)[1] == created.key
    assert digest(created.secret) in all_grants(catalog)
    revoked = keys.revoke(catalog, "default", created.key.id, actor="key:1")
    assert revoked.revoked_at is not None
    assert digest(created.secret) not in all_grants(catalog)
    assert revision_of(catalog) == before + 2
    assert keys.revoke(catalog, "default", created.key.id, actor="key:1") == revoked
    assert revision_of(catalog) == before + 2
    with catalog.read() as connection:
        actions = [entry.action for entry in audit.entries(connection, "default")]
        assert actions == ["key.revoke", "key.create", "key.create", "project.create"]
        audit.verify(connection, "default")


def test_feedback_keys_look_different_and_have_no_role(catalog: Catalog) -> None:
    keys.ensure_admin(catalog)
    created = keys.create(catalog, "default", "widget", kind="feedback", actor="tests")
    assert created.secret.startswith("rondo_pk_")
    assert all_grants(catalog)[digest(created.secret)].kind == "feedback"


@pytest.mark.parametrize(
    ("param", "given"),
    [
        ("name", {"name": ""}),
        ("name", {"name": "x" * 101}),
        ("name", {"name": "a\x00b"}),
        ("kind", {"kind": "magic"}),
        ("role", {"role": "root"}),
        ("role", {"role": "admin", "kind": "feedback"}),
        ("apps", {"apps": ["Not A Name"]}),
        ("apps", {"apps": ["a"], "role": "viewer"}),
    ],
)
def test_bad_keys_are_refused_with_their_field(catalog: Catalog, param: str, given: dict[str, Any]) -> None:
    keys.ensure_admin(catalog)
    with pytest.raises(InvalidRequest) as caught:
        keys.create(**{"catalog": catalog, "project": "default", "name": "n", "actor": "tests", **given})
    assert caught.value.param == param
    assert caught.value.remedy
    assert len(all_keys(catalog)) == 1


def test_keys_stay_in_their_project(catalog: Catalog) -> None:
    keys.ensure_admin(catalog)
    projects.create(catalog, "other", actor="tests")
    created = keys.create(catalog, "other", "n", role="admin", actor="tests")
    with pytest.raises(NotFound):
        keys.revoke(catalog, "default", created.key.id, actor="tests")
    assert all_keys(catalog, "other") == [created.key]
    assert created.key not in all_keys(catalog)
    assert all_grants(catalog)[digest(created.secret)].project == "other"
    with pytest.raises(NotFound, match="no project"):
        keys.create(catalog, "ghost", "n", actor="tests")
    with pytest.raises(Conflict, match="already"):
        projects.create(catalog, "other", actor="tests")
    with catalog.read() as connection:
        assert projects.names(connection) == ["default", "other"]


def test_unknown_keys_are_not_found(catalog: Catalog) -> None:
    keys.ensure_admin(catalog)
    with pytest.raises(NotFound) as caught:
        keys.revoke(catalog, "default", "key_ghost", actor="tests")
    assert caught.value.param == "id"


def test_the_last_admin_key_stays_and_a_revoked_one_does_not_come_back(catalog: Catalog) -> None:
    keys.ensure_admin(catalog, "the-first-admin-key")
    (first,) = all_keys(catalog)
    with pytest.raises(Conflict, match="last admin key"):
        keys.revoke(catalog, "default", first.id, actor="tests")
    second = keys.create(catalog, "default", "admin 2", role=Role.ADMIN, actor="tests")
    keys.revoke(catalog, "default", first.id, actor="tests")
    with pytest.raises(Conflict, match="last admin key"):
        keys.revoke(catalog, "default", second.key.id, actor="tests")
    assert keys.ensure_admin(catalog, "the-first-admin-key") is None
    assert list(all_grants(catalog)) == [digest(second.secret)]


def test_two_admins_who_revoke_each_other_at_once_leave_one(catalog: Catalog) -> None:
    keys.ensure_admin(catalog)
    keys.create(catalog, "default", "admin 2", role=Role.ADMIN, actor="tests")
    start = threading.Barrier(2)

    def drop(key: Key) -> bool:
        start.wait()
        try:
            keys.revoke(catalog, "default", key.id, actor="tests")
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(drop, all_keys(catalog))) == [False, True]


def grant(role: Role | None = None, *, feedback: bool = False, apps: tuple[str, ...] = ()) -> Grant:
    return Grant("default", "key_1", "n", "feedback" if feedback else "secret", role, apps)


def test_every_role_may_what_the_lower_ones_may() -> None:
    for have in (None, *Role):
        for needed in Role:
            allowed = have is not None and list(Role).index(have) >= list(Role).index(needed)
            if allowed:
                require(grant(have), needed)
            else:
                with pytest.raises(Forbidden, match=needed.value):
                    require(grant(have), needed)


def test_who_may_call() -> None:
    may_call(grant(), "any")
    may_call(grant(), None)
    may_call(grant(apps=("a", "b")), "b")
    for refused, app in [
        (grant(apps=("a",)), "b"),
        (grant(apps=("a",)), None),
        (grant(feedback=True), "a"),
        (grant(feedback=True), None),
    ]:
        with pytest.raises(Forbidden) as caught:
            may_call(refused, app)
        assert caught.value.remedy


@pytest.mark.parametrize("secret", ["", "a", "ü\x00", "\ud800"])
def test_any_text_has_a_digest(secret: str) -> None:
    assert len(digest(secret)) == 64
