"""A provider that streams, for `streams.py`: so many chunks, so far apart, as the path of the request asks.

    POST /CHUNKS/INTERVAL_MS/v1/chat/completions

The first chunk is written at once, each in a write of its own. With an interval of 0 all streams take turns, each as
fast as it is read. A request that asks for no stream gets a plain answer. Run as `streamer.py PORT`.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import httptools
import uvloop

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_EVENT = (
    b'data: {"id":"chatcmpl-Benchmark00000000000000000001","object":"chat.completion.chunk","created":1760000000,'
    b'"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_benchmark00",'
    b'"choices":[{"index":0,"delta":%b,"logprobs":null,"finish_reason":%b}]}\n\n'
)
_USAGE = (
    b'data: {"id":"chatcmpl-Benchmark00000000000000000001","object":"chat.completion.chunk","created":1760000000,'
    b'"model":"gpt-4o-mini-2024-07-18","choices":[],"usage":{"prompt_tokens":20,"completion_tokens":%d,'
    b'"total_tokens":%d}}\n\n'
)
_PLAIN = (
    b'{"id":"chatcmpl-Benchmark00000000000000000001","object":"chat.completion","created":1760000000,'
    b'"model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":" word"},'
    b'"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":1,"total_tokens":21}}'
)


def _framed(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


_FIRST = _framed(_EVENT % (b'{"role":"assistant","content":" word","refusal":null}', b"null"))
_CHUNK = _framed(_EVENT % (b'{"content":" word"}', b"null"))
_STOP = _framed(_EVENT % (b"{}", b'"stop"'))


class Streamer(asyncio.Protocol):
    """One connection. The parser calls `on_...`; the event loop calls the rest."""

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._url = b""
        self._body = b""
        self._chunks = self._left = 0
        self._interval_s = 0.0
        self._paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        if not self._interval_s and self._left:
            self._later()

    def on_message_begin(self) -> None:
        self._url = self._body = b""

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if b'"stream"' not in self._body:
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(_PLAIN)
            self._transport.write(head + _PLAIN)
            return
        _, chunks, interval_ms, *_ = self._url.split(b"/")
        self._chunks = self._left = int(chunks)
        self._interval_s = int(interval_ms) / 1_000
        self._transport.write(_HEAD)
        self._send(_FIRST)

    def _next(self) -> None:
        if not self._transport.is_closing():
            self._send(_CHUNK)

    def _send(self, chunk: bytes) -> None:
        self._transport.write(chunk)
        self._left -= 1
        if self._left > 0:
            if self._interval_s or not self._paused:
                self._later()
            return
        usage = _framed(_USAGE % (self._chunks, self._chunks + 20))
        self._transport.write(b"".join((_STOP, usage, _framed(b"data: [DONE]\n\n"), b"0\r\n\r\n")))

    def _later(self) -> None:
        loop = asyncio.get_running_loop()
        if self._interval_s:
            loop.call_later(self._interval_s, self._next)
        else:
            loop.call_soon(self._next)


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Streamer, "127.0.0.1", port, backlog=2048)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
