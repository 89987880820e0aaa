"""Traces out: every stored call, and every score, to an endpoint of OTLP, in the order they were stored.

What is read is what is stored, so nothing is held in memory while the endpoint is away, and nothing is lost: a cursor
in the catalog moves when a batch has been taken. After a crash a batch may come twice, with the same ids. Calls and
scores go their ways by themselves, so an endpoint that takes one of them and not the other gets that one. Calls that
came in by OpenTelemetry are not sent back. Without `[telemetry]`, nothing is read and nothing is sent.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from msgspec import Struct

from rondo.catalog.engine import Catalog
from rondo.errors import RondoError
from rondo.governance import projects
from rondo.records import Call, Score
from rondo.settings.telemetry import TelemetrySettings
from rondo.store.base import RecordStore
from rondo.traces import arrivals, cursors
from rondo.traces.search import record_of
from rondo.traces.telling import encode
from rondo.traces.telling.post import Post, Signal

CALLS, SCORES = "telemetry.calls", "telemetry.scores"
"""Names of the cursors."""

EVERY_S = 1.0
_BATCH = 200
_FULL = 4 << 20
"""Bytes of a request: what receivers take that were not told otherwise."""

_log = logging.getLogger("rondo.telemetry")


class TellingStatus(Struct, frozen=True, kw_only=True):
    """How sending stands, counted since the server started. `dropped` were refused for good, `behind` wait.

    `retrying` says why the endpoint is asked again, `last_refusal` why something was dropped, `fault` what else fails.
    """

    endpoint: str
    calls: int
    scores: int
    dropped: int
    behind: int
    retrying: str | None
    last_refusal: str | None
    fault: str | None


class Telling:
    """Of one server, for all its projects. `post` is None where nothing is to be sent."""

    def __init__(
        self,
        catalog: Catalog,
        records: RecordStore,
        settings: TelemetrySettings | None,
        post: Post | None,
        *,
        source: str,
    ) -> None:
        """`source` names the records, where servers that have others share the catalog."""
        self._catalog = catalog
        self._records = records
        self._settings = settings
        self._post = post
        self._cursors = {name: cursors.named(catalog, name, source) for name in (CALLS, SCORES)}
        self._places: dict[tuple[str, str], int] = {}
        self._calls = self._scores = self._dropped = 0
        self._refusal: str | None = None
        self._faults: dict[str, str] = {}

    async def run(self, ended: asyncio.Event) -> None:
        """Until `ended` is set. Outlives every error."""
        if self._post is None:
            await self._keep_on("nothing", self._forget_all, ended)
        else:
            await asyncio.gather(
                self._keep_on(CALLS, partial(self._look, self._tell_calls), ended),
                self._keep_on(SCORES, partial(self._look, self._tell_scores), ended),
            )

    async def _keep_on(
        self, name: str, look: Callable[[asyncio.Event], Awaitable[bool | None]], ended: asyncio.Event
    ) -> None:
        """Look again and again, at once where there is more; None is the last."""
        while not ended.is_set():
            more: bool | None = False
            try:
                more = await look(ended)
                self._faults.pop(name, None)
            except Exception as error:
                if name not in self._faults:
                    _log.warning(
                        "telemetry waits: %s", error, exc_info=None if isinstance(error, RondoError) else error
                    )
                self._faults[name] = str(error) or type(error).__name__
            if more is None:
                return
            if not more:
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), EVERY_S)

    async def _look(self, tell: Callable[[str, asyncio.Event], Awaitable[bool]], ended: asyncio.Event) -> bool:
        """Send what has come in, a batch of each project; whether there is more. Raises RondoError."""
        more = False
        for project in await asyncio.to_thread(self._projects):
            if ended.is_set():
                return False
            more |= await tell(project, ended)
        return more

    def status(self, project: str) -> TellingStatus | None:
        """None where nothing is to be sent. Counts are the server's; `behind` is the project's. Reads the records."""
        if self._settings is None or self._post is None:
            return None
        place = self._places.get((project, CALLS))
        behind = 0 if place is None else max(0, arrivals.newest(self._records, project) - place)
        return TellingStatus(
            endpoint=self._settings.endpoint,
            calls=self._calls,
            scores=self._scores,
            dropped=self._dropped,
            behind=behind,
            retrying=self._post.retrying,
            last_refusal=self._refusal,
            fault=next(iter(self._faults.values()), None),
        )

    async def _tell_calls(self, project: str, ended: asyncio.Event) -> bool:
        after = await self._place(project, CALLS)
        rows, calls = await asyncio.to_thread(self._read_calls, project, after)
        if not rows:
            return False
        if calls and not await self._send("traces", calls, self._spans, ended):
            return False
        await self._move(project, CALLS, rows[-1]["arrival"])
        return len(rows) == _BATCH

    async def _tell_scores(self, project: str, ended: asyncio.Event) -> bool:
        after = await self._place(project, SCORES)
        params = {"project": project, "after": after, "limit": _BATCH}
        rows = await asyncio.to_thread(self._records.query, "scores_after", params)
        if not rows:
            return False
        last = rows[-1]["arrival"]
        scores = [_scored(row) for row in rows if not row["is_traced"] and not _is_withdrawn(row)]
        if scores and not await self._send("logs", scores, self._results, ended):
            return False
        await self._move(project, SCORES, last)
        return len(rows) == _BATCH

    def _read_calls(self, project: str, after: int) -> tuple[list[dict[str, Any]], list[Call]]:
        rows = arrivals.after(self._records, project, after, limit=_BATCH)
        own = [row["arrival"] for row in rows if row["arm"] != "traced"]
        calls = arrivals.whole(self._records, project, own)
        return rows, arrivals.with_spans(self._records, project, [calls[place] for place in own if place in calls])

    async def _send(
        self, signal: Signal, items: Sequence[Any], make: Callable[[Sequence[Any]], bytes], ended: asyncio.Event
    ) -> bool:
        """In as many requests as it takes; False where it was told to end before all were taken or refused."""
        assert self._post is not None
        try:
            body = await asyncio.to_thread(make, items)
        except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
            # What nobody has thought of costs its own call, and keeps no other waiting.
            if len(items) > 1:
                return await self._send_halves(signal, items, make, ended)
            _log.exception("one of the %s cannot be told", signal)
            self._lose(1, f"It cannot be told: {type(error).__name__}.")
            return True
        if len(body) > _FULL and len(items) > 1:
            return await self._send_halves(signal, items, make, ended)
        sent = await self._post.send(signal, body, ended)
        if sent is None:
            return False
        if sent.too_large and len(items) > 1:
            return await self._send_halves(signal, items, make, ended)
        taken = len(items) if sent.taken else 0
        if signal == "traces":
            self._calls += taken
        else:
            self._scores += taken
        lost = sent.rejected if sent.taken else len(items)
        if lost:
            self._lose(lost, sent.why)
            _log.error("the telemetry endpoint refused %d of %s: %s", lost, signal, sent.why)
        return True

    def _lose(self, count: int, why: str) -> None:
        self._dropped += count
        self._refusal = why

    async def _send_halves(
        self, signal: Signal, items: Sequence[Any], make: Callable[[Sequence[Any]], bytes], ended: asyncio.Event
    ) -> bool:
        middle = len(items) // 2
        first = await self._send(signal, items[:middle], make, ended)
        return first and await self._send(signal, items[middle:], make, ended)

    def _spans(self, calls: Sequence[Call]) -> bytes:
        assert self._settings is not None
        return encode.spans(calls, service=self._settings.service_name, content=self._settings.content)

    def _results(self, scores: Sequence[tuple[Score, str | None]]) -> bytes:
        assert self._settings is not None
        return encode.results(scores, service=self._settings.service_name, content=self._settings.content)

    async def _place(self, project: str, name: str) -> int:
        """Where to go on; at first, with what comes from now on."""
        known = self._places.get((project, name))
        if known is None:
            known = self._places[project, name] = await asyncio.to_thread(self._begin, project, name)
        return known

    def _begin(self, project: str, name: str) -> int:
        with self._catalog.read() as connection:
            known = cursors.find(connection, project, self._cursors[name])
        if known is not None:
            return known
        newest = arrivals.newest if name == CALLS else arrivals.newest_score
        place = newest(self._records, project)
        self._save(project, name, place)
        return place

    async def _move(self, project: str, name: str, place: int) -> None:
        await asyncio.to_thread(self._save, project, name, place)
        self._places[project, name] = place

    def _save(self, project: str, name: str, place: int) -> None:
        with self._catalog.begin() as connection:
            cursors.save(connection, project, self._cursors[name], place)

    async def _forget_all(self, ended: asyncio.Event) -> None:
        await asyncio.to_thread(self._forget)

    def _forget(self) -> None:
        """What was stored while nothing was to be sent is not sent later."""
        for project in self._projects():
            with self._catalog.read() as connection:
                known = [name for name in self._cursors.values() if cursors.find(connection, project, name) is not None]
            if known:
                with self._catalog.begin() as connection:
                    for name in known:
                        cursors.forget(connection, project, name)

    def _projects(self) -> list[str]:
        with self._catalog.read() as connection:
            return projects.names(connection)


def _scored(row: dict[str, Any]) -> tuple[Score, str | None]:
    span_id = row.pop("call_span_id")
    for name in ("arrival", "is_traced"):
        row.pop(name)
    return record_of(row, Score), span_id


def _is_withdrawn(row: dict[str, Any]) -> bool:
    return row["value"] is None and row["label"] is None
