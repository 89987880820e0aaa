"""What the host and the model servers use: looked at every half minute, kept in memory for a day.

Model servers are those of models with a `metrics_url`. It is asked by the same client as the models themselves: no
redirect is followed, no key goes along, and an answer is read no further than it may be long.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.errors import RondoError
from rondo.governance import projects
from rondo.monitoring import host, model_servers
from rondo.providers.upstream import Upstream
from rondo.releases import store as releases

_log = logging.getLogger(__name__)

EVERY_S = 30.0
KEPT = 24 * 120
"""Looks: a day of them."""

_TIMEOUT_S = 5.0

Server = tuple[str, str]
"""A project, and a model of it."""


class Sample(Struct, frozen=True):
    """One look. Shares are of 1."""

    at: int
    values: dict[str, float]


class ModelServer(Struct, frozen=True, kw_only=True):
    """What a model's server told. `error` is why the last look failed."""

    model: str
    samples: list[Sample]
    error: str | None


class Usage(Struct, frozen=True, kw_only=True):
    """Oldest look first. The host is that of the control plane."""

    host: list[Sample]
    models: list[ModelServer]


class Resources:
    """Looks at the host and the model servers until `ended`."""

    def __init__(self, catalog: Catalog, upstream: Upstream, folder: Path, *, every_s: float = EVERY_S) -> None:
        """`folder` is where the data is."""
        self._catalog = catalog
        self._upstream = upstream
        self._folder = folder
        self._every_s = every_s
        self._ticks: host.Ticks | None = None
        self._host: deque[Sample] = deque(maxlen=KEPT)
        self._models: dict[Server, deque[Sample]] = {}
        self._counted: dict[Server, Sample] = {}
        self._errors: dict[Server, str] = {}

    async def run(self, ended: asyncio.Event) -> None:
        while not ended.is_set():
            try:
                await self.look()
            except Exception:
                _log.exception("a look at the resources failed")
            try:
                await asyncio.wait_for(ended.wait(), self._every_s)
            except TimeoutError:
                continue

    async def look(self) -> None:
        """One look at everything."""
        self._host.append(await asyncio.to_thread(self._look_at_host))
        servers = await asyncio.to_thread(self._servers)
        for gone in self._models.keys() - servers.keys():
            for kept in (self._models, self._counted, self._errors):
                kept.pop(gone, None)
        await asyncio.gather(*(self._ask(server, url) for server, url in servers.items()))

    def usage(self, project: str, *, since: int = 0) -> Usage:
        """What is known from `since` on, microseconds."""
        return Usage(
            host=_from(self._host, since),
            models=[
                ModelServer(model=model, samples=_from(samples, since), error=self._errors.get((owner, model)))
                for (owner, model), samples in sorted(self._models.items())
                if owner == project
            ],
        )

    def _look_at_host(self) -> Sample:
        before, self._ticks = self._ticks, host.ticks()
        values = {**host.memory(), **host.disk(self._folder)}
        busy = host.cpu_share(before, self._ticks)
        if busy is not None:
            values["cpu_share"] = busy
        return Sample(clock.now_us(), values)

    def _servers(self) -> dict[Server, str]:
        """The model servers of all projects, and where they tell of themselves."""
        with self._catalog.read() as connection:
            return {
                (project, model.name): url
                for project in projects.names(connection)
                for model in releases.list_models(connection, project)
                if isinstance(url := model.definition.get("metrics_url"), str)
            }

    async def _ask(self, server: Server, url: str) -> None:
        samples = self._models.setdefault(server, deque(maxlen=KEPT))
        try:
            told = model_servers.read(await asyncio.wait_for(self._fetch(url), _TIMEOUT_S))
        except (RondoError, ValueError, TimeoutError) as error:
            self._errors[server] = str(error) or "it did not answer in time"
            self._counted.pop(server, None)
            return
        self._errors.pop(server, None)
        now = clock.now_us()
        before = self._counted.get(server)
        more = model_servers.rates(before.values, told, (now - before.at) / 1e6) if before else {}
        self._counted[server] = Sample(now, told)
        shown = {name: value for name, value in told.items() if name in model_servers.GAUGES}
        samples.append(Sample(now, {**shown, **more}))

    async def _fetch(self, url: str) -> str:
        reply = await self._upstream.target(url, {"accept": "text/plain"}, timeout_s=_TIMEOUT_S).get()
        try:
            if reply.status != 200:
                raise ValueError(f"it answered {reply.status}")
            body = bytearray()
            async for part in reply.chunks():
                body += part
                if len(body) > model_servers.LONGEST:
                    raise ValueError("its answer is too long")
        finally:
            reply.close()
        return body.decode("utf-8", "replace")


def _from(samples: Iterable[Sample], since: int) -> list[Sample]:
    return [sample for sample in samples if sample.at >= since]
