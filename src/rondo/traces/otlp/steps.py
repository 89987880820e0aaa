"""A span that is no call of a model, as a TraceSpan. Pure."""

from __future__ import annotations

from typing import Any

from rondo.records import TraceSpan
from rondo.traces.otlp import conventions as told
from rondo.traces.otlp.about import (
    app_of,
    error_of,
    events_of,
    parent_of,
    rest_of,
    service_of,
    tags_of,
)
from rondo.traces.otlp.facts import as_json, text, word
from rondo.traces.otlp.messages import first_text, talk_of
from rondo.traces.otlp.model import Attributes, SentSpan
from rondo.traces.otlp.nested import gather
from rondo.traces.otlp.timing import Timing
from rondo.traces.otlp.values import clean_text


def step(
    span: SentSpan,
    attributes: Attributes,
    timing: Timing,
    *,
    kind: str,
    ids: tuple[str, str],
    project: str,
    key_id: str,
    apps: frozenset[str],
) -> TraceSpan:
    """The record of a span. Raises InvalidRequest where it may not be kept."""
    fault = error_of(span, attributes)
    given, gave = _given_and_given_back(span, attributes, kind)
    return TraceSpan(
        project=project,
        key_id=key_id,
        trace_id=ids[0],
        span_id=ids[1],
        parent_span_id=parent_of(span),
        name=(word(attributes, told.TOOL_NAME) if kind == "tool" else None) or span.name or kind,
        kind=kind,
        service=service_of(span),
        started_at=timing.started_at,
        duration_ms=timing.duration_ms,
        status="ok" if fault is None else "error",
        error=None if fault is None else fault[1],
        app=app_of(span, apps),
        user=word(attributes, told.USER),
        session=word(attributes, told.SESSION),
        tags=tags_of(attributes),
        input=given,
        output=gave,
        attributes=as_json(rest_of(attributes, timing, span.source.scope)),
        events=as_json(events_of(span)),
        resource=as_json(span.source.resource),
    )


def _given_and_given_back(span: SentSpan, attributes: Attributes, kind: str) -> tuple[str, str]:
    """What it was given and gave back, as text."""
    documents = next((found for prefix in told.DOCUMENTS if (found := gather(attributes, prefix))), None)
    if kind in ("agent", "workflow"):
        talk = talk_of(span.events, attributes)
        return _told(talk.given), talk.answer
    gave = first_text(attributes, told.TEXT_OUT)
    if documents is not None:
        gave = [each.get("document", each) if isinstance(each, dict) else each for each in documents]
    elif gave is None and kind == "retrieval":
        gave = [event.attributes for event in span.events if event.name.startswith("db.query.result")] or None
    return _told(first_text(attributes, told.TEXT_IN)), _told(gave)


def _told(value: Any) -> str:
    return "" if value in (None, []) else clean_text(text(value))
