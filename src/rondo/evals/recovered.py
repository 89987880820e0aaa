"""What an earlier life of a run was told and could not store: found in the records, so that it is not paid for twice.

The gateway records an answer before it gives it away, so what a killed process had been told is in its journal. It is
in the record store once the journal has been drained.
"""

from __future__ import annotations

import asyncio

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.errors import NotFound
from rondo.evals import store
from rondo.evals.answers import recorded_answer
from rondo.evals.model import Answer, Run
from rondo.store.base import RecordStore
from rondo.traces.drain import DrainView
from rondo.traces.search import get_calls

_PATIENCE_S = 30.0
_LOOK_EVERY_S = 0.1


class Recorded:
    """Where answers are looked for."""

    def __init__(self, catalog: Catalog, records: RecordStore, drain: DrainView) -> None:
        self._catalog = catalog
        self._records = records
        self._drain = drain

    async def answers(self, run: Run) -> dict[str, Answer]:
        """Answers that the run has had and that no result holds, by key. None for a run that begins.

        Embeddings are not among them: their vectors are not recorded. Raises Unavailable.
        """
        if run.started_at is None:
            return {}
        await self._drained()
        return await asyncio.to_thread(self._read, run)

    async def _drained(self) -> None:
        """Wait until the journal is in the store, but not for ever: what is not found is asked again."""
        until = clock.monotonic() + _PATIENCE_S
        while clock.monotonic() < until:
            status = await asyncio.to_thread(self._drain.status)
            if status.queued == 0:
                return
            self._drain.wake()
            await asyncio.sleep(_LOOK_EVERY_S)

    def _read(self, run: Run) -> dict[str, Answer]:
        since = {"project": run.project, "run": run.id, "since": run.started_at}
        told = {row["key"]: row["trace_id"] for row in self._records.query("calls_of_run", since) if row["key"]}
        keys = list(told)
        with self._catalog.read() as connection:
            there = store.known_keys(connection, run.project, keys)
        found: dict[str, Answer] = {}
        for key in keys:
            if key in there:
                continue
            try:
                call = get_calls(self._records, run.project, told[key])[-1]
            except NotFound:
                continue
            if call.wire != "embeddings":
                found[key] = recorded_answer(call)
        return found
