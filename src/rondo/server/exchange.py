"""The short way from the socket to the gateway: uvicorn's protocol, without ASGI in between for the hot path.

A POST to one of the gateway's paths, with a length that is known beforehand and not large, goes straight from the
parser to the gateway, and the reply straight to the transport. Everything else, and a request that comes before the
last one is answered, takes uvicorn's own way.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from rondo.gateway.endpoint import Gateway, is_gateways
from rondo.gateway.reply import Parts, Reply, Whole

_LONGEST_BODY = 1 << 16
"""A longer one takes uvicorn's own way, on which the key is looked at before the body is read."""

LONGEST_STALL_S = 120.0
"""How long a client may read nothing of a stream that waits for it."""

_CHUNKED = b"transfer-encoding: chunked\r\n"


class _Unheard:
    """Stands where uvicorn tells an application that there is news."""

    def set(self) -> None:
        pass


class Exchange:
    """One request on the short way. The attributes without an underscore are those that uvicorn asks a cycle for."""

    message_event = _Unheard()
    disconnected = False

    def __init__(self, protocol: GatewayProtocol, path: str, *, keep_alive: bool) -> None:
        self.response_complete = False
        self.keep_alive = keep_alive
        self.parts: list[bytes] = []
        self._protocol = protocol
        self._path = path
        self._headers = protocol.headers

    async def run(self, gateway: Gateway) -> None:
        """Answer. Cancelled when the client leaves."""
        body = self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)
        self.parts = []
        reply = await gateway.respond("POST", self._path, self._headers, body)
        if isinstance(reply, Whole):
            self._protocol.transport.write(self._head(reply, reply.status, len(reply.body)) + reply.body)
        else:
            await self._send_parts(reply)
        self._end()

    async def _send_parts(self, reply: Parts) -> None:
        transport, flow = self._protocol.transport, self._protocol.flow
        head: bytes = self._head(reply, 200, None)
        try:
            async with aclosing(reply.parts) as parts:
                async for part in parts:
                    if part:
                        transport.write(b"%b%x\r\n%b\r\n" % (head, len(part), part))
                        head = b""
                    if flow.write_paused and not await _taken(flow):
                        transport.abort()
                        break
        except BaseException:
            self.keep_alive = False
            self._end()  # without the last chunk: the client must not take this for the whole answer
            raise
        transport.write(head + b"0\r\n\r\n")  # nothing, where the client was given up

    def _head(self, reply: Reply, status: int, length: int | None) -> bytes:
        lines = [STATUS_LINE[status]]
        for name, value in (*self._protocol.server_state.default_headers, *reply.headers):
            lines += (name, b": ", value, b"\r\n")
        lines.append(_CHUNKED if length is None else b"content-length: %d\r\n" % length)
        lines.append(b"\r\n" if self.keep_alive else b"connection: close\r\n\r\n")
        return b"".join(lines)

    def _end(self) -> None:
        self.response_complete = True
        if not self.keep_alive:
            self._protocol.transport.close()
        self._protocol.on_response_complete()


async def _taken(flow: FlowControl) -> bool:
    """Whether the client goes on reading: one that stalls for good must not hold its place at the model for good."""
    try:
        async with asyncio.timeout(LONGEST_STALL_S):
            await flow.drain()
    except TimeoutError:
        return False
    return True


class GatewayProtocol(HttpToolsProtocol):
    """One connection of a client."""

    def __init__(self, gateway: Gateway, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._gateway = gateway
        self._exchange: Exchange | None = None
        self._running: asyncio.Task[None] | None = None

    def on_headers_complete(self) -> None:
        path = self._short_way()
        if path is None:
            self._exchange = None
            super().on_headers_complete()
            return
        self._exchange = Exchange(self, path, keep_alive=self.parser.should_keep_alive())
        self.cycle = self._exchange  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        if self._exchange is None:
            super().on_body(body)
        else:
            self._exchange.parts.append(body)

    def on_message_complete(self) -> None:
        exchange = self._exchange
        if exchange is None:
            super().on_message_complete()
            return
        self._exchange = None
        task = self._running = self.loop.create_task(exchange.run(self._gateway))
        self.tasks.add(task)
        task.add_done_callback(self._forget)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._running is not None:
            self._running.cancel()

    def _forget(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if self._running is task:
            self._running = None

    def _short_way(self) -> str | None:
        """The path of a request that can go it."""
        if self.parser.get_method() != b"POST" or self.expect_100_continue:
            return None
        if self.cycle is not None and not self.cycle.response_complete:
            return None
        path = self.url.decode("latin-1")
        if not is_gateways(path) or "?" in path or "%" in path or self.parser.get_http_version() != "1.1":
            return None
        length = -1
        for name, value in self.headers:
            if name == b"content-length":
                length = int(value)
            elif name == b"transfer-encoding":
                return None
        return path if 0 <= length <= min(_LONGEST_BODY, self._gateway.max_body_bytes) else None
