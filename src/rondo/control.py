"""The control plane as the doors see it: the objects they act on, and the two ways to touch the catalog.

The doors (API, console) hold no rules: they call the rooms' verbs through `read` and `change`. The server makes one
ControlPlane and gives it to both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection
from starlette.requests import Request

from rondo.batches.batches import Batches
from rondo.catalog.engine import Catalog
from rondo.evals.judges.calibrations import Calibrations
from rondo.evals.runs import Runs
from rondo.gateway.endpoint import Gateway
from rondo.governance.model import Grant
from rondo.improve.patterns import Patterns
from rondo.limits.ledger import Ledger
from rondo.limits.memory import MemoryLedger
from rondo.limits.status import Alerts
from rondo.monitoring.alerts.engine import Alarms
from rondo.monitoring.drift.watching import Drift
from rondo.monitoring.judging.judging import Judging
from rondo.monitoring.resources import Resources
from rondo.providers.base import ModelSpec
from rondo.releases.traffic import CheckRelease
from rondo.reviews.reviews import Reviews
from rondo.rollout.controller import Rollouts
from rondo.store.base import RecordStore
from rondo.traces.drain import DrainView
from rondo.traces.otlp.intake import Intake
from rondo.traces.telling.telling import Telling

T = TypeVar("T")

__all__ = ["Admitted", "Connection", "ControlPlane", "Watching"]


@dataclass(frozen=True, kw_only=True)
class Watching:
    """What goes on by itself, and what the doors ask of it."""

    alarms: Alarms
    drift: Drift
    judging: Judging
    patterns: Patterns
    rollouts: Rollouts
    resources: Resources
    telling: Telling


@dataclass(frozen=True, kw_only=True)
class ControlPlane:
    """`publish` brings the gateway's plan up to date, `check_model` raises for a model that no provider takes, and
    `check_release` for a release that cannot be served;
    `stopping` is set when the server begins to shut down. `require_ledger` raises where a limit that is set could not
    be held to. `settings_fault` is what is wrong with the `rondo.toml` of a server that runs all the same."""

    catalog: Catalog
    records: RecordStore
    drain: DrainView
    gateway: Gateway
    batches: Batches
    runs: Runs
    reviews: Reviews
    calibrations: Calibrations
    watching: Watching
    otlp: Intake
    knowledge_root: Path
    publish: Callable[[], Awaitable[None]]
    check_model: Callable[[ModelSpec], object]
    check_release: CheckRelease
    settings_fault: str | None = None
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    ledger: Ledger = field(default_factory=MemoryLedger)
    alerts: Alerts = field(default_factory=Alerts)
    require_ledger: Callable[[], None] = lambda: None

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a reading transaction, off the event loop."""

        def run() -> T:
            with self.catalog.read() as connection:
                return work(connection)

        return await asyncio.to_thread(run)

    async def change(self, work: Callable[[], T]) -> T:
        """Run a verb that opens its own transaction, then serve what it changed."""
        result = await asyncio.to_thread(work)
        await self.publish()
        return result


@dataclass(frozen=True)
class Admitted:
    """A request that a door has let in, and who sent it."""

    control: ControlPlane
    grant: Grant
    request: Request

    @property
    def project(self) -> str:
        return self.grant.project

    @property
    def actor(self) -> str:
        """Who did it, for the audit trail."""
        return self.grant.name

    def path(self, name: str) -> str:
        value: str = self.request.path_params[name]
        return value

    def query(self, name: str) -> str | None:
        return self.request.query_params.get(name) or None
