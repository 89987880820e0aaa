"""Traces: a filtered list, newest first, from which each leads to its waterfall."""

from __future__ import annotations

import asyncio

from starlette.responses import Response

from rondo import clock
from rondo.console.pages.overview import WINDOWS
from rondo.console.visit import Page, Visit
from rondo.errors import InvalidRequest
from rondo.governance.model import Role
from rondo.traces.filter import EVERY_TRACE, TRACE_FIELDS, TraceFilter, parse_trace_filter
from rondo.traces.listing import TracePage, list_traces

_PAGE = 50


async def show(visit: Visit) -> Response:
    wanted, error = _filter(visit)
    page = TracePage([], None)
    if error is None:
        page = await asyncio.to_thread(
            list_traces, visit.control.records, visit.project, wanted, limit=_PAGE, before=visit.query("before")
        )
    return visit.page(
        "traces.html",
        status=400 if error else 200,
        page=page,
        windows=WINDOWS.values(),
        filtered=[name for name in (*TRACE_FIELDS, "window") if visit.query(name)],
        error=error,
    )


def _filter(visit: Visit) -> tuple[TraceFilter, InvalidRequest | None]:
    """What the address asks for; with what is wrong, where it asks for something that cannot be."""
    words = {name: value.strip() for name in TRACE_FIELDS if (value := visit.query(name))}
    window = WINDOWS.get(visit.query("window") or "")
    if window is not None and "since" not in words:
        words["since"] = clock.iso(clock.now_us() - window.length_us)
    try:
        return parse_trace_filter(words), None
    except InvalidRequest as error:
        return EVERY_TRACE, error


PAGES = [Page("GET", "/traces", Role.VIEWER, show)]
