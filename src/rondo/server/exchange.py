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
from rondo.gateway.reply import Headers, Parts, Reply, Whole

_LONGEST_BODY = 1 << 16
"""A longer one takes uvicorn's own way, on which the key is looked at before the body is read."""

LONGEST_STALL_S = 120.0
"""How long a client may read nothing of a stream that waits for it."""

_CHUNKED = b"transfer-encoding: chunked\r\n"
_NOT_SHORT = (b"transfer-encoding", b"expect")


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
        try:
            reply = await gateway.respond("POST", self._path, self._headers, body)
            if isinstance(reply, Whole):
                self._protocol.transport.write(self._head(reply, reply.status, len(reply.body)) + reply.body)
            else:
                await self._send_parts(reply)
            self._end()
        finally:
            self._protocol.ended()

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
        return b"%b%b%b%b%b\r\n" % (
            STATUS_LINE[status],
            self._protocol.default_lines(),
            _lines(reply.headers),
            _CHUNKED if length is None else b"content-length: %d\r\n" % length,
            b"" if self.keep_alive else b"connection: close\r\n",
        )

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


def _lines(headers: Headers) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])


class GatewayProtocol(HttpToolsProtocol):
    """One connection of a client."""

    _defaults: tuple[Headers, bytes] = ([], b"")
    """The headers that uvicorn puts into every answer, which it makes anew each second; and their lines."""

    def __init__(self, gateway: Gateway, **uvicorns: Any) -> None:
        super().__init__(**uvicorns)
        self._gateway = gateway
        self._exchange: Exchange | None = None
        self._running: asyncio.Task[None] | None = None
        self._idle = False
        self._idle_since = 0.0

    def default_lines(self) -> bytes:
        headers, lines = GatewayProtocol._defaults
        now = self.server_state.default_headers
        if now is not headers:
            lines = _lines(now)
            GatewayProtocol._defaults = now, lines
        return lines

    # -- from the parser

    def on_message_begin(self) -> None:
        # uvicorn makes its scope here, for which the short way has no use.
        self.url = b""
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        path = self._short_way()
        if path is None:
            self._exchange = None
            self._long_way()
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

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._stop_timer()
        task = self._running
        if task is not None:
            task.add_done_callback(self.tasks.discard)  # one that never began does not tell that it has ended
            task.cancel()

    # -- around a response

    def ended(self) -> None:
        """The exchange that runs is about to end."""
        if self._running is not None:
            self.tasks.discard(self._running)
            self._running = None

    def on_response_complete(self) -> None:
        """As uvicorn's own, but for the timer that closes idle connections: it goes on running from one request to the
        next, since setting it costs more than looking, once it rings, for how long there has been nothing."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
            return
        self._idle, self._idle_since = True, self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_later(self.timeout_keep_alive)

    def _unset_keepalive_if_required(self) -> None:
        """Called by uvicorn when anything arrives."""
        self._idle = False

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self.transport.is_closing():
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if not self._idle:
            self._look_later(self.timeout_keep_alive)
        elif left > 0.001:  # the loop's clock has milliseconds
            self._look_later(left)
        else:
            self.transport.close()

    def _look_later(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def _stop_timer(self) -> None:
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    # -- which way

    def _long_way(self) -> None:
        """uvicorn's own, from the start of the request."""
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            super().on_header(name, value)
        super().on_headers_complete()

    def _short_way(self) -> str | None:
        """The path of a request that can go it."""
        if self.parser.get_method() != b"POST":
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
            elif name in _NOT_SHORT:
                return None
        return path if 0 <= length <= min(_LONGEST_BODY, self._gateway.max_body_bytes) else None
