"""A server that does with each connection whatever a test says, down to the byte. It speaks no HTTP by itself."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Asked(NamedTuple):
    """A request as it came in."""

    line: str
    headers: dict[str, str]
    body: bytes


class Line:
    """One connection, from the server's side. `number` counts from 1."""

    def __init__(
        self, server: RawServer, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.server = server
        self.number = number
        self.reader = reader
        self.writer = writer

    async def head(self) -> tuple[str, dict[str, str]]:
        """The head of a request. Raises IncompleteReadError where none comes."""
        text = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = text.strip().split("\r\n")
        pairs = (line.partition(": ") for line in lines)
        return first, {name: value for name, _, value in pairs}

    async def request(self) -> Asked:
        """A whole request; the server keeps it in `asked`."""
        line, headers = await self.head()
        asked = Asked(line, headers, await self.reader.readexactly(int(headers["content-length"])))
        self.server.asked.append(asked)
        return asked

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> None:
        """Until the client has left."""
        with suppress(ConnectionError):
            while await self.reader.read(1 << 16):
                pass
        self.server.left += 1

    def reset(self) -> None:
        """Leave with a RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


Play = Callable[[Line], Awaitable[None]]


class RawServer:
    """`async with RawServer(play) as server`: `play` has each connection to itself; it is closed at its end."""

    def __init__(self, play: Play, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.asked: list[Asked] = []
        self.lines = 0
        self.left = 0
        self._play = play
        self._tls = tls
        self._host = host
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def url(self) -> str:
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http{'s' if self._tls else ''}://{host}:{self.port}/v1/chat"

    async def __aenter__(self) -> RawServer:
        self._server = await asyncio.start_server(self._serve, self._host, 0, ssl=self._tls, backlog=2048)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.lines += 1
        try:
            await self._play(Line(self, self.lines, reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with suppress(Exception):
                await writer.wait_closed()
            self._tasks.discard(task)


def replies(*data: bytes, then: str = "close") -> Play:
    """To each request, these bytes in turn; then close, "stall", "reset", or "on" with the next request."""

    async def play(line: Line) -> None:
        while True:
            await line.request()
            for part in data:
                await line.say(part)
            if then == "stall":
                await line.gone()
            elif then == "reset":
                line.reset()
            if then != "on":
                return

    return play


async def until(true: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Wait until `true()` is."""
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.005)
