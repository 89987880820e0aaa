"""TLS: whoever cannot prove to be the host that was asked for gets no request, and the error says what was wrong."""

from __future__ import annotations

import asyncio
import datetime
import ssl
import warnings
from pathlib import Path

import pytest
import trustme

from raw_server import OK, Line, RawServer, replies, until
from rondo.errors import SettingsError, UpstreamCut, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from rondo.providers.upstream import Upstream
from upstream_certificates import AUTHORITY, server_context

EXPIRED = datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC)


@pytest.fixture
def ca_file(tmp_path: Path) -> str:
    path = tmp_path / "authority.pem"
    AUTHORITY.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
async def trusting(ca_file: str) -> Upstream:
    """A client that trusts the tests' authority."""
    return Upstream(connect_timeout_s=5, ca_file=ca_file)


async def read(client: Upstream, url: str, body: bytes = b"{}") -> bytes:
    reply = await client.target(url, {}, timeout_s=5).post(body)
    try:
        return await reply.read()
    finally:
        reply.close()


async def test_a_server_that_is_who_it_says(trusting: Upstream) -> None:
    seen: list[tuple[str | None, str | None]] = []

    async def play(line: Line) -> None:
        tls = line.writer.get_extra_info("ssl_object")
        seen.append((tls.version(), tls.selected_alpn_protocol()))
        await replies(OK, then="on")(line)

    context = server_context("localhost", "127.0.0.1")
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)
    context.set_alpn_protocols(["h2", "http/1.1"])
    async with RawServer(play, tls=context) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        for _ in range(5):
            assert await read(trusting, url) == b"ok"
        assert server.lines == 1
        assert await read(trusting, server.url) == b"ok"
        await trusting.close()
    assert seen == [("TLSv1.3", "http/1.1")] * 2
    assert names == ["localhost", None]
    assert trusting.connections() == (0, 0)


