"""The verbs of limits: what may be set, by whom it was, and what several processes need."""

from __future__ import annotations

from typing import Any

import pytest

from rondo.catalog import revision
from rondo.catalog.engine import Catalog
from rondo.errors import Conflict, InvalidRequest, NotFound
from rondo.governance import audit, keys, projects
from rondo.limits import change, store
from rondo.limits.change import Wanted, shown
from rondo.limits.model import NANO, SHARES, Limit


@pytest.fixture
def house(catalog: Catalog) -> Catalog:
    projects.create(catalog, "p", actor="setup")
    projects.create(catalog, "q", actor="setup")
    return catalog


def put(catalog: Catalog, scope: str = "project", *, project: str = "p", **fields: Any) -> Limit:
    fields = fields or {"concurrent": 5}
    return change.set_limit(catalog, project, Wanted(scope=scope, **fields), actor="anna").limit


def test_a_limit_is_kept_as_it_was_set(house: Catalog) -> None:
    limit = put(
        house,
        "app:bot",
        requests_per_minute=60,
        tokens_per_minute=10**12,
        concurrent=0,
        usd_per_day="0.000000001",
        usd_per_month=1_000_000,
        alert_at=[1.0, 0.25, 0.25],
    )
    assert limit == Limit(
        scope="app:bot",
        requests_per_minute=60,
        tokens_per_minute=10**12,
        concurrent=0,
        nano_per_day=1,
        nano_per_month=1_000_000 * NANO,
        alert_at=(0.25, 1.0),
    )
    with house.read() as connection:
        (stored,) = change.list_limits(connection, "p")
        assert stored.limit == limit
        assert stored.updated_by == "anna"
        assert change.list_limits(connection, "q") == []
    assert shown(limit)["usd_per_day"] == 1e-9
    assert shown(put(house, "user:*")) == {"scope": "user:*", "concurrent": 5}


def test_setting_again_replaces_the_whole(house: Catalog) -> None:
    put(house, "user:*", requests_per_minute=1, usd_per_day=5)
    assert put(house, "user:*", concurrent=2) == Limit(scope="user:*", concurrent=2)
    with house.read() as connection:
        assert len(change.list_limits(connection, "p")) == 1


def test_changes_are_audited_and_published(house: Catalog) -> None:
    with house.read() as connection:
        before = revision.current(connection)
    put(house, usd_per_month=10)
    put(house, usd_per_month=20)
    change.remove_limit(house, "p", "project", actor="ben")
    with house.read() as connection:
        assert revision.current(connection) == before + 3
        removed, again, first, _ = audit.entries(connection, "p")
        assert (removed.actor, removed.action, removed.subject) == ("ben", "limit.remove", "limit:project")
        assert removed.details["before"]["usd_per_month"] == 20
        assert (again.actor, again.action) == ("anna", "limit.set")
        assert (again.details["before"]["usd_per_month"], again.details["limit"]["usd_per_month"]) == (10, 20)
        assert first.details["before"] is None
        audit.verify(connection, "p")
        assert store.is_empty(connection)


def test_a_key_may_be_named(house: Catalog) -> None:
    made = keys.create(house, "p", "support-eu", actor="anna").key
    assert put(house, "key:support-eu").scope == f"key:{made.id}"
    assert put(house, f"key:{made.id}").scope == f"key:{made.id}"
    with house.read() as connection:
        table = change.limit_table(connection)
    matched = table.match("p", made.id)
    assert matched is not None
    assert matched.bounds[0].words == "key support-eu"
    keys.create(house, "p", "twin", actor="anna")
    keys.create(house, "p", "twin", actor="anna")
    with pytest.raises(InvalidRequest, match="Several keys"):
        put(house, "key:twin")
    with pytest.raises(NotFound):
        put(house, "key:nobody")
    with pytest.raises(NotFound):
        put(house, f"key:{made.id}", project="q")
    change.remove_limit(house, "p", "key:support-eu", actor="anna")
    put(house, f"key:{made.id}")
    keys.revoke(house, "p", made.id, actor="anna")
    assert change.remove_limit(house, "p", f"key:{made.id}", actor="anna").limit.scope == f"key:{made.id}"


