"""Requests of OpenTelemetry's exporters, in both encodings, from plain values."""

from __future__ import annotations

import os
from typing import Any

import msgspec
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from rondo.governance.model import Grant
from rondo.records import Call, Kind, Score, TraceSpan
from rondo.traces.otlp import in_json, protobuf
from rondo.traces.otlp.expand import Expander, Records, SentRequest

NOW = 1_795_400_000_000_000
"""Microseconds."""

TRACE = bytes.fromhex("0af7651916cd43dd8448eb211c80319c")
GRANT = Grant(project="p", key_id="key_1", name="app", kind="secret")
EXPANDER = Expander()
PROTOBUF = {"content-type": "application/x-protobuf"}

_KINDS: dict[int, type[Call] | type[TraceSpan] | type[Score]] = {
    Kind.CALL: Call,
    Kind.SPAN: TraceSpan,
    Kind.SCORE: Score,
}


def span(name: str = "chat", **fields: Any) -> dict[str, Any]:
    """A span; `attributes` and `events` are plain, times nanoseconds."""
    begun = NOW * 1_000 - 2_000_000_000
    usual = {"trace_id": TRACE, "span_id": os.urandom(8), "parent": b"", "start": begun, "end": begun + 1_500_000_000}
    return {"name": name, "attributes": {}, "events": [], "failed": False, "message": "", **usual, **fields}


def value_of(value: Any) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case list():
            made = AnyValue()
            made.array_value.SetInParent()
            made.array_value.values.extend(value_of(each) for each in value)
            return made
        case dict():
            made = AnyValue()
            made.kvlist_value.SetInParent()
            made.kvlist_value.values.extend(_pairs(value))
            return made
        case None:
            return AnyValue()
        case _:
            return AnyValue(string_value=value)


def as_protobuf(*spans: dict[str, Any], resource: dict[str, Any] | None = None) -> bytes:
    """An ExportTraceServiceRequest."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(_pairs(resource or {"service.name": "shop"}))
    scoped = group.scope_spans.add()
    scoped.scope.name = "mine"
    for each in spans:
        made = scoped.spans.add(
            trace_id=each["trace_id"],
            span_id=each["span_id"],
            parent_span_id=each["parent"],
            name=each["name"],
            start_time_unix_nano=each["start"],
            end_time_unix_nano=each["end"],
            attributes=_pairs(each["attributes"]),
        )
        for name, at, attributes in each["events"]:
            made.events.add(name=name, time_unix_nano=at, attributes=_pairs(attributes))
        if each["failed"]:
            made.status.code = Status.STATUS_CODE_ERROR
            made.status.message = each["message"]
    return request.SerializeToString()


def logs_as_protobuf(*records: dict[str, Any]) -> bytes:
    """An ExportLogsServiceRequest of events; `at` is nanoseconds."""
    request = ExportLogsServiceRequest()
    scoped = request.resource_logs.add().scope_logs.add()
    for each in records:
        scoped.log_records.add(
            event_name=each["name"],
            trace_id=each.get("trace_id", TRACE),
            span_id=each.get("span_id", b"12345678"),
            time_unix_nano=each.get("at", NOW * 1_000),
            attributes=_pairs(each.get("attributes", {})),
            body=value_of(each.get("body")),
        )
    return request.SerializeToString()


def logs_as_json(*records: dict[str, Any]) -> bytes:
    """The same request in JSON."""
    listed = [
        {
            "eventName": each["name"],
            "traceId": each.get("trace_id", TRACE).hex(),
            "spanId": each.get("span_id", b"12345678").hex(),
            "timeUnixNano": str(each.get("at", NOW * 1_000)),
            "attributes": _json_pairs(each.get("attributes", {})),
            "body": _json_value(each.get("body")),
        }
        for each in records
    ]
    return msgspec.json.encode({"resourceLogs": [{"scopeLogs": [{"logRecords": listed}]}]})


def as_json(*spans: dict[str, Any], resource: dict[str, Any] | None = None) -> bytes:
    """The same request in JSON."""
    listed = [
        {
            "traceId": each["trace_id"].hex(),
            "spanId": each["span_id"].hex(),
            "parentSpanId": each["parent"].hex(),
            "name": each["name"],
            "kind": 3,
            "startTimeUnixNano": str(each["start"]),
            "endTimeUnixNano": str(each["end"]),
            "attributes": _json_pairs(each["attributes"]),
            "events": [
                {"name": name, "timeUnixNano": str(at), "attributes": _json_pairs(attributes)}
                for name, at, attributes in each["events"]
            ],
            "status": {"code": 2, "message": each["message"]} if each["failed"] else {},
        }
        for each in spans
    ]
    scoped = {"scope": {"name": "mine"}, "spans": listed}
    group = {
        "resource": {"attributes": _json_pairs(resource or {"service.name": "shop"})},
        "scopeSpans": [scoped],
    }
    return msgspec.json.encode({"resourceSpans": [group]})


def records_of(body: bytes, encoding: str = "protobuf", *, grant: Grant = GRANT) -> Records:
    reader = protobuf.read_spans if encoding == "protobuf" else in_json.read_spans
    sent = SentRequest(grant.project, grant.key_id, grant.apps, "protobuf", b"")
    return EXPANDER.records(reader(body), sent, NOW)


def decoded(records: Records) -> list[Any]:
    """The records as the store will read them."""
    return [msgspec.json.decode(payload, type=_KINDS[kind]) for kind, payload in records.entries]


def one(*, encoding: str = "protobuf", resource: dict[str, Any] | None = None, **fields: Any) -> Any:
    """The one record of one span."""
    write = as_protobuf if encoding == "protobuf" else as_json
    records = records_of(write(span(**fields), resource=resource), encoding)
    assert records.rejected == 0, records.reason
    return decoded(records)[0]


def _pairs(attributes: dict[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=name, value=value_of(value)) for name, value in attributes.items()]


def _json_pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _json_value(value)} for name, value in attributes.items()]


def _json_value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [_json_value(each) for each in value]}}
        case dict():
            return {"kvlistValue": {"values": _json_pairs(value)}}
        case None:
            return {}
        case _:
            return {"stringValue": value}