async def test_the_authorities_of_the_system(ca_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSL_CERT_FILE names them, as for any program that uses OpenSSL."""
    monkeypatch.setenv("SSL_CERT_FILE", ca_file)
    client = Upstream()
    async with RawServer(replies(OK), tls=server_context("127.0.0.1")) as server:
        assert await read(client, server.url) == b"ok"
        await client.close()


def _self_signed() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    other = trustme.CA()
    with trustme.Blob(other.private_key_pem.bytes() + other.cert_pem.bytes()).tempfile() as path:
        context.load_cert_chain(path)
    return context


NOT_ACCEPTED = {
    "self-signed": (_self_signed, "self-signed certificate"),
    "an unknown authority": (lambda: server_context("127.0.0.1", authority=trustme.CA()), "unable to get local issuer"),
    "expired": (lambda: server_context("127.0.0.1", not_after=EXPIRED), "certificate has expired"),
    "another host": (lambda: server_context("other.example"), "IP address mismatch"),
    "another address": (lambda: server_context("127.0.0.2"), "IP address mismatch"),
}


@pytest.mark.parametrize("name", NOT_ACCEPTED)
async def test_a_certificate_that_proves_nothing(trusting: Upstream, name: str) -> None:
    make, why = NOT_ACCEPTED[name]
    async with RawServer(replies(OK), tls=make()) as server:
        for _ in range(2):
            with pytest.raises(UpstreamUnreachable, match=f"its TLS certificate was not accepted.*{why}") as caught:
                await read(trusting, server.url)
        assert server.asked == []
    assert "RONDO_CA_FILE" in (caught.value.remedy or "")
    assert trusting.connections() == (0, 0)


async def test_another_name(trusting: Upstream) -> None:
    async with RawServer(replies(OK), tls=server_context("example.com", "127.0.0.1")) as server:
        with pytest.raises(UpstreamUnreachable, match="Hostname mismatch"):
            await read(trusting, server.url.replace("127.0.0.1", "localhost"))
        assert server.asked == []


async def test_without_a_file_the_authority_is_not_trusted() -> None:
    client = Upstream()
    async with RawServer(replies(OK), tls=server_context("127.0.0.1")) as server:
        with pytest.raises(UpstreamUnreachable, match="not accepted"):
            await read(client, server.url)


async def test_an_old_version_of_tls(trusting: Upstream) -> None:
    context = server_context("127.0.0.1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    async with RawServer(replies(OK), tls=context) as server:
        with pytest.raises(UpstreamUnreachable, match="the TLS handshake"):
            await read(trusting, server.url)
        assert server.asked == []


async def test_a_server_without_tls(trusting: Upstream) -> None:
    async def play(line: Line) -> None:
        await line.reader.read(5)
        await line.say(b"HTTP/1.1 400 This is no TLS\r\n\r\n")

    async with RawServer(play) as server:
        with pytest.raises(UpstreamUnreachable, match="the TLS handshake"):
            await read(trusting, server.url.replace("http:", "https:"))


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_server_that_leaves_in_the_handshake(trusting: Upstream, how: str) -> None:
    async def play(line: Line) -> None:
        await line.reader.read(5)
        if how == "reset":
            line.reset()

    async with RawServer(play) as server:
        with pytest.raises(UpstreamUnreachable, match="could not be reached"):
            await read(trusting, server.url.replace("http:", "https:"))


async def test_a_handshake_that_does_not_end() -> None:
    client = Upstream(connect_timeout_s=0.2)

    async def play(line: Line) -> None:
        await line.gone()

    async with RawServer(play) as server:
        with pytest.raises(UpstreamTimeout, match=r"took no connection within 0\.2 s"):
            await read(client, server.url.replace("http:", "https:"))
        await until(lambda: server.left == 1)


async def test_giving_up_in_the_handshake(trusting: Upstream) -> None:
    async def play(line: Line) -> None:
        await line.gone()

    async with RawServer(play) as server:
        task = asyncio.create_task(read(trusting, server.url.replace("http:", "https:")))
        await until(lambda: server.lines == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.left == 1)


async def test_large_bodies_over_tls(trusting: Upstream) -> None:
    async def play(line: Line) -> None:
        while True:
            asked = await line.request()
            await line.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(asked.body) + asked.body)

    body = bytes(range(256)) * 20_000
    async with RawServer(play, tls=server_context("127.0.0.1")) as server:
        for _ in range(2):
            assert await read(trusting, server.url, body) == body
            reply = await trusting.target(server.url, {}, timeout_s=5).post(body)
            assert b"".join([part async for part in reply.chunks()]) == body
        assert server.lines == 1
        await trusting.close()


async def test_a_body_without_length_that_is_cut(trusting: Upstream) -> None:
    """Over TLS the end of a connection is signed: without that, somebody may have cut the answer short."""

    async def play(line: Line) -> None:
        await line.request()
        await line.say(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")
        if line.number == 1:
            line.writer.transport.abort()

    async with RawServer(play, tls=server_context("127.0.0.1")) as server:
        with pytest.raises(UpstreamCut):
            await read(trusting, server.url)
        assert await read(trusting, server.url) == b"half of it"
        await trusting.close()


async def test_cancelling_over_tls(trusting: Upstream) -> None:
    async with RawServer(
        replies(b"HTTP/1.1 200 OK\r\n\r\nab", then="stall"), tls=server_context("127.0.0.1")
    ) as server:
        reply = await trusting.target(server.url, {}, timeout_s=5).post(b"{}")
        reply.close()
        await until(lambda: server.left == 1)
        assert trusting.connections() == (0, 0)


@pytest.mark.parametrize("content", [None, "no certificates", ""])
def test_a_file_of_authorities_that_is_none(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "authorities.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=r"RONDO_CA_FILE.*cannot be read as certificates"):
        Upstream(ca_file=str(path))


def test_nothing_turns_verification_off(ca_file: str) -> None:
    for client in (Upstream(), Upstream(ca_file=ca_file)):
        context = client._secure()
        assert context.check_hostname
        assert context.verify_mode == ssl.CERT_REQUIRED
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


async def test_an_error_of_tls_is_one_of_ours(trusting: Upstream) -> None:
    async with RawServer(replies(OK), tls=server_context("127.0.0.1")) as server:
        with pytest.raises(UpstreamError):
            await read(trusting, server.url.replace("https:", "http:"))
