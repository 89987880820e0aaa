"""A recorded call by its trace, for requests that continue an earlier response: from the record store, also just after.

Only the control plane has the store. A worker asks it over the local socket, by a path that no client can reach.
"""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlencode

from rondo import clock
from rondo.errors import NotFound
from rondo.gateway.endpoint import Receive, Scope
from rondo.gateway.recall import Lookup
from rondo.gateway.reply import Send
from rondo.records import Call, to_json
from rondo.server.front import Application
from rondo.store.base import RecordStore
from rondo.traces.drain import Drain
from rondo.traces.search import get_calls

INTERNAL = "/internal/"
_CALLS = f"{INTERNAL}calls"
_JUST_NOW_MS = 10_000
_PATIENCE_S = 2.0
_LOOK_EVERY_S = 0.05


def lookup_in(records: RecordStore, drain: Drain) -> Lookup:
    """Looks in the record store; for a trace of just now, until the journal has been drained."""

    async def look(project: str, trace_id: str) -> Call | None:
        patient_until = clock.monotonic() + (_PATIENCE_S if _is_recent(trace_id) else 0)
        while True:
            try:
                calls = await asyncio.to_thread(get_calls, records, project, trace_id)
            except NotFound:
                if clock.monotonic() >= patient_until:
                    return None
                drain.wake()
                await asyncio.sleep(_LOOK_EVERY_S)
            else:
                return next((call for call in calls if call.arm == "live"), None)

    return look


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
    """A trace id begins with its milliseconds."""
    return abs(clock.now_us() // 1_000 - int(trace_id[:12], 16)) < _JUST_NOW_MS
