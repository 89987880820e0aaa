"""What the records know of the calls that reviews are about: read for many traces at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rondo.store.base import RecordStore

SHORT = 200
WHOLE = 1 << 30


def calls_of(
    records: RecordStore, project: str, trace_ids: Sequence[str], *, longest: int = WHOLE
) -> dict[str, dict[str, Any]]:
    """By trace: app, release, question and answer of its first call. What is not in the store is left out."""
    return _by_trace(records, "calls_by_traces", {"project": project, "longest": longest}, trace_ids)


def inputs_of(records: RecordStore, project: str, trace_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """By trace: `input` and `chunks` of its first call, both as JSON text."""
    return _by_trace(records, "inputs_by_traces", {"project": project}, trace_ids)


def judgements_of(records: RecordStore, project: str, trace_ids: Sequence[str]) -> dict[str, dict[str, float]]:
    """By trace, what judges said of it: the last value by the score's name."""
    found: dict[str, dict[str, float]] = {}
    for row in _rows(records, "judgements_by_traces", {"project": project}, trace_ids):
        found.setdefault(row["trace_id"], {})[row["name"]] = row["value"]
    return found


def _by_trace(
    records: RecordStore, name: str, params: dict[str, object], trace_ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    return {row["trace_id"]: row for row in _rows(records, name, params, trace_ids)}


def _rows(records: RecordStore, name: str, params: dict[str, object], trace_ids: Iterable[str]) -> list[dict[str, Any]]:
    traces = ",".join(trace_ids)
    return records.query(name, {**params, "traces": traces}) if traces else []
