"""What is written to a socket is checked first: addresses, headers, hosts; and how a name becomes a connection."""

from __future__ import annotations

import asyncio
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raw_server import OK, Line, RawServer, replies
from rondo.errors import SettingsError, UpstreamUnreachable
from rondo.providers.base import ModelSpec
from rondo.providers.http import dial
from rondo.providers.http.address import BadHeader, checked, request_head, split
from rondo.providers.http.dial import Address, Names, connected
from rondo.providers.openai import OpenAICompatible
from rondo.providers.upstream import Upstream

SECRET = "sk-very-secret"


@pytest.mark.parametrize(
    ("url", "authority", "path"),
    [
        ("https://api.openai.com/v1/chat", "api.openai.com", "/v1/chat"),
        ("https://api.openai.com:443/", "api.openai.com", "/"),
        ("http://api.openai.com", "api.openai.com", "/"),
        ("http://api.openai.com?api-version=1", "api.openai.com", "/?api-version=1"),
        ("HTTP://API.OpenAI.com:8080/v1", "api.openai.com:8080", "/v1"),
        ("http://127.0.0.1:11434/v1", "127.0.0.1:11434", "/v1"),
        ("http://[::1]:8000/v1", "[::1]:8000", "/v1"),
        ("https://[2001:DB8:0::1]/v1", "[2001:db8::1]", "/v1"),
        ("http://llm_server.internal./v1", "llm_server.internal.", "/v1"),
        ("https://Bücher.example/v1", "xn--bcher-kva.example", "/v1"),
        ("https://straße.example/v1", "xn--strae-oqa.example", "/v1"),
        ("http://h/models/a%2Fb:generate?x=%20y&z=a+b", "h", "/models/a%2Fb:generate?x=%20y&z=a+b"),
        ("http://h/é?q=ü", "h", "/%C3%A9?q=%C3%BC"),
        ('http://h/a"<b>?c={d}', "h", "/a%22%3Cb%3E?c=%7Bd%7D"),
    ],
)
def test_addresses(url: str, authority: str, path: str) -> None:
    origin, found = split(url)
    assert (origin.authority, found) == (authority, path)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "does not begin with http"),
        ("api.openai.com/v1", "does not begin with http"),
        ("ftp://host/", "does not begin with http"),
        ("file:///etc/passwd", "does not begin with http"),
        ("http://", "no host"),
        ("http:///path", "no host"),
        ("http://:80/", "no host"),
        (f"http://ada:{SECRET}@host/", "a user name or a password"),
        (f"http://{SECRET}@host/", "a user name or a password"),
        ("http://@host/", "a user name or a password"),
        ("http://host/#part", "fragment"),
        ("http://host:0/", "its port is not from 1 to 65535"),
        ("http://host:99999/", "its port is not"),
        (f"http://host:{SECRET}/", "its port is not"),
        ("http://[::1/", "it cannot be read"),
        ("http://[::x]/", "it cannot be read|no IPv6"),
        (f"http://ada:{SECRET}@h\u2100st/", "it cannot be read"),
        ("http://[fe80::1%eth0]/", "no IPv6 address"),
        ("http://ho st/", "a space or a control character"),
        ("http://host/a b", "a space or a control character"),
        ("http://host/\r\nx-evil: 1", "a space or a control character"),
        ("http://host/\t", "a space or a control character"),
        ("http://ho\x00st/", "a space or a control character"),
        ("http://a..b/", "no host name"),
        ("http://" + "a" * 64 + "/", "no host name"),
        ("http://" + "a." * 130 + "/", "no host name"),
        ("http://ho*st/", "no host name"),
        ("http://ho\\st/", "no host name"),
        ("http://☃.\u2024/", "no host name"),
    ],
)
def test_what_is_no_address(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        split(url)
    assert SECRET not in str(caught.value)


@given(st.text(max_size=60), st.sampled_from(["", "http://", "https://h", "http://h/", "http://h?"]))
def test_an_address_cannot_write_a_line(rest: str, start: str) -> None:
    """Whatever it is: refused, or one line of printable ASCII without a space."""
    try:
        origin, path = split(start + rest)
    except ValueError:
        return
    for part in (origin.authority, origin.with_port, path):
        assert part.isascii()
        assert part.isprintable()
        assert " " not in part


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-a", f"{SECRET}\r\nx-evil: 1"),
        ("x-a", f"{SECRET}\n"),
        ("x-a", f"{SECRET}\r"),
        ("x-a", f"{SECRET}\x00"),
        ("x-a", f"{SECRET}\x7f"),
        ("x-a", f"{SECRET}€"),
        ("x-a\r\nx-evil", SECRET),
        ("x a", SECRET),
        ("x:a", SECRET),
        ("", SECRET),
        ("xä", SECRET),
        ("Content-Length", "0"),
        ("transfer-encoding", "chunked"),
        ("Connection", "close"),
        ("Expect", "100-continue"),
    ],
)
def test_headers_that_cannot_be_sent(name: str, value: str) -> None:
    with pytest.raises(BadHeader) as caught:
        checked({name: value})
    assert SECRET not in str(caught.value)
    assert caught.value.name == name


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=12), max_size=4))
def test_headers_cannot_add_lines(headers: dict[str, str]) -> None:
    try:
        head = request_head("/", checked(headers))
    except ValueError:
        return
    assert head.count(b"\r\n") == head.count(b"\n") == head.count(b"\r") == 1 + len({*map(str.lower, headers)})


