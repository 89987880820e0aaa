"""Results of evaluations as Scores: OpenTelemetry's event `gen_ai.evaluation.result`, OpenInference's attributes. Pure.

The same judgement sent twice is one score, and a later one of the same name and span replaces it.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator

from rondo.errors import InvalidRequest
from rondo.records import Score, ScoreKind
from rondo.traces.otlp import conventions as told
from rondo.traces.otlp.about import ids_of
from rondo.traces.otlp.facts import word
from rondo.traces.otlp.model import Attributes, SentLog, SentSpan
from rondo.traces.otlp.nested import gather
from rondo.traces.otlp.timing import timing_of

_ODD = re.compile(r"[^A-Za-z0-9_.-]+")
_KINDS: dict[str, ScoreKind] = {"judge": "judge", "code": "code", "outcome": "outcome"}
_MAX_LABEL = 200
_MAX_COMMENT = 10_000
_PREFIX = "gen_ai.evaluation."


def score_of_log(log: SentLog, *, project: str, key_id: str, now: int) -> Score:
    """The score that a log record tells of. Raises InvalidRequest where it says nothing."""
    trace_id = ids_of(log.trace_id, log.span_id or b"\1" * 8)[0]
    at = timing_of(log.at, log.at, now).started_at
    return _score(_fields(log.attributes), (trace_id, log.span_id.hex()), project=project, key_id=key_id, at=at)


def scores_of_span(span: SentSpan, *, ids: tuple[str, str], project: str, key_id: str, at: int) -> Iterator[Score]:
    """The scores that a span bears itself. One that says nothing is none; it stays among the attributes."""
    for fields in _results(span):
        with contextlib.suppress(InvalidRequest):
            yield _score(fields, ids, project=project, key_id=key_id, at=at)


def _results(span: SentSpan) -> Iterator[Attributes]:
    for event in span.events:
        if event.name == told.EVALUATION_EVENT:
            yield _fields(event.attributes)
    if any(name.startswith(told.EVALUATIONS) for name in span.attributes):
        for item in gather(span.attributes, told.EVALUATIONS):
            inner = item.get("evaluation") if isinstance(item, dict) else None
            if isinstance(inner, dict):
                yield inner


def _fields(attributes: Attributes) -> Attributes:
    """Those of the event, under OpenInference's shorter names."""
    return {
        "name": attributes.get(f"{_PREFIX}name"),
        "score": attributes.get(f"{_PREFIX}score.value"),
        "label": attributes.get(f"{_PREFIX}score.label"),
        "explanation": attributes.get(f"{_PREFIX}explanation"),
        "kind": attributes.get("rondo.score.kind"),
    }


def _score(fields: Attributes, ids: tuple[str, str], *, project: str, key_id: str, at: int) -> Score:
    trace_id, span_id = ids
    name = _ODD.sub("_", str(fields.get("name") or "")).strip("_.-")[:64]
    if not name:
        raise InvalidRequest("An evaluation needs a name.", param=f"{_PREFIX}name")
    value, label = _value(fields.get("score")), word(fields, ("label",))
    if value is None and label is None:
        raise InvalidRequest(f"The evaluation {name!r} has neither a score nor a label.", param=f"{_PREFIX}score.value")
    boolean = isinstance(fields.get("score"), bool)
    return Score(
        id=hashlib.sha256("\0".join((project, "otlp", trace_id, span_id, name, key_id)).encode()).hexdigest()[:32],
        project=project,
        trace_id=trace_id,
        name=name,
        kind=_KINDS.get(str(fields.get("kind") or ""), "judge"),
        data_type="category" if value is None else "boolean" if boolean else "number",
        value=value,
        label=None if value is not None or label is None else label[:_MAX_LABEL],
        comment=_comment(fields, label if value is not None else None),
        author=key_id,
        key_id=key_id,
        created_at=at,
    )


def _value(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _comment(fields: Attributes, label: str | None) -> str | None:
    """The explanation, after the label where the score has a number as well."""
    parts = [part for part in (label, fields.get("explanation")) if isinstance(part, str) and part]
    return ": ".join(parts)[:_MAX_COMMENT] or None
