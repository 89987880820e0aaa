"""The short way from the socket to the gateway, at the level of bytes."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway_house import KEY, House, until
from rondo.providers.dialect import completion_events
from rondo.server import exchange
from rondo.server.listener import HttpServer
from scripted_upstream import COMPLETION, Talk, events, gone, whole

BODY = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "hello"}]}).encode()


@asynccontextmanager
async def served(house: House, *, keep_alive: int = 75) -> AsyncIterator[int]:
    """The port at which the house's gateway answers over HTTP; idle connections are closed after `keep_alive`."""
    listener = socket.create_server(("127.0.0.1", 0))
    http = HttpServer(house.gateway, gateway=house.gateway, on_ready=lambda: None, on_stop=lambda: None, patient=True)
    http.config.timeout_keep_alive = keep_alive
    serving = asyncio.create_task(http.serve([listener]))
    await until(lambda: http.started)
    try:
        yield listener.getsockname()[1]
    finally:
        http.should_exit = True
        await serving


@pytest.fixture
async def port(house: House) -> AsyncIterator[int]:
    async with served(house) as number:
        yield number


def request(body: bytes = BODY, *, path: str = "/v1/chat/completions", key: str = KEY, more: str = "") -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nhost: r\r\nauthorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n{more}\r\n"
    )
    return head.encode() + body


