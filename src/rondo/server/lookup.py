"""A recorded call by its answer's id, for requests that continue an earlier response: from the store, also just after.

Only the control plane has the store. A worker asks it over the local socket, by a path that no client can reach.
"""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlencode

from rondo import clock
from rondo.gateway.endpoint import Receive, Scope
from rondo.gateway.recall import Lookup
from rondo.gateway.reply import Send
from rondo.records import Call, to_json
from rondo.server.front import Application
from rondo.store.base import RecordStore
from rondo.traces.drain import DrainView
from rondo.traces.search import find_answer

INTERNAL = "/internal/"
_CALLS = f"{INTERNAL}calls"
_JUST_NOW_MS = 10_000
_PAUSES_S = (0.05, 0.1, 0.2, 0.4, 0.8)
_AT_ONCE = 4


class StoreLookup:
    """Looks in the record store; for an answer of just now, a few times more, until the journal has been drained.

    Whoever asks for what is being looked for already gets the same answer, and few looks are under way at once: a
    flood of ids that nobody knows takes the store no more than that. On one event loop.
    """

    def __init__(self, records: RecordStore, drain: DrainView) -> None:
        self._records = records
        self._drain = drain
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._under_way: dict[tuple[str, str], asyncio.Task[Call | None]] = {}

    async def __call__(self, project: str, trace_id: str) -> Call | None:
        """Raises Unavailable where the store cannot be asked."""
        key = project, trace_id
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(self._look(project, trace_id))
            task.add_done_callback(lambda ended: self._forget(key, ended))
        return await asyncio.shield(task)

    async def _look(self, project: str, answer_id: str) -> Call | None:
        for pause_s in _PAUSES_S if _is_recent(answer_id) else ():
            found = await self._now(project, answer_id)
            if found is not None:
                return found
            self._drain.wake()
            await asyncio.sleep(pause_s)
        return await self._now(project, answer_id)

    async def _now(self, project: str, answer_id: str) -> Call | None:
        async with self._places:
            return await asyncio.to_thread(find_answer, self._records, project, answer_id)

    def _forget(self, key: tuple[str, str], ended: asyncio.Task[Call | None]) -> None:
        del self._under_way[key]
        if not ended.cancelled():
            ended.exception()  # whoever waited has it, if anybody did


def query_of(project: str, trace_id: str) -> str:
    """Path and query by which a worker asks for a call."""
    return f"{_CALLS}?{urlencode({'project': project, 'trace_id': trace_id})}"


class LocalFront:
    """The front on the local socket: answers workers' own questions, and everything else as ever."""

    def __init__(self, front: Application, lookup: Lookup) -> None:
        self._front = front
        self._lookup = lookup

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != _CALLS:
            await self._front(scope, receive, send)
            return
        asked = parse_qs(scope["query_string"].decode("latin-1"))
        call = await self._lookup(asked["project"][0], asked["trace_id"][0])
        body = b"" if call is None else to_json(call)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 404 if call is None else 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _is_recent(trace_id: str) -> bool:
    """An id begins with its milliseconds."""
    return abs(clock.now_us() // 1_000 - int(trace_id[:12], 16)) < _JUST_NOW_MS
