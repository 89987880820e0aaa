"""Notices by e-mail: plain text and HTML, sent over SMTP as the operator's environment says.

`smtps://user:password@host:465` is encrypted from the start; `smtp://host:587` asks for STARTTLS, and a password is
sent over nothing else. The blocking client of the standard library runs in threads of its own, so that a mail server
that hangs holds up nobody else.
"""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from email.utils import formatdate
from html import escape
from typing import Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct

from rondo.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable

TIMEOUT_S = 20.0
_SOCKET_S = 10.0
_THREADS = 2
_LONGEST_SUBJECT = 200


class MailServer(Struct, frozen=True, kw_only=True):
    """Where mail is handed in."""

    host: str
    port: int
    encrypted: bool
    user: str | None
    password: str | None
    sender: str

    def __repr__(self) -> str:
        return f"MailServer({self.host}:{self.port})"  # not the password


def mail_server(url: str | None, sender: str | None) -> MailServer:
    """From RONDO_SMTP_URL and RONDO_SMTP_FROM. Raises UpstreamUnreachable, without the password."""
    remedy = "Set RONDO_SMTP_URL to smtps://USER:PASSWORD@HOST:465 or smtp://HOST:587, and RONDO_SMTP_FROM."
    if not url or not sender:
        raise UpstreamUnreachable("There is no mail server for `email`.", remedy=remedy)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UpstreamUnreachable("RONDO_SMTP_URL is no address.", remedy=remedy) from None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise UpstreamUnreachable("RONDO_SMTP_URL is no address of a mail server.", remedy=remedy)
    encrypted = parts.scheme == "smtps"
    return MailServer(
        host=parts.hostname,
        port=port or (465 if encrypted else 587),
        encrypted=encrypted,
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        sender=sender,
    )


def message(id_: str, payload: dict[str, Any], sender: str, to: list[str]) -> EmailMessage:
    """The links are whole by now. The id stays the same over all tries, as mail programs want it of twins."""
    data = payload["data"]
    mail = EmailMessage()
    mail["Subject"] = _line(f"[{data['severity']}] {data['title']}")[:_LONGEST_SUBJECT]
    mail["From"] = _line(sender)
    mail["To"] = ", ".join(to)
    mail["Date"] = formatdate()
    mail["Message-ID"] = f"<{id_}@rondo.alerts>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content("\n".join(_plain(data)) + "\n")
    mail.add_alternative(_html(data), subtype="html")
    return mail


class Mailer:
    """Sends mail."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="mail")

    async def send(self, server: MailServer, mail: EmailMessage, *, timeout_s: float = TIMEOUT_S) -> None:
        """Raises UpstreamError where the server did not take it from all."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                await loop.run_in_executor(self._threads, self._send, server, mail)
        except TimeoutError:
            raise UpstreamTimeout(f"The mail server did not take it within {timeout_s:g} s.") from None

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _send(self, server: MailServer, mail: EmailMessage) -> None:
        tls = self._tls or ssl.create_default_context()
        try:
            with self._connected(server, tls) as client:
                if server.user is not None and server.password is not None:
                    client.login(server.user, server.password)
                refused = client.send_message(mail)
        except smtplib.SMTPResponseException as error:  # its text may repeat what it was told
            raise UpstreamError(f"The mail server refused it ({error.smtp_code}).", status=error.smtp_code) from None
        except smtplib.SMTPRecipientsRefused:
            raise UpstreamError("The mail server refused every recipient.") from None
        except (smtplib.SMTPException, ssl.SSLError, UnicodeError) as error:
            raise UpstreamError(f"The mail server could not be spoken with ({type(error).__name__}).") from None
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise UpstreamUnreachable(f"The mail server could not be reached ({reason}).") from None
        if refused:
            raise UpstreamError(f"The mail server refused {len(refused)} of the recipients.")

    def _connected(self, server: MailServer, tls: ssl.SSLContext) -> smtplib.SMTP:
        if server.encrypted:
            return smtplib.SMTP_SSL(server.host, server.port, timeout=_SOCKET_S, context=tls)
        client = smtplib.SMTP(server.host, server.port, timeout=_SOCKET_S)
        try:
            client.ehlo()
            if client.has_extn("starttls"):
                client.starttls(context=tls)
                client.ehlo()
            elif server.password is not None:
                raise UpstreamUnreachable(
                    "The mail server offers no encryption (STARTTLS), so it gets no password.",
                    remedy="Use smtps://, or a server that offers it.",
                )
        except BaseException:
            client.close()
            raise
        return client


def _plain(data: dict[str, Any]) -> list[str]:
    lines = [data["text"], ""]
    if data.get("release"):
        lines += [f"It came with: {data['release']}", ""]
    lines += [f"{name}: {address}" for name, address in data["links"].items()]
    if data["traces"]:
        lines += ["", "Calls behind it:", *(f"  {trace}" for trace in data["traces"])]
    return [_line(line) for line in lines]


def _html(data: dict[str, Any]) -> str:
    parts = [f"<p><strong>{escape(data['title'])}</strong></p>", f"<p>{escape(data['text'])}</p>"]
    if data.get("release"):
        parts.append(f"<p>It came with: {escape(data['release'])}</p>")
    links = [
        f'<a href="{escape(address)}">{escape(name)}</a>'
        if address.startswith(("https://", "http://"))
        else f"{escape(name)}: <code>{escape(address)}</code>"
        for name, address in data["links"].items()
    ]
    parts.append(f"<p>{' · '.join(links)}</p>")
    if data["traces"]:
        rows = "".join(f"<li><code>{escape(trace)}</code></li>" for trace in data["traces"])
        parts.append(f"<p>Calls behind it:</p><ul>{rows}</ul>")
    return f"<!doctype html><html><body>{''.join(parts)}</body></html>"


def _line(text: str) -> str:
    return " ".join(text.split())
