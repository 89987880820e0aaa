"""Finding calls: pages of a list, the newest as they come in, one trace whole, and exports.

The project is part of every question. Lists carry cut texts; the whole of a call is read by its trace id.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from rondo import ids
from rondo.errors import CorruptData, InvalidRequest, NotFound
from rondo.records import Call, Chunk, Span, Verdict
from rondo.store.base import ExportFormat, RecordStore
from rondo.traces.filter import CallFilter

MAX_PAGE = 1000
EVERYTHING = CallFilter()

T = TypeVar("T")

_LISTS: dict[str, msgspec.json.Decoder[Any]] = {
    "chunks": msgspec.json.Decoder(list[Chunk] | None),
    "guards": msgspec.json.Decoder(list[Verdict] | None),
}


class CallRow(Struct, frozen=True, kw_only=True):
    """A call in a list.

    `question`, `answer` and `error_message` are cut to 200 characters; `tokens` and `cost_usd` are None where not
    known; `feedback` counts the users' scores, `negative_feedback` those against the answer.
    """

    trace_id: str
    span_id: str
    started_at: int
    app: str | None
    release: int | None
    model: str | None
    provider: str | None
    served_model: str | None
    requested_model: str
    user: str | None
    session: str | None
    wire: str
    stream: bool | None
    status: int
    failed: bool
    error_code: str | None
    error_message: str | None
    duration_ms: float
    first_token_ms: float | None
    tokens: int | None
    cost_usd: float | None
    question: str | None
    answer: str | None
    handed_over: bool | None
    attempts: int | None
    arrival: int
    arm: str | None
    cache: str | None
    rule: str | None
    feedback: int
    negative_feedback: int


class Page(Struct, frozen=True):
    """Calls, newest first; `before` asks for the page after this one, None where this is the last."""

    items: list[CallRow]
    before: str | None


class Tail(Struct, frozen=True):
    """Calls in the order in which they were stored; `after` asks for what comes next."""

    items: list[CallRow]
    after: int


def list_calls(
    store: RecordStore, project: str, filter: CallFilter = EVERYTHING, *, limit: int = 50, before: str | None = None
) -> Page:
    """A page of calls. Raises InvalidRequest for a limit out of range or a `before` that no page gave."""
    check_limit(limit)
    conditions = filter.conditions()
    if before is not None:
        conditions["before"] = parse_cursor(before)
    rows = store.query("calls_list", {"project": project, "limit": limit + 1}, conditions)
    items = [CallRow(**row) for row in rows[:limit]]
    last = items[-1] if len(rows) > limit else None
    return Page(items, f"{last.started_at}.{last.trace_id}.{last.span_id}" if last else None)


def tail(
    store: RecordStore, project: str, filter: CallFilter = EVERYTHING, *, after: int | None = None, limit: int = 100
) -> Tail:
    """Calls stored since `after`, which the last tail gave; without it, the newest. Feedback is not counted."""
    check_limit(limit)
    rows = store.query("calls_tail", {"project": project, "after": after, "limit": limit}, filter.conditions())
    items = [CallRow(**row) for row in rows]
    return Tail(items, items[-1].arrival if items else after or 0)


def get_calls(store: RecordStore, project: str, trace_id: str) -> list[Call]:
    """The whole calls of a trace with their spans: the gateway's own first, each kind in order of time.

    Of a trace with very many, the first thousand. Raises NotFound, InvalidRequest.
    """
    if not ids.is_trace_id(trace_id):
        raise InvalidRequest(f"{trace_id!r} is no trace id.", remedy="It has 32 hex digits.", param="trace_id")
    key = {"project": project, "trace_id": trace_id}
    rows = store.query("calls_by_trace", key)
    if not rows:
        raise NotFound(
            f"There is no trace {trace_id!r}.",
            remedy="A new one appears once the drain has stored it.",
            param="trace_id",
        )
    spans: dict[str, list[Span]] = {}
    for row in store.query("spans_by_trace", key):
        spans.setdefault(row.pop("call_span_id"), []).append(record_of(row, Span))
    return [call_of(row, spans.get(row["span_id"], [])) for row in rows]


def get_call(store: RecordStore, project: str, trace_id: str, span_id: str) -> Call | None:
    """One call of a trace, without its spans."""
    rows = store.query("call_by_span", {"project": project, "trace_id": trace_id, "span_id": span_id})
    return call_of(rows[0], []) if rows else None


def find_answer(store: RecordStore, project: str, answer_id: str) -> Call | None:
    """The live call with this `answer_id`, without its spans."""
    began, span_id = ids.parts_of(answer_id)
    about = {"project": project, "answer_id": answer_id, "span_id": span_id, "since": began, "until": began + 1_000}
    rows = store.query("call_by_answer", about)
    return call_of(rows[0], []) if rows else None


def export_calls(
    store: RecordStore,
    project: str,
    filter: CallFilter,
    format: ExportFormat,
    target: Path,
) -> int:
    """Write the chosen calls with all their columns to `target` (JSON lines or Parquet); how many there were.

    The file appears whole or not at all. Raises InvalidRequest, NotFound (no such folder), Unavailable.
    """
    return store.export("export_calls", {"project": project}, filter.conditions(), format=format, target=target)


def export_spans(
    store: RecordStore,
    project: str,
    filter: CallFilter,
    format: ExportFormat,
    target: Path,
) -> int:
    """As `export_calls`, for the spans of the chosen calls."""
    return store.export("export_spans", {"project": project}, filter.conditions(), format=format, target=target)


def call_of(row: dict[str, Any], spans: list[Span]) -> Call:
    """A stored row with its spans. Raises CorruptData."""
    row["tags"] = {key: value for key, value in (row["tags"] or {}).items() if value is not None}
    for column, decoder in _LISTS.items():
        try:
            row[column] = decoder.decode(row[column]) or [] if row[column] else []
        except msgspec.DecodeError as error:
            raise CorruptData(f"The {column} of trace {row['trace_id']} cannot be read: {error}.") from None
    return record_of({**row, "spans": spans}, Call)


def record_of(row: dict[str, Any], kind: type[T]) -> T:
    """A stored row as a record. Raises CorruptData."""
    try:
        return msgspec.convert({name: value for name, value in row.items() if value is not None}, kind)
    except msgspec.ValidationError as error:
        raise CorruptData(
            f"A stored {kind.__name__.lower()} cannot be read: {error}.",
            remedy="A newer Rondo may have written it: start that version.",
        ) from None


def check_limit(limit: int) -> None:
    """Raises InvalidRequest where a page cannot have so many."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidRequest(f"'limit' must be from 1 to {MAX_PAGE}, not {limit}.", param="limit")


def parse_cursor(text: str) -> tuple[int, str, str]:
    """The place after which a page begins: time, trace and span. Raises InvalidRequest."""
    started_at, _, rest = text.partition(".")
    trace_id, _, span_id = rest.partition(".")
    if not (started_at.isascii() and started_at.isdigit() and len(started_at) < 20 and trace_id and span_id):
        raise InvalidRequest(
            "'before' is not a place in the list.", remedy="Take it from the last page.", param="before"
        )
    return int(started_at), trace_id, span_id
