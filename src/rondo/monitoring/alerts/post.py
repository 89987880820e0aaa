"""One POST to an address that somebody else chose: bounded in time and size, without redirects, and only where allowed.

Each has a connection of its own, made with the providers' client (`providers/http`): a notice is rare, and nothing of
one receiver must be left for the next.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Mapping

from msgspec import Struct

from rondo.errors import RondoError, SettingsError, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from rondo.monitoring.alerts.reach import Allowed
from rondo.providers.http import address
from rondo.providers.http.connection import Connection
from rondo.providers.http.dial import Address, Dialer, Names, tls_context
from rondo.providers.http.proxy import Routes
from rondo.settings.environment import Proxies

TIMEOUT_S = 15.0
_CONNECT_S = 5.0
_READ = 2_048
_SHOWN = 200
_LONGEST_WAIT_S = 3_600
_PARTS = re.compile(r"[/?&=]")
_LEAST_SECRET = 8
_UNSHOWABLE = re.compile(r"[^\x20-\x7e]+")


class Answered(Struct, frozen=True, kw_only=True):
    """What came back. `words` is the beginning of the body, without the parts of the address that it repeats: where
    that is the secret, nobody reads it here. `wait_s` is how long it asks to be left alone."""

    status: int
    words: str
    wait_s: int | None = None


class Poster:
    """Posts to webhooks. Use it on one event loop."""

    def __init__(self, allowed: Allowed, *, proxies: Proxies = Proxies(), ca_file: str | None = None) -> None:  # noqa: B008
        """Raises SettingsError where the environment names a proxy that cannot be used."""
        self._allowed = allowed
        self._ca_file = ca_file
        self._tls: ssl.SSLContext | None = None
        try:
            self._routes = Routes(proxies)
        except ValueError as error:
            raise SettingsError(f"{error}.", file="the environment") from None

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float = TIMEOUT_S
    ) -> Answered:
        """`timeout_s` is for all of it, however the answer comes. Raises UpstreamError."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._post(url, body, headers, timeout_s)
        except TimeoutError:
            raise UpstreamTimeout(f"It did not answer within {timeout_s:g} s.") from None

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Answered:
        try:
            origin, path = address.split(url)
            head = address.checked({"content-type": "application/json", **headers, "user-agent": "rondo-alerts"})
        except ValueError as error:
            raise UpstreamUnreachable(f"The address of the channel cannot be used: {error}.") from None
        proxy = self._routes.proxy_for(origin)
        if proxy is not None and origin.scheme == "http":
            raise UpstreamUnreachable(
                "A proxy stands before http:// addresses, and notices do not go through it unencrypted.",
                remedy="Use an https:// address, or name the host in NO_PROXY.",
            )
        names = Names() if proxy is not None else CheckedNames(self._allowed)
        if proxy is not None:
            CheckedNames(self._allowed).check_literal(origin.host, origin.port)
        tls = self._secure() if origin.scheme == "https" else None
        dialer = Dialer(origin, proxy, names, tls, timeout_s=_CONNECT_S)
        connection = await dialer.dial(lambda: Connection(origin.authority, _nothing, _nothing))
        try:
            own = {"host": origin.authority, "accept-encoding": "identity", **head, "connection": "close"}
            await connection.ask(b"%b%d\r\n\r\n" % (address.request_head(path, own), len(body)), body, timeout_s)
            return await _answer(connection, path)
        finally:
            connection.abort()

    def _secure(self) -> ssl.SSLContext:
        if self._tls is None:
            try:
                self._tls = tls_context(self._ca_file)
            except OSError:
                raise UpstreamUnreachable(
                    "RONDO_CA_FILE cannot be read as certificates.", remedy="It is a file of certificates in PEM."
                ) from None
        return self._tls


class CheckedNames(Names):
    """Addresses that may be connected to: the check is of what the socket is given."""

    def __init__(self, allowed: Allowed) -> None:
        super().__init__()
        self._allowed = allowed

    async def addresses(self, host: str, port: int) -> list[Address]:
        found = await super().addresses(host, port)
        sound = [each for each in found if self._allowed.may_reach(host, port, str(each.sockaddr[0]))]
        if not sound:
            raise _refused(host)
        return sound

    def check_literal(self, host: str, port: int) -> None:
        """For a host that a proxy will look up. Raises UpstreamUnreachable."""
        try:
            sound = self._allowed.may_reach(host, port, _address_of(host))
        except (ValueError, OSError):  # a name, which is the proxy's to judge
            plain = host.rstrip(".")
            sound = not (plain == "localhost" or plain.endswith(".localhost")) or self._allowed.names(host, port)
        if not sound:
            raise _refused(host)


def _address_of(host: str) -> str:
    """The address that a host is, also as `127.1` or `0x7f000001`. Raises OSError where it is a name."""
    return host if ":" in host else socket.inet_ntoa(socket.inet_aton(host.rstrip(".")))


def _refused(host: str) -> RondoError:
    return UpstreamUnreachable(
        f"{host} is an address of this machine or of a private network.",
        remedy="The operator allows it in RONDO_WEBHOOK_HOSTS.",
    )


async def _answer(connection: Connection, path: str) -> Answered:
    """The status decides; of the body no more is read than is shown, and none that does not come soon."""
    body = b""
    try:
        async with asyncio.timeout(1.0):
            while len(body) < _READ and (part := await connection.part()):
                body += part
    except (TimeoutError, UpstreamError):
        pass  # what was said is said
    words = _UNSHOWABLE.sub(" ", body[:_READ].decode("utf-8", "replace"))
    for piece in sorted({path, *_PARTS.split(path)}, key=len, reverse=True):
        if len(piece) >= _LEAST_SECRET:
            words = words.replace(piece, "…")
    words = words.strip()[:_SHOWN]
    asked = connection.headers.get(b"retry-after", b"")
    wait_s = min(int(asked), _LONGEST_WAIT_S) if asked.isdigit() and len(asked) < 10 else None
    return Answered(status=connection.status, words=words, wait_s=wait_s)


def _nothing(_: Connection) -> None:
    """Connections are kept by nobody."""
