"""A user's judgement, from the body of a request to a Score. Pure but for the time.

    {"trace_id": "...", "name": "helpful", "value": true, "comment": "...", "user": "...", "id": "..."}

A name that begins with `outcome.` is no opinion but what became of the answer: a ticket that was reopened, an order.
`value` is a boolean, a number or a category. Without an `id`, one author has one score per name and trace: posting
twice is one score, and a changed mind replaces the first. An `id` of the client's own counts within its key only, so
that no key can overwrite what came by another.
"""

from __future__ import annotations

import hashlib
import math
import re

import msgspec

from rondo import clock, ids
from rondo.errors import InvalidRequest
from rondo.records import Score, ScoreKind

MAX_BODY = 64 << 10
MAX_COMMENT = 10_000
MAX_LABEL = 200
MAX_ID = 200

OUTCOME = "outcome."
"""What the name of an outcome begins with: `outcome.ticket_closed`."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_FIELDS = ("trace_id", "name", "value", "comment", "user", "id")


def parse_feedback(body: bytes, project: str, key_id: str, *, kind: ScoreKind = "user") -> Score:
    """The score that a request's body asks for. Raises InvalidRequest, which names the field."""
    fields = _object(body)
    trace_id = _required(fields, "trace_id")
    if not ids.is_trace_id(trace_id):
        raise _wrong("trace_id", "is no trace id", "Send the `x-rondo-trace-id` of the answer: 32 hex digits.")
    name = _required(fields, "name")
    if not _NAME.fullmatch(name):
        raise _wrong("name", "is no name", "Use up to 64 letters, digits, `_`, `-` and `.`, e.g. `helpful`.")
    comment = _optional(fields, "comment", MAX_COMMENT)
    author = _optional(fields, "user", MAX_ID) or key_id
    own_id = _optional(fields, "id", MAX_ID)
    value = fields.get("value")
    number, label = _value(value)
    identity = ["id", key_id, own_id] if own_id else ["author", trace_id, name, author]
    return Score(
        id=_digest([project, *identity]),
        project=project,
        trace_id=trace_id,
        name=name,
        kind="outcome" if kind == "user" and name.startswith(OUTCOME) else kind,
        data_type="boolean" if isinstance(value, bool) else "category" if label is not None else "number",
        value=number,
        label=label,
        comment=comment,
        author=author,
        key_id=key_id,
        created_at=clock.now_us(),
    )


def _object(body: bytes) -> dict[str, object]:
    if len(body) > MAX_BODY:
        raise InvalidRequest(f"The feedback is too large: {len(body):,} bytes of at most {MAX_BODY:,}.", param="body")
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"The feedback is not valid JSON: {error}.", param="body") from None
    if not isinstance(fields, dict):
        raise InvalidRequest(
            "The feedback must be a JSON object.", remedy=f"Fields: {', '.join(_FIELDS)}.", param="body"
        )
    for name in fields:
        if name not in _FIELDS:
            raise _wrong(name, "is no field of feedback", f"Fields: {', '.join(_FIELDS)}.")
    return fields


def _value(value: object) -> tuple[float | None, str | None]:
    """(number, label): one of them is set."""
    if isinstance(value, (bool, int, float)):
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if math.isfinite(number):
            return number, None
    elif isinstance(value, str) and 0 < len(value) <= MAX_LABEL:
        return None, value
    elif value is None:
        raise _wrong("value", "is missing", "Send true or false, a number, or a category.")
    raise _wrong(
        "value", "cannot be used", f"Send true or false, a number, or a category of up to {MAX_LABEL} letters."
    )


def _required(fields: dict[str, object], name: str) -> str:
    value = fields.get(name)
    if value is None:
        raise _wrong(name, "is missing", "It is required.")
    if not isinstance(value, str):
        raise _wrong(name, "must be a string", None)
    return value


def _optional(fields: dict[str, object], name: str, longest: int) -> str | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _wrong(name, "must be a string", None)
    if len(value) > longest:
        raise _wrong(name, f"is too long: {len(value):,} of at most {longest:,} characters", None)
    return value or None


def _wrong(field: str, what: str, remedy: str | None) -> InvalidRequest:
    return InvalidRequest(f"{field[:64]!r} {what}.", remedy=remedy, param=field[:64])


def _digest(parts: list[str | None]) -> str:
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]
