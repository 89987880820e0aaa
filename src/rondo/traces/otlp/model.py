"""What an OTLP request holds once it is decoded, whichever encoding it came in. Pure.

Attribute values are plain: str, int, float, bool, list, dict, None, each within the limits of `values.py`.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

Attributes = dict[str, Any]


NO_TRACE = bytes(16)
NO_SPAN = bytes(8)


def are_valid(trace_id: bytes, span_id: bytes) -> bool:
    """Whether both are ids: 16 and 8 bytes, not all zero."""
    return len(trace_id) == 16 and len(span_id) == 8 and trace_id != NO_TRACE and span_id != NO_SPAN


class SentEvent(Struct, frozen=True, kw_only=True):
    """Something that happened within a span. `at` is nanoseconds since the epoch."""

    name: str
    at: int
    attributes: Attributes


class Source(Struct, frozen=True, kw_only=True):
    """Who sent a group of spans: the attributes of its resource, and the name of the scope that made them."""

    resource: Attributes
    scope: str = ""


class SentSpan(Struct, frozen=True, kw_only=True):
    """A span as it was sent: ids are bytes of any length, times nanoseconds, `failed` its status."""

    source: Source
    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    name: str
    start: int
    end: int
    attributes: Attributes
    events: list[SentEvent] = []
    failed: bool = False
    message: str = ""


class SentLog(Struct, frozen=True, kw_only=True):
    """A log record as it was sent, as far as it can be an event. `body` is a plain value."""

    source: Source
    trace_id: bytes
    span_id: bytes
    name: str
    at: int
    attributes: Attributes
    body: Any = None
