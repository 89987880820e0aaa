"""OTLP in protobuf: a request's bytes to spans and log records, and our answers' bytes.

The parser is protobuf's own, in C, imported when the first request comes. Answers are two small messages, written by
hand.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rondo.errors import InvalidRequest
from rondo.traces.otlp.model import Attributes, SentEvent, SentLog, SentSpan, Source, are_valid
from rondo.traces.otlp.values import (
    DROPPED,
    MAX_ATTRIBUTES,
    MAX_DEPTH,
    MAX_EVENTS,
    MAX_ITEMS,
    MAX_NAME,
    TOO_DEEP,
    clean_bytes,
    clean_number,
    clean_text,
    shared,
)

_ERROR = 2


def read_spans(body: bytes) -> Iterator[SentSpan]:
    """The spans of an ExportTraceServiceRequest. Raises InvalidRequest."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    for group in _parsed(ExportTraceServiceRequest, body).resource_spans:
        resource = shared(_attributes(group.resource.attributes))
        for scoped in group.scope_spans:
            source = Source(resource=resource, scope=clean_text(scoped.scope.name, MAX_NAME))
            for span in scoped.spans:
                yield SentSpan(
                    source=source,
                    trace_id=span.trace_id,
                    span_id=span.span_id,
                    parent_span_id=span.parent_span_id,
                    name=clean_text(span.name, MAX_NAME),
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    attributes=_attributes(span.attributes),
                    events=[
                        SentEvent(
                            name=clean_text(event.name, MAX_NAME),
                            at=event.time_unix_nano,
                            attributes=_attributes(event.attributes),
                        )
                        for event in span.events[:MAX_EVENTS]
                    ],
                    failed=span.status.code == _ERROR,
                    message=clean_text(span.status.message),
                )


def count_spans(body: bytes) -> tuple[int, int]:
    """How many spans have ids that are valid, and how many have not. Raises InvalidRequest."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    sound = odd = 0
    for group in _parsed(ExportTraceServiceRequest, body).resource_spans:
        for scoped in group.scope_spans:
            for span in scoped.spans:
                if are_valid(span.trace_id, span.span_id):
                    sound += 1
                else:
                    odd += 1
    return sound, odd


def read_logs(body: bytes) -> Iterator[SentLog]:
    """The records of an ExportLogsServiceRequest. Raises InvalidRequest."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    for group in _parsed(ExportLogsServiceRequest, body).resource_logs:
        resource = shared(_attributes(group.resource.attributes))
        for scoped in group.scope_logs:
            source = Source(resource=resource, scope=clean_text(scoped.scope.name, MAX_NAME))
            for record in scoped.log_records:
                yield SentLog(
                    source=source,
                    trace_id=record.trace_id,
                    span_id=record.span_id,
                    name=clean_text(record.event_name, MAX_NAME),
                    at=record.time_unix_nano or record.observed_time_unix_nano,
                    attributes=_attributes(record.attributes),
                    body=_value(record.body, 0),
                )


def export_response(rejected: int, message: str) -> bytes:
    """An Export*ServiceResponse: empty where all was taken."""
    if not rejected and not message:
        return b""
    partial = (b"\x08" + _varint(rejected) if rejected else b"") + (_field(2, message.encode()) if message else b"")
    return _field(1, partial)


def status(code: int, message: str) -> bytes:
    """A google.rpc.Status."""
    return b"\x08" + _varint(code) + _field(2, message.encode("utf-8", "replace"))


def _parsed(kind: Any, body: bytes) -> Any:
    from google.protobuf.message import DecodeError

    try:
        return kind.FromString(body)
    except (DecodeError, RuntimeError, ValueError) as error:
        raise InvalidRequest(
            f"The body is no {kind.__name__}: {error}.",
            remedy="Send OTLP as application/x-protobuf, or as application/json and say so in `content-type`.",
        ) from None


def _attributes(pairs: Any) -> Attributes:
    found: Attributes = {}
    for pair in pairs[:MAX_ATTRIBUTES]:
        found[clean_text(pair.key, MAX_NAME)] = _value(pair.value, 0)
    if len(pairs) > MAX_ATTRIBUTES:
        found[DROPPED] = len(pairs) - MAX_ATTRIBUTES
    return found


def _value(value: Any, depth: int) -> Any:  # noqa: PLR0911
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return clean_text(value.string_value)
    if kind in ("int_value", "bool_value"):
        return getattr(value, kind)
    if kind == "double_value":
        return clean_number(value.double_value)
    if kind == "bytes_value":
        return clean_bytes(value.bytes_value)
    if kind is None:
        return None
    if depth >= MAX_DEPTH:
        return TOO_DEEP
    if kind == "array_value":
        return [_value(each, depth + 1) for each in value.array_value.values[:MAX_ITEMS]]
    if kind == "kvlist_value":
        pairs = value.kvlist_value.values[:MAX_ITEMS]
        return {clean_text(pair.key, MAX_NAME): _value(pair.value, depth + 1) for pair in pairs}
    return None


def _field(number: int, data: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
