"""Connections: kept and used again, never used stale, let go when a call is given up, bounded in what they hold."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Callable

import pytest

from raw_server import OK, Line, RawServer, replies, until
from rondo.errors import UpstreamCut, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from rondo.providers.http import pool
from rondo.providers.http.connection import MAX_BUFFERED, WRITE_AT_ONCE
from rondo.providers.upstream import Target, Upstream

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def at(client: Upstream, server: RawServer, *, timeout_s: float = 5.0) -> Target:
    return client.target(server.url, {}, timeout_s=timeout_s)


async def read(target: Target, body: bytes = b"{}") -> bytes:
    reply = await target.post(body)
    try:
        return await reply.read()
    finally:
        reply.close()


# -- used again


async def test_one_connection_serves_one_request_after_the_other(client: Upstream) -> None:
    async with RawServer(replies(OK, then="on")) as server:
        for number in range(50):
            assert await read(at(client, server), b"%d" % number) == b"ok"
        assert [asked.body for asked in server.asked] == [b"%d" % number for number in range(50)]
        assert server.lines == 1
        assert client.connections() == (1, 1)


async def test_a_stream_read_to_its_end_leaves_its_connection(client: Upstream) -> None:
    async with RawServer(replies(CHUNKED, b"2\r\nab\r\n", b"1\r\nc\r\n0\r\n\r\n", then="on")) as server:
        for _ in range(5):
            reply = await at(client, server).post(b"{}")
            assert b"".join([part async for part in reply.chunks()]) == b"abc"
            reply.close()
        assert server.lines == 1


async def test_a_stream_closed_after_its_end_came_leaves_its_connection(client: Upstream) -> None:
    """Whether anybody has looked at the end or not."""
    async with RawServer(replies(CHUNKED + b"2\r\nab\r\n0\r\n\r\n", then="on")) as server:
        for _ in range(5):
            reply = await at(client, server).post(b"{}")
            assert await anext(reply.chunks()) == b"ab"
            reply.close()
            reply.close()
        assert server.lines == 1


async def test_a_reply_that_has_been_closed_says_so(client: Upstream) -> None:
    async with RawServer(replies(OK, then="on")) as server:
        reply = await at(client, server).post(b"{}")
        reply.close()
        with pytest.raises(UpstreamCut, match="closed before it was read"):
            await reply.read()
        with pytest.raises(UpstreamCut, match="closed before it was read"):
            await anext(reply.chunks())
        assert await read(at(client, server)) == b"ok"


async def test_a_stream_closed_between_two_parts(client: Upstream) -> None:
    """Its connection may serve another request by now, whose body it must not get."""
    async with RawServer(replies(CHUNKED + b"2\r\nab\r\n0\r\n\r\n", then="on")) as server:
        reply = await at(client, server).post(b"{}")
        parts = reply.chunks()
        assert await anext(parts) == b"ab"
        reply.close()
        other = await at(client, server).post(b"{}")
        with pytest.raises(UpstreamCut, match="closed before it was read"):
            await anext(parts)
        assert await other.read() == b"ab"
        assert server.lines == 1


async def test_a_reply_closed_while_somebody_reads_it(client: Upstream) -> None:
    async with RawServer(replies(CHUNKED, then="stall")) as server:
        for whole in (True, False):
            reply = await at(client, server).post(b"{}")
            reading = asyncio.ensure_future(reply.read() if whole else anext(reply.chunks()))
            await asyncio.sleep(0.01)
            reply.close()
            with pytest.raises(UpstreamCut, match="closed before its answer was complete"):
                await reading


async def test_a_thousand_at_once(client: Upstream) -> None:
    """Each has its own connection and its own answer; then a bounded number of them is kept."""
    together = asyncio.Event()

    async def play(line: Line) -> None:
        while True:
            asked = await line.request()
            if len(line.server.asked) == 1_000:
                together.set()
            await together.wait()
            await line.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(asked.body) + asked.body)

    async with RawServer(play) as server:
        target = at(client, server, timeout_s=30)
        bodies = [b"request %d" % number for number in range(1_000)]
        assert await asyncio.gather(*(read(target, body) for body in bodies)) == bodies
        assert server.lines == 1_000
        await until(lambda: client.connections() == (pool.MAX_IDLE, pool.MAX_IDLE))
        assert (
            await asyncio.gather(*(read(target, body) for body in bodies[: pool.MAX_IDLE])) == bodies[: pool.MAX_IDLE]
        )
        assert server.lines == 1_000


async def test_the_connection_used_last_is_used_first(client: Upstream) -> None:
    async def play(line: Line) -> None:
        while True:
            await line.request()
            await asyncio.sleep(0.05)
            await line.say(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n%d" % line.number)

    async with RawServer(play) as server:
        await asyncio.gather(*(read(at(client, server)) for _ in range(3)))
        answers = {await read(at(client, server)) for _ in range(4)}
    assert len(answers) == 1


async def test_models_at_one_server_share_connections(client: Upstream) -> None:
    async with RawServer(replies(OK, then="on")) as server:
        for path in ("chat", "embeddings"):
            assert await read(client.target(f"{server.url}/{path}", {}, timeout_s=5)) == b"ok"
        assert server.lines == 1
        assert server.asked[1].line == "POST /v1/chat/embeddings HTTP/1.1"


async def test_large_bodies_in_both_directions(client: Upstream) -> None:
    async def play(line: Line) -> None:
        while True:
            asked = await line.request()
            await line.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(asked.body))
            await line.say(asked.body)

    async with RawServer(play) as server:
        for size in (WRITE_AT_ONCE - 1, WRITE_AT_ONCE, WRITE_AT_ONCE + 1, 5_000_001):
            body = bytes(range(256)) * (size // 256 + 1)
            assert await read(at(client, server), body[:size]) == body[:size]
        assert server.lines == 1


async def test_closing_ends_what_is_under_way() -> None:
    async with RawServer(replies(CHUNKED, b"2\r\nab\r\n", then="stall")) as server:
        client = Upstream()
        reply = await at(client, server).post(b"{}")
        reading = asyncio.create_task(reply.read())
        await asyncio.sleep(0.01)
        await client.close()
        with pytest.raises(UpstreamCut, match="closed before its answer was complete"):
            await reading
        assert client.connections() == (0, 0)


# -- stale


async def test_a_connection_that_the_server_closed_is_not_used(client: Upstream) -> None:
    async with RawServer(replies(OK)) as server:
        for number in range(1, 4):
            assert await read(at(client, server)) == b"ok"
            await until(lambda: client.connections() == (0, 0))
            assert server.lines == len(server.asked) == number


async def test_a_close_that_nobody_has_noticed_yet(client: Upstream) -> None:
    """Its end is in the socket, but the loop has not come by it: the request goes out over another connection."""
    loop = asyncio.get_running_loop()

    async def serve_one() -> socket.socket:
        sock, _ = await loop.sock_accept(listening)
        sock.setblocking(False)
        assert await loop.sock_recv(sock, 65_536)
        await loop.sock_sendall(sock, OK)
        return sock

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        target = client.target(f"http://127.0.0.1:{listening.getsockname()[1]}/", {}, timeout_s=5)
        for _ in range(3):
            serving = asyncio.create_task(serve_one())
            assert await read(target) == b"ok"
            # From here to the next request nothing gives the loop a turn.
            (await serving).close()


async def test_a_server_that_dies_with_the_request_in_hand(client: Upstream) -> None:
    """It may have begun to answer: the request is not sent a second time."""

    async def play(line: Line) -> None:
        await line.request()
        await line.say(OK)
        await line.request()
        line.reset()

    async with RawServer(play) as server:
        assert await read(at(client, server)) == b"ok"
        with pytest.raises(UpstreamUnreachable, match="broke off the connection without an answer"):
            await read(at(client, server))
        assert server.lines == 1
        assert len(server.asked) == 2
        assert await read(at(client, server)) == b"ok"
        assert server.lines == 2


async def test_idle_connections_grow_old(client: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pool._KEPT_S, "http", 0.1)
    async with RawServer(replies(OK, then="on")) as server:
        target = at(client, server)
        for _ in range(3):
            assert await read(target) == b"ok"
        assert client.connections() == (1, 1)
        await until(lambda: client.connections() == (0, 0))
        assert await read(target) == b"ok"
        assert server.lines == 2


async def test_use_keeps_a_connection_young(client: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(pool._KEPT_S, "http", 0.3)
    async with RawServer(replies(OK, then="on")) as server:
        target = at(client, server)
        for _ in range(8):
            assert await read(target) == b"ok"
            await asyncio.sleep(0.1)
        assert server.lines == 1


async def test_the_time_that_a_server_says_it_keeps_connections(client: Upstream) -> None:
    async def play(line: Line) -> None:
        while True:
            seconds = (await line.request()).body
            await line.say(b"HTTP/1.1 200 OK\r\nKeep-Alive: max=5, Timeout=%b\r\ncontent-length: 0\r\n\r\n" % seconds)

    async with RawServer(play) as server:
        target = at(client, server)
        for seconds, kept in ((b"1", None), (b"3", 2.0), (b"50", 49.0), (b"999999999", 60.0), (b"x", 4.0)):
            await read(target, seconds)
            await asyncio.sleep(0)
            idle = target._pool._idle
            assert [connection._timeout_s for connection in idle] == ([] if kept is None else [kept])


async def test_a_short_patience_after_a_long_one(client: Upstream) -> None:
    """The timer of a connection is moved forward where a request has less patience than the one before."""

    async def play(line: Line) -> None:
        await line.request()
        await line.say(OK)
        await line.gone()

    async with RawServer(play) as server:
        assert await read(at(client, server, timeout_s=300)) == b"ok"
        async with asyncio.timeout(5):
            with pytest.raises(UpstreamTimeout):
                await read(at(client, server, timeout_s=0.1))


# -- given up


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n", CHUNKED, CHUNKED + b"2\r\nab\r\n"])
@pytest.mark.parametrize("stream", [True, False])
async def test_cancelling_closes_at_once(client: Upstream, said: bytes, stream: bool) -> None:
    async def work() -> None:
        reply = await at(client, server).post(b"{}")
        if stream:
            async for _ in reply.chunks():
                pass
        await reply.read()

    async with RawServer(replies(said, then="stall")) as server:
        task = asyncio.create_task(work())
        await until(lambda: len(server.asked) == 1)
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.left == 1)
        assert client.connections() == (0, 0)


async def test_cancelling_while_sending(client: Upstream) -> None:
    async def play(line: Line) -> None:
        await line.head()
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        heads.append(line)
        await asyncio.sleep(60)

    heads: list[Line] = []
    async with RawServer(play) as server:
        task = asyncio.create_task(read(at(client, server), bytes(64 << 20)))
        await until(lambda: len(heads) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: client.connections() == (0, 0))


async def test_closing_a_reply_in_the_middle_cancels_it(client: Upstream) -> None:
    async with RawServer(replies(CHUNKED + b"2\r\nab\r\n", then="stall")) as server:
        reply = await at(client, server).post(b"{}")
        assert await anext(reply.chunks()) == b"ab"
        reply.close()
        await until(lambda: server.left == 1)
        assert client.connections() == (0, 0)


async def test_a_forgotten_reply_does_not_keep_its_connection(client: Upstream) -> None:
    async with RawServer(replies(CHUNKED + b"2\r\nab\r\n", then="stall")) as server:
        reply = await at(client, server).post(b"{}")
        parts = reply.chunks()
        assert await anext(parts) == b"ab"
        del reply, parts
        gc.collect()
        await until(lambda: server.left == 1)
        assert client.connections() == (0, 0)


async def test_a_reply_forgotten_in_another_thread(client: Upstream) -> None:
    async with RawServer(replies(CHUNKED, then="stall")) as server:
        held = [await at(client, server).post(b"{}")]
        await asyncio.to_thread(held.clear)
        await until(lambda: server.left == 1)


# -- bounded


async def test_a_slow_reader_holds_back_the_server(client: Upstream) -> None:
    """What is not read is not taken from the socket: the server comes to a halt, and nothing is lost."""
    size, block = 96 << 20, b"x" * (1 << 16)
    sent = 0

    async def play(line: Line) -> None:
        nonlocal sent
        await line.request()
        await line.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        while sent < size:
            await line.say(block)
            sent += len(block)

    async with RawServer(play) as server:
        reply = await at(client, server).post(b"{}")
        await _stands_still(lambda: sent)
        assert 0 < sent < size // 2
        (connection,) = at(client, server)._pool._open
        assert connection._buffered <= MAX_BUFFERED + (1 << 18)
        total = 0
        async for part in reply.chunks():
            assert len(part) <= MAX_BUFFERED + (1 << 18)
            total += len(part)
        assert total == size
        reply.close()


async def test_a_slow_server_holds_back_the_request(client: Upstream) -> None:
    body = bytes(range(256)) * (32 << 12)
    go = asyncio.Event()

    async def play(line: Line) -> None:
        line.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await go.wait()
        line.writer.transport.resume_reading()  # type: ignore[attr-defined]
        asked = await line.request()
        assert asked.body == body
        await line.say(OK)

    async with RawServer(play) as server:
        task = asyncio.create_task(read(at(client, server), body))
        await until(lambda: client.connections() == (1, 0))
        (connection,) = at(client, server)._pool._open
        assert connection._transport is not None
        await _stands_still(connection._transport.get_write_buffer_size)
        assert 0 < connection._transport.get_write_buffer_size() <= 3 * WRITE_AT_ONCE
        go.set()
        assert await task == b"ok"


async def _stands_still(number: Callable[[], int]) -> None:
    """Wait until a number has been the same for a while."""
    before, same = number(), 0
    async with asyncio.timeout(20):
        while same < 10:
            await asyncio.sleep(0.02)
            same = same + 1 if number() == before else 0
            before = number()


# -- no connection


async def test_nobody_listens(client: Upstream) -> None:
    async with RawServer(replies(OK)) as server:
        url = server.url
    with pytest.raises(UpstreamUnreachable, match=r"could not be reached: the connection failed \(.*refused") as caught:
        await read(client.target(url, {}, timeout_s=1))
    assert "127.0.0.1" in caught.value.message


async def test_a_name_that_does_not_exist(client: Upstream) -> None:
    with pytest.raises(UpstreamUnreachable, match=r"nowhere\.invalid could not be reached: its name could not be"):
        await read(client.target("http://nowhere.invalid/v1", {}, timeout_s=1))


async def test_a_connection_that_takes_too_long() -> None:
    """A full queue of connections to be accepted: the server exists, and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        port = listening.getsockname()[1]
        filling = [socket.socket() for _ in range(3)]
        for each in filling:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        client = Upstream(connect_timeout_s=0.2)
        with pytest.raises(UpstreamTimeout, match=r"took no connection within 0\.2 s"):
            await read(client.target(f"http://127.0.0.1:{port}/", {}, timeout_s=5))
        task = asyncio.create_task(read(client.target(f"http://127.0.0.1:{port}/", {}, timeout_s=5)))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for each in filling:
            each.close()
        await client.close()


async def test_an_error_is_one_of_ours_whatever_the_socket_says(client: Upstream) -> None:
    with pytest.raises(UpstreamError):
        await read(client.target("http://255.255.255.255:9/", {}, timeout_s=1))
