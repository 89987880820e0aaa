"""Mail to servers that take it, refuse it, hang, offer no encryption or are none."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

import pytest

from rondo.errors import UpstreamError
from rondo.monitoring.alerts import mail, notice
from rondo.monitoring.alerts.mail import Mailer, MailServer

Answer = Callable[[str], str]


@asynccontextmanager
async def smtp(
    refuse: str = "", greeting: str = "220 ready", features: tuple[str, ...] = (), hang: bool = False
) -> AsyncIterator[tuple[int, list[str], list[str]]]:
    """A small mail server: its port, the commands it got, and the mails. `refuse` is the verb that it answers 550."""
    commands: list[str] = []
    mails: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await _talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{greeting}\r\n".encode())
        while line := (await reader.readline()).decode().strip():
            commands.append(line)
            verb = line.split(" ")[0].split(":")[0].upper()
            if hang:
                await asyncio.sleep(5)
            if refuse and verb == refuse:
                writer.write(b"550 5.7.1 no, user:hunter2\r\n")
            elif verb == "EHLO":
                lines = ["rondo.test", *features]
                said = [f"250{'-' if at < len(lines) - 1 else ' '}{word}\r\n" for at, word in enumerate(lines)]
                writer.write("".join(said).encode())
            elif verb == "DATA":
                writer.write(b"354 go on\r\n")
                body = await reader.readuntil(b"\r\n.\r\n")
                mails.append(body.decode())
                writer.write(b"250 taken\r\n")
            elif verb == "QUIT":
                writer.write(b"221 bye\r\n")
                return
            else:
                writer.write(b"250 ok\r\n")

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], commands, mails
    finally:
        server.close()


def at(port: int, **more: Any) -> MailServer:
    plain = {"host": "127.0.0.1", "encrypted": False, "user": None, "password": None, "sender": "r@example.com"}
    return MailServer(**{**plain, "port": port, **more})


def content(title: str = "bot: errors fires", text: str = "errors.rate is 0.2.") -> dict[str, Any]:
    data = {
        "title": title,
        "text": text,
        "severity": "critical",
        "status": "firing",
        "traces": ["0" * 32],
        "release": "bot#7: split by ann",
        "links": {"alert": "https://rondo.example.com/alerts/alert_1", "calls": "/calls?app=bot"},
    }
    return {"type": "alert.firing", "timestamp": "", "data": data}


def letter(**more: Any) -> EmailMessage:
    return mail.message("msg_1", content(**more), "Rondo <r@example.com>", ["a@example.com", "b@example.com"])


async def sent(server: MailServer, **more: float) -> None:
    mailer = Mailer()
    try:
        await mailer.send(server, letter(), **more)
    finally:
        mailer.close()


async def test_mail_arrives_as_text_and_as_html() -> None:
    async with smtp() as (port, commands, mails):
        await sent(at(port))
    assert [line for line in commands if line.lower().startswith("rcpt")] == [
        "rcpt TO:<a@example.com>",
        "rcpt TO:<b@example.com>",
    ]
    parsed = email.message_from_string(mails[0], policy=email.policy.default)
    assert parsed["Subject"] == "[critical] bot: errors fires"
    assert parsed["Message-ID"] == "<msg_1@rondo.alerts>"
    assert isinstance(parsed, EmailMessage)
    plain, html = parsed.get_body(("plain",)), parsed.get_body(("html",))
    assert plain is not None
    assert "It came with: bot#7" in plain.get_content()
    assert html is not None
    assert '<a href="https://rondo.example.com/alerts/alert_1">alert</a>' in html.get_content()


def test_hostile_words_are_words() -> None:
    written = letter(title="x\r\nBcc: evil@example.com", text="<script>alert(1)</script>")
    assert written["Bcc"] is None
    assert "\n" not in written["Subject"]
    html = written.get_body(("html",))
    assert html is not None
    assert "<script>" not in html.get_content()


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
async def test_what_is_refused_is_told_without_the_servers_words(verb: str) -> None:
    async with smtp(refuse=verb) as (port, _, _):
        with pytest.raises(UpstreamError) as refused:
            await sent(at(port))
    assert "hunter2" not in str(refused.value)


async def test_no_password_goes_over_a_line_that_is_not_encrypted() -> None:
    async with smtp(features=("AUTH PLAIN LOGIN",)) as (port, commands, _):
        with pytest.raises(UpstreamError, match="no encryption"):
            await sent(at(port, user="u", password="hunter2"))
    assert not any("AUTH" in line for line in commands)


async def test_a_server_that_hangs_is_left() -> None:
    async with smtp(hang=True) as (port, _, _):
        with pytest.raises(UpstreamError, match=r"did not take it within 0\.1 s"):
            await sent(at(port), timeout_s=0.1)


@pytest.mark.parametrize("greeting", ["554 go away", "SSH-2.0", "220 " + "x" * 10_000])
async def test_what_is_no_mail_server_is_a_failure(greeting: str) -> None:
    async with smtp(greeting=greeting) as (port, _, _):
        with pytest.raises(UpstreamError):
            await sent(at(port))


async def test_a_server_that_is_down_is_a_failure() -> None:
    with pytest.raises(UpstreamError, match="could not be reached"):
        await sent(at(9))


@pytest.mark.parametrize(
    "url", [None, "", "http://mail", "smtp://", "smtps://u:hunter2@h:notaport", "mail.example.com"]
)
def test_a_wrong_address_is_told_without_its_words(url: str | None) -> None:
    with pytest.raises(UpstreamError) as refused:
        mail.mail_server(url, "r@example.com")
    assert "hunter2" not in str(refused.value)
    assert "RONDO_SMTP_URL" in str(refused.value)


def test_an_address_is_read_whole() -> None:
    found = mail.mail_server("smtps://me%40x:p%2Fw@mail.example.com", "r@example.com")
    assert (found.host, found.port, found.user, found.password) == ("mail.example.com", 465, "me@x", "p/w")
    assert "p/w" not in repr(found)
    assert mail.mail_server("smtp://mail.example.com", "r@example.com").port == 587


def test_a_trial_says_that_nothing_is_wrong() -> None:
    told = notice.with_address(notice.trial("p", "bot", "ops", 0), None)
    assert told["data"]["links"] == {"alert": "/alerts"}
    assert told["type"] == "alert.test"
