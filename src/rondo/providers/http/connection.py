"""One connection: a request out, its response in, and then the next. An `asyncio.Protocol` over httptools' parser.

A response is parsed as it arrives, into a buffer that is bounded: while its reader is slow, nothing more is read from
the socket. Time costs one timer per connection, which is moved on when it fires and not when bytes arrive.

A connection is idle (1), asked and waiting for the head of a response (2), in its body (3), at its end (4) and then
idle again; or it is closed (5). What a server sends at any other moment closes it.
"""

from __future__ import annotations

import asyncio
import re
import select
import ssl
from collections.abc import Callable
from typing import Final, cast

import httptools

from rondo.errors import UpstreamCut, UpstreamError, UpstreamSilent, UpstreamTimeout, UpstreamUnreachable

_IDLE: Final = 1
_ASKED: Final = 2
_BODY: Final = 3
_ENDED: Final = 4
_CLOSED: Final = 5

MAX_HEAD = 64 * 1024
"""The head of a response, with all interim ones before it; also whatever is not body between two parts of a body."""
MAX_BUFFERED = 256 * 1024
"""What is kept for a slow reader, before no more is read; one read from the socket may come on top."""
WRITE_AT_ONCE = 64 * 1024
"""Larger bodies are written in parts of this size, as the server takes them."""

