"""A caller's own trace, from the header `traceparent`: https://www.w3.org/TR/trace-context/ . Pure.

One that is not valid is as if it were not there. `tracestate` is for others, and passed over.
"""

from __future__ import annotations

import re

from rondo.gateway.reply import Headers

Caller = tuple[str, str]
"""The ids of the caller's trace and of its span."""

_HEADER = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_NO_TRACE = b"0" * 32
_NO_SPAN = b"0" * 16


def caller_of(headers: Headers) -> Caller | None:
    """The trace in which the caller wants to see the call; None where it names none, or more than one."""
    found: bytes | None = None
    for name, value in headers:
        if name == b"traceparent":
            if found is not None:
                return None
            found = value
    return None if found is None else _read(found)


def _read(value: bytes) -> Caller | None:
    match = _HEADER.fullmatch(value.strip())
    if match is None:
        return None
    version, trace_id, span_id, more = match.groups()
    if version == b"ff" or (version == b"00" and more is not None) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return trace_id.decode(), span_id.decode()
