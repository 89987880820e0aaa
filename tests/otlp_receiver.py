"""A receiver of OTLP/HTTP that answers as a test says, and reads what it took with OpenTelemetry's own messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from raw_server import Asked, Line, RawServer


class Told(NamedTuple):
    """A span or a log record as it came in, with plain attributes."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    resource: dict[str, Any]
    sent: Any


class Receiver:
    """`answers` are (status, headers, body), used up one after the other; afterwards everything is taken, but at paths
    of `always`, which have a status."""

    def __init__(self, server: RawServer) -> None:
        self._server = server
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.always: dict[str, int] = {}
        self.taken: list[Asked] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def asked(self) -> list[Asked]:
        return self._server.asked

    @property
    def spans(self) -> list[Told]:
        return [each for asked in self.taken if "/v1/traces " in asked.line for each in spans_of(asked.body)]

    @property
    def calls(self) -> list[Told]:
        return [each for each in self.spans if "rondo.arm" in each.attributes]

    @property
    def results(self) -> list[Told]:
        return [each for asked in self.taken if "/v1/logs " in asked.line for each in logs_of(asked.body)]


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver: Receiver

    async def play(line: Line) -> None:
        while True:
            try:
                asked = await line.request()
            except asyncio.IncompleteReadError:
                return
            usual = receiver.always.get(asked.line.split()[1], 200), dict[str, str](), b""
            status, headers, body = receiver.answers.pop(0) if receiver.answers else usual
            if status // 100 == 2:
                receiver.taken.append(asked)
            more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            await line.say(f"HTTP/1.1 {status} Said\r\n{more}content-length: {len(body)}\r\n\r\n".encode() + body)

    async with RawServer(play) as server:
        receiver = Receiver(server)
        yield receiver


def spans_of(body: bytes) -> list[Told]:
    return [
        _told(span, span.name, span.parent_span_id, group)
        for group in ExportTraceServiceRequest.FromString(body).resource_spans
        for scoped in group.scope_spans
        for span in scoped.spans
    ]


def logs_of(body: bytes) -> list[Told]:
    return [
        _told(record, record.event_name, b"", group)
        for group in ExportLogsServiceRequest.FromString(body).resource_logs
        for scoped in group.scope_logs
        for record in scoped.log_records
    ]


def _told(sent: Any, name: str, parent: bytes, group: Any) -> Told:
    own, resource = _plain(sent.attributes), _plain(group.resource.attributes)
    return Told(name, sent.trace_id.hex(), sent.span_id.hex(), parent.hex(), own, resource, sent)


def _plain(pairs: Any) -> dict[str, Any]:
    found = {}
    for pair in pairs:
        kind = pair.value.WhichOneof("value")
        value = getattr(pair.value, kind)
        found[pair.key] = [each.string_value for each in value.values] if kind == "array_value" else value
    return found
