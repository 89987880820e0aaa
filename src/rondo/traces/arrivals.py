"""Stored calls in the order in which they arrived, for whoever reads all of them and remembers how far it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import structs

from rondo.records import Call, Span
from rondo.store.base import RecordStore
from rondo.traces.search import call_of, record_of, tail


def newest(store: RecordStore, project: str) -> int:
    """The place of the last call that was stored; 0 where there is none. Raises Unavailable."""
    return tail(store, project, limit=1).after


def after(store: RecordStore, project: str, place: int, *, limit: int) -> list[dict[str, Any]]:
    """What tells calls apart, of those behind a place, in order; as `calls_after` has it. Raises Unavailable."""
    return store.query("calls_after", {"project": project, "after": place, "limit": limit})


def whole(store: RecordStore, project: str, places: Sequence[int]) -> dict[int, Call]:
    """The calls at these places, without their spans; those that were erased are missing. Raises Unavailable."""
    if not places:
        return {}
    listed = ",".join(str(place) for place in places)
    params = {"project": project, "first": min(places), "last": max(places), "arrivals": listed}
    return {row.pop("arrival"): call_of(row, []) for row in store.query("calls_arrived", params)}


def with_spans(store: RecordStore, project: str, calls: Sequence[Call]) -> list[Call]:
    """The same calls with their spans. Raises Unavailable."""
    if not calls:
        return []
    named = ",".join(f"{call.trace_id}/{call.span_id}" for call in calls)
    params = {"project": project, "since": min(call.started_at for call in calls), "calls": named}
    found: dict[tuple[str, str], list[Span]] = {}
    for row in store.query("spans_of_calls", params):
        row.pop("project")
        key = row.pop("trace_id"), row.pop("call_span_id")
        found.setdefault(key, []).append(record_of(row, Span))
    return [structs.replace(call, spans=found.get((call.trace_id, call.span_id), [])) for call in calls]


def newest_score(store: RecordStore, project: str) -> int:
    """The place of the last score that was written; 0 where there is none. Raises Unavailable."""
    return int(store.query("scores_last", {"project": project})[0]["arrival"])
