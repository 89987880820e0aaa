"""What goes on by itself beside the requests: made here, begun and ended with the server.

Each part has `run(ended)`, which outlives every error that it knows of and returns soon after `ended` is set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

from rondo.catalog.engine import Catalog
from rondo.control import Watching
from rondo.gateway.endpoint import Gateway
from rondo.improve.patterns import Patterns
from rondo.limits.status import Status, status
from rondo.monitoring.alerts.deliver import Courier
from rondo.monitoring.alerts.engine import Alarms
from rondo.monitoring.alerts.mail import Mailer
from rondo.monitoring.alerts.post import Poster
from rondo.monitoring.alerts.reach import Allowed
from rondo.monitoring.alerts.surroundings import Unlogged
from rondo.monitoring.drift import standing
from rondo.monitoring.drift.asking import Means as Models
from rondo.monitoring.drift.watching import Drift
from rondo.monitoring.judging.judging import Judging
from rondo.monitoring.judging.model import KEY as LIVE
from rondo.monitoring.resources import Resources
from rondo.providers.upstream import Upstream
from rondo.releases.subjects import ReleaseSubjects
from rondo.releases.traffic import CheckRelease
from rondo.rollout.controller import Rollouts
from rondo.settings.environment import environment, proxies
from rondo.settings.telemetry import TelemetrySettings
from rondo.store.base import RecordStore
from rondo.traces import cursors
from rondo.traces.drain import DrainView
from rondo.traces.telling.post import Post
from rondo.traces.telling.telling import Telling


class Part(Protocol):
    async def run(self, ended: asyncio.Event) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Means:
    """What the parts are made of. `publish` brings the gateway's plan up to date, `check_release` raises for a release
    that cannot be served; the data is in `folder`, `source` names its records."""

    catalog: Catalog
    records: RecordStore
    drain: DrainView
    gateway: Gateway
    upstream: Upstream
    subjects: ReleaseSubjects
    check_release: CheckRelease
    publish: Callable[[], Awaitable[None]]
    folder: Path
    source: str
    telemetry: TelemetrySettings | None = None


def make_watching(means: Means) -> Watching:
    """Every part, not yet running."""
    models = Models(means.gateway.evaluate, means.subjects)

    def unserved(project: str, app: str, release: int) -> str | None:
        return means.gateway.plan.why_unserved(project, app, release)

    return Watching(
        alarms=_alarms(means),
        drift=Drift(means.catalog, means.records, models),
        judging=Judging(
            means.catalog,
            means.records,
            means.drain,
            evaluate=means.gateway.evaluate,
            judge=means.gateway.judge,
            subjects=means.subjects,
            revision=lambda: means.gateway.plan.revision,
            cursor=cursors.named(means.catalog, LIVE, means.source),
        ),
        patterns=Patterns(means.catalog, means.records, models),
        resources=Resources(means.catalog, means.upstream, means.folder),
        rollouts=Rollouts(
            means.catalog,
            means.records,
            means.drain,
            publish=means.publish,
            revision=lambda: means.gateway.plan.revision,
            unserved=unserved,
            check_release=means.check_release,
        ),
        telling=_telling(means),
    )


def _telling(means: Means) -> Telling:
    settings = means.telemetry
    post = None if settings is None else Post(means.upstream, settings, environment)
    return Telling(means.catalog, means.records, settings, post, source=means.source)


def _alarms(means: Means) -> Alarms:
    poster = Poster(
        Allowed(environment("RONDO_WEBHOOK_HOSTS")), proxies=proxies(), ca_file=environment("RONDO_CA_FILE")
    )
    mailer = Mailer(ca_file=environment("RONDO_CA_FILE"))
    courier = Courier(means.catalog, poster, mailer, secret=environment)

    async def spent(project: str) -> Status:
        return await status(means.gateway.ledger, means.gateway.plan.limits, project, Unlogged())

    return Alarms(means.catalog, means.records, means.drain, courier, spent=spent, drift=standing.newest)


def parts(watching: Watching) -> Iterator[Part]:
    for field in fields(watching):
        yield getattr(watching, field.name)
