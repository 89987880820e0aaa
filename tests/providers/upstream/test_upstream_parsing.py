"""A response is the same however its bytes are cut up, and whatever else comes ends in an error of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from itertools import pairwise
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rondo.errors import UpstreamCut, UpstreamError
from rondo.providers.http.connection import MAX_BUFFERED, MAX_HEAD, Connection


class FakeTransport(asyncio.Transport):
    """What a connection does to its socket, written down."""

    def __init__(self, protocol: Connection) -> None:
        super().__init__()
        self.protocol = protocol
        self.written = b""
        self.closed = False
        self.reading = True

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        self.close()

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def end(self) -> None:
        """The server closes its side."""
        if not self.closed:
            self.protocol.eof_received()
            self.close()


class Line:
    """A connection on a fake transport."""

    def __init__(self) -> None:
        self.idle = False
        self.connection = Connection("server", lambda _: None, self._is_idle)
        self.transport = FakeTransport(self.connection)
        self.connection.connection_made(self.transport)

    def _is_idle(self, connection: Connection) -> None:
        self.idle = True

    async def answer(self, parts: list[bytes], *, stream: bool, end: bool) -> tuple[int, dict[bytes, bytes], bytes]:
        """Ask, hear `parts`, and read the response."""
        asking = asyncio.ensure_future(self._ask(stream))
        await asyncio.sleep(0)
        for part in parts:
            if self.transport.closed:
                break
            self.connection.data_received(part)
            await asyncio.sleep(0)
        if end:
            self.transport.end()
        return await asking

    async def _ask(self, stream: bool) -> tuple[int, dict[bytes, bytes], bytes]:
        connection = self.connection
        await connection.ask(b"HEAD", b"", 5)
        status, headers = connection.status, connection.headers
        if stream:
            body = b""
            while data := await connection.part():
                body += data
        else:
            body = await connection.whole(1 << 20)
        connection.release()
        return status, headers, body


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(coroutine)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    marks = [0, *sorted({cut % (len(data) + 1) for cut in cuts}), len(data)]
    return [data[start:end] for start, end in pairwise(marks) if start < end]


class Response(NamedTuple):
    raw: bytes
    body: bytes
    ends: bool
    """Whether it is only over when the connection is."""


interim = st.sampled_from(
    [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nx-mark: early\r\n\r\n"]
)
events = st.lists(st.sampled_from([b"data: {}\n\n", b": ping\r\n\r\n", b"data: [DONE]\n\n", b"\n"])).map(b"".join)
bodies = st.one_of(st.binary(max_size=300), events, st.integers(0, 9000).map(lambda n: b"z" * n))


@st.composite
def responses(draw: st.DrawFn) -> Response:
    head = draw(interim) + draw(interim) + b"HTTP/1.1 200 Fine\r\nX-Mark: late\r\nempty:\r\n"
    body = draw(bodies)
    kind = draw(st.sampled_from(["length", "chunked", "end"]))
    if kind == "length":
        return Response(head + b"Content-Length: %d\r\n\r\n" % len(body) + body, body, ends=False)
    if kind == "end":
        return Response(head + b"\r\n" + body, body, ends=True)
    chunks = pieces(body, draw(st.lists(st.integers(0, 9000), max_size=8)))
    extension = draw(st.sampled_from([b"", b";a=b", b';name="v"']))
    trailer = draw(st.sampled_from([b"", b"x-mark: trailer\r\nx-sum: 1\r\n"]))
    data = b"".join(b"%x%b\r\n%b\r\n" % (len(chunk), extension, chunk) for chunk in chunks)
    return Response(
        head + b"Transfer-Encoding: chunked\r\n\r\n" + data + b"0\r\n" + trailer + b"\r\n", body, ends=False
    )


@given(responses(), st.lists(st.integers(0, 10_000), max_size=30), st.booleans())
@settings(max_examples=300, deadline=None)
def test_any_cut_gives_the_same_response(response: Response, cuts: list[int], stream: bool) -> None:
    async def scenario() -> None:
        line = Line()
        for _ in range(1 if response.ends else 2):  # the parser is in order for the next one, too
            line.idle = False
            parts = pieces(response.raw, cuts)
            status, headers, body = await line.answer(parts, stream=stream, end=response.ends)
            assert (status, headers[b"x-mark"], headers[b"empty"], body) == (200, b"late", b"", response.body)
            assert b"link" not in headers
            assert b"x-sum" not in headers
            assert line.idle is not response.ends

    run(scenario())


@given(responses())
@settings(max_examples=25, deadline=None)
def test_byte_for_byte(response: Response) -> None:
    async def scenario() -> None:
        parts = [response.raw[at : at + 1] for at in range(len(response.raw))]
        assert (await Line().answer(parts, stream=True, end=response.ends))[2] == response.body

    run(scenario())


@given(responses().filter(lambda each: not each.ends), st.data(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_what_breaks_off_is_an_error(response: Response, data: st.DataObject, stream: bool) -> None:
    """However much of it came: a part of a body is never taken for the whole."""
    length = data.draw(st.integers(0, len(response.raw) - 1))

    async def scenario() -> None:
        line = Line()
        with pytest.raises(UpstreamError):
            await line.answer(pieces(response.raw[:length], [length // 2]), stream=stream, end=True)
        assert not line.idle

    run(scenario())


@given(responses(), st.data(), st.lists(st.integers(0, 10_000), max_size=10), st.booleans())
@settings(max_examples=300, deadline=None)
def test_damaged_responses(response: Response, data: st.DataObject, cuts: list[int], stream: bool) -> None:
    """Bytes changed, taken out or put in: a response or an UpstreamError, and nothing else ever."""
    raw = bytearray(response.raw)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))

    async def scenario() -> None:
        with suppress(UpstreamError):
            await Line().answer(pieces(bytes(raw), cuts), stream=stream, end=True)

    run(scenario())


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
@settings(max_examples=200, deadline=None)
def test_garbage(garbage: bytes, cuts: list[int]) -> None:
    async def scenario() -> None:
        with pytest.raises(UpstreamError):
            await Line().answer(pieces(garbage, cuts), stream=False, end=True)

    run(scenario())


@given(responses().filter(lambda each: not each.ends), st.binary(min_size=1, max_size=20), st.booleans())
@settings(max_examples=100, deadline=None)
def test_what_follows_a_response_is_nobodys(response: Response, extra: bytes, together: bool) -> None:
    """The response counts; the connection is not used again, unless what followed was empty lines."""
    if not extra.strip(b"\r\n"):
        extra = b"H"

    async def scenario() -> None:
        line = Line()
        parts = [response.raw + extra] if together else [response.raw, extra]
        assert (await line.answer(parts, stream=False, end=False))[2] == response.body
        if together:
            assert not line.idle
        await asyncio.sleep(0)
        assert line.transport.closed

    run(scenario())


def test_a_second_response_is_not_taken_for_the_next_requests() -> None:
    async def scenario() -> None:
        one = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"
        for second in (one + b"two", one, b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103 Hints\r\n\r\n", b"H"):
            line = Line()
            assert (await line.answer([one + b"one" + second], stream=False, end=False))[2] == b"one"
            assert not line.idle

    run(scenario())


async def test_crumbs_do_not_add_up() -> None:
    """A body of two-byte chunks, which as objects would take twenty times their size."""
    line = Line()
    asking = asyncio.ensure_future(line.connection.ask(b"", b"", 5))
    await asyncio.sleep(0)
    line.connection.data_received(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    await asking
    for _ in range(60):
        line.connection.data_received(b"2\r\nab\r\n" * 1_000)
    assert len(line.connection._parts) < 200
    line.connection.data_received(b"0\r\n\r\n")
    assert await line.connection.whole(1 << 20) == b"ab" * 60_000


async def test_who_still_waits_does_not_get_the_next_response() -> None:
    """The end of a response and its release in one turn of the loop, before its reader has had its own."""
    line = Line()
    asking = asyncio.ensure_future(line.connection.ask(b"", b"", 5))
    await asyncio.sleep(0)
    line.connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
    await asking
    reading = asyncio.ensure_future(line.connection.part())
    await asyncio.sleep(0)
    line.connection.data_received(b"ab")
    line.connection.release()
    assert not line.idle
    assert line.transport.closed
    assert await reading == b"ab"


async def test_a_slow_reader_stops_the_socket_and_lets_it_go_on() -> None:
    line = Line()
    asking = asyncio.ensure_future(line.connection.ask(b"", b"", 5))
    await asyncio.sleep(0)
    line.connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    await asking
    line.connection.data_received(b"x" * MAX_BUFFERED)
    assert line.transport.reading
    line.connection.data_received(b"x")
    assert not line.transport.reading
    assert len(await line.connection.part()) == MAX_BUFFERED + 1
    assert line.transport.reading


@pytest.mark.parametrize(
    "endless",
    [
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * MAX_HEAD,
        b"HTTP/1.1 200 OK\r\n" + b"x: a\r\n" * (MAX_HEAD // 6),
        b"HTTP/1.1 200 " + b"O" * MAX_HEAD,
        b"HTTP/1.1 100 Continue\r\n\r\n" * (MAX_HEAD // 25 + 1),
        b"\r\n" * (MAX_HEAD // 2 + 1),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;" + b"a" * MAX_HEAD,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n" + b"x: a\r\n" * (MAX_HEAD // 6),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"0" * MAX_HEAD,
    ],
    ids=["header", "headers", "status line", "interims", "empty lines", "extension", "trailers", "chunk size"],
)
async def test_nothing_but_a_body_is_endless(endless: bytes) -> None:
    line = Line()
    with pytest.raises(UpstreamError, match=r"does not end|no HTTP response"):
        await line.answer([*pieces(endless, list(range(0, MAX_HEAD * 2, 4096))), b"a" * 4096], stream=False, end=False)
    assert line.transport.closed


async def test_a_body_that_is_read_whole_has_a_limit() -> None:
    line = Line()
    many = [b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 65_536] * 17]
    with pytest.raises(UpstreamError, match="larger than 1 MB"):
        await line.answer(many, stream=False, end=False)
    assert line.transport.closed


async def test_closing_in_the_middle_is_no_end_of_the_body() -> None:
    line = Line()
    asking = asyncio.ensure_future(line.connection.ask(b"", b"", 5))
    await asyncio.sleep(0)
    line.connection.data_received(b"HTTP/1.1 200 OK\r\n\r\npart")
    await asking
    line.connection.abort()
    assert await line.connection.part() == b"part"
    with pytest.raises(UpstreamCut):
        await line.connection.part()
