"""The verbs of traffic on a catalog: one writer at a time, everything on record, nothing lost on restart."""

from __future__ import annotations

import shutil
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from sqlalchemy import Connection

from rondo.catalog import revision
from rondo.catalog.engine import Catalog, open_catalog, sqlite_url
from rondo.errors import Conflict, InvalidRequest, NotFound
from rondo.governance import audit, projects
from rondo.releases import manifest as manifests
from rondo.releases import store, traffic
from rondo.releases.model import Release, TrafficChange


def add_release(connection: Connection, project: str = "p", app: str = "bot") -> int:
    """A release without parts: traffic does not look inside."""
    store.save_app(connection, project, app, {}, 0)
    number = store.next_number(connection, project, app)
    text, hash_ = manifests.text_and_hash({"format": 1, "number": number})
    release = Release(
        project=project, app=app, number=number, hash=hash_, manifest={}, message="", created_by="t", created_at=0
    )
    store.insert_release(connection, release, text)
    traffic.first(connection, release, actor="tests")
    return number


@pytest.fixture
def ready(catalog: Catalog) -> Catalog:
    """Releases 1 to 4 of `bot`; 1 serves."""
    projects.create(catalog, "p", actor="tests")
    with catalog.begin() as connection:
        for _ in range(4):
            add_release(connection)
    return catalog


def now(catalog: Catalog) -> TrafficChange:
    with catalog.read() as connection:
        found = store.current_traffic(connection, "p", "bot")
    assert found is not None
    return found


def revision_of(catalog: Catalog) -> int:
    with catalog.read() as connection:
        return revision.current(connection)


def test_a_rollout_and_its_way_back(ready: Catalog) -> None:
    begun = traffic.split(ready, "p", "bot", {2: 5}, actor="key:1", reason="try it")
    assert (begun.sequence, begun.action, begun.actor, begun.reason) == (2, "split", "key:1", "try it")
    assert begun == now(ready)
    grown = traffic.split(ready, "p", "bot", {2: "25.5"}, actor="key:1")
    assert grown.traffic.salt == begun.traffic.salt != ""
    promoted = traffic.promote(ready, "p", "bot", 2, actor="key:1")
    assert promoted.traffic.stable == 2
    back = traffic.rollback(ready, "p", "bot", actor="key:1", reason="bad answers")
    assert back.traffic.stable == 1
    assert back == now(ready)
    with ready.read() as connection:
        assert [each.action for each in store.traffic_history(connection, "p", "bot")[::-1]] == [
            "rollback", "promote", "split", "split", "release",
        ]  # fmt: skip
        entry = audit.entries(connection, "p", subject="app:bot")[0]
        assert (entry.action, entry.actor) == ("traffic.rollback", "key:1")
        assert entry.details == {
            "sequence": 5,
            "from": {"stable": 2, "split": {}},
            "to": {"stable": 1, "split": {}},
            "reason": "bad answers",
        }
        assert audit.entries(connection, "p", subject="app:bot")[2].details["to"]["split"] == {"2": "25.5 %"}


def test_a_new_rollout_draws_anew(ready: Catalog) -> None:
    salt = traffic.split(ready, "p", "bot", {2: 5}, actor="t").traffic.salt
    traffic.rollback(ready, "p", "bot", actor="t")
    assert traffic.split(ready, "p", "bot", {2: 5}, actor="t").traffic.salt != salt


def test_what_changes_nothing_writes_nothing(ready: Catalog) -> None:
    traffic.split(ready, "p", "bot", {2: 5}, actor="t")
    before = (revision_of(ready), now(ready))
    assert traffic.split(ready, "p", "bot", {2: 5}, actor="t") == before[1]
    assert (revision_of(ready), now(ready)) == before
    traffic.promote(ready, "p", "bot", 2, actor="t")
    before = (revision_of(ready), now(ready))
    assert traffic.promote(ready, "p", "bot", 2, actor="t") == before[1]
    assert traffic.rollback(ready, "p", "bot", to=2, actor="t") == before[1]
    assert (revision_of(ready), now(ready)) == before


def test_what_is_not_there_is_not_found(ready: Catalog) -> None:
    before = (revision_of(ready), now(ready))
    with pytest.raises(NotFound, match="newest is 4"):
        traffic.promote(ready, "p", "bot", 9, actor="t")
    with pytest.raises(NotFound):
        traffic.split(ready, "p", "bot", {2: 5, 9: 5}, actor="t")
    with pytest.raises(NotFound):
        traffic.rollback(ready, "p", "bot", to=9, actor="t")
    with pytest.raises(NotFound, match="'bot'"):
        traffic.promote(ready, "p", "bto", 1, actor="t")
    with pytest.raises(NotFound):
        traffic.promote(ready, "other", "bot", 2, actor="t")
    with pytest.raises(Conflict, match="never served"):
        traffic.rollback(ready, "p", "bot", to=3, actor="t")
    with pytest.raises(InvalidRequest):
        traffic.promote(ready, "p", "bot", 2, actor="t", reason="\x00")
    assert (revision_of(ready), now(ready)) == before


