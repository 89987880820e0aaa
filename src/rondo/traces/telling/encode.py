"""Calls and scores as OTLP in protobuf: the bytes of export requests. Pure.

Ids are those of the records, so what hangs in a caller's trace hangs there in the other system too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rondo.records import Call, Score, Span
from rondo.traces.telling.attributes import Attributes, has_failed, name_of, of_call, of_step

_CLIENT, _INTERNAL = 3, 1
_OK, _ERROR = 1, 2
_SCOPE = "rondo"


def spans(calls: Sequence[Call], *, service: str, content: bool) -> bytes:
    """An ExportTraceServiceRequest: a span for each call, and for each of its steps one below it."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    _put(group.resource.attributes, _resource(service))
    scoped = group.scope_spans.add()
    scoped.scope.name = _SCOPE
    for call in calls:
        span: Any = scoped.spans.add(name=_clean(name_of(call)), kind=_CLIENT)
        _place(span, call.trace_id, call)
        _put(span.attributes, of_call(call, content=content))
        failed = has_failed(call)
        span.status.code = _ERROR if failed else _OK
        if failed and content and call.error_message:
            span.status.message = _clean(call.error_message)
        for step in call.spans:
            child: Any = scoped.spans.add(name=_clean(f"{step.kind} {step.name}".strip()), kind=_INTERNAL)
            _place(child, call.trace_id, step)
            _put(child.attributes, of_step(call, step, content=content))
            if step.status == "error":
                child.status.code = _ERROR
                if content and step.error:
                    child.status.message = _clean(step.error)
    return bytes(request.SerializeToString())


def results(scores: Iterable[tuple[Score, str | None]], *, service: str, content: bool) -> bytes:
    """An ExportLogsServiceRequest: an event `gen_ai.evaluation.result` for each (score, span of its call)."""
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    _put(group.resource.attributes, _resource(service))
    scoped = group.scope_logs.add()
    scoped.scope.name = _SCOPE
    for score, span_id in scores:
        record = scoped.log_records.add(event_name="gen_ai.evaluation.result")
        record.time_unix_nano = record.observed_time_unix_nano = score.created_at * 1_000
        record.trace_id = bytes.fromhex(score.trace_id)
        if span_id is not None:
            record.span_id = bytes.fromhex(span_id)
        told: Attributes = {
            "gen_ai.evaluation.name": score.name,
            "gen_ai.evaluation.score.value": score.value,
            "gen_ai.evaluation.score.label": score.label,
            "gen_ai.evaluation.explanation": score.comment if content else None,
            "rondo.project": score.project,
            "rondo.score_id": score.id,
            "rondo.score_kind": score.kind,
        }
        _put(record.attributes, {name: value for name, value in told.items() if value is not None})
    return bytes(request.SerializeToString())


def rejected(body: bytes) -> tuple[int, str]:
    """How many spans or records an answer says were refused, and why. Both kinds of answer read the same."""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    try:
        partial = ExportTraceServiceResponse.FromString(body).partial_success
    except DecodeError:
        return 0, ""
    return max(0, partial.rejected_spans), partial.error_message


def _resource(service: str) -> Attributes:
    return {"service.name": service, "telemetry.sdk.name": "rondo"}


def _place(span: Any, trace_id: str, told: Call | Span) -> None:
    span.trace_id, span.span_id = bytes.fromhex(trace_id), bytes.fromhex(told.span_id)
    if told.parent_span_id:
        span.parent_span_id = bytes.fromhex(told.parent_span_id)
    span.start_time_unix_nano = told.started_at * 1_000
    span.end_time_unix_nano = told.started_at * 1_000 + max(0, round(told.duration_ms * 1e6))


def _put(pairs: Any, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        _set(pairs.add(key=_clean(name)).value, value)


def _set(target: Any, value: Any) -> None:
    match value:
        case bool():
            target.bool_value = value
        case int() if -(1 << 63) <= value < 1 << 63:
            target.int_value = value
        case float():
            target.double_value = value
        case list():
            target.array_value.SetInParent()
            for each in value:
                _set(target.array_value.values.add(), each)
        case _:
            target.string_value = _clean(str(value))


def _clean(text: str) -> str:
    """Halves of surrogate pairs fit in no UTF-8."""
    return text.encode("utf-8", "replace").decode()
