"""Notices by e-mail: plain text and HTML, sent over SMTP as the operator's environment says.

`smtps://user:password@host:465` is encrypted from the start; `smtp://host:587` asks for STARTTLS, and a password is
sent over nothing else. The blocking client of the standard library runs in threads of its own, and what takes too long
is cut off, so that a mail server that hangs holds up nobody.
"""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from html import escape
from threading import Lock
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
    if "@" not in parseaddr(sender)[1]:
        raise UpstreamUnreachable("RONDO_SMTP_FROM is no address.", remedy="It is like: Rondo <rondo@example.com>.")
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
    """Sends mail. The certificates in `ca_file` are trusted beside those of the system."""

    def __init__(self, *, ca_file: str | None = None) -> None:
        self._ca_file = ca_file
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="mail")
        self._lines: set[_Line] = set()

    async def send(self, server: MailServer, mail: EmailMessage, *, timeout_s: float = TIMEOUT_S) -> str | None:
        """What is missing where the server did not take it for every recipient: those who got it must not get it again
        for those who cannot. Raises UpstreamError where it took it for none."""
        loop, line = asyncio.get_running_loop(), _Line()
        self._lines.add(line)
        try:
            async with asyncio.timeout(timeout_s):
                return await loop.run_in_executor(self._threads, self._send, server, mail, line)
        except TimeoutError:
            raise UpstreamTimeout(f"The mail server did not take it within {timeout_s:g} s.") from None
        finally:
            line.cut()
            self._lines.discard(line)

    def close(self) -> None:
        """Cuts off what is under way."""
        for line in list(self._lines):
            line.cut()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _send(self, server: MailServer, mail: EmailMessage, line: _Line) -> str | None:
        tls = self._trusted()
        try:
            client = _connected(server, tls, line)
            try:
                if server.user is not None and server.password is not None:
                    client.login(server.user, server.password)
                refused = client.send_message(mail)
                with suppress(OSError, smtplib.SMTPException):
                    client.putcmd("quit")  # whatever is said to that, the mail is taken
            finally:
                client.close()
        except smtplib.SMTPResponseException as error:  # its text may repeat what it was told
            raise UpstreamError(f"The mail server refused it ({error.smtp_code}).", status=error.smtp_code) from None
        except smtplib.SMTPRecipientsRefused:
            raise UpstreamError("The mail server refused every recipient.") from None
        except ssl.SSLCertVerificationError as error:
            raise UpstreamUnreachable(
                f"The mail server's TLS certificate was not accepted ({error.verify_message.rstrip('.')}).",
                remedy="Certificates of an authority of your own: name its file in RONDO_CA_FILE.",
            ) from None
        except (smtplib.SMTPException, ssl.SSLError, UnicodeError) as error:
            raise UpstreamError(f"The mail server could not be spoken with ({type(error).__name__}).") from None
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise UpstreamUnreachable(f"The mail server could not be reached ({reason}).") from None
        return f"The mail server refused it for {', '.join(sorted(refused))}." if refused else None

    def _trusted(self) -> ssl.SSLContext:
        tls = ssl.create_default_context()
        if self._ca_file is not None:
            try:
                tls.load_verify_locations(self._ca_file)
            except OSError:
                raise UpstreamUnreachable(
                    "RONDO_CA_FILE cannot be read as certificates.", remedy="It is a file of certificates in PEM."
                ) from None
        return tls


class _Line:
    """The connection of one mail. Once it is cut, whatever a thread waits for on it ends."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._socket: socket.socket | None = None
        self._is_cut = False

    def hold(self, connected: socket.socket) -> None:
        """Raises TimeoutError where it has been cut already."""
        with self._lock:
            if self._is_cut:
                connected.close()
                raise TimeoutError
            self._socket = connected.dup()  # TLS takes the socket itself over

    def cut(self) -> None:
        with self._lock:
            self._is_cut = True
            if self._socket is not None:
                with suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
                self._socket.close()
                self._socket = None


class _Client(smtplib.SMTP):
    """Encrypted from the start where the server is to be spoken to so; its line can be cut from the first byte on."""

    def __init__(self, server: MailServer, tls: ssl.SSLContext, line: _Line) -> None:
        self._server = server
        self._tls = tls
        self._line = line
        super().__init__(server.host, server.port, timeout=_SOCKET_S)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        """Where the standard library's own SMTP_SSL makes its socket too."""
        plain = socket.create_connection((host, port), timeout)
        self._line.hold(plain)
        return self._tls.wrap_socket(plain, server_hostname=host) if self._server.encrypted else plain


def _connected(server: MailServer, tls: ssl.SSLContext, line: _Line) -> smtplib.SMTP:
    client = _Client(server, tls, line)
    if server.encrypted:
        return client
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
