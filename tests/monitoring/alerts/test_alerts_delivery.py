"""Delivery to receivers that are well, down, slow or hostile: in order, at least once, and nobody waits for another."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest

from monitoring.alerts.alerts_house import OK, START, Time, declare, fill, held_time, receiver, saying
from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.errors import NotFound, UpstreamError
from rondo.monitoring.alerts import deliver, notice, store, webhook
from rondo.monitoring.alerts.changes import new_notice
from rondo.monitoring.alerts.deliver import Courier, backoff_s
from rondo.monitoring.alerts.mail import Mailer
from rondo.monitoring.alerts.model import Notice
from rondo.monitoring.alerts.post import Poster
from rondo.monitoring.alerts.reach import Allowed
from rondo.settings.environment import Proxies

SECRETS = {
    "HOOK_SECRET": "whsec_" + base64.b64encode(b"s" * 32).decode(),
    "PLAIN_SECRET": "plain",
    "BAD_SECRET": "whsec_!!",
    "SLACK_URL": "",
    "RONDO_PUBLIC_URL": "https://rondo.example.com/",
}


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    with held_time(monkeypatch) as held:
        yield held


def courier(catalog: Catalog, *, allowed: str = "127.0.0.1", **secrets: str) -> Courier:
    poster = Poster(Allowed(allowed), proxies=Proxies())
    return Courier(catalog, poster, Mailer(), secret={**SECRETS, **secrets}.get, chance=lambda: 0.5)


def channels(**urls: str) -> dict[str, Any]:
    hooks = {name: {"kind": "webhook", "url": url, "secret_env": "HOOK_SECRET"} for name, url in urls.items()}
    return {"alerts": {"channels": hooks}}


def put(catalog: Catalog, channel: str, text: str = "test") -> str:
    content = notice.trial("p", "bot", channel, START)
    content["data"]["text"] = text
    made = new_notice("p", "bot", channel, "test", content, clock.now_us(), alert=None)
    with catalog.begin() as connection:
        store.insert_notice(connection, made)
    return made.id


def waiting(catalog: Catalog) -> list[Notice]:
    with catalog.read() as connection:
        return store.heads(connection, ["p"])


def failed(catalog: Catalog) -> list[Notice]:
    with catalog.read() as connection:
        return store.undelivered(connection, "p", 0)


async def send(sender: Courier) -> None:
    await sender.send_due()
    await sender.settled()


def body_of(request: bytes) -> Any:
    return json.loads(request.split(b"\r\n\r\n", 1)[1])


def header(request: bytes, name: str) -> str:
    lines = request.split(b"\r\n\r\n", 1)[0].decode().split("\r\n")
    return next(line.split(": ", 1)[1] for line in lines if line.lower().startswith(f"{name}:"))


async def test_a_webhook_is_signed_as_the_standard_has_it(catalog: Catalog, time: Time) -> None:
    async with receiver(saying(OK)) as (port, came):
        fill(catalog, channels(ops=f"http://127.0.0.1:{port}/hook?x=1"))
        id_ = put(catalog, "ops")
        await send(courier(catalog))
    (request,) = came
    assert request.startswith(b"POST /hook?x=1 HTTP/1.1\r\n")
    assert header(request, "webhook-id") == id_
    content = request.split(b"\r\n\r\n", 1)[1]
    signed = f"{id_}.{header(request, 'webhook-timestamp')}.".encode() + content
    expected = base64.b64encode(hmac.new(b"s" * 32, signed, hashlib.sha256).digest()).decode()
    assert header(request, "webhook-signature") == f"v1,{expected}"
    assert body_of(request)["data"]["links"] == {"alert": "https://rondo.example.com/alerts"}
    assert waiting(catalog) == []
    assert failed(catalog) == []


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


async def test_what_fails_is_tried_again_under_the_same_id_and_in_order(catalog: Catalog, time: Time) -> None:
    answers = iter(["HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\nbusy", OK, OK])

    async def talk(request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(next(answers).encode())

    async with receiver(talk) as (port, came):
        fill(catalog, channels(ops=f"http://127.0.0.1:{port}/"))
        first, second = put(catalog, "ops", "one"), put(catalog, "ops", "two")
        sender = courier(catalog)
        await send(sender)
        (head,) = failed(catalog)
        assert head.id == first
        assert head.error == "It answered 500: busy"
        assert head.attempts == 1
        await send(sender)
        assert len(came) == 1, "it is not due yet, and the second waits for it"
        time.pass_s(5)
        await send(sender)
        await send(sender)
    assert [header(request, "webhook-id") for request in came] == [first, first, second]
    assert waiting(catalog) == []


async def test_a_receiver_that_is_down_for_a_day_is_given_up_and_told(catalog: Catalog, time: Time) -> None:
    fill(catalog, channels(ops="http://127.0.0.1:9/"))
    put(catalog, "ops")
    sender, tries, began = courier(catalog), 0, clock.now_us()
    while waiting(catalog):
        await send(sender)
        tries += 1
        time.pass_s(backoff_s(tries))
    assert 20 <= tries <= 33
    assert 0.9 <= (clock.now_us() - began) / 86_400_000_000 <= 1.2
    (dead,) = failed(catalog)
    assert dead.status == "dead"
    assert "127.0.0.1:9 could not be reached" in (dead.error or "")


async def test_a_clock_that_jumps_gives_nothing_up(catalog: Catalog, time: Time) -> None:
    fill(catalog, channels(ops="http://127.0.0.1:9/"))
    put(catalog, "ops")
    sender = courier(catalog)
    await send(sender)
    time.jump(400 * 86_400_000_000)
    await send(sender)
    assert waiting(catalog)[0].attempts == 2
    time.jump(-500 * 86_400_000_000)
    await send(sender)
    assert waiting(catalog)[0].attempts == 3, "what is due in a far future is due now"


async def test_a_slow_receiver_holds_up_no_other(catalog: Catalog, time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    never = asyncio.Event()

    async def hang(request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await never.wait()

    async with receiver(hang) as (slow, stuck), receiver(saying(OK)) as (fast, came):
        fill(catalog, channels(slow=f"http://127.0.0.1:{slow}/", fast=f"http://127.0.0.1:{fast}/"))
        for _ in range(3):
            put(catalog, "slow")
            put(catalog, "fast")
        sender = courier(catalog)
        for _ in range(1000):
            await sender.send_due()
            await asyncio.sleep(0.005)
            if len(came) == 3:
                break
        assert len(came) == 3
        assert len(stuck) == 1, "one at a time of a channel"
        while ("p", "bot", "fast") in sender._busy:
            await asyncio.sleep(0.005)
        await sender._stop()
        never.set()
    assert [each.channel for each in waiting(catalog)] == ["slow"]


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


@pytest.mark.parametrize(
    "answer",
    [
        "HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/meta-data/\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 307 Go\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n",
    ],
)
async def test_a_redirect_is_not_followed(catalog: Catalog, time: Time, answer: str) -> None:
    async with receiver(saying(answer)) as (port, came):
        fill(catalog, channels(ops=f"http://127.0.0.1:{port}/"))
        put(catalog, "ops")
        await send(courier(catalog))
    assert len(came) == 1
    assert (failed(catalog)[0].error or "").endswith("a redirect; those are not followed.")


@pytest.mark.parametrize("garbage", ["", "SSH-2.0-OpenSSH\r\n", "HTTP/1.1 abc\r\n\r\n", "\x00" * 100_000])
async def test_what_is_no_http_is_a_failure(garbage: str) -> None:
    async with receiver(saying(garbage)) as (port, _):
        with pytest.raises(UpstreamError):
            await Poster(Allowed("127.0.0.1")).post(f"http://127.0.0.1:{port}/", b"{}", {}, timeout_s=2)


async def test_a_receiver_that_wants_no_more_gets_no_more(catalog: Catalog, time: Time) -> None:
    async with receiver(saying("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n")) as (port, _came):
        fill(catalog, channels(ops=f"http://127.0.0.1:{port}/"))
        put(catalog, "ops")
        await send(courier(catalog))
    assert failed(catalog)[0].status == "dead"


async def test_a_receiver_may_ask_for_time(catalog: Catalog, time: Time) -> None:
    busy = "HTTP/1.1 429 Slow\r\nretry-after: 600\r\ncontent-length: 0\r\n\r\n"
    async with receiver(saying(busy)) as (port, came):
        fill(catalog, channels(ops=f"http://127.0.0.1:{port}/"))
        put(catalog, "ops")
        sender = courier(catalog)
        await send(sender)
        time.pass_s(599)
        await send(sender)
        assert len(came) == 1
        time.pass_s(1)
        await send(sender)
        assert len(came) == 2


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
    ],
)
async def test_addresses_inside_are_not_knocked_at(url: str) -> None:
    with pytest.raises(UpstreamError, match="RONDO_WEBHOOK_HOSTS"):
        await Poster(Allowed(None)).post(url, b"{}", {}, timeout_s=2)


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


async def test_what_is_missing_in_the_environment_is_told_without_a_value(catalog: Catalog, time: Time) -> None:
    hook = {"kind": "webhook", "url": "http://127.0.0.1:9/"}
    about = {
        "bad": {**hook, "secret_env": "BAD_SECRET"},
        "unset": {**hook, "secret_env": "NOWHERE"},
        "slack": {"kind": "slack", "url_env": "SLACK_URL"},
        "mail": {"kind": "email", "to": ["a@example.com"]},
    }
    fill(catalog, {"alerts": {"channels": about}})
    errors = {name: (await courier(catalog).trial("p", "bot", name)).error or "" for name in about}
    assert errors["bad"] == "BAD_SECRET: what follows `whsec_` in the secret is not Base64."
    assert errors["unset"].startswith("NOWHERE is not set.")
    assert errors["slack"].startswith("SLACK_URL is not set.")
    assert errors["mail"].startswith("There is no mail server for `email`.")
    with pytest.raises(NotFound):
        await courier(catalog).trial("p", "bot", "other")
    with pytest.raises(NotFound):
        await courier(catalog).trial("p", "nobody", "bad")


async def test_a_channel_that_is_gone_gets_nothing(catalog: Catalog, time: Time) -> None:
    fill(catalog, channels(ops="http://127.0.0.1:9/"))
    put(catalog, "ops")
    declare(catalog, {"alerts": {}})
    await send(courier(catalog))
    assert failed(catalog)[0].error == "The app has no such channel any more."


async def test_two_servers_send_it_once_and_one_that_dies_lets_go_of_it(catalog: Catalog, time: Time) -> None:
    async with receiver(saying(OK)) as (port, came):
        fill(catalog, channels(ops=f"http://127.0.0.1:{port}/"))
        put(catalog, "ops")
        (head,) = waiting(catalog)
        both = courier(catalog), courier(catalog)
        await asyncio.gather(*(each._deliver(head) for each in both))
        assert len(came) == 1
        put(catalog, "ops")
        (head,) = waiting(catalog)
        with catalog.begin() as connection:  # a server takes it, and dies
            assert store.take_notice(connection, head, clock.now_us() + deliver._LEASE_US)
        await send(both[0])
        assert len(came) == 1
        time.pass_s(61)
        await send(both[0])
        assert len(came) == 2


async def test_it_runs_until_it_is_ended_and_is_woken(catalog: Catalog) -> None:
    async with receiver(saying(OK)) as (port, came):
        fill(catalog, channels(ops=f"http://127.0.0.1:{port}/"))
        sender, ended = courier(catalog), asyncio.Event()
        running = asyncio.create_task(sender.run(ended))
        await asyncio.sleep(0)
        put(catalog, "ops")
        sender.wake()
        async with asyncio.timeout(5):
            while not came:
                await asyncio.sleep(0.01)
        ended.set()
        async with asyncio.timeout(5):
            await running


async def test_slack_gets_blocks_that_nobody_can_break_out_of(catalog: Catalog, time: Time) -> None:
    async with receiver(saying(OK)) as (port, came):
        fill(catalog, {"alerts": {"channels": {"chat": {"kind": "slack", "url_env": "CHAT_URL"}}}})
        put(catalog, "chat", "<!channel> & <https://evil.example|click> " + "x" * 5_000)
        await send(courier(catalog, CHAT_URL=f"http://127.0.0.1:{port}/services/T/B/secret"))
    message = body_of(came[0])
    assert "&lt;!channel&gt; &amp; &lt;https://evil.example|click&gt;" in message["text"]
    assert [block["type"] for block in message["blocks"]] == ["header", "section", "context", "section"]
    assert all(len(block["text"]["text"]) <= 3_000 for block in message["blocks"] if "text" in block)
    assert message["blocks"][-1]["text"]["text"] == "<https://rondo.example.com/alerts|alert>"
