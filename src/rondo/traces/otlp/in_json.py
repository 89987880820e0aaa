"""OTLP in JSON: a request's bytes to spans and log records, and our answers' bytes. Pure.

As the specification has it: ids in hexadecimal, 64-bit numbers as text or as numbers, enumerations as numbers, names
of fields in lowerCamelCase; fields that we do not know are passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from rondo.errors import InvalidRequest
from rondo.traces.otlp.facts import read_json
from rondo.traces.otlp.model import Attributes, SentEvent, SentLog, SentSpan, Source, are_valid
from rondo.traces.otlp.values import (
    DROPPED,
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    MAX_EVENTS,
    MAX_ITEMS,
    MAX_NAME,
    TOO_DEEP,
    clean_number,
    clean_text,
    shared,
)

_ERROR = 2
Number = int | float | str | None


class _Camel(Struct, rename="camel"):
    pass


class _Pair(_Camel):
    key: str = ""
    value: Any = None


class _Resource(_Camel):
    attributes: list[_Pair] | None = None


class _Scope(_Camel):
    name: str | None = ""


class _Event(_Camel):
    name: str | None = ""
    time_unix_nano: Number = 0
    attributes: list[_Pair] | None = None


class _Status(_Camel):
    code: int | str | None = 0
    message: str | None = ""


class _Span(_Camel):
    trace_id: str | None = ""
    span_id: str | None = ""
    parent_span_id: str | None = ""
    name: str | None = ""
    start_time_unix_nano: Number = 0
    end_time_unix_nano: Number = 0
    attributes: list[_Pair] | None = None
    events: list[_Event] | None = None
    status: _Status | None = None


class _Log(_Camel):
    trace_id: str | None = ""
    span_id: str | None = ""
    event_name: str | None = ""
    time_unix_nano: Number = 0
    observed_time_unix_nano: Number = 0
    attributes: list[_Pair] | None = None
    body: Any = None


class _ScopeSpans(_Camel):
    scope: _Scope | None = None
    spans: list[_Span] | None = None


class _ScopeLogs(_Camel):
    scope: _Scope | None = None
    log_records: list[_Log] | None = None


class _ResourceSpans(_Camel):
    resource: _Resource | None = None
    scope_spans: list[_ScopeSpans] | None = None


class _ResourceLogs(_Camel):
    resource: _Resource | None = None
    scope_logs: list[_ScopeLogs] | None = None


class _Spans(_Camel):
    resource_spans: list[_ResourceSpans] | None = None


class _Logs(_Camel):
    resource_logs: list[_ResourceLogs] | None = None


_spans = msgspec.json.Decoder(_Spans)
_logs = msgspec.json.Decoder(_Logs)


def read_spans(body: bytes) -> Iterator[SentSpan]:
    """The spans of a request. Raises InvalidRequest."""
    for group in _parsed(_spans, body).resource_spans or ():
        resource = shared(_attributes(group.resource.attributes if group.resource else None))
        for scoped in group.scope_spans or ():
            source = _source(resource, scoped.scope)
            for span in scoped.spans or ():
                state = span.status or _Status()
                yield SentSpan(
                    source=source,
                    trace_id=_id(span.trace_id),
                    span_id=_id(span.span_id),
                    parent_span_id=_id(span.parent_span_id),
                    name=clean_text(span.name or "", MAX_NAME),
                    start=_whole(span.start_time_unix_nano),
                    end=_whole(span.end_time_unix_nano),
                    attributes=_attributes(span.attributes),
                    events=[_event(event) for event in (span.events or [])[:MAX_EVENTS]],
                    failed=state.code in (_ERROR, str(_ERROR), "STATUS_CODE_ERROR"),
                    message=clean_text(state.message or ""),
                )


def count_spans(body: bytes) -> tuple[int, int]:
    """How many spans have ids that are valid, and how many have not. Raises InvalidRequest."""
    sound = odd = 0
    for group in _parsed(_spans, body).resource_spans or ():
        for scoped in group.scope_spans or ():
            for span in scoped.spans or ():
                if are_valid(_id(span.trace_id), _id(span.span_id)):
                    sound += 1
                else:
                    odd += 1
    return sound, odd


def read_logs(body: bytes) -> Iterator[SentLog]:
    """The log records of a request. Raises InvalidRequest."""
    for group in _parsed(_logs, body).resource_logs or ():
        resource = shared(_attributes(group.resource.attributes if group.resource else None))
        for scoped in group.scope_logs or ():
            source = _source(resource, scoped.scope)
            for record in scoped.log_records or ():
                yield SentLog(
                    source=source,
                    trace_id=_id(record.trace_id),
                    span_id=_id(record.span_id),
                    name=clean_text(record.event_name or "", MAX_NAME),
                    at=_whole(record.time_unix_nano) or _whole(record.observed_time_unix_nano),
                    attributes=_attributes(record.attributes),
                    body=_value(record.body, 0),
                )


def export_response(rejected: int, message: str, field: str = "rejectedSpans") -> bytes:
    """An Export*ServiceResponse: empty where all was taken."""
    if not rejected and not message:
        return b"{}"
    return msgspec.json.encode({"partialSuccess": {field: str(rejected), "errorMessage": message}})


def status(code: int, message: str) -> bytes:
    """A google.rpc.Status."""
    return msgspec.json.encode({"code": code, "message": message.encode("utf-8", "replace").decode()})


def _parsed(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any:
    try:
        try:
            return decoder.decode(body)
        except msgspec.DecodeError as error:
            if "surrogate" not in str(error):
                raise
        return msgspec.convert(read_json(body), decoder.type)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"The body is no OTLP in JSON: {error}.", remedy="See the OTLP specification.") from None


def _source(resource: Attributes, scope: _Scope | None) -> Source:
    return Source(resource=resource, scope=clean_text((scope.name if scope else "") or "", MAX_NAME))


def _event(event: _Event) -> SentEvent:
    return SentEvent(
        name=clean_text(event.name or "", MAX_NAME),
        at=_whole(event.time_unix_nano),
        attributes=_attributes(event.attributes),
    )


def _attributes(pairs: list[_Pair] | None) -> Attributes:
    if not pairs:
        return {}
    found = {clean_text(pair.key, MAX_NAME): _value(pair.value, 0) for pair in pairs[:MAX_ATTRIBUTES]}
    if len(pairs) > MAX_ATTRIBUTES:
        found[DROPPED] = len(pairs) - MAX_ATTRIBUTES
    return found


def _value(value: Any, depth: int) -> Any:  # noqa: PLR0911
    """An AnyValue: an object with one field, which names its kind."""
    if not isinstance(value, dict):
        return None
    for kind, held in value.items():
        if kind in ("stringValue", "bytesValue"):
            return clean_text(held) if isinstance(held, str) else None
        if kind == "boolValue":
            return held if isinstance(held, bool) else None
        if kind == "intValue":
            return clean_number(_whole(held))
        if kind == "doubleValue":
            return _double(held)
        if kind in ("arrayValue", "kvlistValue"):
            return _nested(kind, held, depth)
    return None


def _nested(kind: str, held: Any, depth: int) -> Any:
    if depth >= MAX_DEPTH:
        return TOO_DEEP
    values = held.get("values") if isinstance(held, dict) else None
    items = values[:MAX_ITEMS] if isinstance(values, list) else []
    if kind == "arrayValue":
        return [_value(each, depth + 1) for each in items]
    pairs = [pair for pair in items if isinstance(pair, dict)]
    return {clean_text(str(pair.get("key", "")), MAX_NAME): _value(pair.get("value"), depth + 1) for pair in pairs}


def _double(held: Any) -> int | float | str | None:
    if isinstance(held, bool) or not isinstance(held, int | float | str):
        return None
    try:
        return clean_number(float(held))
    except (ValueError, OverflowError):
        return clean_text(str(held), 100)


def _id(text: str | None) -> bytes:
    try:
        return bytes.fromhex(text or "")
    except ValueError:
        return b""


def _whole(value: Any) -> int:
    """A 64-bit number, which JSON may have as text; 0 for what is none."""
    if isinstance(value, str):
        value = value if len(value) < 25 else ""
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    try:
        return int(value)
    except (ValueError, OverflowError):
        return 0
