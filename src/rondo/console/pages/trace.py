"""One trace, whole: a waterfall of calls, their steps, and what other programs told of. Long ones come in pieces, and
what a span was given and gave back only when someone asks for it."""

from __future__ import annotations

import asyncio
import json

from starlette.responses import Response

from rondo.console.named_values import NamedValues, events, named_values, params
from rondo.console.visit import Page, Visit, whole_number
from rondo.errors import InvalidRequest
from rondo.governance.model import Role
from rondo.records import Call, Span, TraceSpan
from rondo.traces.tree import MAX_ROWS, Detail, detail, tree

_ROWS = 500
_LONGEST = 20_000
"""Characters of a text that are shown; the API has the rest."""


async def show(visit: Visit) -> Response:
    offset = whole_number(visit.query("offset") or "0", "offset")
    if offset > MAX_ROWS:
        raise InvalidRequest(f"`offset` goes up to {MAX_ROWS}.", param="offset")
    found = await asyncio.to_thread(
        tree, visit.control.records, visit.project, visit.path("trace_id"), offset=offset, limit=_ROWS
    )
    after = offset + len(found.rows)
    template = "trace_rows.html" if visit.is_partial else "trace.html"
    return visit.page(template, tree=found, after=after if after < found.spans else None)


async def show_span(visit: Visit) -> Response:
    found = await asyncio.to_thread(
        detail, visit.control.records, visit.project, visit.path("trace_id"), visit.path("span_id")
    )
    return visit.page(
        "trace_span_part.html" if visit.is_partial else "trace_span.html",
        trace_id=visit.path("trace_id"),
        span_id=visit.path("span_id"),
        call=found.call,
        facts=_facts(found),
        lists=_lists(found),
        texts=[(name, text[:_LONGEST], len(text) > _LONGEST) for name, text in _texts(found) if text],
    )


def _facts(found: Detail) -> list[tuple[str, str]]:
    about = found.call or found.span or found.step
    names = ("name", "kind", "service", "app", "model", "provider", "user", "session", "error", "error_message")
    return [(name, str(value)) for name in names if (value := getattr(about, name, None))]


def _texts(found: Detail) -> list[tuple[str, str]]:
    about = found.call or found.span or found.step
    match about:
        case Call():
            return [("given", _pretty(about.input)), ("said", _pretty(about.output))]
        case TraceSpan():
            return [("given", _pretty(about.input)), ("gave back", _pretty(about.output))]
        case _:
            return []


def _lists(found: Detail) -> list[NamedValues]:
    about = found.call or found.span or found.step
    match about:
        case Call():
            return params(about.params)
        case TraceSpan():
            tags = [NamedValues("tags", list(about.tags.items()))] if about.tags else []
            said = named_values(about.attributes, "attributes") + events(about.events)
            return [*tags, *said, *named_values(about.resource, "resource")]
        case Span():
            return named_values(about.attributes, "attributes")
        case _:
            return []


def _pretty(text: str) -> str:
    """JSON with a line for each value; any other text as it is."""
    if not text.startswith(("{", "[")):
        return text
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text


PAGES = [
    Page("GET", "/traces/{trace_id}", Role.VIEWER, show),
    Page("GET", "/traces/{trace_id}/spans/{span_id}", Role.VIEWER, show_span),
]
