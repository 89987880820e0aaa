"""What log records tell of: results of evaluations, and messages that come apart from the span of their call. Pure.

Instrumentation by OpenTelemetry's conventions up to 1.36 tells what was said by one event for each message, and the
newer ones may by an event of details: both are log records with the ids of their span, which comes in a request of its
own, before or after them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Literal

from rondo.errors import InvalidRequest
from rondo.governance.model import Grant
from rondo.records import CallMessage
from rondo.traces.otlp import conventions as told
from rondo.traces.otlp.about import ids_of
from rondo.traces.otlp.expand import REFUSALS, Records
from rondo.traces.otlp.facts import as_json, text
from rondo.traces.otlp.messages import Message, Talk, talk_of, text_of
from rondo.traces.otlp.model import SentEvent, SentLog
from rondo.traces.otlp.scores import score_of_log
from rondo.traces.otlp.timing import timing_of

Side = Literal["input", "output"]


def log_records(logs: Iterable[SentLog], grant: Grant, now: int) -> Records:
    """The results of evaluations and the messages among log records; a message without content is none."""
    records = Records()
    for log in logs:
        name = log.name or log.attributes.get("event.name")
        try:
            if name == told.EVALUATION_EVENT:
                records.add(score_of_log(log, project=grant.project, key_id=grant.key_id, now=now))
            elif name == told.DETAILS_EVENT:
                _add(records, log, talk_of([], log.attributes), grant, now)
            elif name in told.EVENTS_IN or name == told.EVENT_OUT:
                body = log.body if isinstance(log.body, dict) else {"content": log.body}
                _add(records, log, talk_of([SentEvent(name=name, at=log.at, attributes=body)], {}), grant, now)
            else:
                raise InvalidRequest(
                    "Of log records, only results of evaluations and messages of calls are kept.", param="event_name"
                )
        except REFUSALS as error:
            records.refuse(str(error))
    return records


def _add(records: Records, log: SentLog, talk: Talk, grant: Grant, now: int) -> None:
    trace_id, span_id = ids_of(log.trace_id, log.span_id)
    at = timing_of(log.at, log.at, now).started_at
    sides: tuple[tuple[Side, list[Message]], ...] = (("input", _given(talk)), ("output", talk.said))
    for side, messages in sides:
        for number, message in enumerate(messages):
            if not _says_something(message):
                continue
            written = as_json(message)
            known_by = (grant.project, grant.key_id, trace_id, span_id, side, str(log.at), str(number), written)
            records.add(
                CallMessage(
                    id=hashlib.sha256("\0".join(known_by).encode("utf-8", "replace")).hexdigest()[:32],
                    project=grant.project,
                    key_id=grant.key_id,
                    trace_id=trace_id,
                    span_id=span_id,
                    side=side,
                    told_at=at,
                    number=number,
                    role=text(message["role"]),
                    text=text_of(message.get("content")),
                    message=written,
                    received_at=now,
                )
            )


def _given(talk: Talk) -> list[Message]:
    """Messages, each with a role; whatever else the model was given is one message of a user."""
    given = talk.given
    if isinstance(given, list) and all(isinstance(each, dict) and "role" in each for each in given):
        return given
    return [] if given is None else [{"role": "user", "content": text(given)}]


def _says_something(message: Message) -> bool:
    """Instrumentation that may not tell what was said still sends its events."""
    return message.get("content") not in (None, "", []) or bool(message.get("tool_calls"))
