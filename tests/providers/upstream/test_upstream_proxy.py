"""Proxies: a tunnel for https, the whole address for http, and nothing through a proxy that NO_PROXY excepts."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raw_server import OK, Line, Play, RawServer, replies
from rondo.errors import SettingsError, UpstreamTimeout, UpstreamUnreachable
from rondo.providers.http.address import Origin
from rondo.providers.http.proxy import Routes, is_excepted, parse
from rondo.providers.upstream import Upstream
from rondo.settings.environment import Proxies, proxies
from upstream_certificates import AUTHORITY, server_context

PASSWORD = "p@ss:word"
BASIC = "Basic " + base64.b64encode(f"ada:{PASSWORD}".encode()).decode()


def tunnel(to: RawServer, heads: list[tuple[str, dict[str, str]]]) -> Play:
    """A proxy that connects whoever asks to one server, whatever name was asked for."""

    async def play(line: Line) -> None:
        heads.append(await line.head())
        reader, writer = await asyncio.open_connection("127.0.0.1", to.port)
        await line.say(b"HTTP/1.1 200 Connection established\r\nvia: proxy\r\n\r\n")
        back = asyncio.create_task(_copy(reader, line.writer))
        try:
            await _copy(line.reader, writer)
        finally:
            back.cancel()
            writer.close()

    return play


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.write_eof() if writer.can_write_eof() else writer.close()


def through(proxy: RawServer, *, user: str = "", ca_file: str | None = None, exceptions: str = "") -> Upstream:
    address = f"http://{user}127.0.0.1:{proxy.port}"
    return Upstream(connect_timeout_s=5, ca_file=ca_file, proxies=Proxies(address, address, exceptions))


async def read(client: Upstream, url: str) -> bytes:
    reply = await client.target(url, {"authorization": "Bearer sk"}, timeout_s=5).post(b"{}")
    try:
        return await reply.read()
    finally:
        reply.close()


@pytest.fixture
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "authority.pem"
    AUTHORITY.cert_pem.write_to_path(path)
    return str(path)


# -- https


@pytest.mark.parametrize("user", ["", "ada:p%40ss%3Aword@"])
async def test_a_tunnel(ca_file: str, user: str) -> None:
    """The proxy learns the name and the port; the request, the key with it, is between us and the server."""
    heads: list[tuple[str, dict[str, str]]] = []
    async with (
        RawServer(replies(OK, then="on"), tls=server_context("upstream.example")) as server,
        RawServer(tunnel(server, heads)) as proxy,
    ):
        client = through(proxy, user=user, ca_file=ca_file)
        for _ in range(3):
            assert await read(client, "https://upstream.example:8443/v1") == b"ok"
        await client.close()
    wanted = {"host": "upstream.example:8443"} | ({"proxy-authorization": BASIC} if user else {})
    assert heads == [("CONNECT upstream.example:8443 HTTP/1.1", wanted)]
    assert server.lines == 1
    assert server.asked[0].line == "POST /v1 HTTP/1.1"
    assert server.asked[0].headers["host"] == "upstream.example:8443"
    assert "proxy-authorization" not in server.asked[0].headers


async def test_the_certificate_behind_a_tunnel_is_the_servers(ca_file: str) -> None:
    async with (
        RawServer(replies(OK), tls=server_context("127.0.0.1", "proxy.example")) as server,
        RawServer(tunnel(server, [])) as proxy,
    ):
        client = through(proxy, ca_file=ca_file)
        with pytest.raises(UpstreamUnreachable, match=r"through the proxy .* its TLS certificate was not accepted"):
            await read(client, "https://upstream.example/v1")
        assert server.asked == []


REFUSALS = {
    "credentials": (b"HTTP/1.1 407 Who?\r\nproxy-authenticate: Basic\r\n\r\n", r"wants a user name \(407\)"),
    "forbidden": (b"HTTP/1.1 403 No\r\ncontent-length: 3\r\n\r\nno!", "it answered 403"),
    "bad gateway": (b"HTTP/1.0 502 Bad gateway\r\n\r\n", "it answered 502"),
    "an interim": (b"HTTP/1.1 100 Continue\r\n\r\n", "it answered 100"),
    "gone": (b"", "it broke off its answer"),
    "half a head": (b"HTTP/1.1 200 OK\r\nvia: a", "it broke off its answer"),
    "no http": (b"SSH-2.0\r\n\r\n", "it does not speak HTTP"),
    "no http and no end": (b"x" * 40_000, "its answer has no end"),
    "more than its answer": (b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n", "it sent more than its answer"),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_tunnel_that_is_refused(name: str) -> None:
    said, why = REFUSALS[name]

    async def play(line: Line) -> None:
        await line.head()
        await line.say(said)

    async with RawServer(play) as proxy:
        with pytest.raises(UpstreamUnreachable, match=why) as caught:
            await read(through(proxy), "https://upstream.example/v1")
        assert f"127.0.0.1:{proxy.port}" in caught.value.message


async def test_a_password_that_a_proxy_does_not_take() -> None:
    async def play(line: Line) -> None:
        await line.head()
        await line.say(b"HTTP/1.1 407 No\r\n\r\n")

    async with RawServer(play) as proxy:
        with pytest.raises(UpstreamUnreachable, match="does not accept the user name and password") as caught:
            await read(through(proxy, user="ada:p%40ss%3Aword@"), "https://upstream.example/v1")
    assert PASSWORD not in str(caught.value)
    assert "ada" not in str(caught.value)


async def test_a_proxy_that_says_nothing() -> None:
    async def play(line: Line) -> None:
        await line.gone()

    async with RawServer(play) as proxy:
        client = Upstream(connect_timeout_s=0.2, proxies=Proxies(None, f"127.0.0.1:{proxy.port}"))
        with pytest.raises(UpstreamTimeout, match=r"through the proxy .* took no connection"):
            await read(client, "https://upstream.example/v1")


async def test_a_proxy_that_is_not_there() -> None:
    client = Upstream(proxies=Proxies(None, "http://127.0.0.1:1"))
    with pytest.raises(UpstreamUnreachable, match=r"through the proxy .* the connection failed \(Connection refused\)"):
        await read(client, "https://upstream.example/v1")


# -- http


async def test_http_goes_by_the_whole_address() -> None:
    async with RawServer(replies(OK, then="on")) as proxy:
        client = through(proxy, user="ada:p%40ss%3Aword@")
        for _ in range(2):
            assert await read(client, "http://upstream.example/v1/chat?a=b") == b"ok"
        assert await read(client, "http://upstream.example:8080/v1") == b"ok"
        await client.close()
    assert [asked.line for asked in proxy.asked] == [
        "POST http://upstream.example/v1/chat?a=b HTTP/1.1",
        "POST http://upstream.example/v1/chat?a=b HTTP/1.1",
        "POST http://upstream.example:8080/v1 HTTP/1.1",
    ]
    assert proxy.asked[0].headers["host"] == "upstream.example"
    assert proxy.asked[0].headers["proxy-authorization"] == BASIC
    assert proxy.lines == 2


async def test_a_proxy_that_wants_to_know_who_asks() -> None:
    said = b"HTTP/1.1 407 Who?\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n"
    async with RawServer(replies(said)) as proxy:
        with pytest.raises(UpstreamUnreachable, match=r"wants a user name \(407\)"):
            await read(through(proxy), "http://upstream.example/v1")


async def test_this_machine_and_exceptions_are_reached_directly() -> None:
    async with RawServer(replies(OK)) as server, RawServer(replies(OK)) as proxy:
        assert await read(through(proxy), server.url) == b"ok"
        assert await read(through(proxy), server.url.replace("127.0.0.1", "localhost")) == b"ok"
        with pytest.raises(UpstreamUnreachable, match=r"its name could not be looked up"):
            await read(through(proxy, exceptions="example.invalid"), "http://a.example.invalid/")
        assert proxy.lines == 0


# -- which proxy


@pytest.mark.parametrize(
    ("host", "exceptions", "excepted"),
    [
        ("api.example.com", "", False),
        ("api.example.com", "*", True),
        ("api.example.com", "other.com,*", True),
        ("api.example.com", "example.com", True),
        ("example.com", "example.com", True),
        ("api.example.com", ".example.com", True),
        ("example.com", ".example.com", True),
        ("api.example.com", "*.example.com", True),
        ("api.example.com", "EXAMPLE.com.", True),
        ("badexample.com", "example.com", False),
        ("example.com.evil.org", "example.com", False),
        ("example.com", "api.example.com", False),
        ("api.example.com", "a.org b.org, example.com", True),
        ("api.example.com", "example.com:8443", True),
        ("api.example.com", "example.com:443", False),
        ("api.example.com", "example.com:", False),
        ("api.example.com", ".", False),
        ("api.example.com", ",, ,", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3:8443", True),
        ("10.1.2.3", "10.1.2.3:1", False),
        ("10.1.2.3", "2.3", False),
        ("10.1.2.3", "10.0.0.0/99", False),
        ("2001:db8::1", "2001:db8::/32", True),
        ("2001:db8::1", "[2001:db8::]/32", True),
        ("2001:db8::1", "2001:db8::1", True),
        ("2001:db8::1", "[2001:db8::1]", True),
        ("2001:db8::1", "[2001:db8::1]:8443", True),
        ("2001:db8::1", "[2001:db8::1]:1", False),
        ("2001:db9::1", "2001:db8::/32", False),
        ("localhost", "", True),
        ("app.localhost", "", True),
        ("127.1.2.3", "", True),
        ("::1", "", True),
        ("localhost.example.com", "", False),
    ],
)
def test_exceptions(host: str, exceptions: str, excepted: bool) -> None:
    assert is_excepted(Origin("https", host, 8443), exceptions) is excepted


@given(st.text(max_size=30))
def test_exceptions_are_read_whatever_they_are(exceptions: str) -> None:
    is_excepted(Origin("https", "api.example.com", 443), exceptions)
    is_excepted(Origin("https", "10.0.0.1", 443), exceptions)


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("http://proxy.example:3128", "proxy.example:3128"),
        ("http://proxy.example:3128/", "proxy.example:3128"),
        ("proxy.example:3128", "proxy.example:3128"),
        ("proxy.example", "proxy.example:1080"),
        ("http://[::1]:3128", "[::1]:3128"),
        ("http://ada:secret@proxy.example:3128", "proxy.example:3128"),
    ],
)
def test_addresses_of_proxies(address: str, name: str) -> None:
    assert parse(address).name == name


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("socks5://ada:secret@proxy:1080", "socks5:// proxies are not supported"),
        ("https://ada:secret@proxy", "https:// proxies are not supported"),
        ("http://", "no host"),
        ("http://ada:secret@", "no host"),
        ("http://ada:secret@proxy:port", "no address"),
        ("http://ada:secret@pr\r\noxy:80:90", "no address|no host name"),
    ],
)
def test_proxies_that_cannot_be_used(address: str, why: str) -> None:
    """Requests are not sent without it instead, and the password is not shown."""
    with pytest.raises(SettingsError, match=why) as caught:
        Upstream(proxies=Proxies(https=address))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("variables", "http", "https"),
    [
        ({}, None, None),
        ({"HTTPS_PROXY": "a:1"}, None, "a:1"),
        ({"http_proxy": "b:1", "https_proxy": "a:1", "HTTPS_PROXY": "z:1"}, "b:1", "a:1"),
        ({"ALL_PROXY": "c:1", "HTTP_PROXY": "b:1"}, "b:1", "c:1"),
        ({"https_proxy": "", "HTTPS_PROXY": "a:1"}, None, None),
    ],
)
def test_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], http: str | None, https: str | None
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("no_proxy", "example.com")
    found = proxies()
    assert (found.http, found.https, found.exceptions) == (http, https, "example.com")


def test_no_password_in_what_is_printed() -> None:
    assert "secret" not in repr(Proxies("http://ada:secret@proxy:1"))
    assert "secret" not in repr(parse("http://ada:secret@proxy:1"))


def test_one_proxy_per_scheme() -> None:
    routes = Routes(Proxies(http="one:1", https="two:2"))
    assert getattr(routes.proxy_for(Origin("http", "a.example", 80)), "name", None) == "one:1"
    assert getattr(routes.proxy_for(Origin("https", "a.example", 443)), "name", None) == "two:2"
    assert Routes(Proxies(http="one:1")).proxy_for(Origin("https", "a.example", 443)) is None
