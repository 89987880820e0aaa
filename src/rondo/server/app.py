"""The only place that wires things together: gateway and control plane as one ASGI application.

Tests and commands open the very same server in-process with `open_server`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from rondo.api.app import api_app
from rondo.catalog.engine import Catalog, open_catalog, sqlite_url
from rondo.console.app import console_app
from rondo.control import ControlPlane
from rondo.errors import RondoError
from rondo.gateway.endpoint import Gateway, Receive, Scope
from rondo.gateway.reply import Send
from rondo.governance import projects
from rondo.governance.keys import ensure_admin
from rondo.governance.model import DEFAULT_PROJECT
from rondo.jobs.durable import Jobs
from rondo.limits.change import refuse_without_redis, require_shared_ledger
from rondo.limits.status import watch
from rondo.providers.registry import Providers
from rondo.releases import bundle, freeze, store
from rondo.releases.publish import Publisher
from rondo.releases.rehearsal import Rehearsal
from rondo.releases.subjects import ReleaseSubjects
from rondo.reviews.reviews import Reviews
from rondo.server import ledger as ledgers
from rondo.server.data_folder import DataFolder
from rondo.server.front import Front
from rondo.server.ledger import open_ledger
from rondo.server.lookup import StoreLookup
from rondo.server.plan_watch import PlanWatch
from rondo.server.records import OpenRecords, Records, RecordsHere
from rondo.server.settled import settle
from rondo.server.watching import Means, make_watching, parts
from rondo.server.wiring import (
    catalog_url,
    limits,
    make_batches,
    make_calibrations,
    make_gateway,
    make_intake,
    make_runs,
    open_journal,
    open_upstream,
    pseudonym_secret,
    telemetry_of,
)
from rondo.settings.environment import environment
from rondo.settings.project import FILE, read
from rondo.settings.tables import BatchesSettings
from rondo.settings.telemetry import TelemetrySettings

_log = logging.getLogger("rondo.server")


class Server:
    """Everything that serves in one process. Call `start` on the event loop before the first request, `close` last."""

    def __init__(
        self,
        data: DataFolder,
        project: Path | None,
        *,
        workers: int = 1,
        open_records: OpenRecords = RecordsHere,
    ) -> None:
        """Takes the data folder. `workers` is how many processes will serve, `open_records` says where the record
        store is.

        Raises Conflict where another server has the folder, or where several processes could not hold to the limits
        there are; SettingsError for a wrong project, unless an earlier start has kept a right one (`settled.py`).
        """
        settled = settle(data, project)
        self.data, self._workers = data, workers
        self._redis_url = environment("RONDO_REDIS_URL")
        data.lock()
        records: Records | None = None
        try:
            self.settings = settled.folder(data)
            """Where the `rondo.toml` is that the server goes by; None without a project."""
            telemetry = telemetry_of(self.settings)
            url = catalog_url(data)
            data.require_catalog(url)
            self.records = records = open_records(data.journal, data.records)  # early: a process comes up meanwhile
            self.catalog = open_catalog(url)
            session_key = data.session_key()
            gateway = self._open_gateway(project if settled.fault is None else None)
        except BaseException:
            if records is not None:
                records.close()
            data.unlock()
            raise
        self.jobs = Jobs(sqlite_url(data.jobs))
        fault = settled.fault or self._unreleased
        if fault is not None:
            _log.error("rondo.toml needs mending; what is released serves as before: %s", fault)
        told = settled.told or (str(fault) if fault is not None else None)
        self.control = self._control_plane(gateway, telemetry, told)
        console = console_app(self.control, session_key=session_key)
        self.front = Front(gateway, api_app(self.control), console)
        """The ASGI application."""
        self._ended = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def _open_gateway(self, tree: Path | None) -> Gateway:
        """The gateway with its plan, its journal and the ledger; an app that has no release yet gets its first one from
        the `tree`."""
        data, settings, records = self.data, self.settings, self.records
        journal_settings, gateway_settings = limits(settings)
        require_shared_ledger(self.catalog, workers=self._workers, redis_url=self._redis_url)
        self.admin_key = ensure_admin(self.catalog, environment("RONDO_ADMIN_KEY"), keep=data.keep_admin_key)
        self.upstream = open_upstream(gateway_settings)
        self._providers = Providers(self.upstream)
        self._unreleased = self._released(tree) if tree is not None else None
        publisher = self._publisher()
        self.journal = open_journal(data, "control", journal_settings)
        plan = publisher.plan()
        self.ledger = open_ledger(data, settings, records.store, plan.limits, self._projects, workers=self._workers)
        self.lookup = StoreLookup(records.store, records.drain)
        gateway = make_gateway(plan, self.journal, gateway_settings, self.lookup, self.ledger)
        self.watch = PlanWatch(publisher, gateway)
        return gateway

    def _publisher(self) -> Publisher:
        data = self.data
        return Publisher(self.catalog, data.knowledge, self._providers, secret=pseudonym_secret(data))

    def _released(self, tree: Path) -> RondoError | None:
        """What keeps the tree's app from its first release, where others serve already. Raises it where none does."""
        try:
            first_release(self.catalog, self.data, tree, self._providers)
        except RondoError as error:
            with self.catalog.read() as connection:
                apps = [app.name for app in store.list_apps(connection, DEFAULT_PROJECT)]
                if not any(store.current_traffic(connection, DEFAULT_PROJECT, app) for app in apps):
                    raise
            return error
        return None

    def _control_plane(
        self, gateway: Gateway, telemetry: TelemetrySettings | None, settings_fault: str | None
    ) -> ControlPlane:
        data, settings, records = self.data, self.settings, self.records
        batches = read(settings).batches if settings is not None else BatchesSettings()
        subjects = ReleaseSubjects(self.catalog, self._publisher(), lambda: gateway.plan)
        check_release = Rehearsal(self._publisher()).check
        means = Means(
            catalog=self.catalog,
            records=records.store,
            drain=records.drain,
            gateway=gateway,
            upstream=self.upstream,
            subjects=subjects,
            check_release=check_release,
            publish=self.watch.refresh,
            folder=data.path,
            source=data.source(),
            telemetry=telemetry,
        )
        return ControlPlane(
            catalog=self.catalog,
            records=records.store,
            drain=records.drain,
            gateway=gateway,
            batches=make_batches(data, self.catalog, self.jobs, gateway, batches),
            runs=make_runs(self.catalog, self.jobs, gateway, subjects, records=records.store, drain=records.drain),
            calibrations=make_calibrations(self.catalog, records.store, records.drain, gateway, subjects),
            reviews=Reviews(self.catalog, records.store, gateway.judge, wake=records.drain.wake),
            watching=make_watching(means),
            otlp=make_intake(self.journal, settings),
            knowledge_root=data.knowledge,
            publish=self.watch.refresh,
            check_model=self._providers.make,
            check_release=check_release,
            settings_fault=settings_fault,
            ledger=self.ledger,
            require_ledger=partial(refuse_without_redis, workers=self._workers, redis_url=self._redis_url),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.front(scope, receive, send)

    def _projects(self) -> list[str]:
        with self.catalog.read() as connection:
            return projects.names(connection)

    async def start(self, *, resumes: bool = True) -> None:
        """Begin to watch the catalog and the budgets, and to drain the journal; and go on with evaluation runs that an
        earlier process left, unless this one is only for a moment."""
        await ledgers.start(self.ledger)
        self.records.start()
        self._tasks = [
            asyncio.create_task(self.watch.run(self._ended)),
            asyncio.create_task(self.control.batches.resume()),
            *([asyncio.create_task(self.control.runs.resume_all())] if resumes else []),
            asyncio.create_task(self.control.reviews.run(self._ended)),
            asyncio.create_task(
                watch(self.ledger, lambda: self.control.gateway.plan.limits, self.control.alerts, self._ended)
            ),
            *(asyncio.create_task(part.run(self._ended)) for part in parts(self.control.watching)),
        ]
        for task in self._tasks:
            task.add_done_callback(_must_not_fail)

    async def close(self) -> None:
        """Drain what can be drained, and let go of everything. Requests must have ended."""
        self.control.stopping.set()
        await self.jobs.close()
        self._ended.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.control.gateway.close()
        await ledgers.close(self.ledger)
        await self.upstream.close()
        self.journal.close()
        await asyncio.to_thread(self.records.close)
        self.catalog.close()
        self.data.unlock()


def _must_not_fail(task: asyncio.Task[None]) -> None:
    """These tasks outlive every error they know of; one that ends all the same must not end unseen."""
    if not task.cancelled() and task.exception() is not None:
        _log.critical("a background task has died; restart the server", exc_info=task.exception())


def first_release(catalog: Catalog, data: DataFolder, project: Path, providers: Providers) -> None:
    """Release the working tree where its app has no release yet, so that a new project answers at once."""
    with catalog.read() as connection:
        if store.current_traffic(connection, DEFAULT_PROJECT, read(project).app.name) is not None:
            return
    frozen = freeze.freeze(
        catalog,
        data.knowledge,
        DEFAULT_PROJECT,
        bundle.read_folder(project),
        actor="rondo up",
        message="First release",
        check_model=providers.make,
    )
    _log.info("released %s#%d from %s", frozen.release.app, frozen.release.number, project / FILE)


@asynccontextmanager
async def open_server(data: Path, project: Path | None = None, *, resumes: bool = True) -> AsyncIterator[Server]:
    """A server in this process, without a port: for commands and tests. Raises RondoError."""
    server = await asyncio.to_thread(Server, DataFolder(data), project)
    await server.start(resumes=resumes)
    try:
        yield server
    finally:
        await server.close()