def test_lists_are_in_order(house: Catalog) -> None:
    for scope in ("user:zoe", "user:*", "key:*", "app:b", "app:*", "app:a", "project", "user:a/b c"):
        put(house, scope)
    with house.read() as connection:
        scopes = [stored.limit.scope for stored in change.list_limits(connection, "p")]
        assert scopes == ["project", "app:a", "app:b", "app:*", "key:*", "user:a/b c", "user:zoe", "user:*"]
        assert [limit.scope for limit in change.limit_table(connection).of("p")] == scopes


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"scope": "project:x"}, "scope"),
        ({"scope": "app"}, "scope"),
        ({"scope": "app:"}, "scope"),
        ({"scope": "app:No Such"}, "scope"),
        ({"scope": "user:"}, "scope"),
        ({"scope": "user:\x00"}, "scope"),
        ({"scope": "user:\ud800"}, "scope"),
        ({"scope": "user:" + "x" * 1_001}, "scope"),
        ({"scope": "team:x"}, "scope"),
        ({"scope": ""}, "scope"),
        ({"concurrent": -1}, "concurrent"),
        ({"requests_per_minute": 10**13}, "requests_per_minute"),
        ({"usd_per_day": -1}, "usd_per_day"),
        ({"usd_per_day": "1e-10"}, "usd_per_day"),
        ({"usd_per_month": "lots"}, "usd_per_month"),
        ({"usd_per_month": 1e9}, "usd_per_month"),
        ({"usd_per_day": 1, "alert_at": [0.0]}, "alert_at"),
        ({"usd_per_day": 1, "alert_at": [1.5]}, "alert_at"),
        ({"usd_per_day": 1, "alert_at": [float("nan")]}, "alert_at"),
        ({"usd_per_day": 1, "alert_at": [0.5] * 11}, "alert_at"),
        ({"concurrent": 1, "alert_at": [0.5]}, "alert_at"),
        ({"concurrent": None}, None),
    ],
)
def test_a_wrong_limit_is_refused_by_name(house: Catalog, fields: dict[str, Any], param: str | None) -> None:
    wanted = Wanted(
        **{"scope": "project", **({} if len(fields) > 1 or "scope" not in fields else {"concurrent": 1}), **fields}
    )
    with pytest.raises(InvalidRequest) as refused:
        change.set_limit(house, "p", wanted, actor="anna")
    assert refused.value.param == param
    with house.read() as connection:
        assert store.is_empty(connection)


def test_no_alerts_may_be_wanted(house: Catalog) -> None:
    assert put(house, usd_per_day=1, alert_at=[]).alert_at == ()
    assert put(house, usd_per_day=1).alert_at == SHARES


def test_what_is_not_there_cannot_be_removed(house: Catalog) -> None:
    put(house)
    for project, scope in (("p", "user:*"), ("q", "project"), ("p", "key:nobody"), ("p", "nonsense")):
        with pytest.raises(NotFound):
            change.remove_limit(house, project, scope, actor="anna")
    with pytest.raises(NotFound):
        put(house, project="nowhere")


def test_several_processes_need_redis(house: Catalog) -> None:
    change.require_shared_ledger(house, workers=4, redis_url=None)  # nothing is limited
    put(house)
    change.require_shared_ledger(house, workers=1, redis_url=None)
    change.require_shared_ledger(house, workers=4, redis_url="redis://x")
    with pytest.raises(Conflict, match=r"4 processes.*RONDO_REDIS_URL"):
        change.require_shared_ledger(house, workers=4, redis_url=None)
    change.refuse_without_redis(workers=1, redis_url=None)
    with pytest.raises(Conflict, match="RONDO_REDIS_URL"):
        change.refuse_without_redis(workers=2, redis_url=None)
