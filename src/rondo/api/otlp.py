"""OTLP over HTTP: `POST /v1/traces` and `/v1/logs`, at the paths that OpenTelemetry's exporters know.

Protobuf or JSON, plain, gzip or deflate; answers and errors come in the encoding of the request, as the specification
has it: https://opentelemetry.io/docs/specs/otlp/#otlphttp .
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from rondo.api.door import Asked, Door
from rondo.errors import InvalidRequest, RondoError
from rondo.gateway.wire import error_body, status_of
from rondo.traces.otlp import in_json, protobuf
from rondo.traces.otlp.expand import Encoding
from rondo.traces.otlp.intake import Signal, Taken, too_large

_ENCODINGS: dict[str, Encoding] = {"application/x-protobuf": "protobuf", "application/json": "json"}
_MEDIA = {encoding: media for media, encoding in _ENCODINGS.items()}
_CODES = {400: 3, 401: 16, 403: 7, 413: 8, 415: 3, 429: 8, 503: 14}
"""gRPC's number for a status; anything else is INTERNAL."""


async def traces(asked: Asked) -> Response:
    """Spans of other programs (OTLP). 200 once the journal has them."""
    return await _take(asked, "traces")


async def logs(asked: Asked) -> Response:
    """Results of evaluations and messages of calls, as OpenTelemetry's events (OTLP). 200 once the journal has them."""
    return await _take(asked, "logs")


async def _take(asked: Asked, signal: Signal) -> Response:
    intake, headers = asked.control.otlp, asked.request.headers
    encoding = _encoding(asked.request)
    if encoding is None:
        wrong = InvalidRequest(
            f"The content-type {headers.get('content-type', '')!r:.60} is not OTLP's.",
            remedy="Send application/x-protobuf or application/json.",
        )
        return Response(error_body(wrong), 415, media_type="application/json")
    intake.check()
    length = headers.get("content-length", "")
    if length.isdigit() and (len(length) > 15 or int(length) > intake.max_bytes):
        raise too_large(intake.max_bytes)
    body = await asked.body_of_at_most(intake.max_bytes)
    taken = await intake.take(asked.grant, signal, body, encoding, headers.get("content-encoding", ""))
    return Response(_answer(taken, signal, encoding), media_type=_MEDIA[encoding])


def _answer(taken: Taken, signal: Signal, encoding: Encoding) -> bytes:
    if encoding == "protobuf":
        return protobuf.export_response(taken.rejected, taken.message)
    field = "rejectedSpans" if signal == "traces" else "rejectedLogRecords"
    return in_json.export_response(taken.rejected, taken.message, field)


def refuse(request: Request, error: RondoError) -> Response:
    """An error as OTLP has it: a google.rpc.Status in the encoding of the request."""
    status = status_of(error)
    headers = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
    encoding = _encoding(request)
    if encoding is None:
        return Response(error_body(error), status, headers, media_type="application/json")
    code = _CODES.get(status, 13)
    writer = protobuf.status if encoding == "protobuf" else in_json.status
    return Response(writer(code, str(error)), status, headers, media_type=_MEDIA[encoding])


def _encoding(request: Request) -> Encoding | None:
    media = request.headers.get("content-type", "").partition(";")[0]
    return _ENCODINGS.get(media.strip().lower())


DOORS = [
    Door("POST", "/v1/traces", None, traces, refuse),
    Door("POST", "/v1/logs", None, logs, refuse),
]
"""Any secret key may send; what it sends belongs to its project."""
