"""Identifiers: time-ordered trace ids, span ids, and the secrets of keys.

A trace id is a UUIDv7 (RFC 9562) as 32 hex digits, which is also a valid OpenTelemetry trace id. Ordered by time,
it lets the record store find a call by its zone maps instead of an index.
"""

from __future__ import annotations

import os
import re
import secrets
from os import urandom

from rondo import clock

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""RFC 9562 sets two bits of this digit; the other two stay random."""

_AT_A_TIME = 64
_drawn: list[str] = []
os.register_at_fork(after_in_child=_drawn.clear)  # or parent and child would give out the same ids


def new_trace_id() -> str:
    """32 hex digits: 48 bits of milliseconds, version 7, 74 random bits."""
    return new_ids(clock.now_us())[0]


def new_ids(at: int) -> tuple[str, str]:
    """The ids of a trace that begins at `at` (microseconds) and of its first span."""
    random = _draw()
    return f"{at // 1_000:012x}7{random[:3]}{_VARIANT[random[3]]}{random[4:19]}", random[20:]


def answer_id(at: int, span_id: str) -> str:
    """The id of an answer within a trace of the client's own, where other calls may be: a UUIDv7 of its own, made of
    when it began (microseconds) and its span, by which it is found again."""
    return f"{at // 1_000:012x}7000{_VARIANT[span_id[0]]}{span_id[1:]}"


def parts_of(answer_id: str) -> tuple[int, str]:
    """The millisecond (as microseconds) and the span that an `answer_id` was made of."""
    return int(answer_id[:12], 16) * 1_000, answer_id[16:]


def new_span_id() -> str:
    """16 hex digits, as OpenTelemetry has them."""
    return urandom(8).hex()


def next_span_id(span_id: str, step: int) -> str:
    """The id of a call's `step`-th step: its own id counted on, which is as unique and costs no randomness."""
    return f"{(int(span_id, 16) + step) & 0xFFFF_FFFF_FFFF_FFFF:016x}"


def _draw() -> str:
    """36 random hex digits. The system is asked for many at a time, since each time costs a microsecond or two."""
    while True:
        try:
            return _drawn.pop()
        except IndexError:
            digits = urandom(18 * _AT_A_TIME).hex()
            _drawn.extend(digits[start : start + 36] for start in range(0, len(digits), 36))


def is_trace_id(text: str) -> bool:
    return _TRACE_ID.fullmatch(text) is not None


def new_secret(prefix: str) -> str:
    """`prefix` + 256 random bits, URL-safe."""
    return prefix + secrets.token_urlsafe(32)
