"""Drift is looked at by itself, as `[drift]` of each app says, and whenever somebody asks.

One look is under way at a time, so memory and processor stay bounded. The schedule is in the catalog: a look that was
cut off is done again by the next start. Without an app that has `[drift]`, only the catalog is asked, once a minute at
most.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from time import monotonic

from pydantic import ValidationError

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.errors import InvalidRequest, RondoError
from rondo.governance import projects
from rondo.monitoring.drift import store
from rondo.monitoring.drift.asking import Means
from rondo.monitoring.drift.look import Wanted, look
from rondo.monitoring.drift.model import Report
from rondo.monitoring.drift.schedule import due, ending
from rondo.releases import store as releases
from rondo.settings.drift import DriftSettings
from rondo.store.base import RecordStore

EVERY_S = 20.0
AGAIN_S = 600.0
"""After a look that failed."""

_BY = "schedule"
_log = logging.getLogger("rondo.drift")


class Drift:
    """A server's looks at drift."""

    def __init__(self, catalog: Catalog, records: RecordStore, means: Means) -> None:
        self._catalog = catalog
        self._records = records
        self._means = means
        self._alone = asyncio.Lock()
        self._told: dict[tuple[str, str], str] = {}
        self._again: dict[tuple[str, str], float] = {}

    async def run(self, ended: asyncio.Event) -> None:
        """Until `ended` is set; a look that is under way is given up."""
        looking: asyncio.Task[None] | None = None
        try:
            while not ended.is_set():
                if looking is None or looking.done():
                    looking = asyncio.create_task(self._look_safely())
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), EVERY_S)
        finally:
            if looking is not None:
                looking.cancel()
                await asyncio.gather(looking, return_exceptions=True)

    async def look(self) -> list[Report]:
        """Look at every app whose time has come. Raises RondoError where the catalog fails."""
        found = []
        for wanted in await asyncio.to_thread(self._due):
            key = wanted.project, wanted.app
            if self._again.get(key, 0.0) > monotonic():
                continue
            try:
                found.append(await self._kept(wanted))
                self._told.pop(key, None)
                self._again.pop(key, None)
            except Exception as error:  # whatever happens to one app's look, the others have theirs
                self._tell(key, error)
                self._again[key] = monotonic() + AGAIN_S  # a look may cost money
        return found

    def _tell(self, key: tuple[str, str], error: Exception) -> None:
        """Once, and not at each try."""
        if self._told.get(key) != str(error):
            is_known = isinstance(error, RondoError)
            _log.warning("drift of %s cannot be looked at: %s", key[1], error, exc_info=None if is_known else error)
        self._told[key] = str(error)

    async def look_now(
        self, project: str, app: str, *, changes: dict[str, str], until: int | None, actor: str
    ) -> Report:
        """Look at the window that ends now, or at `until`; `changes` of the settings are of this look alone.

        Raises NotFound, InvalidRequest, Unavailable.
        """
        settings = changed(await asyncio.to_thread(self._settings, project, app), changes)
        now = clock.now_us()
        if until is not None and not 0 < until <= now:
            raise InvalidRequest("`until` lies in the future.", remedy="Give a time that has passed.", param="until")
        span = ending(settings, now if until is None else until)
        wanted = Wanted(project=project, app=app, settings=settings, span=span, scheduled=False, created_by=actor)
        return await self._kept(wanted)

    async def _look_safely(self) -> None:
        try:
            await self.look()
        except Exception as error:  # whatever happens to one look, there is a next one
            _log.warning("drift cannot be looked at: %s", error, exc_info=not isinstance(error, RondoError))

    async def _kept(self, wanted: Wanted) -> Report:
        async with self._alone:
            report = await look(self._records, self._means, wanted)
        await asyncio.to_thread(self._keep, report)
        return report

    def _keep(self, report: Report) -> None:
        with self._catalog.begin() as connection:
            store.save(connection, report)

    def _settings(self, project: str, app: str) -> DriftSettings:
        with self._catalog.read() as connection:
            return settings_of(releases.get_app(connection, project, app).settings)

    def _due(self) -> list[Wanted]:
        found = []
        now = clock.now_us()
        with self._catalog.read() as connection:
            for project in projects.names(connection):
                for app in releases.list_apps(connection, project):
                    if not app.settings.get("drift"):
                        continue
                    try:
                        settings = settings_of(app.settings)
                    except InvalidRequest as error:
                        self._tell((project, app.name), error)
                        continue
                    span = due(settings, now, store.last_until(connection, project, app.name, now))
                    if span is not None:
                        found.append(
                            Wanted(
                                project=project,
                                app=app.name,
                                settings=settings,
                                span=span,
                                scheduled=True,
                                created_by=_BY,
                            )
                        )
        return found


def settings_of(app: dict[str, object]) -> DriftSettings:
    """An app's `[drift]` as the catalog has it; the defaults where it has none. Raises InvalidRequest."""
    try:
        return DriftSettings.model_validate(app.get("drift") or {})
    except ValidationError as error:
        raise InvalidRequest(f"`[drift]` of the latest release cannot be read: {error}.", param="drift") from None


def changed(settings: DriftSettings, changes: dict[str, str]) -> DriftSettings:
    """Raises InvalidRequest, which names the field."""
    try:
        return DriftSettings.model_validate({**settings.model_dump(), **changes})
    except ValidationError as error:
        param = str(error.errors()[0]["loc"][0])
        raise InvalidRequest(
            f"`{param}` cannot be {changes.get(param, '')!r:.40}.", remedy="Write it as 90m, 24h or 7d.", param=param
        ) from None
