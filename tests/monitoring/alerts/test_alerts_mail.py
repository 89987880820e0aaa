"""Mail to servers that take it, refuse it, hang, offer no encryption or are none."""

from __future__ import annotations

import email
import email.policy
import threading
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.alerts.mail_house import at, letter, smtp
from rondo.errors import UpstreamError, UpstreamTimeout
from rondo.monitoring.alerts import mail, notice
from rondo.monitoring.alerts.mail import Mailer, MailServer


async def sent(server: MailServer, **more: float) -> str | None:
    mailer = Mailer()
    try:
        return await mailer.send(server, letter(), **more)
    finally:
        mailer.close()


async def test_mail_arrives_as_text_and_as_html() -> None:
    async with smtp() as came:
        assert await sent(at(came.port)) is None
    assert [line for line in came.commands if line.lower().startswith("rcpt")] == [
        "rcpt TO:<a@example.com>",
        "rcpt TO:<b@example.com>",
    ]
    parsed = email.message_from_string(came.mails[0], policy=email.policy.default)
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
    async with smtp(refuse=verb) as came:
        with pytest.raises(UpstreamError) as refused:
            await sent(at(came.port))
    assert "hunter2" not in str(refused.value)


async def test_no_password_goes_over_a_line_that_is_not_encrypted() -> None:
    async with smtp(features=("AUTH PLAIN LOGIN",)) as came:
        with pytest.raises(UpstreamError, match="no encryption"):
            await sent(at(came.port, user="u", password="hunter2"))
    assert not any("AUTH" in line for line in came.commands)


async def test_a_server_that_hangs_is_left_and_holds_no_thread() -> None:
    mailer = Mailer()
    try:
        async with smtp(hang="") as slow, smtp() as quick:
            for _ in range(3):  # more than there are threads
                with pytest.raises(UpstreamTimeout, match=r"did not take it within 0\.1 s"):
                    await mailer.send(at(slow.port), letter(), timeout_s=0.1)
            assert await mailer.send(at(quick.port), letter(), timeout_s=5) is None
            assert len(quick.mails) == 1
    finally:
        mailer.close()
    for thread in threading.enumerate():
        if thread.name.startswith("mail"):
            thread.join(5)
            assert not thread.is_alive(), "a process could not end"


async def test_one_recipient_who_is_refused_keeps_it_from_nobody_else() -> None:
    async with smtp(refuse="RCPT TO:<a@example.com>") as came:
        assert await sent(at(came.port)) == "The mail server refused it for a@example.com."
    assert len(came.mails) == 1


async def test_a_mail_that_is_taken_is_sent_whatever_becomes_of_the_goodbye() -> None:
    async with smtp(hang="QUIT") as came:
        assert await sent(at(came.port), timeout_s=5) is None
    assert len(came.mails) == 1


@settings(max_examples=30)
@given(st.text(), st.text())
def test_any_words_make_a_mail(title: str, text: str) -> None:
    written = letter(title=title, text=text)
    assert len(written.as_bytes()) > 0
    assert written.keys() == letter().keys()


@pytest.mark.parametrize("greeting", ["554 go away", "SSH-2.0", "220 " + "x" * 10_000])
async def test_what_is_no_mail_server_is_a_failure(greeting: str) -> None:
    async with smtp(greeting=greeting) as came:
        with pytest.raises(UpstreamError):
            await sent(at(came.port))


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


@pytest.mark.parametrize("sender", ["Rondo", "rondo.example.com", "<>"])
def test_a_sender_that_is_no_address_is_told(sender: str) -> None:
    with pytest.raises(UpstreamError, match="RONDO_SMTP_FROM is no address"):
        mail.mail_server("smtps://mail.example.com", sender)


def test_an_address_is_read_whole() -> None:
    found = mail.mail_server("smtps://me%40x:p%2Fw@mail.example.com", "r@example.com")
    assert (found.host, found.port, found.user, found.password) == ("mail.example.com", 465, "me@x", "p/w")
    assert "p/w" not in repr(found)
    assert mail.mail_server("smtp://mail.example.com", "r@example.com").port == 587


def test_a_trial_says_that_nothing_is_wrong() -> None:
    told = notice.with_address(notice.trial("p", "bot", "ops", 0), None)
    assert told["data"]["links"] == {"alert": "/alerts"}
    assert told["type"] == "alert.test"
