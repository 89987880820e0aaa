"""Traces: listed, and each whole: calls, their steps, and what other programs sent, as one tree."""

from __future__ import annotations

import asyncio

from rondo.api.door import Asked, Door
from rondo.governance.model import Role
from rondo.traces.filter import parse_trace_filter
from rondo.traces.listing import TracePage, list_traces
from rondo.traces.search import MAX_PAGE as MOST_LISTED
from rondo.traces.tree import MAX_PAGE, MAX_ROWS, Detail, Tree, detail, tree

_PAGING = ("limit", "before")


async def listed(asked: Asked) -> TracePage:
    """A page of traces, newest first, that match every filter; a plain call of the gateway is a trace too."""
    words = {name: value for name, value in asked.request.query_params.items() if name not in _PAGING}
    return await asyncio.to_thread(
        list_traces,
        asked.control.records,
        asked.project,
        parse_trace_filter(words),
        limit=asked.query_number("limit", 50, most=MOST_LISTED),
        before=asked.query("before"),
    )


async def show(asked: Asked) -> Tree:
    """A trace as a tree: a page of `limit` lines from `offset` on, without what was asked and answered."""
    return await asyncio.to_thread(
        tree,
        asked.control.records,
        asked.project,
        asked.path("trace_id"),
        offset=asked.query_number("offset", 0, least=0, most=MAX_ROWS),
        limit=asked.query_number("limit", MAX_PAGE, most=MAX_PAGE),
    )


async def show_span(asked: Asked) -> Detail:
    """One span of a trace with all that is kept of it."""
    return await asyncio.to_thread(
        detail, asked.control.records, asked.project, asked.path("trace_id"), asked.path("span_id")
    )


DOORS = [
    Door("GET", "/api/traces", Role.VIEWER, listed),
    Door("GET", "/api/traces/{trace_id}", Role.VIEWER, show),
    Door("GET", "/api/traces/{trace_id}/spans/{span_id}", Role.VIEWER, show_span),
]
