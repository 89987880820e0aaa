"""The further ports of `[traces]`: the standard ones of OpenTelemetry, for those that know no others."""

from __future__ import annotations

import socket
from typing import Any

import grpc
import httpx2
import pytest

from live_server import Live
from otlp_makers import PROTOBUF, as_protobuf, logs_as_protobuf, span
from rondo.errors import Conflict, SettingsError
from rondo.server.otlp_ports import open_ports
from rondo.settings.telemetry import TracesSettings

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
BODY = as_protobuf(span(attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"}))


def free() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def opened(live: Live, settings: TracesSettings) -> Any:
    return open_ports(live.server.control, live.server.front, settings, "127.0.0.1")


async def test_the_http_port_takes_spans_and_nothing_else(live: Live) -> None:
    port = free()
    headers = {**PROTOBUF, "authorization": f"Bearer {live.admin}"}
    async with (
        opened(live, TracesSettings(http_port=port)),
        httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as ask,
    ):
        for _ in range(50):
            try:
                sent = await ask.post("/v1/traces", content=BODY, headers=headers)
                break
            except httpx2.ConnectError:
                continue
        assert sent.status_code == 200
        assert (await ask.post("/v1/traces", content=BODY, headers=PROTOBUF)).status_code == 401
        for path in ("/", "/api/calls", "/v1/models", "/internal/calls?project=default&trace_id=x"):
            assert (await ask.get(path, headers=headers)).status_code == 404
    await live.drained()
    assert len((await live.get("/api/calls", arm="traced"))["items"]) == 1


async def test_grpc(live: Live) -> None:
    port = free()
    key = (("authorization", f"Bearer {live.admin}"),)
    async with opened(live, TracesSettings(grpc_port=port)), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        export: Any = channel.unary_unary(EXPORT)
        logs: Any = channel.unary_unary(LOGS)
        assert await export(BODY, metadata=key) == b""
        assert await export(BODY, metadata=key, compression=grpc.Compression.Gzip) == b""
        rejected = await logs(
            logs_as_protobuf({"name": "other", "attributes": {}}), metadata=(("x-api-key", live.admin),)
        )
        assert b"1 not kept" in rejected
        for body, metadata, code in (
            (BODY, (), grpc.StatusCode.UNAUTHENTICATED),
            (b"\x0a\xff", key, grpc.StatusCode.INVALID_ARGUMENT),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await export(body, metadata=metadata)
            assert refused.value.code() is code
    await live.drained()
    assert len((await live.get("/api/calls", arm="traced"))["items"]) == 1


async def test_grpc_tells_nobody_of_a_fault_inside(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: Any) -> Any:
        raise KeyError("secret")

    port = free()
    monkeypatch.setattr(live.server.control.otlp, "take", broken)
    async with opened(live, TracesSettings(grpc_port=port)), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        export: Any = channel.unary_unary(EXPORT)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await export(BODY, metadata=(("authorization", f"Bearer {live.admin}"),))
    assert refused.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(refused.value.details())


async def test_a_port_that_is_taken(live: Live) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Conflict):
            async with opened(live, TracesSettings(http_port=port)):
                pass
        with pytest.raises(SettingsError, match="grpc_port"):
            async with opened(live, TracesSettings(grpc_port=port)):
                pass
