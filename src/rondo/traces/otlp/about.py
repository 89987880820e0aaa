"""What calls and steps have in common: ids, who asked, what kind of thing a span tells of, and what is left. Pure."""

from __future__ import annotations

from typing import Any

from rondo.errors import InvalidRequest
from rondo.traces.otlp import conventions as told
from rondo.traces.otlp.facts import loaded, text, word
from rondo.traces.otlp.model import Attributes, SentSpan, are_valid
from rondo.traces.otlp.timing import Timing

MAX_TAGS = 64
_MAX_TAG_NAME = 128
NOTE = "rondo.note"
BAD_IDS = "A trace id has 16 bytes, a span id 8, and neither is all zero."


def ids_of(trace_id: bytes, span_id: bytes) -> tuple[str, str]:
    """Both as hexadecimal digits. Raises InvalidRequest."""
    if not are_valid(trace_id, span_id):
        raise InvalidRequest(BAD_IDS, param="trace_id")
    return trace_id.hex(), span_id.hex()


def parent_of(span: SentSpan) -> str | None:
    parent = span.parent_span_id
    return parent.hex() if len(parent) == 8 and any(parent) and parent != span.span_id else None


def kind_of(attributes: Attributes) -> str:
    """`call` and `embed` for what a model was asked; else the kind of a TraceSpan."""
    found = told.OPERATIONS.get(_plain(attributes, "gen_ai.operation.name").lower())
    if found is None:
        found = told.OPENINFERENCE_KINDS.get(_plain(attributes, "openinference.span.kind").upper())
    if found is None:
        found = told.REQUEST_TYPES.get(_plain(attributes, "llm.request.type").lower())
    if found is None:
        found = told.TRACELOOP_KINDS.get(_plain(attributes, "traceloop.span.kind").lower())
    if found is None:
        if (
            word(attributes, (*told.REQUEST_MODEL, *told.MODEL)) is not None
            and word(attributes, told.PROVIDER) is not None
        ):
            return "call"
        return "retrieval" if "db.vector.query.top_k" in attributes else "step"
    if found == "embed" and word(attributes, (*told.REQUEST_MODEL, *told.MODEL)) is None:
        return "embedding"
    return found


def whole_attributes(span: SentSpan) -> Attributes:
    """The span's own, and those that it put into its event of details."""
    details = [event.attributes for event in span.events if event.name == told.DETAILS_EVENT]
    if not details:
        return span.attributes
    merged: Attributes = {}
    for each in details:
        merged.update(each)
    return merged | span.attributes


def service_of(span: SentSpan) -> str | None:
    found = word(span.source.resource, ("service.name",))
    return None if found is None or found.startswith("unknown_service") else found


def app_of(span: SentSpan, allowed: frozenset[str]) -> str | None:
    """The app that the span names, else the service it came from, where the key may speak for it.

    Raises InvalidRequest for a span that names an app which the key is not for.
    """
    named = word(span.attributes, (told.APP,)) or word(span.source.resource, (told.APP,))
    if named is not None:
        if allowed and named not in allowed:
            raise InvalidRequest(f"This key is not for the app {named!r:.60}.", param=told.APP)
        return named
    service = service_of(span)
    return service if not allowed or service in allowed else None


def tags_of(attributes: Attributes) -> dict[str, str]:
    """What was put on a span to find it by."""
    tags: dict[str, str] = {}
    for name, value in attributes.items():
        for prefix in (told.TAG, told.ASSOCIATED):
            if name.startswith(prefix) and name not in told.TOLD:
                tags[name[len(prefix) :]] = text(value)
    listed = loaded(attributes.get(told.TAG_LIST))
    if isinstance(listed, list):
        tags.update({each: "true" for each in listed if isinstance(each, str)})
    metadata = loaded(attributes.get(told.METADATA))
    if isinstance(metadata, dict):
        tags.update({name: text(value) for name, value in metadata.items() if not isinstance(value, dict | list)})
    kept = list(tags.items())[:MAX_TAGS]
    return {name[:_MAX_TAG_NAME]: value[:512] for name, value in kept if name}


def error_of(span: SentSpan, attributes: Attributes) -> tuple[str, str] | None:
    """(code, message) of a span that failed."""
    if not span.failed:
        return None
    thrown = next((event.attributes for event in span.events if event.name == "exception"), {})
    code = word(attributes, ("error.type",)) or word(thrown, ("exception.type",)) or "error"
    return code, span.message or word(thrown, ("exception.message",)) or code


def rest_of(attributes: Attributes, timing: Timing, scope: str) -> Attributes:
    """The attributes that have no field of their own."""
    kept = {
        name: value
        for name, value in attributes.items()
        if name not in told.TOLD and not name.startswith(told.FLATTENED)
    }
    if scope:
        kept["otel.scope.name"] = scope
    if timing.note is not None:
        kept[NOTE] = timing.note
    return kept


def events_of(span: SentSpan) -> list[dict[str, Any]]:
    """Events as they are kept, but for those that only bear messages, or only tell that a part has come."""
    apart = {*told.EVENTS_IN, told.EVENT_OUT, told.DETAILS_EVENT, *told.FIRST_TOKEN_EVENTS}
    return [
        {"name": event.name, "at": event.at // 1_000, "attributes": event.attributes}
        for event in span.events
        if event.name not in apart
    ]


def _plain(attributes: Attributes, name: str) -> str:
    value = attributes.get(name)
    return value if isinstance(value, str) else ""
