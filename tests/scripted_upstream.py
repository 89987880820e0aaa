"""A model provider of our own making: speaks OpenAI's wire over a real socket, and fails in every way on request.

What it does is chosen by the `model` of the request it gets: a play per model id. A play writes to the socket itself,
so that it can refuse, stall, send garbage or break off wherever it likes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

COMPLETION = (
    b'{ "id":"chatcmpl-1", "object":"chat.completion","created":1,"model":"upstream-2026",\n'
    b' "choices":[{"index":0,"message":{"role":"assistant","content":"Hello \\u00e4\xf0\x9f\x91\x8b","refusal":null},'
    b'"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18},'
    b'"x_unknown":[1.0,{"deep":1e40}]}'
)
"""Bytes that any re-encoding would change."""


EMBEDDINGS = (
    b'{ "object":"list","data":[{"object":"embedding","index":0,"embedding":[0.10, -1e-05]}],'
    b'"model":"upstream-2026","usage":{"prompt_tokens":5,"total_tokens":5}}'
)


class Heard(NamedTuple):
    """A request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Talk(NamedTuple):
    """One request with the socket to answer it."""

    heard: Heard
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self, status: int, content_type: str, *, length: int | None, **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Said", f"content-type: {content_type}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines.append("transfer-encoding: chunked" if length is None else f"content-length: {length}")
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        self.writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await self.writer.drain()


Play = Callable[[Talk], Awaitable[None]]


def whole(body: bytes | object, status: int = 200, **headers: str) -> Play:
    """A plain reply; anything but bytes is sent as JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def play(talk: Talk) -> None:
        await talk.head(status, "application/json", length=len(data), **headers)
        talk.writer.write(data)
        await talk.writer.drain()

    return play


def events(parts: Sequence[bytes], *, then: str = "end", pause_s: float = 0.0) -> Play:
    """Server-sent events, byte for byte; `then` is "end", "cut" (no last chunk), or "stall" (nothing more)."""

    async def play(talk: Talk) -> None:
        await talk.head(200, "text/event-stream", length=None)
        for part in parts:
            await talk.chunk(part)
            await asyncio.sleep(pause_s)
        if then == "stall":
            await gone(talk)
        elif then == "cut":
            talk.writer.close()
        else:
            talk.writer.write(b"0\r\n\r\n")
            await talk.writer.drain()

    return play


def raw(data: bytes) -> Play:
    """Bytes that need not be HTTP, and then the end."""

    async def play(talk: Talk) -> None:
        talk.writer.write(data)
        await talk.writer.drain()
        talk.writer.close()

    return play


async def stall(talk: Talk) -> None:
    """Say nothing until the caller gives up."""
    await gone(talk)


async def gone(talk: Talk) -> None:
    while await talk.reader.read(1 << 16):
        pass
    raise ConnectionResetError


class ScriptedUpstream:
    """`heard` keeps the requests; `given_up` counts callers that left before they had their whole answer."""

    def __init__(self) -> None:
        self.plays: dict[str, Play] = {}
        self.heard: list[Heard] = []
        self.given_up = 0
        self.open = 0
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", 0)

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"

    @property
    def last(self) -> Heard:
        return self.heard[-1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for talk in list(self._talks):
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await self._server.wait_closed()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._talks.add(task)
        try:
            while not writer.is_closing():
                heard = await _listen(reader)
                if heard is None:
                    return
                self.heard.append(heard)
                play = self.plays.get(_model(heard), _usual(heard))
                self.open += 1
                try:
                    await play(Talk(heard, reader, writer))
                except (ConnectionError, OSError):
                    self.given_up += 1
                    return
                finally:
                    self.open -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(Exception):
                await writer.wait_closed()
            self._talks.discard(task)


def _usual(heard: Heard) -> Play:
    return whole(EMBEDDINGS if heard.path.startswith("/v1/embeddings") else COMPLETION)


async def _listen(reader: asyncio.StreamReader) -> Heard | None:
    request_line = (await reader.readline()).decode()
    if not request_line:
        return None
    headers: dict[str, str] = {}
    while line := (await reader.readline()).decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Heard(request_line.split()[1], headers, body)


def _model(heard: Heard) -> str:
    try:
        return str(heard.json["model"])
    except (ValueError, KeyError, TypeError):
        return ""