def test_changes_at_once_take_turns(catalog_url: str, ready: Catalog) -> None:
    catalogs = [open_catalog(catalog_url) for _ in range(4)]
    start = threading.Barrier(4)
    before = revision_of(ready)

    def change(position: int) -> None:
        start.wait()
        for round_ in range(6):
            number = (position + round_) % 4 + 1
            try:
                if round_ % 2:
                    traffic.promote(catalogs[position], "p", "bot", number, actor=str(position))
                else:
                    traffic.split(catalogs[position], "p", "bot", {number: 5 + position}, actor=str(position))
            except InvalidRequest:
                pass  # someone has just made it the stable one

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(change, range(4)))
    with ready.read() as connection:
        steps = store.traffic_history(connection, "p", "bot")
        assert [step.sequence for step in steps] == list(range(1, len(steps) + 1))
        assert revision.current(connection) == before + len(steps) - 1
        assert audit.verify(connection, "p").entries == len(steps) + 1
    for catalog in catalogs:
        catalog.close()


def test_only_one_of_two_rollbacks_at_once_goes_back_one_step_further(catalog_url: str, ready: Catalog) -> None:
    traffic.promote(ready, "p", "bot", 2, actor="t")
    catalogs = [open_catalog(catalog_url) for _ in range(2)]
    start = threading.Barrier(2)

    def back(catalog: Catalog) -> int | None:
        start.wait()
        try:
            return traffic.rollback(catalog, "p", "bot", actor="t").traffic.stable
        except Conflict:
            return None

    with ThreadPoolExecutor(2) as pool:
        assert set(pool.map(back, catalogs)) == {1, None}
    for catalog in catalogs:
        catalog.close()


class CatalogMachine(RuleBasedStateMachine):
    """Any verbs in any order, on a real catalog that is closed and opened in between."""

    @initialize()
    def start(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.catalog = open_catalog(sqlite_url(self.folder / "catalog.db"))
        projects.create(self.catalog, "p", actor="tests")
        with self.catalog.begin() as connection:
            add_release(connection)
        self.releases, self.steps = 1, 1
        self.revision = revision_of(self.catalog)
        self.holds = now(self.catalog)

    def teardown(self) -> None:
        self.catalog.close()
        shutil.rmtree(self.folder)

    def taken(self, change: TrafficChange) -> None:
        if change.sequence != self.holds.sequence:
            self.steps += 1
            self.revision += 1
        else:
            assert change == self.holds
        self.holds = change

    @rule()
    def release(self) -> None:
        with self.catalog.begin() as connection:
            self.releases = add_release(connection)

    @rule(data=st.data())
    def promote(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, self.releases))
        self.taken(traffic.promote(self.catalog, "p", "bot", number, actor="t"))

    @rule(shares=st.dictionaries(st.integers(1, 4), st.sampled_from([0.01, 5, 33.33, 60]), min_size=1, max_size=3))
    def split(self, shares: dict[int, float]) -> None:
        try:
            self.taken(traffic.split(self.catalog, "p", "bot", shares, actor="t"))
        except NotFound:
            assert max(shares) > self.releases
        except InvalidRequest:
            assert self.holds.traffic.stable in shares or sum(shares.values()) > 100

    @rule(to=st.none() | st.integers(1, 4))
    def rollback(self, to: int | None) -> None:
        held = self.holds.traffic
        try:
            self.taken(traffic.rollback(self.catalog, "p", "bot", to=to, actor="t"))
        except NotFound:
            assert to is not None
            assert to > self.releases
        except Conflict:
            assert to not in held.served if to else not held.history

    @rule()
    def restart(self) -> None:
        self.catalog.close()
        self.catalog = open_catalog(sqlite_url(self.folder / "catalog.db"))

    @invariant()
    def the_catalog_agrees(self) -> None:
        assert now(self.catalog) == self.holds
        held = self.holds.traffic
        assert held.stable is not None
        assert sum(arm.share_bp for arm in held.arms) <= 10_000
        with self.catalog.read() as connection:
            assert revision.current(connection) == self.revision
            assert audit.verify(connection, "p").entries == 1 + self.steps
            newest = audit.entries(connection, "p", subject="app:bot", limit=1)[0]
            assert newest.action == f"traffic.{self.holds.action}"
            assert newest.details["sequence"] == self.holds.sequence == self.steps


CatalogMachine.TestCase.settings = settings(max_examples=12, stateful_step_count=15, deadline=None)
TestCatalogMachine = CatalogMachine.TestCase
