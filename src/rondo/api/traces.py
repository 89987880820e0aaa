"""Whole traces: calls, their steps, and what other programs sent, as one tree."""

from __future__ import annotations

import asyncio

from rondo.api.door import Asked, Door
from rondo.governance.model import Role
from rondo.traces.tree import MAX_PAGE, MAX_ROWS, Detail, Tree, detail, tree


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
    Door("GET", "/api/traces/{trace_id}", Role.VIEWER, show),
    Door("GET", "/api/traces/{trace_id}/spans/{span_id}", Role.VIEWER, show_span),
]