def test_a_model_with_a_wrong_header_or_address_is_a_fault_of_the_settings() -> None:
    def model(**fields: object) -> ModelSpec:
        return ModelSpec(name="main", provider="openai", base_url="http://h/v1", **fields)  # type: ignore[arg-type]

    with pytest.raises(SettingsError, match=r"models\.main\.headers: the header 'x-a' has a line break"):
        OpenAICompatible(model(headers={"x-a": f"{SECRET}\n"}), Upstream(), lambda _: None)
    with pytest.raises(SettingsError, match=r"models\.main\.headers: the header 'authorization'") as caught:
        OpenAICompatible(model(api_key_env="KEY"), Upstream(), {"KEY": f"{SECRET}\n", "RONDO_KEY_HOSTS": "KEY=h"}.get)
    assert SECRET not in str(caught.value)
    spec = ModelSpec(name="main", provider="openai", base_url=f"http://ada:{SECRET}@h/v1")
    with pytest.raises(SettingsError, match=r"models\.main\.base_url: .*user name or a password") as caught:
        OpenAICompatible(spec, Upstream(), lambda _: None)
    assert SECRET not in str(caught.value)


async def test_a_request_byte_for_byte(client: Upstream) -> None:
    """The target's headers once, a request's own in place of them, and nothing that nobody asked for."""
    heads: list[bytes] = []

    async def play(line: Line) -> None:
        while True:
            heads.append(await line.reader.readuntil(b"\r\n\r\n"))
            assert await line.reader.readexactly(5) == b'{"a"}'
            await line.say(OK)

    async with RawServer(play) as server:
        target = client.target(f"{server.url}?v=1", {"Authorization": "Bearer k", "X-B": " b "}, timeout_s=5)
        for headers in (None, {"authorization": "AWS4 é", "X-Amz-Date": "20261121T000000Z"}):
            (await target.post(b'{"a"}', headers)).close()
        with pytest.raises(BadHeader):
            await target.post(b"", {"x-amz-date": "a\r\nb"})
    start = f"POST /v1/chat?v=1 HTTP/1.1\r\nhost: 127.0.0.1:{server_port(heads[0])}\r\n".encode()
    same = b"content-type: application/json\r\naccept-encoding: identity\r\n"
    end = b"content-length: 5\r\n\r\n"
    assert heads == [
        start + same + b"authorization: Bearer k\r\nx-b: b\r\n" + end,
        start + same + b"authorization: AWS4 \xe9\r\nx-b: b\r\nx-amz-date: 20261121T000000Z\r\n" + end,
    ]


def server_port(head: bytes) -> int:
    return int(head.split(b"\r\n")[1].rpartition(b":")[2])


