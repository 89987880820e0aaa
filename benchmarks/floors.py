"""What the ground itself costs: three bare ASGI apps on uvicorn, for `gateway.py` to put the gateways beside.

    bare      reads the request and answers 1 KB from memory: the HTTP server alone
    aiohttp   passes the request on to the provider with aiohttp's client, records nothing
    lean      passes it on with an asyncio.Protocol over httptools on pooled connections, and appends request and
              answer to a file: what a gateway in Python that records cannot go below

They check nothing: no keys, no parsing, no errors. Run as `floors.py NAME PORT PROVIDER_URL FILE`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast
from urllib.parse import urlsplit

import aiohttp
import httptools
import uvicorn

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Exchange = Callable[[bytes], Awaitable[bytes]]


class Floor:
    """An ASGI app around one exchange: request body in, answer body out."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts = []
        while True:
            message = await receive()
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                break
        body = await self._exchange(b"".join(parts))
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class LeanClient:
    """Posts to one address, one request at a time per connection, on as many connections as it takes."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._head = (
            f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\ncontent-type: application/json\r\ncontent-length: "
        ).encode()
        self._idle: list[_Connection] = []

    async def post(self, body: bytes) -> bytes:
        """The answer's body, whatever its status. Raises OSError."""
        while self._idle:
            connection = self._idle.pop()
            if connection.open:
                break
        else:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(_Connection, self._host, self._port)
        answer = await connection.exchange(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
        if connection.open:
            self._idle.append(connection)
        return answer


class _Connection(asyncio.Protocol):
    """The parser calls `on_...`; the event loop calls the rest."""

    def __init__(self) -> None:
        self.open = True
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[bytes] | None = None

    def exchange(self, request: bytes) -> asyncio.Future[bytes]:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the provider closed the connection"))

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        whole, self._parts = b"".join(self._parts), []
        if not self._parser.should_keep_alive():
            self.open = False
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(whole)


def bare(provider_url: str, file: str) -> Exchange:
    answer = b'{"answer":"' + b"x" * 1000 + b'"}'

    async def exchange(_: bytes) -> bytes:
        return answer

    return exchange


def through_aiohttp(provider_url: str, file: str) -> Exchange:
    sessions: list[aiohttp.ClientSession] = []

    async def exchange(body: bytes) -> bytes:
        if not sessions:
            sessions.append(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        async with sessions[0].post(provider_url, data=body, headers={"content-type": "application/json"}) as reply:
            return await reply.read()

    return exchange


def through_lean(provider_url: str, file: str) -> Exchange:
    client = LeanClient(provider_url)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def exchange(body: bytes) -> bytes:
        answer = await client.post(body)
        os.write(descriptor, body + answer)
        return answer

    return exchange


FLOORS: dict[str, Callable[[str, str], Exchange]] = {"bare": bare, "aiohttp": through_aiohttp, "lean": through_lean}


def main() -> None:
    name, port, provider_url, file = sys.argv[1:]
    uvicorn.run(
        Floor(FLOORS[name](provider_url, file)),
        host="127.0.0.1",
        port=int(port),
        http="httptools",
        loop="uvloop",
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )


if __name__ == "__main__":
    main()
