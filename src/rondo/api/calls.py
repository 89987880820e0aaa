"""Calls: listed, tailed, exported, shown; and the story of one answer."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from starlette.background import BackgroundTask
from starlette.responses import FileResponse

from rondo.api.door import Asked, Door
from rondo.control import Connection
from rondo.errors import InvalidRequest
from rondo.governance.model import Role
from rondo.monitoring.story import why
from rondo.store.base import ExportFormat
from rondo.traces import search
from rondo.traces.filter import CallFilter, parse_filter
from rondo.traces.why import Story

_PAGING = ("limit", "before", "after", "format")
_POLL_S = 0.5
_LONGEST_POLL_S = 20.0


async def list_calls(asked: Asked) -> search.Page:
    """A page of calls, newest first, that match every filter."""
    return await asyncio.to_thread(
        search.list_calls,
        asked.control.records,
        asked.project,
        filter_of(asked),
        limit=asked.query_number("limit", 50, most=search.MAX_PAGE),
        before=asked.query("before"),
    )


async def tail(asked: Asked) -> search.Tail:
    """Waits up to 20 seconds for a call that fits."""
    chosen, after = filter_of(asked), asked.query("after")
    start = None if after is None else asked.query_number("after", 0, least=0, most=2**62)
    loop = asyncio.get_running_loop()
    until = loop.time() + _LONGEST_POLL_S
    while True:
        found = await asyncio.to_thread(search.tail, asked.control.records, asked.project, chosen, after=start)
        if found.items or start is None or loop.time() > until or asked.control.stopping.is_set():
            return found
        await asyncio.sleep(_POLL_S)


async def export(asked: Asked) -> FileResponse:
    """All calls that match, with every column: JSON lines or Parquet."""
    kind = asked.query("format") or "jsonl"
    if kind not in ("jsonl", "parquet"):
        raise InvalidRequest(f"There is no format {kind!r:.20}.", remedy="Use jsonl or parquet.", param="format")
    file_format: ExportFormat = "parquet" if kind == "parquet" else "jsonl"
    chosen = filter_of(asked)
    folder = tempfile.TemporaryDirectory(prefix="rondo-export-")
    target = Path(folder.name) / f"calls.{kind}"
    try:
        await asyncio.to_thread(search.export_calls, asked.control.records, asked.project, chosen, file_format, target)
    except BaseException:
        folder.cleanup()
        raise
    media = "application/vnd.apache.parquet" if kind == "parquet" else "application/x-ndjson"
    return FileResponse(target, media_type=media, filename=target.name, background=BackgroundTask(folder.cleanup))


async def show(asked: Asked) -> dict[str, Any]:
    """Everything recorded of a trace, spans included."""
    trace_id = asked.path("trace_id")
    calls = await asyncio.to_thread(search.get_calls, asked.control.records, asked.project, trace_id)
    return {"calls": calls}


async def story(asked: Asked) -> Story:
    """Why this answer: the call with its release, passages, steps, attempts and judgements."""
    trace_id, control = asked.path("trace_id"), asked.control

    def read(connection: Connection) -> Story:
        return why(connection, control.records, asked.project, trace_id)

    return await control.read(read)


def filter_of(asked: Asked) -> CallFilter:
    """The filter in the query string. Raises InvalidRequest."""
    return parse_filter({name: value for name, value in asked.request.query_params.items() if name not in _PAGING})


DOORS = [
    Door("GET", "/api/calls", Role.VIEWER, list_calls),
    Door("GET", "/api/calls/tail", Role.VIEWER, tail),
    Door("GET", "/api/calls/export", Role.VIEWER, export),
    Door("GET", "/api/calls/{trace_id}", Role.VIEWER, show),
    Door("GET", "/api/why/{trace_id}", Role.VIEWER, story),
]
