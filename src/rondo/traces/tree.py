"""A whole trace as a tree: gateway's calls and their steps, and what other programs told of by OpenTelemetry.

Rows are narrow and come in pages; what a span was given and gave back is read by its id. Spans may come in any order
and may miss their parents, which come later or never: such a span stands at the root until then.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from rondo import ids
from rondo.errors import InvalidRequest, NotFound
from rondo.records import Call, Span, TraceSpan
from rondo.store.base import RecordStore
from rondo.traces.search import get_call, record_of

MAX_ROWS = 20_000
"""Of a trace with more, the first are shown."""

MAX_PAGE = 1_000


class Row(Struct, frozen=True, kw_only=True):
    """A line of the tree. `source` is `call`, `step` (of a call of the gateway) or `span` (another program's); the
    `kind` of a call is its arm. `offset_ms` is after the trace began; `below` counts the lines under it."""

    source: str
    span_id: str
    parent_span_id: str | None
    name: str
    kind: str
    depth: int
    below: int
    started_at: int
    offset_ms: float
    duration_ms: float
    failed: bool
    error: str | None
    model: str | None
    service: str | None
    tokens: int | None
    cost_usd: float | None


class Tree(Struct, frozen=True, kw_only=True):
    """A trace: a page of its lines from `offset` on, and what is true of all of them.

    `user`, `session` and `app` are of the first span, from the root on, that told them. A call that wraps another (an
    SDK's span around the gateway's own) tells of the same tokens: `calls`, `tokens` and `cost_usd` count the inner one.
    """

    trace_id: str
    started_at: int
    duration_ms: float
    spans: int
    is_cut: bool
    from_outside: bool
    failed: int
    calls: int
    tokens: int | None
    cost_usd: float | None
    app: str | None
    user: str | None
    session: str | None
    offset: int
    rows: list[Row]


class Detail(Struct, frozen=True, kw_only=True):
    """One span, whole: exactly one of these is set."""

    call: Call | None = None
    step: Span | None = None
    span: TraceSpan | None = None


def tree(store: RecordStore, project: str, trace_id: str, *, offset: int = 0, limit: int = MAX_PAGE) -> Tree:
    """A page of a trace. Raises NotFound, InvalidRequest."""
    _check(trace_id)
    if not 1 <= limit <= MAX_PAGE or not 0 <= offset <= MAX_ROWS:
        raise InvalidRequest(f"`limit` must be from 1 to {MAX_PAGE}, `offset` up to {MAX_ROWS}.", param="limit")
    about = {"project": project, "trace_id": trace_id, "limit": MAX_ROWS + 1}
    found = store.query("trace_rows", about)
    if not found:
        raise _missing(trace_id)
    rows = found[:MAX_ROWS]
    begins = min(row["started_at"] for row in rows)
    ends = max(row["started_at"] + row["duration_ms"] * 1_000 for row in rows)
    ordered = _ordered(rows)
    inner = _inner_calls(rows)
    return Tree(
        trace_id=trace_id,
        started_at=begins,
        duration_ms=(ends - begins) / 1_000,
        spans=len(rows),
        is_cut=len(found) > MAX_ROWS,
        from_outside=any(row["source"] == "span" or row["kind"] == "traced" for row in rows),
        failed=sum(row["failed"] is True for row in rows),
        calls=len(inner),
        tokens=_sum(row["tokens"] for row in inner),
        cost_usd=_sum(row["cost_usd"] for row in inner),
        **{name: _first(ordered, name) for name in ("app", "user", "session")},
        offset=offset,
        rows=[_row(*line, begins) for line in ordered[offset : offset + limit]],
    )


def detail(store: RecordStore, project: str, trace_id: str, span_id: str) -> Detail:
    """One span of a trace with all that is kept of it. Raises NotFound, InvalidRequest."""
    _check(trace_id)
    about = {"project": project, "trace_id": trace_id, "span_id": span_id}
    rows = store.query("trace_span", about)
    if rows:
        row = {**rows[0], "tags": dict(rows[0]["tags"] or {})}
        return Detail(span=record_of(row, TraceSpan))
    call = get_call(store, project, trace_id, span_id)
    if call is not None:
        return Detail(call=call)
    steps = store.query("spans_by_trace", {"project": project, "trace_id": trace_id})
    step = next((row for row in steps if row["span_id"] == span_id), None)
    if step is None:
        raise _missing(f"{trace_id}/{span_id:.40}")
    del step["call_span_id"]
    return Detail(step=record_of(step, Span))


def _ordered(rows: list[dict[str, Any]]) -> list[tuple[dict[str, Any], int, int]]:
    """(row, depth, how many are below it), each parent before its children. No row is left out, whatever they name."""
    known = {row["span_id"] for row in rows}
    children: dict[str | None, list[dict[str, Any]]] = {}
    for row in rows:
        parent = row["parent_span_id"]
        children.setdefault(parent if parent in known and parent != row["span_id"] else None, []).append(row)
    lines: list[tuple[dict[str, Any], int]] = []
    _walk(children.pop(None, []), children, lines)
    while children:  # circles, and spans that share an id
        _, left = children.popitem()
        _walk(left, children, lines)
    return [(row, depth, count) for (row, depth), count in zip(lines, _below([d for _, d in lines]), strict=True)]


def _below(depths: list[int]) -> list[int]:
    """How many lines stand under each: those that follow, up to the next that is no deeper."""
    counts = [0] * len(depths)
    later: list[int] = []  # the lines after this one that nothing in between is shallower than
    for at in range(len(depths) - 1, -1, -1):
        while later and depths[later[-1]] > depths[at]:
            later.pop()
        counts[at] = (later[-1] if later else len(depths)) - at - 1
        later.append(at)
    return counts


def _walk(
    roots: list[dict[str, Any]],
    children: dict[str | None, list[dict[str, Any]]],
    lines: list[tuple[dict[str, Any], int]],
) -> None:
    stack = [(row, 0) for row in reversed(roots)]
    while stack:
        row, depth = stack.pop()
        lines.append((row, depth))
        stack += [(child, depth + 1) for child in reversed(children.pop(row["span_id"], []))]


def _inner_calls(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The calls that count: no copies for a shadow, and none that another call stands under."""
    parents = {row["span_id"]: row["parent_span_id"] for row in rows}
    calls = [row for row in rows if row["source"] == "call" and row["kind"] != "shadow"]
    above: set[str] = set()
    for row in calls:
        parent = row["parent_span_id"]
        while parent is not None and parent in parents and parent not in above:
            above.add(parent)
            parent = parents[parent]
    return [row for row in calls if row["span_id"] not in above]


def _row(row: dict[str, Any], depth: int, below: int, begins: int) -> Row:
    kept = {name: value for name, value in row.items() if name not in ("app", "user", "session", "failed")}
    offset = (row["started_at"] - begins) / 1_000
    return Row(**kept, failed=row["failed"] is True, depth=depth, below=below, offset_ms=offset)


def _first(lines: list[tuple[dict[str, Any], int, int]], name: str) -> str | None:
    return next((row[name] for row, _, _ in lines if row[name]), None)


def _sum(values: Any) -> Any:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _check(trace_id: str) -> None:
    if not ids.is_trace_id(trace_id):
        raise InvalidRequest(f"{trace_id!r:.60} is no trace id.", remedy="It has 32 hex digits.", param="trace_id")


def _missing(what: str) -> NotFound:
    return NotFound(
        f"There is no trace {what!r}.", remedy="A new one appears once the drain has stored it.", param="trace_id"
    )
