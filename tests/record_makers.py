"""Calls and scores for tests: everything has a plain default, a test names what it is about."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from rondo import clock, ids
from rondo.records import Call, Entry, Kind, Position, Score, Span, to_json

START = 1_763_700_000_000_000
_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _numbered_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test's calls begin soon after START, however many were made before it in the same process."""
    monkeypatch.setattr("record_makers._numbers", itertools.count(1))


def make_call(**fields: Any) -> Call:
    """A call of the project `p`; each starts a second after the one made before, and has one span."""
    number = next(_numbers)
    at = fields.setdefault("started_at", START + number * 1_000_000)
    with clock.at(at):
        fields.setdefault("trace_id", ids.new_trace_id())
    span_id = fields.setdefault("span_id", f"{number:016x}")
    span = Span(
        span_id=f"{number:08x}{1:08x}",
        parent_span_id=span_id,
        name="main",
        kind="model",
        started_at=at,
        duration_ms=5.0,
    )
    plain: dict[str, Any] = {
        "project": "p",
        "key_id": "k",
        "wire": "chat",
        "duration_ms": 10.0,
        "status": 200,
        "requested_model": "bot",
        "spans": [span],
    }
    return Call(**{**plain, **fields})


def make_score(call: Call, **fields: Any) -> Score:
    """A thumb up for `call`."""
    number = next(_numbers)
    plain: dict[str, Any] = {
        "id": f"{number:032x}",
        "project": call.project,
        "trace_id": call.trace_id,
        "name": "thumbs",
        "data_type": "boolean",
        "value": 1.0,
        "author": "anna",
        "key_id": "k",
        "created_at": call.started_at + 1_000_000,
    }
    return Score(**{**plain, **fields})


def entry(record: Call | Score | bytes, kind: int | None = None) -> Entry:
    """A journal entry of a record, or of bytes that may be anything."""
    if isinstance(record, bytes):
        return Entry(Kind.CALL if kind is None else kind, START, record)
    return Entry(Kind.CALL if isinstance(record, Call) else Kind.SCORE, START, to_json(record))


def after(count: int, *, segment: int = 1) -> Position:
    """The position behind the first `count` entries of a journal that never was."""
    return Position(segment, 22 + count, count)
