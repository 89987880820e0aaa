"""Alarms on a catalog and made-up numbers, a clock that a test moves, and receivers that behave badly."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import pytest

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.errors import Unavailable
from rondo.governance import projects
from rondo.limits.status import Status
from rondo.monitoring.alerts import store
from rondo.monitoring.alerts.deliver import Courier
from rondo.monitoring.alerts.engine import Alarms
from rondo.monitoring.alerts.mail import Mailer
from rondo.monitoring.alerts.model import Alert, AlertEvent, Notice
from rondo.monitoring.alerts.post import Poster
from rondo.monitoring.alerts.reach import Allowed
from rondo.monitoring.alerts.surroundings import DriftNow, no_drift
from rondo.releases import store as releases
from rondo.store.base import NO_FILTERS, RecordStore
from rondo.traces.drain import DrainStatus

START = 1_763_700_000_000_000
GOALS = [{"metric": "errors.rate", "at_most": 0.05}]
HOOKS = {"lasting": "2m", "channels": {"ops": {"kind": "webhook", "url": "http://127.0.0.1:9/"}}}


LASTING = 8
"""Looks: what `lasting` of HOOKS says."""


class Records:
    """A record store whose rows of `goal_metrics` a test sets; `away` makes it fail."""

    def __init__(self) -> None:
        self.row: dict[str, Any] = {}
        self.traces: list[str] = []
        self.away = False
        self.set(0.0)

    def set(self, rate: float | None, calls: int = 100) -> None:
        none = dict.fromkeys(("latency.p50_ms", "latency.p95_ms", "cost.total_usd", "deflection"))
        counts = {"handed_over.known_count": 0, "feedback.count": 0}
        self.row = {"calls.count": calls, "errors.rate": rate, **none, **counts}

    def query(
        self, name: str, params: Mapping[str, object], filters: Mapping[str, object] = NO_FILTERS
    ) -> list[dict[str, Any]]:
        assert params["project"] == "p"
        if self.away:
            raise Unavailable("the store is away")
        return [self.row] if name == "goal_metrics" else []


class Watch:
    """Alarms, as one server has them; `look` moves both clocks on and looks."""

    def __init__(self, catalog: Catalog, records: Records, time: Time, *, drift: DriftNow = no_drift) -> None:
        self.catalog = catalog
        self.records = records
        self.time = time
        self.lag: float | None = None
        self.spent: Status | None = None
        self.courier = Courier(catalog, Poster(Allowed("127.0.0.1")), Mailer(), secret=lambda name: None)
        self.alarms = Alarms(catalog, cast(RecordStore, records), self, self.courier, spent=self.spending, drift=drift)

    async def spending(self, project: str) -> Status | None:
        return self.spent

    def status(self) -> DrainStatus:
        return DrainStatus(
            accepted=1,
            stored=0,
            queued=0 if self.lag is None else 1,
            missing=0,
            quarantined=0,
            torn_bytes=0,
            oldest_queued_s=self.lag,
            last_error=None,
            writers={},
        )

    def wake(self) -> None:
        """Of the drain: nothing to do."""

    def look(self, times: int = 1, *, every_s: float = 15) -> Watch:
        for _ in range(times):
            self.time.pass_s(every_s)
            asyncio.run(self.alarms.look())
        return self

    def open(self) -> list[Alert]:
        with self.catalog.read() as connection:
            return store.open_alerts(connection, "p")

    def ended(self) -> list[Alert]:
        with self.catalog.read() as connection:
            return store.ended_alerts(connection, "p", app=None, limit=100)

    def one(self) -> Alert:
        (found,) = self.open()
        return found

    def events(self, alert: Alert) -> list[AlertEvent]:
        with self.catalog.read() as connection:
            return store.events(connection, "p", alert.id)

    def notices(self) -> list[Notice]:
        """All of them, in order."""
        with self.catalog.read() as connection:
            alerts = store.open_alerts(connection, "p") + store.ended_alerts(connection, "p", app=None, limit=100)
            found = [each for alert in alerts for each in store.notices_of(connection, "p", alert.id)]
        return sorted(found, key=lambda each: each.order)

    def told(self) -> list[str]:
        return [each.kind for each in self.notices()]


def fire(watch: Watch) -> Watch:
    """Until its one alert fires."""
    watch.records.set(0.2)
    watch.look(LASTING + 1)
    assert watch.one().status == "firing"
    return watch


class Time:
    """Both clocks, which a test moves."""

    def __init__(self, advance: Callable[[int], None]) -> None:
        self.jump = advance
        self.monotonic = 1_000.0

    def pass_s(self, seconds: float) -> None:
        self.monotonic += seconds
        self.jump(int(seconds * 1_000_000))


@contextmanager
def held_time(monkeypatch: pytest.MonkeyPatch, at: int = START) -> Iterator[Time]:
    with clock.at(at) as advance:
        time = Time(advance)
        monkeypatch.setattr(clock, "monotonic", lambda: time.monotonic)
        yield time


def fill(catalog: Catalog, about: Mapping[str, Any] | None = None) -> Catalog:
    """The project `p` with the app `bot`."""
    projects.create(catalog, "p", actor="tests")
    declare(catalog, about or {"goals": GOALS, "alerts": HOOKS})
    return catalog


def declare(catalog: Catalog, about: Mapping[str, Any], app: str = "bot") -> None:
    with catalog.begin() as connection:
        releases.save_app(connection, "p", app, dict(about), 0)


Talk = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def receiver(talk: Talk, tls: ssl.SSLContext | None = None) -> Any:
    """A server on this machine that gives each request (its head and body) to `talk`; yields its port and what came."""
    came: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                ),
                0,
            )
            came.append(head + await reader.readexactly(length))
            await talk(came[-1], reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1], came
    finally:
        server.close()


def saying(text: str) -> Talk:
    """Always this answer."""

    async def talk(request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(text.encode())
        await writer.drain()

    return talk


OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
