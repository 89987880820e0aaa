"""What an earlier life of a run was told and could not store: found in the records, so that it is not paid for twice.

The gateway records an answer before it gives it away, so what a killed process had been told is in its journal. It is
in the record store once the journal has been drained.
"""

from __future__ import annotations

import asyncio

from msgspec import Struct

from rondo import clock
from rondo.errors import NotFound
from rondo.evals.answers import recorded_answer
from rondo.evals.model import Answer, Run
from rondo.store.base import RecordStore
from rondo.traces.drain import DrainView
from rondo.traces.search import get_calls

_PATIENCE_S = 30.0
_LOOK_EVERY_S = 0.1


class Told(Struct, frozen=True):
    """What the records know of a run: the trace of each answer by its key, and what everything has cost."""

    traces: dict[str, str]
    spent_usd: float


class Recorded:
    """Where answers are looked for."""

    def __init__(self, records: RecordStore, drain: DrainView) -> None:
        self._records = records
        self._drain = drain

    async def told(self, run: Run) -> Told:
        """Of a run that begins, nothing. Raises Unavailable."""
        if run.started_at is None:
            return Told({}, 0.0)
        await self._drained()
        return await asyncio.to_thread(self._told, run)

    async def answer(self, project: str, trace_id: str) -> Answer | None:
        """None where it cannot be read back whole. Raises Unavailable.

        So it is with embeddings: their vectors are not recorded.
        """
        return await asyncio.to_thread(self._answer, project, trace_id)

    async def _drained(self) -> None:
        """Wait until the store has what the journals hold now, but not for ever: what is not found is asked again."""
        until = clock.monotonic() + _PATIENCE_S
        wanted: dict[str, int] | None = None
        while clock.monotonic() < until:
            writers = (await asyncio.to_thread(self._drain.status)).writers
            wanted = wanted or {name: writer.accepted for name, writer in writers.items()}
            if all(writer.stored >= wanted.get(name, 0) for name, writer in writers.items()):
                return
            self._drain.wake()
            await asyncio.sleep(_LOOK_EVERY_S)

    def _told(self, run: Run) -> Told:
        since = {"project": run.project, "run": run.id, "since": run.started_at}
        rows = list(self._records.query("calls_of_run", since))
        traces = {row["key"]: row["trace_id"] for row in rows if row["key"] and not row["failed"]}
        return Told(traces, sum(row["usd"] for row in rows))

    def _answer(self, project: str, trace_id: str) -> Answer | None:
        try:
            call = get_calls(self._records, project, trace_id)[-1]
        except NotFound:
            return None
        return None if call.wire == "embeddings" else recorded_answer(call)
