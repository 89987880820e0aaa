"""A server that lies, stalls, floods or leaves, on a real socket: each time an error that says what happened."""

from __future__ import annotations

import asyncio

import pytest

from raw_server import OK, Line, RawServer, replies, until
from rondo.errors import UpstreamCut, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from rondo.providers.base import Reply
from rondo.providers.http.connection import Connection
from rondo.providers.upstream import Upstream

SECRET = "sk-very-secret"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


async def ask(client: Upstream, url: str, *, body: bytes = b"{}", timeout_s: float = 5.0) -> Reply:
    return await client.target(url, {"authorization": f"Bearer {SECRET}"}, timeout_s=timeout_s).post(body)


async def read(client: Upstream, url: str, *, body: bytes = b"{}", timeout_s: float = 5.0) -> bytes:
    """The whole body."""
    return await (await ask(client, url, body=body, timeout_s=timeout_s)).read()


async def stream(client: Upstream, url: str, *, timeout_s: float = 5.0) -> list[bytes]:
    """The parts of a body."""
    return [part async for part in (await ask(client, url, timeout_s=timeout_s)).chunks()]


NO_RESPONSE: dict[str, tuple[bytes, type[UpstreamError], str]] = {
    "garbage": (b"\x00\xff\x13garbage\r\n\r\n", UpstreamError, "no HTTP response"),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n", UpstreamError, "no HTTP response"),
    "html without a head": (b"<html><h1>Bad gateway</h1></html>", UpstreamError, "no HTTP response"),
    "nothing": (b"", UpstreamUnreachable, "without an answer"),
    "half a head": (b"HTTP/1.1 200 OK\r\ncontent-le", UpstreamUnreachable, "without an answer"),
    "an interim alone": (b"HTTP/1.1 100 Continue\r\n\r\n", UpstreamUnreachable, "without an answer"),
    "another protocol agreed": (
        b"HTTP/1.1 101 Switching\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n",
        UpstreamError,
        "status 101",
    ),
    "two lengths": (JSON + b"content-length: 2\r\ncontent-length: 3\r\n\r\nok", UpstreamError, "Content-Length"),
    "length and chunks": (JSON + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok", UpstreamError, "with"),
    "a negative length": (JSON + b"content-length: -2\r\n\r\nok", UpstreamError, "Content-Length"),
    "a length that overflows": (JSON + b"content-length: 99999999999999999999\r\n\r\n", UpstreamError, "ontent-"),
    "an unknown transfer coding": (JSON + b"transfer-encoding: gzip, chunked\r\n\r\n", UpstreamError, "coding"),
    "a folded header": (JSON + b"x: a\r\n b\r\n\r\n", UpstreamError, "no HTTP response"),
    "a zero byte in a header": (JSON + b"x: a\x00b\r\n\r\n", UpstreamError, "no HTTP response"),
    "a status of two digits": (b"HTTP/1.1 20 OK\r\n\r\n", UpstreamError, "no HTTP response"),
    "a status below 100": (b"HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n", UpstreamError, "status 99"),
}


@pytest.mark.parametrize("name", NO_RESPONSE)
async def test_what_is_no_response(client: Upstream, name: str) -> None:
    said, kind, why = NO_RESPONSE[name]
    async with RawServer(replies(said)) as server:
        with pytest.raises(kind, match=why) as caught:
            await read(client, server.url)
    assert SECRET not in str(caught.value)
    assert len(server.asked) == 1
    await until(lambda: client.connections() == (0, 0))


async def _collect(reply: Reply, parts: list[bytes]) -> None:
    async for part in reply.chunks():
        parts.append(part)  # noqa: PERF401 - what came before the break counts


BROKEN_BODY: dict[str, bytes] = {
    "shorter than its length": JSON + b"content-length: 3\r\n\r\nok",
    "no last chunk": CHUNKED + b"2\r\nok\r\n",
    "half a chunk": CHUNKED + b"9\r\nok",
    "a chunk size that is no number": CHUNKED + b"2\r\nok\r\nxyz\r\n",
    "a chunk longer than its size": CHUNKED + b"2\r\nokay\r\n0\r\n\r\n",
    "a chunk size that overflows": CHUNKED + b"2\r\nok\r\n" + b"f" * 20 + b"\r\n",
    "headers among the chunks": CHUNKED + b"2\r\nok\r\n" + JSON + b"\r\n",
    "an endless extension": CHUNKED + b"2\r\nok\r\n2;" + b"x" * 200_000,
    "endless trailers": CHUNKED + b"2\r\nok\r\n0\r\n" + b"x: y\r\n" * 40_000,
}


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("name", BROKEN_BODY)
async def test_a_body_that_breaks(client: Upstream, name: str, then: str) -> None:
    """It is neither whole nor ended; what came before the break is passed on to who reads a stream."""
    async with RawServer(replies(BROKEN_BODY[name], then=then)) as server:
        with pytest.raises(UpstreamCut):
            await read(client, server.url)
        parts: list[bytes] = []
        with pytest.raises(UpstreamCut):
            await _collect(await ask(client, server.url), parts)
    assert b"".join(parts) in (b"ok", b"")
    await until(lambda: client.connections() == (0, 0))


async def test_a_reset_before_the_head(client: Upstream) -> None:
    async with RawServer(replies(then="reset")) as server:
        with pytest.raises(UpstreamUnreachable, match="without an answer"):
            await ask(client, server.url)


async def test_endless_headers(client: Upstream) -> None:
    async def play(line: Line) -> None:
        await line.request()
        await line.say(b"HTTP/1.1 200 OK\r\n")
        while True:
            await line.say(b"x-more: and more\r\n" * 1_000)

    async with RawServer(play) as server:
        with pytest.raises(UpstreamError, match="does not end the head"):
            await ask(client, server.url)


async def test_silence_before_the_head(client: Upstream) -> None:
    async with RawServer(replies(then="stall")) as server:
        with pytest.raises(UpstreamTimeout, match=r"did not answer within 0\.1 s"):
            await ask(client, server.url, timeout_s=0.1)
        await until(lambda: server.left == 1)


async def test_a_head_that_drips_is_silence(client: Upstream) -> None:
    async def play(line: Line) -> None:
        await line.request()
        for byte in JSON * 100:
            await line.say(bytes([byte]))
            await asyncio.sleep(0.01)

    async with RawServer(play) as server:
        with pytest.raises(UpstreamTimeout):
            await ask(client, server.url, timeout_s=0.2)


async def test_silence_in_the_body(client: Upstream) -> None:
    async with RawServer(replies(JSON + b"content-length: 9\r\n\r\nok", then="stall")) as server:
        with pytest.raises(UpstreamTimeout, match="fell silent"):
            await read(client, server.url, timeout_s=0.1)
        with pytest.raises(UpstreamCut, match="fell silent"):
            await stream(client, server.url, timeout_s=0.1)
        await until(lambda: server.left == 2)


async def test_a_body_that_drips_is_not_silence(client: Upstream) -> None:
    """Each part comes in time, the whole takes longer than the limit; so do interim answers."""

    async def play(line: Line) -> None:
        await line.request()
        for _ in range(6):
            await line.say(b"HTTP/1.1 102 Processing\r\n\r\n")
            await asyncio.sleep(0.1)
        await line.say(JSON + b"content-length: 6\r\n\r\n")
        for _ in range(6):
            await asyncio.sleep(0.1)
            await line.say(b".")

    async with RawServer(play) as server:
        assert await read(client, server.url, timeout_s=0.4) == b"......"


async def test_a_slow_reader_is_not_the_servers_silence(client: Upstream) -> None:
    async def play(line: Line) -> None:
        await line.request()
        await line.say(CHUNKED + b"3\r\none\r\n")
        await asyncio.sleep(0.4)
        await line.say(b"3\r\ntwo\r\n0\r\n\r\n")

    async with RawServer(play) as server:
        parts = (await ask(client, server.url, timeout_s=0.2)).chunks()
        assert await anext(parts) == b"one"
        await asyncio.sleep(0.3)  # busy elsewhere, for longer than the limit
        assert await anext(parts) == b"two"


async def test_a_refusal_while_the_body_is_being_sent(client: Upstream) -> None:
    """A 413 that comes early is the reply; the rest of the request is not sent, and the connection not used again."""
    size = 64 << 20
    taken = 0

    async def play(line: Line) -> None:
        nonlocal taken
        await line.head()
        await line.say(b"HTTP/1.1 413 Too large\r\ncontent-length: 4\r\n\r\nbig!")
        await asyncio.sleep(0.1)
        while part := await line.reader.read(1 << 20):
            taken += len(part)

    async with RawServer(play) as server:
        reply = await ask(client, server.url, body=bytes(size))
        assert (reply.status, await reply.read()) == (413, b"big!")
        assert client.connections()[1] == 0
        await until(lambda: client.connections() == (0, 0))
        await asyncio.sleep(0.15)
    assert taken < size


async def test_a_server_that_leaves_while_the_body_is_being_sent(client: Upstream) -> None:
    async def play(line: Line) -> None:
        await line.head()
        line.reset()

    async with RawServer(play) as server:
        with pytest.raises(UpstreamUnreachable, match="broke off the connection"):
            await ask(client, server.url, body=bytes(64 << 20))


async def test_a_server_that_takes_nothing(client: Upstream) -> None:
    async def play(line: Line) -> None:
        await line.head()
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(60)

    async with RawServer(play) as server:
        with pytest.raises(UpstreamTimeout, match="did not take the request within"):
            await ask(client, server.url, body=bytes(64 << 20), timeout_s=0.3)


async def test_a_server_that_speaks_first(client: Upstream) -> None:
    """An answer to a question that nobody has put is not taken for one."""

    async def play(line: Line) -> None:
        await line.say(OK)
        await line.gone()

    async with RawServer(play) as server:
        target = client.target(server.url, {}, timeout_s=1)
        connection = await target._pool._dialer.dial(lambda: _silent_connection(target))
        await asyncio.sleep(0.05)
        with pytest.raises(UpstreamError, match="spoke before it was asked"):
            await connection.ask(b"", b"", 1)


def _silent_connection(target: object) -> Connection:
    return Connection("it", lambda _: None, lambda _: None)


async def test_a_server_that_hangs_up_at_once(client: Upstream) -> None:
    async def play(line: Line) -> None:
        line.reset()

    async with RawServer(play) as server:
        with pytest.raises(UpstreamUnreachable):
            await ask(client, server.url)
    assert server.asked == []


@pytest.mark.parametrize("extra", [OK, b"HTTP/1.1 200 OK\r\n", b"x"])
async def test_extra_bytes_are_nobodys(client: Upstream, extra: bytes) -> None:
    """The next request has a connection of its own, and an answer of its own."""
    async with RawServer(replies(OK + extra, then="on")) as server:
        for _ in range(3):
            assert await read(client, server.url) == b"ok"
        assert server.lines == 3
        assert client.connections()[1] == 0


async def test_extra_bytes_later(client: Upstream) -> None:
    async with RawServer(replies(OK, b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", then="on")) as server:
        for _ in range(5):
            assert await read(client, server.url) == b"ok"
            await asyncio.sleep(0.02)
        assert server.lines == 5


async def test_a_redirect_is_not_followed(client: Upstream) -> None:
    async with RawServer(replies(OK, then="on")) as elsewhere:
        said = f"HTTP/1.1 307 There\r\nlocation: {elsewhere.url}\r\ncontent-length: 0\r\n\r\n".encode()
        async with RawServer(replies(said)) as server:
            reply = await ask(client, server.url)
            assert (reply.status, await reply.read()) == (307, b"")
        assert elsewhere.asked == []


@pytest.mark.parametrize(("coding", "named"), [("gzip", "gzip"), ("BR", "br"), (f"x-{SECRET}", "not known")])
async def test_a_compressed_answer(client: Upstream, coding: str, named: str) -> None:
    said = f"HTTP/1.1 429 No\r\ncontent-encoding: {coding}\r\ncontent-length: 2\r\n\r\nok".encode()
    async with RawServer(replies(said)) as server:
        with pytest.raises(UpstreamError, match=named) as caught:
            await ask(client, server.url)
        assert server.asked[0].headers["accept-encoding"] == "identity"
    assert caught.value.status == 429
    assert SECRET not in str(caught.value)


async def test_an_answer_that_says_that_it_is_not_compressed(client: Upstream) -> None:
    async with RawServer(replies(JSON + b"content-encoding: identity\r\ncontent-length: 2\r\n\r\nok")) as server:
        assert await read(client, server.url) == b"ok"


@pytest.mark.parametrize(
    "said",
    [
        JSON + b"\r\nok",
        JSON + b"connection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
    ],
    ids=["no length", "connection: close", "HTTP/1.0", "HTTP/1.0 with a length"],
)
async def test_answers_after_which_the_connection_is_over(client: Upstream, said: bytes) -> None:
    async with RawServer(replies(said)) as server:
        assert await read(client, server.url) == b"ok"
        assert b"".join(await stream(client, server.url)) == b"ok"
        assert server.lines == 2


@pytest.mark.parametrize("status", [204, 304])
async def test_answers_without_a_body(client: Upstream, status: int) -> None:
    async with RawServer(replies(f"HTTP/1.1 {status} Nothing\r\n\r\n".encode(), then="on")) as server:
        for _ in range(2):
            reply = await ask(client, server.url)
            assert (reply.status, await reply.read()) == (status, b"")
        assert server.lines == 1


async def test_headers_of_a_reply(client: Upstream) -> None:
    said = b"HTTP/1.1 503 No\r\nRetry-After: 7\r\nX-A: one\r\nx-a: tw\xf6\r\ncontent-length: 0\r\n\r\n"
    async with RawServer(replies(said)) as server:
        reply = await ask(client, server.url)
    assert reply.headers["retry-after"] == reply.headers["Retry-After"] == "7"
    assert reply.headers["x-a"] == "one, twö"
    assert reply.headers.get("x-b") is None
    assert reply.headers.get("ü") is None
    assert sorted(reply.headers) == ["content-length", "retry-after", "x-a"]
    assert len(reply.headers) == 3
