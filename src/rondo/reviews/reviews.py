"""Reviews as the doors see them, and what begins and ends with the server.

Every verb but the few below is in its own file; these need the journal besides the catalog. Now and then the queues of
all projects are filled, and scores that have not reached the journal are written again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.errors import RondoError
from rondo.governance.model import Grant
from rondo.records import Score, ScoreKind
from rondo.reviews import answering, importing, reopening, store
from rondo.reviews.answering import Words
from rondo.reviews.collect import Collected, collect
from rondo.reviews.importing import Taken
from rondo.reviews.model import Item, ReviewAnswer
from rondo.store.base import RecordStore

_EVERY_S = 60.0
_OVERLAP_US = 600 * 1_000_000
"""A look goes back this far behind the one before it: records may have been on their way."""

_FILLER = "rondo"

_log = logging.getLogger("rondo.reviews")


class Judge(Protocol):
    """Keeps feedback in the journal: `Gateway.judge`."""

    def __call__(self, grant: Grant, body: bytes, *, kind: ScoreKind) -> Awaitable[Score]: ...


class Reviews:
    """Reviews of all projects. Of all processes on a data folder, one has them."""

    def __init__(self, catalog: Catalog, records: RecordStore, judge: Judge, *, wake: Callable[[], None]) -> None:
        """`wake` has the journal drained now."""
        self._catalog = catalog
        self._records = records
        self._judge = judge
        self._wake = wake
        self._looked_at: dict[str, int] = {}
        self._writing = asyncio.Lock()

    async def answer(self, grant: Grant, item_id: str, words: Words) -> Item:
        """What the bearer of the key says of an item. Raises NotFound, InvalidRequest, Conflict."""
        item = await asyncio.to_thread(answering.answer, self._catalog, grant.project, item_id, grant.name, words)
        return await self._ended(item)

    async def adjudicate(self, grant: Grant, item_id: str, words: Words) -> Item:
        """Settle a dispute. Raises NotFound, InvalidRequest, Conflict."""
        item = await asyncio.to_thread(answering.adjudicate, self._catalog, grant.project, item_id, grant.name, words)
        return await self._ended(item)

    async def reopen(self, grant: Grant, item_id: str, reason: str) -> Item:
        """Have an item that has ended reviewed anew; its scores are withdrawn from the records.

        Raises NotFound, InvalidRequest, Forbidden, Conflict, and Unavailable where the journal takes nothing.
        """
        async with self._writing:
            item, answers = await asyncio.to_thread(reopening.begin, self._catalog, grant, item_id, reason=reason)
            for by, body in reopening.withdrawals(item, answers):
                await self._judge(by, body, kind="human")
            item = await asyncio.to_thread(reopening.finish, self._catalog, grant, item_id, reason=reason)
        self._wake()
        return item

    async def take(self, grant: Grant, content: bytes, reviewers: Mapping[str, str]) -> Taken:
        """Annotations from Label Studio. Raises InvalidRequest."""
        imported = await asyncio.to_thread(
            importing.take, self._catalog, grant.project, content, reviewers=reviewers, actor=grant.name
        )
        await self.write(grant.project)
        return imported

    async def collect(self, project: str, *, actor: str, since: int | None = None) -> Collected:
        """Fill the project's queue now. Raises Unavailable."""
        return await asyncio.to_thread(collect, self._catalog, self._records, project, actor=actor, since=since)

    async def write(self, project: str) -> None:
        """Write the scores that are not known to be in the journal; what cannot be written waits for the next time."""
        async with self._writing:
            while waiting := await asyncio.to_thread(answering.unwritten, self._catalog, project):
                await self._write(waiting)

    async def run(self, stop: asyncio.Event) -> None:
        """Fill the queues of all projects now and then. Outlives every error."""
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _EVERY_S)
                return
            try:
                await self.look()
            except Exception:
                _log.exception("the queues of reviews cannot be filled")

    async def look(self) -> None:
        """One look at all projects."""
        for project in await asyncio.to_thread(self._projects):
            try:
                await self.write(project)
                now = clock.now_us()
                before = self._looked_at.get(project)
                since = None if before is None else before - _OVERLAP_US
                found = await self.collect(project, actor=_FILLER, since=since)
                if not found.left_over:
                    self._looked_at[project] = now
            except RondoError as error:
                _log.warning("the queue of reviews of %s waits: %s", project, error)

    async def _ended(self, item: Item) -> Item:
        """The same, with its scores in the journal where it is done. The answer is kept, whatever becomes of them."""
        if item.status != "done":
            return item
        try:
            await self.write(item.project)
        except RondoError as error:
            _log.warning("the scores of %s wait: %s", item.id, error)
        return item

    async def _write(self, done: Sequence[tuple[Item, list[ReviewAnswer]]]) -> None:
        for item, answers in done:
            said = answering.feedback(item, answers)
            await asyncio.gather(*(self._judge(grant, body, kind="human") for grant, body in said))
        await asyncio.to_thread(answering.end, self._catalog, [item for item, _ in done])
        self._wake()

    def _projects(self) -> list[str]:
        with self._catalog.read() as connection:
            return store.project_names(connection)
