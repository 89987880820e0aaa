"""The ports of `[traces]` beside the server's own: OTLP/HTTP and OTLP/gRPC, where exporters expect them.

Both need a key as every door does, and lead to the same journal. gRPC needs `rondo[grpc]`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

from rondo.control import ControlPlane
from rondo.errors import NotFound, RondoError, SettingsError, unexpected
from rondo.gateway.endpoint import Receive, Scope
from rondo.gateway.keys import authenticate
from rondo.gateway.reply import Send, Whole, send_reply
from rondo.gateway.wire import error_body
from rondo.governance.admit import require_secret
from rondo.server.front import Application
from rondo.server.listener import HttpServer, listen
from rondo.settings.telemetry import TracesSettings
from rondo.traces.otlp.intake import Signal
from rondo.traces.otlp.protobuf import export_response

if TYPE_CHECKING:
    import grpc

_PATHS = ("/v1/traces", "/v1/logs", "/healthz")
_SERVICES: dict[str, Signal] = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
}
_GRACE_S = 5.0
_MOST_AT_ONCE = 64
_log = logging.getLogger(__name__)
_CODES = {
    "invalid_request": "INVALID_ARGUMENT",
    "too_large": "INVALID_ARGUMENT",
    "unauthorized": "UNAUTHENTICATED",
    "forbidden": "PERMISSION_DENIED",
    "rate_limited": "UNAVAILABLE",  # the one of both that exporters try again after
    "unavailable": "UNAVAILABLE",
}


@asynccontextmanager
async def open_ports(
    control: ControlPlane, front: Application, settings: TracesSettings, host: str
) -> AsyncIterator[None]:
    """Serve on the ports that are set, until the end of the block. Raises Conflict, SettingsError."""
    http = None if settings.http_port is None else await _open_http(front, host, settings.http_port)
    grpc_server = None
    try:
        if settings.grpc_port is not None:
            grpc_server = await open_grpc(control, host, settings.grpc_port)
        yield
    finally:
        if grpc_server is not None:
            await grpc_server.stop(_GRACE_S)
        if http is not None:
            server, serving = http
            server.should_exit = True
            await serving


async def _open_http(front: Application, host: str, port: int) -> tuple[uvicorn.Server, asyncio.Task[None]]:
    listener = listen(host, port)
    server = _Quiet(OnlyTraces(front), on_ready=lambda: None, on_stop=lambda: None)
    return server, asyncio.create_task(server.serve([listener]))


class _Quiet(HttpServer):
    """Leaves signals to the server beside it."""

    async def startup(self, sockets: Any = None) -> None:
        await uvicorn.Server.startup(self, sockets)

    async def shutdown(self, sockets: Any = None) -> None:
        await uvicorn.Server.shutdown(self, sockets)


class OnlyTraces:
    """The front, but for all paths that are not OpenTelemetry's."""

    def __init__(self, front: Application) -> None:
        self._front = front

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in _PATHS:
            nothing = NotFound("There is nothing here.", remedy="This port takes POST /v1/traces and /v1/logs.")
            await send_reply(Whole(404, error_body(nothing), [(b"content-type", b"application/json")]), send)
            return
        await self._front(scope, receive, send)


async def open_grpc(control: ControlPlane, host: str, port: int) -> grpc.aio.Server:
    """A gRPC server that takes OTLP. Raises SettingsError where it cannot be."""
    try:
        import grpc
    except ImportError:
        raise SettingsError(
            "OTLP/gRPC needs the package grpcio.",
            file="rondo.toml",
            param="traces.grpc_port",
            remedy="pip install 'rondo[grpc]'",
        ) from None
    most = control.otlp.max_bytes
    options = [("grpc.max_receive_message_length", most), ("grpc.so_reuseport", 0)]
    # A request is whole in memory before its key can be looked at.
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=_MOST_AT_ONCE)
    for service, signal in _SERVICES.items():
        export: Any = grpc.unary_unary_rpc_method_handler(_export(control, signal))
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": export}),))
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        server.add_insecure_port(address)
    except RuntimeError as error:
        raise SettingsError(
            f"cannot listen on {address}: {error}.", file="rondo.toml", param="traces.grpc_port"
        ) from None
    await server.start()
    return server


def _export(control: ControlPlane, signal: Signal) -> Any:
    async def export(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        try:
            headers = [(name.encode(), _bytes(value)) for name, value in context.invocation_metadata() or ()]
            grant = authenticate(control.gateway.plan, headers)
            require_secret(grant)
            taken = await control.otlp.take(grant, signal, request, "protobuf")
            return export_response(taken.rejected, taken.message)
        except RondoError as error:
            fault: RondoError = error
        except Exception:
            _log.exception("a fault in OTLP/gRPC")
            fault = unexpected()  # else gRPC itself would tell the client what went wrong inside
        await context.abort(_code(fault), str(fault))
        raise fault

    return export


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _code(error: RondoError) -> grpc.StatusCode:
    import grpc

    code: grpc.StatusCode = grpc.StatusCode[_CODES.get(error.code, "INTERNAL")]
    return code