_TIMEOUT = re.compile(rb"(?:^|[,;\s])timeout\s*=\s*\"?(\d{1,9})", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """Used by one request at a time. Its owner is told when it has closed."""

    __slots__ = tuple(
        """_between _buffered _error _interim _loop _most _on_closed _on_idle _parser _parts _poll _read_paused
        _refused _reusable _sending _since _state _timeout_s _timer _to_the_end _transport _waiter _write_paused headers
        server status""".split()
    )

    def __init__(self, server: str, on_closed: Callable[[Connection], None], on_idle: Callable[[Connection], None]):
        """`server` names it in errors; `on_idle` is called when the next request may have it."""
        self.server = server
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self._on_closed = on_closed
        self._on_idle = on_idle
        self._loop = asyncio.get_running_loop()
        self._state = _IDLE
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._poll: select.poll | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._error: UpstreamError | None = None
        self._refused = ""  # why one of our own callbacks has stopped the parser
        self._interim = False
        self._to_the_end = False  # the body ends with the connection
        self._reusable = False
        self._sending = False
        self._write_paused = False
        self._read_paused = False
        self._parts: list[bytes] = []
        self._buffered = 0
        self._most = 0  # of a body that is read whole; 0 where it is streamed
        self._between = 0  # bytes since the last that was of use
        self._timer: asyncio.TimerHandle | None = None
        self._timeout_s = 0.0
        self._since = 0.0  # when something last moved, or when it became idle

    # -- for a request

    async def ask(self, head: bytes, body: bytes, timeout_s: float) -> None:
        """Send a request and wait for the head of its response: `status` and `headers`. Raises UpstreamError."""
        if self._transport is None or self._state != _IDLE:
            raise self._error or UpstreamUnreachable(f"{self.server} closed the connection at once.")
        transport = self._transport
        self._state = _ASKED
        self._timeout_s = timeout_s
        self._since = now = self._loop.time()
        self._wake_at(now + timeout_s)
        try:
            if len(body) <= WRITE_AT_ONCE:
                transport.write(head + body)
            else:
                await self._send(transport, head, body)
            while self._state == _ASKED:
                await self._moved()
        except BaseException:
            self.abort()
            raise
        if self._error is not None:
            raise self._error

    async def part(self) -> bytes:
        """What has arrived of the body, as soon as there is any; b"" at its end. Raises UpstreamError."""
        while not self._parts:
            if self._error is not None:
                raise self._error
            if self._state != _BODY:
                return b""
            self._since = self._loop.time()
            try:
                await self._moved()
            except BaseException:
                self.abort()
                raise
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._buffered = 0
        if self._read_paused:
            self._resume()
        return data

    async def whole(self, most: int) -> bytes:
        """The body, once it is complete and if it has no more than `most` bytes. Raises UpstreamError."""
        if self._state == _BODY:
            self._most = most
            self._since = self._loop.time()
            if self._read_paused:
                self._resume()
            try:
                while self._state == _BODY:
                    await self._moved()
            except BaseException:
                self.abort()
                raise
        return self.taken(most)

    @property
    def has_ended(self) -> bool:
        """Whether all of the response has come, as it nearly always has together with its head."""
        return self._state == _ENDED

    def taken(self, most: int) -> bytes:
        """As `whole`, of a response that has ended."""
        if self._error is not None:
            raise self._error
        if self._buffered > most:
            raise self._too_large(most)
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    def release(self) -> None:
        """The request is done with it: to the next one, if the response has been read to its end; else closed."""
        transport = self._transport
        # Whoever still waits for a part of this response must not get one of the next.
        if self._state != _ENDED or not self._reusable or self._waiter is not None:
            self.abort()
            return
        if transport is None or transport.is_closing():
            return
        if self._read_paused:
            self._resume()
        self._parts = []
        self._buffered = self._most = self._between = 0
        self._since = self._loop.time()
        self._state = _IDLE
        self._on_idle(self)

    def abort(self) -> None:
        """Close it at once, whatever goes on. What has come whole can still be read."""
        if self._transport is not None:
            self._transport.abort()
        if self._state == _ENDED:
            return
        if self._error is None and self._state != _IDLE:
            self._error = UpstreamCut(f"The connection to {self.server} was closed before its answer was complete.")
        self._state = _CLOSED
        self._wake()

    def abandon(self) -> None:
        """As `release`, from any thread: the garbage collector may run in each."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.release)

    # -- for its owner

    def is_fresh(self) -> bool:
        """Whether a request may be written: the server has neither closed it nor said anything, seen yet or not."""
        if self._transport is None or self._transport.is_closing():
            return False
        return self._poll is None or not self._poll.poll(0)

    def expire_after(self, seconds: float) -> None:
        """It is idle: close it in so many seconds."""
        self._timeout_s = seconds
        self._wake_at(self._since + seconds)

    @property
    def asked_to_keep_s(self) -> int | None:
        """For how long the server says that it keeps an idle connection (`keep-alive: timeout=N`)."""
        value = self.headers.get(b"keep-alive")
        found = _TIMEOUT.search(value) if value is not None else None
        return int(found[1]) if found is not None else None

    # -- called by the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and hasattr(select, "poll"):
            self._poll = select.poll()
            self._poll.register(sock.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        if self._parser is None or not _IDLE < self._state < _ENDED:
            if self._state == _IDLE:
                self._error = UpstreamError(f"{self.server} spoke before it was asked.")
            self.abort()
            return
        self._between += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._not_http(error)
        if self._between > MAX_HEAD and self._state != _ENDED:
            what = "the head of its answer" if self._state == _ASKED else "what stands between parts of its answer"
            self._fail(f"{self.server} does not end {what}.")
        if len(self._parts) > 64 + (self._buffered >> 10):
            self._parts = [b"".join(self._parts)]  # crumbs take many times their size
        if self._buffered > MAX_BUFFERED and not self._most and self._state == _BODY and not self._read_paused:
            assert self._transport is not None
            self._read_paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool | None:
        if self._state == _BODY and self._to_the_end and self._ended_on_purpose():
            self._state = _ENDED
            self._wake()
        self._reusable = False
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._error is None:
            why = getattr(exc, "strerror", None) or (type(exc).__name__ if exc is not None else "closed")
            if self._state == _ASKED:
                when = "while the request was being sent" if self._sending else "without an answer"
                broke = UpstreamUnreachable if self._sending else UpstreamSilent
                self._error = broke(f"{self.server} broke off the connection {when} ({why}).")
            elif self._state != _ENDED:
                self._error = UpstreamCut(f"The provider broke off its answer ({why}).")
        if self._state != _ENDED:
            self._state = _CLOSED
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._parser = self._transport = self._poll = None
        self._write_paused = False
        self._wake()
        self._on_closed(self)

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        self._since = self._loop.time()
        self._wake()

    # -- called by the parser

    def on_message_begin(self) -> None:
        if self._state == _ENDED:
            self._reusable = False  # a second response to one request
        else:
            self.headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._state != _ASKED:
            return  # a trailer
        name = name.lower()
        if name in self.headers:
            value = self.headers[name] + b", " + value
        self.headers[name] = value

    def on_headers_complete(self) -> None:
        if self._state == _ENDED:
            return
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status < 200:
            if status < 100 or status == 101:
                raise self._refuse(f"status {status}")
            self._interim = True
            self._since = self._loop.time()
            return
        headers = self.headers
        self.status = status
        coding = headers.get(b"transfer-encoding")
        if coding is not None and coding.lower() != b"chunked":
            raise self._refuse("an unknown transfer coding")
        self._to_the_end = coding is None and b"content-length" not in headers and status not in (204, 304)
        self._state = _BODY
        self._between = 0
        self._since = self._loop.time()
        self._wake()

    def on_body(self, data: bytes) -> None:
        if self._state != _BODY:
            return
        self._parts.append(data)
        self._buffered += len(data)
        self._between = 0
        if not self._most:
            self._wake()
            return
        self._since = self._loop.time()
        if self._buffered > self._most:
            self._error = self._too_large(self._most)
            self.abort()

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
            return
        if self._state != _BODY:
            return
        assert self._parser is not None
        assert self._transport is not None
        sent = not self._sending and not self._transport.get_write_buffer_size()
        self._reusable = sent and self._parser.should_keep_alive()
        self._state = _ENDED
        self._wake()

    # -- inside

    async def _send(self, transport: asyncio.Transport, head: bytes, body: bytes) -> None:
        """Write a large body as fast as the server takes it; stop where it answers before it has the whole."""
        self._sending = True
        transport.write(head)
        rest = memoryview(body)
        for start in range(0, len(body), WRITE_AT_ONCE):
            while self._write_paused and self._state == _ASKED:
                await self._moved()
            if self._state != _ASKED or transport.is_closing():
                return
            transport.write(rest[start : start + WRITE_AT_ONCE])
        self._sending = False
        self._since = self._loop.time()

    def _ended_on_purpose(self) -> bool:
        """Over TLS a server says that it is done; a connection that ends without that may have been cut by anybody."""
        tls = None if self._transport is None else self._transport.get_extra_info("ssl_object")
        if tls is None:
            return True
        try:
            return not tls.read(1)
        except ssl.SSLZeroReturnError:
            return True
        except ssl.SSLError:
            return False

    async def _moved(self) -> None:
        """Wait until anything has changed."""
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _resume(self) -> None:
        self._read_paused = False
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _fail(self, message: str) -> None:
        """The server does not keep to the protocol."""
        if self._error is None:
            self._error = UpstreamCut(message) if self._state == _BODY else UpstreamError(message)
        self.abort()

    def _refuse(self, reason: str) -> ValueError:
        """What a callback raises, so that the parser stops."""
        self._refused = reason
        return ValueError(reason)

    def _not_http(self, error: Exception) -> None:
        if self._state == _ENDED:  # the response is whole; what follows it is nobody's
            self._reusable = False
            self.abort()
            return
        # Never the error's `__context__`: what somebody else's request is doing may stand there.
        self._fail(f"{self.server} sent what is no HTTP response: {self._refused or str(error):.200}.")

    def _too_large(self, most: int) -> UpstreamError:
        return UpstreamError(f"The answer of {self.server} is larger than {most >> 20} MB.")

    def _wake_at(self, when: float) -> None:
        """Look at the time then, or earlier."""
        if self._timer is None or self._timer.when() > when:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(when, self._look_at_the_time)

    def _look_at_the_time(self) -> None:
        self._timer = None
        if self._transport is None:
            return
        now = self._loop.time()
        waits = self._state == _IDLE or (self._waiter is not None and not self._waiter.done())
        due = (self._since if waits else now) + self._timeout_s
        # uvloop's clock has milliseconds: a timer may find itself a moment early.
        if due > now + 0.001:
            self._wake_at(due)
        elif self._state == _IDLE:
            self.abort()
        else:
            self._silent()

    def _silent(self) -> None:
        if self._state == _ASKED:
            said = "did not take the request" if self._sending else "did not answer"
            self._error = UpstreamTimeout(f"{self.server} {said} within {self._timeout_s:g} s.")
        elif self._most:
            self._error = UpstreamTimeout("The provider fell silent in the middle of its answer.")
        else:
            self._error = UpstreamCut("The provider fell silent in the middle of its answer.")
        self.abort()