async def test_ipv6(client: Upstream) -> None:
    try:
        server = await RawServer(replies(OK), host="::1").__aenter__()
    except OSError:
        pytest.skip("this machine has no IPv6")
    reply = await client.target(server.url, {}, timeout_s=5).post(b"{}")
    assert await reply.read() == b"ok"
    assert server.asked[0].headers["host"] == f"[::1]:{server.port}"
    await server.__aexit__(None, None, None)


# -- names and addresses


class CountedNames(Names):
    """Look-ups are counted, and answered by the test."""

    def __init__(self, *found: Address) -> None:
        super().__init__()
        self.found = list(found)
        self.asked_for: list[str] = []

    async def _look_up(self, host: str, port: int) -> list[Address]:
        self.asked_for.append(host)
        await asyncio.sleep(0.01)
        if not self.found:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return self.found


async def test_a_name_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    names = CountedNames(Address(socket.AF_INET, ("127.0.0.1", 80)))
    await asyncio.gather(*(names.addresses("a.example", 80) for _ in range(100)))
    await names.addresses("a.example", 80)
    assert names.asked_for == ["a.example"]
    names.forget("a.example", 80)
    await names.addresses("a.example", 80)
    assert len(names.asked_for) == 2
    monkeypatch.setattr(dial, "_TTL_S", 0.0)
    names.forget("a.example", 80)
    await names.addresses("a.example", 80)
    await asyncio.sleep(0.005)
    await names.addresses("a.example", 80)
    assert len(names.asked_for) == 4


async def test_one_that_gives_up_does_not_take_the_answer_from_the_others() -> None:
    names = CountedNames(Address(socket.AF_INET, ("127.0.0.1", 80)))
    first, second = (asyncio.create_task(names.addresses("a.example", 80)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == names.found
    assert first.cancelled()


async def test_a_look_up_that_fails_is_not_remembered() -> None:
    names = CountedNames()
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await names.addresses("a.example", 80)
    assert len(names.asked_for) == 2


async def test_ip_addresses_are_not_looked_up() -> None:
    names = CountedNames()
    assert (await names.addresses("127.0.0.1", 80))[0].family == socket.AF_INET
    assert (await names.addresses("::1", 80))[0].family == socket.AF_INET6
    assert names.asked_for == []


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


async def test_the_next_address_where_one_refuses() -> None:
    async with RawServer(replies(OK)) as server:
        dead, live = (Address(socket.AF_INET, ("127.0.0.1", port)) for port in (closed_port(), server.port))
        with await connected([dead, dead, live]) as sock:
            assert sock.getpeername()[1] == server.port


async def test_the_next_address_where_one_says_nothing() -> None:
    """It is tried beside the first after a moment; whoever is late is closed."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        silent = full.getsockname()
        filling = [socket.socket() for _ in range(3)]
        for each in filling:
            each.setblocking(False)
            each.connect_ex(silent)
        async with RawServer(replies(OK)) as server:
            addresses = [Address(socket.AF_INET, silent), Address(socket.AF_INET, ("127.0.0.1", server.port))]
            with await connected(addresses) as sock:
                assert sock.getpeername()[1] == server.port
        for each in filling:
            each.close()
        await asyncio.sleep(0)


async def test_no_address_answers() -> None:
    with pytest.raises(ConnectionRefusedError):
        await connected([Address(socket.AF_INET, ("127.0.0.1", closed_port()))] * 3)


async def test_addresses_that_all_refuse_are_forgotten() -> None:
    names = CountedNames(*[Address(socket.AF_INET, ("127.0.0.1", closed_port()))] * 2)
    client = Upstream()
    client._names = names
    target = client.target("http://a.example/", {}, timeout_s=1)
    for _ in range(2):
        with pytest.raises(UpstreamUnreachable, match=r"a\.example could not be reached: the connection failed"):
            await target.post(b"")
    assert len(names.asked_for) == 2


def test_families_take_turns() -> None:
    six = [Address(socket.AF_INET6, (f"::{number}", 80)) for number in range(3)]
    four = [Address(socket.AF_INET, (f"127.0.0.{number}", 80)) for number in range(2)]
    assert dial._interleaved([*six, *four]) == [six[0], four[0], six[1], four[1], six[2]]
