"""Parts that the control plane's process and the workers make in the same way."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from rondo.batches.batches import Batches
from rondo.batches.folder import FileFolder
from rondo.batches.grants import LiveGrants
from rondo.batches.runner import BatchLimits
from rondo.cache.answers import Answers
from rondo.cache.shared import connect
from rondo.catalog.engine import Catalog, sqlite_url
from rondo.errors import SettingsError
from rondo.evals.judges.calibrations import Calibrations
from rondo.evals.recovered import Recorded
from rondo.evals.runner import Runner
from rondo.evals.runs import Runs
from rondo.gateway.endpoint import Gateway
from rondo.gateway.plan import Plan
from rondo.gateway.recall import Lookup
from rondo.gateway.retry import Tries
from rondo.jobs.durable import Jobs
from rondo.journal.append import Journal
from rondo.limits.ledger import Ledger
from rondo.providers.upstream import Upstream
from rondo.releases.subjects import ReleaseSubjects
from rondo.server.data_folder import DataFolder
from rondo.settings.environment import environment, proxies
from rondo.settings.project import read
from rondo.settings.tables import BatchesSettings, GatewaySettings, JournalSettings
from rondo.settings.telemetry import TelemetrySettings, TracesSettings
from rondo.store.base import RecordStore
from rondo.traces.drain import DrainView
from rondo.traces.otlp.intake import Intake
from rondo.traces.telling.post import headers_of


def limits(project: Path | None) -> tuple[JournalSettings, GatewaySettings]:
    """What the project says of the journal and the gateway. Raises SettingsError."""
    if project is None:
        return JournalSettings(), GatewaySettings()
    settings = read(project)
    return settings.journal, settings.gateway


def catalog_url(data: DataFolder) -> str:
    """The catalog's database: the one the environment names, or SQLite in the data folder."""
    return environment("RONDO_CATALOG_URL") or sqlite_url(data.catalog)


def pseudonym_secret(data: DataFolder) -> Callable[[], bytes]:
    """The key of pseudonyms: the one in the environment, or the data folder's own. Raises SettingsError."""
    given = environment("RONDO_PSEUDONYM_KEY")
    if given is None:
        return data.pseudonym_key
    if re.fullmatch("[0-9a-fA-F]{64,}", given) is None or len(given) % 2:
        raise SettingsError(
            "a key has at least 64 hexadecimal digits.",
            file="RONDO_PSEUDONYM_KEY",
            remedy="`openssl rand -hex 32` makes one.",
        )
    return lambda: bytes.fromhex(given)


def open_upstream(settings: GatewaySettings) -> Upstream:
    """One process's connections to providers. Raises SettingsError for a proxy or a CA file that cannot be used."""
    return Upstream(
        connect_timeout_s=settings.connect_timeout_s, proxies=proxies(), ca_file=environment("RONDO_CA_FILE")
    )


def make_gateway(plan: Plan, journal: Journal, settings: GatewaySettings, lookup: Lookup, ledger: Ledger) -> Gateway:
    """One process's gateway."""
    redis = environment("RONDO_REDIS_URL")
    return Gateway(
        plan,
        journal,
        max_body_bytes=settings.max_body_mb << 20,
        tries=Tries(breaker_failures=settings.breaker_failures, breaker_open_s=settings.breaker_open_s),
        answers=Answers(most_bytes=settings.cache_mb << 20, shared=connect(redis) if redis is not None else None),
        ledger=ledger,
        lookup=lookup,
        total_timeout_s=settings.total_timeout_s,
    )


def open_journal(data: DataFolder, writer: str, settings: JournalSettings) -> Journal:
    """One process's own journal."""
    return Journal(
        data.journal / writer,
        durability=settings.durability,
        segment_bytes=settings.segment_mb << 20,
        min_free_bytes=settings.min_free_mb << 20,
    )


def make_intake(journal: Journal, project: Path | None) -> Intake:
    """Where the control plane's process takes in OpenTelemetry."""
    settings = read(project).traces if project is not None else TracesSettings()
    return Intake(journal, max_bytes=settings.max_body_mb << 20)


def telemetry_of(project: Path | None) -> TelemetrySettings | None:
    """Where calls are told of, if anywhere. Raises SettingsError, also for headers that the environment lacks."""
    settings = read(project).telemetry if project is not None else None
    if settings is not None:
        headers_of(settings, environment)
    return settings


def make_calibrations(
    catalog: Catalog, records: RecordStore, drain: DrainView, gateway: Gateway, subjects: ReleaseSubjects
) -> Calibrations:
    """The calibrations of judges, asked through this process's gateway."""
    grants = LiveGrants(lambda: gateway.plan)
    return Calibrations(
        catalog,
        records,
        Recorded(records, drain),
        evaluate=gateway.evaluate,
        subjects=subjects,
        grant_of=grants,
    )


def make_runs(
    catalog: Catalog,
    jobs: Jobs,
    gateway: Gateway,
    subjects: ReleaseSubjects,
    *,
    records: RecordStore,
    drain: DrainView,
) -> Runs:
    """The evaluation runs of the control plane's process, asked through its own gateway."""
    grants = LiveGrants(lambda: gateway.plan)
    runner = Runner(catalog, gateway.evaluate, grants, subjects, Recorded(records, drain))
    return Runs(catalog, jobs, runner, subjects)


def make_batches(
    data: DataFolder, catalog: Catalog, jobs: Jobs, gateway: Gateway, settings: BatchesSettings
) -> Batches:
    """The batches of the control plane's process."""
    limits = BatchLimits(
        max_file_bytes=settings.max_file_mb << 20,
        max_requests=settings.max_requests,
        concurrent=settings.concurrent,
        max_body_bytes=gateway.max_body_bytes,
    )
    return Batches(catalog, FileFolder(data.files), jobs, gateway, limits)
