"""Delivery to receivers that are well, down, slow or hostile: in order, at least once, and nobody waits for another."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from typing import Any

import pytest

from monitoring.alerts.alerts_house import OK, START, Time, declare, fill, receiver, saying
from monitoring.alerts.mail_house import smtp
from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.errors import NotFound
from rondo.monitoring.alerts import deliver, notice, store, view
from rondo.monitoring.alerts.changes import new_notice
from rondo.monitoring.alerts.deliver import Courier, backoff_s
from rondo.monitoring.alerts.mail import Mailer
from rondo.monitoring.alerts.metrics import AlertMetrics
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


def undelivered(catalog: Catalog) -> dict[tuple[str, str, str], float]:
    """As Prometheus is told."""
    with catalog.read() as connection:
        families = {each.name: each for each in AlertMetrics(connection, "p", clock.now_us()).collect()}
    samples = families["rondo_alerts_undelivered"].samples
    return {(each.labels["app"], each.labels["channel"], each.labels["status"]): each.value for each in samples}


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
    sender, tries, began = courier(catalog), 1, clock.now_us()
    assert undelivered(catalog) == {}, "it has not been tried yet"
    await send(sender)
    assert undelivered(catalog) == {("bot", "ops", "waiting"): 1}
    time.pass_s(backoff_s(1))
    while waiting(catalog):
        await send(sender)
        tries += 1
        time.pass_s(backoff_s(tries))
    assert 20 <= tries <= 33
    assert 0.9 <= (clock.now_us() - began) / 86_400_000_000 <= 1.2
    (dead,) = failed(catalog)
    assert dead.status == "dead"
    assert undelivered(catalog) == {("bot", "ops", "given_up"): 1}
    time.pass_s(86_401)
    assert undelivered(catalog) == {}, "it was said for a day"
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
    for tries in range(4, 10):
        time.pass_s(3_600)
        await send(sender)
        assert waiting(catalog)[0].attempts == tries
    time.jump(200 * 86_400_000_000)
    await send(sender)
    assert [each.attempts for each in waiting(catalog)] == [10]


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_is_refused_for_its_content_holds_up_the_next_for_minutes(
    catalog: Catalog, time: Time, status: int
) -> None:
    async def talk(request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        poison = b"poison" in request
        writer.write((f"HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n" if poison else OK).encode())

    async with receiver(talk) as (port, _came):
        fill(catalog, channels(ops=f"http://127.0.0.1:{port}/"))
        put(catalog, "ops", "poison")
        put(catalog, "ops", "well")
        sender, began = courier(catalog), clock.now_us()
        while waiting(catalog):
            await send(sender)
            time.pass_s(60)
        assert clock.now_us() - began < 30 * 60_000_000
    (dead,) = failed(catalog)
    assert (dead.status, dead.payload["data"]["text"]) == ("dead", "poison")


async def test_mail_that_one_recipient_cannot_get_is_sent_once(catalog: Catalog, time: Time) -> None:
    async with smtp(refuse="RCPT TO:<gone@") as came:
        fill(catalog, {"alerts": {"channels": {"team": {"kind": "email", "to": ["gone@x.com", "b@x.com"]}}}})
        put(catalog, "team")
        mail = {"RONDO_SMTP_URL": f"smtp://127.0.0.1:{came.port}", "RONDO_SMTP_FROM": "r@example.com"}
        sender = courier(catalog, **mail)
        for _ in range(3):
            await send(sender)
            time.pass_s(3_600)
        tried = await sender.trial("p", "bot", "team")
    assert len(came.mails) == 2
    (told,) = failed(catalog)
    assert (told.status, told.error) == ("sent", "The mail server refused it for gone@x.com.")
    assert (tried.error, tried.but) == (None, told.error)
    with catalog.read() as connection:
        found = view.checks(connection, "p", [], clock.now_us())
    details = [check.detail for check in found if not check.ok]
    assert details == ["1 sent, but not to all: The mail server refused it for gone@x.com."]


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
