"""An app with releases, and a controller whose readings a test makes up."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from sqlalchemy import Connection

from rondo.catalog import revision
from rondo.catalog.engine import Catalog
from rondo.errors import RondoError
from rondo.governance import projects
from rondo.releases import manifest as manifests
from rondo.releases import store, traffic
from rondo.releases.model import Release, TrafficChange
from rondo.rollout import store as rollouts
from rondo.rollout import verbs
from rondo.rollout.controller import Rollouts
from rondo.rollout.model import Breach, Reading, Side, Terms
from rondo.rollout.progress import Event, Rollout
from rondo.rollout.verbs import Whose
from rondo.store.base import RecordStore
from rondo.traces.drain import DrainStatus

ANN = Whose("p", "bot", "ann")
STEPS = {"steps": ["5% 1s", "25% 50 calls", "100%"]}
BREACH = Breach(guard="errors", observed=1.0, limit=0.2, calls=20, sentence="All of 20 calls fail.", traces=["t"])


def fill(catalog: Catalog, *, app_settings: dict[str, Any] | None = None) -> Catalog:
    """Releases 1 to 3 of `bot`, made by `maker`; 1 serves."""
    projects.create(catalog, "p", actor="tests")
    with catalog.begin() as connection:
        for _ in range(3):
            add_release(connection, app_settings or {})
    return catalog


def add_release(connection: Connection, app_settings: dict[str, Any]) -> None:
    store.save_app(connection, "p", "bot", app_settings, 0)
    number = store.next_number(connection, "p", "bot")
    text, hash_ = manifests.text_and_hash({"format": 1, "number": number})
    release = Release(
        project="p", app="bot", number=number, hash=hash_, manifest={}, message="", created_by="maker", created_at=0
    )
    store.insert_release(connection, release, text)
    traffic.first(connection, release, actor="tests")


def reading(calls: int = 100, **more: Any) -> Reading:
    return Reading(at=1, candidate=Side(calls=calls, units=calls), baseline=Side(calls=calls, units=calls), **more)


def traffic_now(catalog: Catalog) -> TrafficChange:
    with catalog.read() as connection:
        found = store.current_traffic(connection, "p", "bot")
    assert found is not None
    return found


def latest(catalog: Catalog) -> Rollout:
    with catalog.read() as connection:
        found = rollouts.latest(connection, "p", "bot")
    assert found is not None
    return found


def events(catalog: Catalog) -> list[Event]:
    with catalog.read() as connection:
        return rollouts.events(connection, "p", latest(catalog).id)


def start(catalog: Catalog, release: int = 2, **more: Any) -> Rollout:
    return verbs.start(catalog, ANN, release, **{"asked": STEPS, **more})


class Watch:
    """A controller on a catalog, as one server has it. `next` is what it reads, or raises."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.next: Reading | RondoError = reading()
        self.behind_s: float | None = None
        self.unserved: str | None = None
        self.published = 0
        self.woken = 0
        self.rollouts = self.open()

    def open(self) -> Rollouts:
        """A controller that knows nothing yet, as after a restart."""
        self.rollouts = Rollouts(
            self.catalog,
            cast(RecordStore, None),  # readings are made up
            self,
            publish=self.publish,
            revision=self.revision,
            unserved=lambda *_: self.unserved,
            read=self.read,
        )
        return self.rollouts

    def look(self, times: int = 1) -> Rollout:
        for _ in range(times):
            asyncio.run(self.rollouts.look())
        return latest(self.catalog)

    def read(
        self,
        store: RecordStore,
        project: str,
        app: str,
        rollout: str,
        terms: Terms,
        *,
        since: int,
        now: int,
        candidate_share_bp: int,
    ) -> Reading:
        if isinstance(self.next, RondoError):
            raise self.next
        return self.next

    async def publish(self) -> None:
        self.published += 1

    def revision(self) -> int:
        with self.catalog.read() as connection:
            return revision.current(connection)

    def wake(self) -> None:
        self.woken += 1

    def status(self) -> DrainStatus:
        return DrainStatus(
            accepted=0, stored=0, queued=0, missing=0, quarantined=0, torn_bytes=0, oldest_queued_s=self.behind_s,
            last_error=None, writers={},
        )  # fmt: skip
