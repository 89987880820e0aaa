"""Traces in a list, newest first: agents, chains and tools that other programs told of, calls in a caller's trace, and
the gateway's own calls, of which each is a trace by itself.

No trace is a row of the store. One is found by the calls and spans that fit a filter, from the newest down, and stands
where the first of them began; then those of the page alone are put together. So a page costs what is on it, however
many traces there are. What begins later than `GAP_US` after a trace is not counted here, and one that is silent for
longer stands again where it goes on, as a row of its own. Rows and their order are the same, however long the pages.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from rondo.store.base import RecordStore
from rondo.traces.filter import EVERY_TRACE, TraceFilter
from rondo.traces.search import check_limit, parse_cursor

GAP_US = 86_400_000_000
_NEAREST = 200
"""Calls and spans that a first look goes through, besides one for each trace that is wanted; the next go four times as
far, since traces of many spans are few among them."""

_FARTHEST = 100_000
_FARTHEST_FURTHER = 5_000
"""Where what is found has to be put together before it is known whether it fits."""

Conditions = dict[str, object]


class TraceRow(Struct, frozen=True, kw_only=True):
    """A trace in a list.

    `name`, `kind`, `app`, `user`, `session` and `tags` are of the first call or span that told them, from the root on;
    the `kind` of a call is `call`. `calls` counts the calls of models, `spans` what other programs told of besides,
    and `failed` those calls and spans that failed. `tokens` and `cost_usd` are of all calls of which they are known,
    None where of none; of two calls of which one wraps the other, the inner one counts. `from_outside` is whether
    another program told of it. `input` and `output` are the root's where it has them, cut to 200 characters.
    """

    trace_id: str
    started_at: int
    duration_ms: float
    name: str
    kind: str
    app: str | None
    user: str | None
    session: str | None
    tags: dict[str, str]
    spans: int
    calls: int
    failed: int
    tokens: int | None
    cost_usd: float | None
    from_outside: bool
    input: str | None
    output: str | None


class TracePage(Struct, frozen=True):
    """Traces, newest first; `before` asks for the page after this one, None where this is the last.

    Where very few of very many spans fit, a page may have fewer traces than were asked for and yet not be the last.
    """

    items: list[TraceRow]
    before: str | None


class _Look(Struct, frozen=True):
    """Where traces begin among the newest calls and spans, the place of the last of these, and whether there are more
    below it."""

    begun: list[dict[str, Any]]
    bottom: tuple[int, str, str] | None
    goes_on: bool


def list_traces(
    store: RecordStore, project: str, filter: TraceFilter = EVERY_TRACE, *, limit: int = 50, before: str | None = None
) -> TracePage:
    """A page of traces. Raises InvalidRequest for a limit out of range or a `before` that no page gave."""
    check_limit(limit)
    found: list[tuple[dict[str, Any], TraceRow]] = []
    place = parse_cursor(before) if before is not None else None
    reach, farthest = _NEAREST + limit, _FARTHEST_FURTHER if filter.further() else _FARTHEST
    while True:
        look = _look(store, project, filter, place, reach)
        found += _put_together(store, project, filter, look.begun, limit + 1 - len(found))
        if len(found) > limit or not look.goes_on or reach >= farthest:
            break
        place, reach = look.bottom, min(reach * 4, farthest)
    shown = found[:limit]
    last = _place(shown[-1][0]) if len(found) > limit else look.bottom if look.goes_on else None
    return TracePage([row for _, row in shown], ".".join(map(str, last)) if last else None)


def _look(
    store: RecordStore, project: str, filter: TraceFilter, before: tuple[int, str, str] | None, reach: int
) -> _Look:
    conditions = filter.leading() | filter.times() | ({} if before is None else {"before": before})
    about = {"project": project, "reach": reach, "gap_us": GAP_US}
    rows = store.query("traces_newest", about, conditions)
    return _Look(
        begun=[row for row in rows if row["begins"]],
        bottom=_place(rows[-1]) if rows else None,
        goes_on=bool(rows) and rows[-1]["gone_through"] >= reach,
    )


def _put_together(
    store: RecordStore, project: str, filter: TraceFilter, begun: list[dict[str, Any]], wanted: int
) -> list[tuple[dict[str, Any], TraceRow]]:
    """The first of these that fit every filter, as many as are wanted, each with where it stands."""
    # What fits need not be the first of a trace. Without a filter it is, and the time before is not looked through.
    before = GAP_US if filter.leading() else 0
    further, found = filter.further(), list[tuple[dict[str, Any], TraceRow]]()
    for part in (begun[:wanted], begun[wanted:]):  # the less time they span, the sooner they are put together
        if not part or len(found) >= wanted:
            break
        about: Conditions = {
            "project": project,
            "traces": [row["trace_id"] for row in part],
            "places": [row["started_at"] for row in part],
            "before_us": before,
            "after_us": GAP_US,
        }
        rows = store.query("traces_list", about, further)
        fitting = {(row["trace_id"], row.pop("stands_at")): _row(row) for row in rows}
        places = ((row, (row["trace_id"], row["started_at"])) for row in part)
        found += [(row, fitting[place]) for row, place in places if place in fitting]
    return found[:wanted]


def _row(row: dict[str, Any]) -> TraceRow:
    tags = {key: value for key, value in (row.pop("tags") or {}).items() if value is not None}
    return TraceRow(**row, tags=tags)


def _place(row: dict[str, Any]) -> tuple[int, str, str]:
    return row["started_at"], row["trace_id"], row["span_id"]
