"""One POST to a receiver that is slow or hostile, to an address that is inside; and how a webhook is signed."""

from __future__ import annotations

import asyncio

import pytest

from monitoring.alerts.alerts_house import receiver, saying
from rondo.errors import UpstreamError
from rondo.monitoring.alerts import webhook
from rondo.monitoring.alerts.post import CheckedNames, Poster
from rondo.monitoring.alerts.reach import Allowed


async def test_time_is_up_whatever_trickles_in() -> None:
    async def trickle(request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"x-more: y\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with receiver(trickle) as (port, _):
        with pytest.raises(UpstreamError, match=r"did not answer within 0\.1 s"):
            await Poster(Allowed("127.0.0.1")).post(f"http://127.0.0.1:{port}/", b"{}", {}, timeout_s=0.1)


async def test_a_body_without_end_is_not_read() -> None:
    sent = 0

    async def flood(request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 500 Oops\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b"<" * 65_536 + b"\r\n")
            sent += 65_536
            await writer.drain()

    async with receiver(flood) as (port, _):
        answered = await Poster(Allowed("127.0.0.1")).post(f"http://127.0.0.1:{port}/", b"{}", {})
    assert answered.status == 500
    assert len(answered.words) <= 200
    assert sent < 20_000_000


@pytest.mark.parametrize("garbage", ["", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 abc\r\n\r\n", "\x00" * 100_000])
async def test_what_is_no_http_is_a_failure(garbage: str) -> None:
    async with receiver(saying(garbage)) as (port, _):
        with pytest.raises(UpstreamError):
            await Poster(Allowed("127.0.0.1")).post(f"http://127.0.0.1:{port}/", b"{}", {}, timeout_s=2)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/",
        "http://localhost:1/",
        "http://[::1]:1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:10.0.0.1]/",
        "http://[fe80::1]/",
        "http://[64:ff9b::a00:1]/",
        "http://0.0.0.0:1/",
        "http://10.1.2.3/",
        "http://224.0.0.1/",
        "http://168.63.129.16/",
        "http://[fec0::1]/",
    ],
)
async def test_addresses_inside_are_not_knocked_at(url: str) -> None:
    with pytest.raises(UpstreamError, match="RONDO_WEBHOOK_HOSTS"):
        await Poster(Allowed(None)).post(url, b"{}", {}, timeout_s=2)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "10.1.2.3.",
        "::1",
        "localhost",
        "localhost.",
        "a.localhost",
    ],
)
def test_a_proxy_is_not_asked_for_what_is_inside(host: str) -> None:
    with pytest.raises(UpstreamError, match="RONDO_WEBHOOK_HOSTS"):
        CheckedNames(Allowed(None)).check_literal(host, 443)
    CheckedNames(Allowed(f"{host} 127.0.0.1 10.1.2.3")).check_literal(host, 443)


@pytest.mark.parametrize("host", ["example.com", "hooks.internal", "93.184.216.34", "2606:4700::1"])
def test_a_proxy_is_asked_for_the_rest(host: str) -> None:
    CheckedNames(Allowed(None)).check_literal(host, 443)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "fd20:ce::254", "fe80::1"]
)
def test_where_clouds_keep_secrets_is_reached_only_by_its_own_name(address: str) -> None:
    assert not Allowed("hooks.internal").may_reach("hooks.internal", 80, address)
    assert not Allowed(None).may_reach("example.com", 80, address)
    assert Allowed(address).may_reach("hooks.internal", 80, address)


def test_what_the_operator_allows_is_reached() -> None:
    hosts = Allowed("hooks.internal 10.0.0.5:8080 [::1]:9")
    assert hosts.may_reach("hooks.internal", 80, "192.168.0.7")
    assert hosts.may_reach("10.0.0.5", 8080, "10.0.0.5")
    assert not hosts.may_reach("10.0.0.5", 80, "10.0.0.5")
    assert hosts.may_reach("::1", 9, "::1")
    assert not hosts.may_reach("::1", 10, "::1")
    assert not hosts.may_reach("hooks.internal", 80, "169.254.169.254"), "a name that is turned to the metadata service"
    assert hosts.may_reach("example.com", 443, "93.184.216.34")
    assert not hosts.may_reach("example.com", 443, "10.0.0.9")


@pytest.mark.parametrize("url", ["ftp://x/", "http://u:p@example.com/", "http://exa mple/", "http://example.com:0/"])
async def test_an_address_that_cannot_be_is_a_failure_without_its_words(url: str) -> None:
    with pytest.raises(UpstreamError) as refused:
        await Poster(Allowed(None)).post(url, b"{}", {})
    assert "p@" not in str(refused.value)


def test_the_signature_is_the_one_of_the_standards_own_example() -> None:
    """From the test vectors of the reference libraries (standard-webhooks/standard-webhooks)."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    told = webhook.headers("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330_000_000, b'{"test": 2432232314}', secret)
    assert told["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    both = webhook.headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330_000_000, b'{"test": 2432232314}', f"{secret} whsec_AA=="
    )
    assert both["webhook-signature"].startswith(told["webhook-signature"] + " v1,")
    assert "webhook-signature" not in webhook.headers("msg_1", 0, b"{}", None)
    with pytest.raises(ValueError, match="nothing follows"):
        webhook.headers("msg_1", 0, b"{}", "whsec_")


@pytest.mark.parametrize("path", ["/services/T01ABCDEF/B01ABCDEF/s3cretS3cret", "/hooks?token=s3cretS3cret&x=1"])
@pytest.mark.parametrize("before", [0, 180])
async def test_an_address_that_is_the_secret_is_not_repeated(path: str, before: int) -> None:
    said = "." * before + f"Cannot POST {path}, nor s3cretS3cret"
    async with receiver(saying(f"HTTP/1.1 404 No\r\ncontent-length: {len(said)}\r\n\r\n{said}")) as (port, _):
        answered = await Poster(Allowed("127.0.0.1")).post(f"http://127.0.0.1:{port}{path}", b"{}", {})
    assert "Cannot POST …" in answered.words
    assert "s3c" not in answered.words
