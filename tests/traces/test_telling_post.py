"""One request of traces out: what endpoints do to it that are slow, hostile, or not what they are said to be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from raw_server import Line, RawServer
from rondo.providers.upstream import Upstream
from rondo.settings.telemetry import TelemetrySettings
from rondo.traces.telling import post
from rondo.traces.telling.post import Post, Sent

TAKEN = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post, "_FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(post, "TIMEOUT_S", 0.1)
    monkeypatch.setattr(post, "GRACE_S", 0.05)


@asynccontextmanager
async def posting(*acts: Callable[[Line], Awaitable[None]]) -> AsyncIterator[tuple[Post, RawServer]]:
    """A post whose requests meet these one after the other, each on a connection of its own; then they are taken."""
    left = list(acts)

    async def play(line: Line) -> None:
        await line.request()
        await (left.pop(0)(line) if left else line.say(TAKEN))
        await line.gone()

    upstream = Upstream()
    async with RawServer(play) as server:
        settings = TelemetrySettings(endpoint=f"http://127.0.0.1:{server.port}", headers_env="COLLECTOR")
        yield Post(upstream, settings, lambda _: "authorization=Bearer key-of-the-collector"), server
        await upstream.close()


def saying(data: bytes) -> Callable[[Line], Awaitable[None]]:
    async def act(line: Line) -> None:
        await line.say(data)
        line.writer.close()

    return act


async def dripping(line: Line) -> None:
    """It has taken it, and never comes to the end of saying so."""
    await line.say(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while not line.writer.is_closing():
        await line.say(b".")
        await asyncio.sleep(0.01)


async def flooding(line: Line) -> None:
    await line.say(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    while not line.writer.is_closing():
        await line.say(b"10000\r\n" + bytes(1 << 16) + b"\r\n")


async def silent(line: Line) -> None:
    await line.gone()


@pytest.mark.parametrize(
    "act",
    [saying(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\ncut"), dripping, flooding],
    ids=["cut", "drip", "flood"],
)
async def test_what_has_been_taken_is_not_sent_again(act: Callable[[Line], Awaitable[None]]) -> None:
    async with posting(act) as (sender, server):
        assert await sender.send("traces", b"x", asyncio.Event()) == Sent(True)
        assert len(server.asked) == 1


async def test_a_redirect_is_waited_out_and_no_key_follows_it() -> None:
    async with posting(saying(b"HTTP/1.1 307 No\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n")) as (
        sender,
        server,
    ):
        assert await sender.send("traces", b"x", asyncio.Event()) == Sent(True)
        assert len(server.asked) == 2


async def test_a_compressed_refusal_is_a_refusal() -> None:
    gone = b"HTTP/1.1 400 No\r\ncontent-encoding: gzip\r\ncontent-length: 1\r\n\r\nx"
    async with posting(saying(gone)) as (sender, server):
        sent = await sender.send("traces", b"x", asyncio.Event())
        assert sent is not None
        assert not sent.taken
        assert len(server.asked) == 1


async def test_a_key_that_is_repeated_is_not_shown() -> None:
    answer = b"no such key: key-of-the-collector"
    refusal = b"HTTP/1.1 401 No\r\ncontent-length: %d\r\n\r\n%b" % (len(answer), answer)
    async with posting(saying(refusal)) as (sender, _):
        sent = await sender.send("logs", b"x", asyncio.Event())
        assert sent is not None
        assert sent.why == "It answered 401: no such key: ***"


async def test_the_servers_end_does_not_wait_for_an_endpoint() -> None:
    async with posting(silent, silent) as (sender, server):
        ended = asyncio.Event()
        asking = asyncio.create_task(sender.send("traces", b"x", ended))
        while not server.asked:
            await asyncio.sleep(0)
        ended.set()
        async with asyncio.timeout(5):
            assert await asking is None
        assert len(server.asked) == 1


async def test_a_silent_endpoint_is_asked_again() -> None:
    async with posting(silent) as (sender, server):
        assert await sender.send("traces", b"x", asyncio.Event()) == Sent(True)
        assert len(server.asked) == 2
        assert sender.retrying is None
