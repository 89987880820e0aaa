"""A provider that fails in every way we could think of, against every wire on either side.

Whatever it does, the client gets a whole answer or a clear error in its own wire, in time; there is exactly one record,
which says the same; no secret is in either or in the log; no connection and no place is kept; and the next request is
answered as if nothing had been.
"""

from __future__ import annotations

import asyncio
import datetime
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import httpx2
import pytest

from gateway_house import KEY, House, until
from providers.vendors import SECRETS, VENDORS, Said, Vendor
from raw_server import OK, RawServer, replies
from rondo.gateway.doors import WIRES
from rondo.journal.replay import Reader
from rondo.providers.registry import Providers
from rondo.providers.upstream import Upstream
from scripted_upstream import Heard, Play, Talk, events, gone, raw, stall, whole
from upstream_certificates import AUTHORITY, server_context

SAID = Said("Hello, how are you? " * 20)
ASKED = [{"role": "user", "content": "hello"}]


class ClientSide(NamedTuple):
    """A wire as its clients see it: what they send, and what ends a good stream."""

    body: dict[str, Any]
    ends: bytes


CLIENTS = {
    "/v1/chat/completions": ClientSide({"messages": ASKED}, b"data: [DONE]\n\n"),
    "/v1/messages": ClientSide({"messages": ASKED, "max_tokens": 50}, b'"message_stop"'),
    "/v1/responses": ClientSide({"input": "hello"}, b'"response.completed"'),
    "/v1/completions": ClientSide({"prompt": "hello"}, b"data: [DONE]\n\n"),
}
PAIRS = [(path, vendor) for path in CLIENTS for vendor in VENDORS if path in WIRES]
PAIRS = [(path, vendor) for path, vendor in PAIRS if path == "/v1/chat/completions" or vendor == "openai"]
"""Each wire of clients on one provider, and each provider behind one wire: the middle between them is the same."""


def test_every_wire_is_in_the_table() -> None:
    assert set(WIRES) <= set(CLIENTS)


Chaos = Callable[[bytes], Play]
"""From a good answer, byte for byte as it goes over the socket, to a bad one."""


def at(share: float, then: str) -> Chaos:
    """The answer up to there, and then: "close", "reset" or "stall"."""

    def chaos(good: bytes) -> Play:
        async def play(talk: Talk) -> None:
            talk.writer.write(good[: int(len(good) * share)])
            await talk.writer.drain()
            await asyncio.sleep(0.01)
            if then == "stall":
                await gone(talk)
            if then == "reset":
                talk.writer.transport.abort()
            talk.writer.close()

        return play

    return chaos


def drip(good: bytes) -> Play:
    async def play(talk: Talk) -> None:
        for start in range(0, len(good), 3):
            talk.writer.write(good[start : start + 3])
            await talk.writer.drain()
            await asyncio.sleep(0)

    return play


def with_body(change: Callable[[bytes], bytes], content_type: str | None = None) -> Chaos:
    """The good answer's body with something done to it."""

    def chaos(good: bytes) -> Play:
        head, _, body = good.partition(b"\r\n\r\n")
        kind = content_type or next(
            line.split(b": ")[1].decode() for line in head.split(b"\r\n") if line.startswith(b"content-type")
        )
        data = change(_unchunked(body) if b"chunked" in head else body)

        async def play(talk: Talk) -> None:
            await talk.head(200, kind, length=len(data))
            talk.writer.write(data)
            await talk.writer.drain()

        return play

    return chaos


def _unchunked(body: bytes) -> bytes:
    data = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        data += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]
    return data


def always(play: Play) -> Chaos:
    return lambda good: play


async def repeat_the_request(talk: Talk) -> None:
    """An error that gives away all that it was sent."""
    await whole({"error": {"message": str(talk.heard.headers)}}, 500)(talk)


