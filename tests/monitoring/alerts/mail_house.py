"""A small mail server that a test speaks with: it takes mail, refuses it, hangs, or offers encryption and a login."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

from msgspec import Struct, field

from rondo.monitoring.alerts import mail
from rondo.monitoring.alerts.mail import MailServer

LOGIN = ("rondo", "hunter2")


class Talked(Struct):
    """What came: the port it came to, the commands, the mails, and which commands came encrypted."""

    port: int
    commands: list[str] = field(default_factory=list)
    mails: list[str] = field(default_factory=list)
    encrypted: list[str] = field(default_factory=list)


class Manners(Struct, kw_only=True):
    """How it behaves. `refuse` is what a command that it answers 550 begins with; with `login` mail is only taken from
    whoever knows LOGIN; `starttls` is offered, `tls` is spoken from the start."""

    refuse: str = ""
    greeting: str = "220 ready"
    features: tuple[str, ...] = ()
    hang: str | None = None
    login: bool = False
    tls: ssl.SSLContext | None = None
    starttls: ssl.SSLContext | None = None


@asynccontextmanager
async def smtp(**manners: Any) -> AsyncIterator[Talked]:
    behaves, talked = Manners(**manners), Talked(0)
    talks: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        try:
            await _Talk(behaves, talked, reader, writer).go_on()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            talks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=behaves.tls)
    talked.port = server.sockets[0].getsockname()[1]
    try:
        yield talked
    finally:
        for task in talks:
            task.cancel()
        server.close()


class _Talk:
    def __init__(
        self, manners: Manners, talked: Talked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._manners = manners
        self._talked = talked
        self._reader = reader
        self._writer = writer
        self._is_encrypted = manners.tls is not None
        self._is_known = not manners.login

    async def go_on(self) -> None:
        self._say(self._manners.greeting)
        while line := (await self._reader.readline()).decode().strip():
            self._talked.commands.append(line)
            if self._is_encrypted:
                self._talked.encrypted.append(line)
            verb = line.split(" ")[0].split(":")[0].upper()
            if self._manners.hang in ("", verb):
                while True:  # a byte now and then keeps every time limit of a single read away
                    self._writer.write(b"2")
                    await self._writer.drain()
                    await asyncio.sleep(0.02)
            if verb == "QUIT":
                self._say("221 bye")
                return
            await self._answer(line, verb)

    async def _answer(self, line: str, verb: str) -> None:
        manners = self._manners
        if manners.refuse and line.upper().startswith(manners.refuse.upper()):
            self._say("550 5.7.1 no, user:hunter2")
        elif verb == "EHLO":
            self._introduce()
        elif verb == "STARTTLS" and manners.starttls is not None:
            self._say("220 go on")
            await self._writer.start_tls(manners.starttls)
            self._is_encrypted = True
        elif verb == "AUTH":
            self._is_known = base64.b64decode(line.rsplit(" ", maxsplit=1)[-1]).decode().split("\0")[1:] == list(LOGIN)
            self._say("235 welcome" if self._is_known else "535 not with hunter2")
        elif verb == "MAIL" and not self._is_known:
            self._say("530 who are you?")
        elif verb == "DATA":
            self._say("354 go on")
            self._talked.mails.append((await self._reader.readuntil(b"\r\n.\r\n")).decode())
            self._say("250 taken")
        else:
            self._say("250 ok")

    def _introduce(self) -> None:
        lines = ["rondo.test", *self._manners.features]
        if self._manners.starttls is not None and not self._is_encrypted:
            lines.append("STARTTLS")
        if self._manners.login and self._is_encrypted:
            lines.append("AUTH PLAIN")
        for at, word in enumerate(lines):
            self._say(f"250{'-' if at < len(lines) - 1 else ' '}{word}")

    def _say(self, words: str) -> None:
        self._writer.write(f"{words}\r\n".encode())


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