class Client:
    """A raw connection. `reply` reads one whole response: status, headers, body."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def reply(self) -> tuple[int, dict[str, str], bytes]:
        async with asyncio.timeout(5):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            if "content-length" in headers:
                body = await self.reader.readexactly(int(headers["content-length"]))
            else:
                body = b""
                while size := int(await self.reader.readline(), 16):
                    body += await self.reader.readexactly(size)
                    await self.reader.readexactly(2)
                await self.reader.readexactly(2)
        return int(head[0].split()[1]), headers, body


async def connect(port: int) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", port))


async def test_requests_follow_each_other_on_one_connection(house: House, port: int) -> None:
    client = await connect(port)
    for _ in range(3):
        client.writer.write(request())
        status, headers, body = await client.reply()
        assert (status, body) == (200, COMPLETION)
        assert headers["content-type"] == "application/json"
        assert headers["date"]
    client.writer.close()
    assert len({call.trace_id for call in house.calls}) == 3


@pytest.mark.parametrize("size", [1, 7, 50, 200])
async def test_a_request_may_come_in_any_pieces(house: House, port: int, size: int) -> None:
    client = await connect(port)
    data = request()
    for at in range(0, len(data), size):
        client.writer.write(data[at : at + size])
        await client.writer.drain()
        await asyncio.sleep(0)
    assert (await client.reply())[0] == 200
    client.writer.close()
    assert house.call.question == "hello"


async def test_requests_sent_at_once_are_answered_in_order(house: House, port: int) -> None:
    async def slow(talk: Talk) -> None:
        await asyncio.sleep(0.05)
        await whole({"choices": [{"message": {"role": "assistant", "content": talk.heard.json["user"]}}]})(talk)

    house.upstream.plays["echo"] = slow
    client = await connect(port)
    bodies = [json.dumps({**json.loads(BODY), "user": f"u{number}"}).encode() for number in range(4)]
    client.writer.write(b"".join(map(request, bodies)))
    said = [json.loads((await client.reply())[2])["choices"][0]["message"]["content"] for _ in bodies]
    assert said == ["u0", "u1", "u2", "u3"]
    client.writer.close()


async def test_other_methods_and_paths_take_the_long_way(house: House, port: int) -> None:
    client = await connect(port)
    client.writer.write(f"GET /v1/models HTTP/1.1\r\nhost: r\r\nauthorization: Bearer {KEY}\r\n\r\n".encode())
    assert (await client.reply())[0] == 200
    client.writer.write(request(path="/v1/nothing"))
    assert (await client.reply())[0] == 404
    client.writer.write(request(path="/v1/chat%2Fcompletions"))
    assert (await client.reply())[0] == 200
    client.writer.close()


async def test_a_body_without_a_known_length(house: House, port: int) -> None:
    client = await connect(port)
    head = request(b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
    client.writer.write(head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY))
    assert (await client.reply())[0] == 200
    client.writer.close()


async def test_a_client_that_asks_before_it_sends(house: House, port: int) -> None:
    client = await connect(port)
    data = request(more="expect: 100-continue\r\n")
    client.writer.write(data[: -len(BODY)])
    assert b"100 Continue" in await client.reader.readuntil(b"\r\n\r\n")
    client.writer.write(BODY)
    assert (await client.reply())[0] == 200
    client.writer.close()


async def test_the_connection_closes_where_the_client_asks_for_it(house: House, port: int) -> None:
    client = await connect(port)
    client.writer.write(request(more="connection: close\r\n"))
    status, headers, _ = await client.reply()
    assert (status, headers["connection"]) == (200, "close")
    assert await client.reader.read() == b""
    client.writer.close()


async def test_a_body_over_the_limit_is_refused_unread(house: House, port: int) -> None:
    client = await connect(port)
    client.writer.write(request(b"").replace(b"content-length: 0", b"content-length: 99999999"))
    status, _, body = await client.reply()
    assert status == 413
    assert json.loads(body)["error"]["code"] == "too_large"
    client.writer.close()


async def test_a_wrong_key_is_refused(house: House, port: int) -> None:
    client = await connect(port)
    client.writer.write(request(key="wrong"))
    assert (await client.reply())[0] == 401
    client.writer.write(request())
    assert (await client.reply())[0] == 200
    client.writer.close()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_client_that_leaves_takes_its_call_along(house: House, port: int, stream: bool) -> None:
    said = completion_events(["one"], model="m")[:2]
    house.upstream.plays["echo"] = events(said, then="stall") if stream else gone
    client = await connect(port)
    client.writer.write(request(json.dumps({**json.loads(BODY), "stream": stream}).encode()))
    await until(lambda: house.upstream.heard)
    if stream:
        await client.reader.readuntil(b"one")
    client.writer.close()
    await until(lambda: house.calls)
    assert (house.call.status, house.call.error_code) == (499, "client_closed")
    await until(lambda: house.upstream.given_up == 1)


async def test_a_stream_comes_in_parts_and_the_connection_goes_on(house: House, port: int) -> None:
    parts = completion_events(["one ", "two"], model="m")
    house.upstream.plays["echo"] = events(parts, pause_s=0.01)
    client = await connect(port)
    for _ in range(2):
        body = {**json.loads(BODY), "stream": True, "stream_options": {"include_usage": True}}
        client.writer.write(request(json.dumps(body).encode()))
        status, headers, got = await client.reply()
        assert (status, headers["transfer-encoding"]) == (200, "chunked")
        assert got == b"".join(parts)
    client.writer.close()


async def test_a_reader_that_is_slow_holds_the_provider_back(house: House, port: int) -> None:
    sent = 0

    async def flood(talk: Talk) -> None:
        nonlocal sent
        await talk.head(200, "text/event-stream", length=None)
        for part in completion_events(["x" * 100_000] * 200, model="m"):
            await talk.chunk(part)
            sent += len(part)
        talk.writer.write(b"0\r\n\r\n")

    house.upstream.plays["echo"] = flood
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 10)
    writer.write(request(json.dumps({**json.loads(BODY), "stream": True}).encode()))
    await reader.readuntil(b"\r\n\r\n")
    at = -1
    while at != sent:  # until nothing moves any more
        at = sent
        await asyncio.sleep(0.3)
    assert sent < 15_000_000
    rest = b""
    while not rest.endswith(b"0\r\n\r\n"):
        rest = (rest + await reader.read(1 << 20))[-10_000_000:]
    assert re.search(rb"\[DONE\]", rest[-100:])
    writer.close()


async def test_a_reader_that_stops_for_good_is_given_up(
    house: House, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "LONGEST_STALL_S", 0.2)

    async def flood(talk: Talk) -> None:
        await talk.head(200, "text/event-stream", length=None)
        while True:
            await talk.chunk(completion_events(["x" * 100_000], model="m")[1])

    house.upstream.plays["echo"] = flood
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 10)
    writer.write(request(json.dumps({**json.loads(BODY), "stream": True}).encode()))
    await until(lambda: house.calls, seconds=15)
    assert house.call.error_code == "client_closed"
    writer.close()


async def test_stopping_lets_running_requests_finish(house: House) -> None:
    async def slow(talk: Talk) -> None:
        await asyncio.sleep(0.3)
        await whole(COMPLETION)(talk)

    house.upstream.plays["echo"] = slow
    async with served(house) as number:
        client = await connect(number)
        client.writer.write(request())
        await until(lambda: house.upstream.heard)
    status, headers, _ = await client.reply()
    assert (status, headers["connection"]) == (200, "close")
    client.writer.close()


async def test_a_large_body_is_read_only_from_who_may_send_it(house: House, port: int) -> None:
    client = await connect(port)
    head = request(b"x" * 200_000, key="rondo_sk_nobody")
    client.writer.write(head[:1_000])  # and not a byte more
    assert (await client.reply())[0] == 401
    client.writer.close()


async def test_a_large_body_is_answered(house: House, port: int) -> None:
    client = await connect(port)
    body = json.dumps({"model": "echo", "messages": [{"role": "user", "content": "x" * 200_000}]}).encode()
    client.writer.write(request(body))
    assert (await client.reply())[0] == 200
    client.writer.write(request())
    assert (await client.reply())[0] == 200
    client.writer.close()


async def test_a_connection_that_stays_idle_is_closed(house: House) -> None:
    async with served(house, keep_alive=1) as number:
        client = await connect(number)
        for _ in range(2):  # each answer begins the time anew
            client.writer.write(request())
            assert (await client.reply())[0] == 200
            await asyncio.sleep(0.6)
            assert not client.reader.at_eof()
        assert await client.reader.read() == b""
        client.writer.close()


async def test_a_request_that_is_long_under_way_is_not_taken_for_idle(house: House) -> None:
    """Neither while it comes, nor while it is answered."""

    async def slow(talk: Talk) -> None:
        await asyncio.sleep(1.3)
        await whole(COMPLETION)(talk)

    async with served(house, keep_alive=1) as number:
        client = await connect(number)
        client.writer.write(request())
        assert (await client.reply())[0] == 200
        house.upstream.plays["echo"] = slow
        data = request()
        client.writer.write(data[:-5])
        await asyncio.sleep(1.3)
        client.writer.write(data[-5:])
        assert (await client.reply())[0] == 200
        client.writer.close()