HTML = b"<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>"
FAULTS: dict[str, Chaos] = {
    "resets at once": at(0.0, "reset"),
    "closes at once": at(0.0, "close"),
    "closes in the head": at(0.02, "close"),
    "resets in the body": at(0.5, "reset"),
    "closes in the body": at(0.5, "close"),
    "closes near the end": at(0.9, "close"),
    "stalls before the head": always(stall),
    "stalls in the body": at(0.5, "stall"),
    "sends nothing": with_body(lambda body: b""),
    "ends in the middle": with_body(lambda body: body[: len(body) // 2]),
    "sends nonsense": with_body(lambda body: b"data: {nonsense\n\n"),
    "sends no UTF-8": with_body(lambda body: body.replace(b"Hello", b"\xff\xfe\xfd\x00\x01")),
    "garbles the middle": with_body(lambda body: body[: len(body) // 2] + b"\x00{[\xff" * 9 + body[len(body) // 2 :]),
    "nests without end": with_body(lambda body: b'data: {"choices":' + b"[" * 100_000 + b"\n\n"),
    "sends a page": with_body(lambda body: HTML, "text/html"),
    "sends a page as events": with_body(lambda body: HTML),
    "sends an endless header": always(raw(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 1_000_000)),
    "speaks no HTTP": always(raw(b"\x00\xffgarbage\r\n\r\n")),
    "answers 500": always(whole(b"<html>oops</html>", 500)),
    "answers 429": always(whole({"error": {"message": "slow down"}}, 429, retry_after="2")),
    "answers 529": always(whole({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}, 529)),
    "repeats the request in its error": always(repeat_the_request),
}
HARMLESS: dict[str, Chaos] = {
    "drips": drip,
    "sends it in one piece": with_body(lambda body: body),
}


class Recorder:
    """A writer that keeps what it gets."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data

    async def drain(self) -> None:
        pass


async def as_sent(play: Play) -> bytes:
    """All that a play sends over the socket."""
    recorder = Recorder()
    await play(Talk(Heard("/", {}, b""), asyncio.StreamReader(), cast(asyncio.StreamWriter, recorder)))
    return recorder.data


class Scene:
    """One model `m` of one vendor, behind one wire."""

    def __init__(self, house: House, path: str, vendor: Vendor, *, stream: bool, **spec: Any) -> None:
        house.providers = Providers(house.connections, secret=SECRETS.get)
        fields = {"provider": vendor.name, "timeout_s": 0.3, **vendor.spec, **spec}
        house.model("m", **fields)
        self.house = house
        self.path = path
        self.client = CLIENTS[path]
        self.stream = stream
        self.good = (vendor.stream if stream else vendor.whole)(SAID)
        self.model_id = str(fields["model"])

    async def ask(self, play: Play) -> httpx2.Response:
        self.house.upstream.plays = {"": play, self.model_id: play}
        body = {**self.client.body, "model": "m", "stream": self.stream}
        async with asyncio.timeout(20):
            return await self.house.post(self.path, body)

    def is_good(self, response: httpx2.Response) -> bool:
        """Whether it is a whole answer; if not, it must be an error as this wire has it."""
        if response.status_code != 200:
            assert response.status_code in (429, 502, 503, 504, 529), response.text
            error = response.json()["error"]
            assert error["message"]
            return False
        if not self.stream:
            assert "error" not in response.json() or response.json()["error"] is None
            return True
        if self.client.ends in response.content:
            return True
        last = response.content.rstrip().rpartition(b"\n\n")[2]
        assert b"error" in last or b"failed" in last, response.content[-500:]
        return False

    def check(self, response: httpx2.Response, caplog: pytest.LogCaptureFixture, *, good: bool) -> None:
        """The answer, its record and the log."""
        assert self.is_good(response) == good
        call = self.house.calls[-1]
        assert (call.status == 200) == good
        assert (call.error_code is None) == good
        if response.status_code != 200:
            assert call.status == response.status_code
        records = b"".join(entry.payload for entry in Reader(self.house.folder).read().entries)
        for name, secret in SECRETS.items():
            if name != "RONDO_KEY_HOSTS":
                assert secret.encode() not in response.content + records, name
                assert secret not in caplog.text, name
        assert KEY not in response.text + caplog.text


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("fault", [*FAULTS, *HARMLESS])
@pytest.mark.parametrize(("path", "vendor"), PAIRS)
async def test_a_clear_end_and_on_we_go(
    house: House, caplog: pytest.LogCaptureFixture, path: str, vendor: str, fault: str, stream: bool
) -> None:
    scene = Scene(house, path, VENDORS[vendor], stream=stream)
    chaos = FAULTS.get(fault) or HARMLESS[fault]
    scene.check(await scene.ask(chaos(await as_sent(scene.good))), caplog, good=fault in HARMLESS)
    assert len(house.calls) == 1
    scene.check(await scene.ask(scene.good), caplog, good=True)
    assert len(house.calls) == 2
    await until(lambda: house.upstream.open == 0)
    assert all(each.in_flight == 0 == each.model_in_flight for each in house.gateway.tries.standing())


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_nobody_is_there(house: House, caplog: pytest.LogCaptureFixture, stream: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    scene = Scene(
        house, "/v1/chat/completions", VENDORS["openai"], stream=stream, base_url=f"http://127.0.0.1:{port}/v1"
    )
    scene.check(await scene.ask(scene.good), caplog, good=False)
    assert house.call.error_code == "upstream_unreachable"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_name_that_is_none(house: House, caplog: pytest.LogCaptureFixture, stream: bool) -> None:
    scene = Scene(
        house,
        "/v1/chat/completions",
        VENDORS["openai"],
        stream=stream,
        base_url="http://nowhere.invalid/v1",
        api_key_env=None,
    )
    scene.check(await scene.ask(scene.good), caplog, good=False)
    assert house.call.error_code == "upstream_unreachable"
    assert "nowhere.invalid" in (house.call.error_message or "")


async def test_an_expired_certificate(house: House, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    AUTHORITY.cert_pem.write_to_path(authority)
    await house.connections.close()
    house.connections = Upstream(connect_timeout_s=5, ca_file=str(authority))
    expired = server_context("127.0.0.1", not_after=datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC))
    async with RawServer(replies(OK), tls=expired) as server:
        address = f"https://127.0.0.1:{server.port}/v1"
        for stream in (False, True):
            scene = Scene(house, "/v1/chat/completions", VENDORS["openai"], stream=stream, base_url=address)
            scene.check(await scene.ask(scene.good), caplog, good=False)
            assert house.calls[-1].error_code == "upstream_unreachable"
            assert "expired" in (house.calls[-1].error_message or "")
        assert server.asked == []
        good = Scene(house, "/v1/chat/completions", VENDORS["openai"], stream=False)
        good.check(await good.ask(good.good), caplog, good=True)


async def test_an_endless_line_ends(house: House, caplog: pytest.LogCaptureFixture) -> None:
    scene = Scene(house, "/v1/chat/completions", VENDORS["openai"], stream=True)

    async def play(talk: Talk) -> None:
        await talk.head(200, "text/event-stream", length=None)
        await talk.chunk(b"data: ")
        for _ in range(1_000):
            await talk.chunk(b"a" * (1 << 20))

    scene.check(await scene.ask(play), caplog, good=False)
    assert house.call.error_code == "upstream_cut"
    await until(lambda: house.upstream.open == 0)


async def test_a_stream_that_never_ends_ends_in_time(house: House) -> None:
    async def play(talk: Talk) -> None:
        await talk.head(200, "text/event-stream", length=None)
        while True:
            await talk.chunk(b'data: {"choices":[{"index":0,"delta":{"content":"and "}}]}\n\n')
            await asyncio.sleep(0.02)

    house.upstream.plays["slow"] = play
    house.app("long", house.model("slow"), total_timeout_s=0.3)
    response = await house.chat("long", stream=True)
    assert response.content.startswith(b'data: {"choices"')
    assert b"upstream_timeout" in response.content.rpartition(b'data: {"error"')[2]
    call = house.call
    assert (call.status, call.error_code, call.attempts) == (504, "upstream_timeout", 1)
    assert call.answer.startswith("and and ")
    await until(lambda: house.upstream.open == 0)


async def test_a_storm_of_429_is_met_with_calm(house: House) -> None:
    house.upstream.plays["m"] = whole({"error": {"message": "slow down"}}, 429, retry_after="60")
    house.model("m", max_concurrent=4, queue=4, retries=3)
    responses = await asyncio.gather(*(house.chat("m") for _ in range(200)))
    statuses = {response.status_code for response in responses}
    assert statuses <= {429, 503}
    assert all(int(response.headers["retry-after"]) >= 1 for response in responses)
    assert len(house.upstream.heard) <= 4, "one answer was enough to know better"
    assert len(house.calls) == 200
    assert (await house.chat("echo")).status_code == 200


async def test_nothing_is_tried_again_once_a_byte_is_out(house: House) -> None:
    said = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
    house.upstream.plays["m"] = at(0.9, "close")(await as_sent(_long(said)))
    house.app("pair", house.model("m", retries=5, hedge_after_s=5.0), house.model("good"))
    response = await house.chat("pair", stream=True)
    assert response.content.startswith(said)
    assert [heard.json["model"] for heard in house.upstream.heard] == ["m"]
    assert house.call.attempts == 1


def _long(first: bytes) -> Play:
    """An event, and one so long that it is cut off in what follows."""
    return events([first, b"data: " + b" " * 400 + b"{}\n\n"])
