"""From the name of a server to a connected socket: look it up, try its addresses, secure it.

Every way to fail has its own sentence: the name, the connection, the proxy, the certificate, or the time it took.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest
from typing import Any, NamedTuple, TypeVar

from rondo.errors import ConnectTimeout, UpstreamError, UpstreamUnreachable
from rondo.providers.http.address import Origin
from rondo.providers.http.proxy import Proxy, open_tunnel

P = TypeVar("P", bound=asyncio.Protocol)

_STAGGER_S = 0.25  # RFC 8305: how long an address may take before the next is tried beside it
_TTL_S = 60.0
# Long answers leave a connection silent for minutes, and there are networks that forget such connections.
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 30, "TCP_KEEPCNT": 4}


class Address(NamedTuple):
    """One address of a server, as sockets have it."""

    family: int
    sockaddr: Any


def tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Certificates and host names are verified, always. `ca_file` adds to the authorities that are trusted already.

    Raises OSError where the file cannot be read as certificates. OpenSSL itself reads SSL_CERT_FILE and SSL_CERT_DIR.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


class Names:
    """Looked-up names, remembered for a minute. Requests that need the same name at once share one look-up."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[float, list[Address]]] = {}
        self._asked: dict[tuple[str, int], asyncio.Task[list[Address]]] = {}

    async def addresses(self, host: str, port: int) -> list[Address]:
        """Raises socket.gaierror."""
        literal = _literal(host, port)
        if literal is not None:
            return [literal]
        key = (host, port)
        known = self._known.get(key)
        if known is not None and known[0] > asyncio.get_running_loop().time():
            return known[1]
        asked = self._asked.get(key)
        if asked is None:
            asked = self._asked[key] = asyncio.create_task(self._ask(host, port))
            asked.add_done_callback(lambda done: self._answered(key, done))
        # Shielded: one caller that gives up must not take the answer from the others.
        return await asyncio.shield(asked)

    def forget(self, host: str, port: int) -> None:
        """None of its addresses can be reached: ask again next time."""
        self._known.pop((host, port), None)

    async def _ask(self, host: str, port: int) -> list[Address]:
        addresses = await self._look_up(host, port)
        self._known[host, port] = (asyncio.get_running_loop().time() + _TTL_S, addresses)
        return addresses

    async def _look_up(self, host: str, port: int) -> list[Address]:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        return list(dict.fromkeys(Address(family, sockaddr) for family, _, _, _, sockaddr in found))

    def _answered(self, key: tuple[str, int], done: asyncio.Task[list[Address]]) -> None:
        self._asked.pop(key, None)
        if not done.cancelled():
            done.exception()  # looked at here, in case that nobody is left who waits for it


class Dialer:
    """Opens connections to one server, through a proxy where there is one."""

    def __init__(
        self, origin: Origin, proxy: Proxy | None, names: Names, tls: ssl.SSLContext | None, *, timeout_s: float
    ) -> None:
        """`timeout_s` is for everything together: the name, the connection, the proxy's tunnel, and TLS."""
        self._origin = origin
        self._proxy = proxy
        self._names = names
        self._tls = tls
        self._timeout_s = timeout_s

    async def dial(self, protocol: Callable[[], P]) -> P:
        """A connected protocol. Raises UpstreamUnreachable, ConnectTimeout."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._dial(protocol)
        except TimeoutError:
            raise ConnectTimeout(f"{self._where} took no connection within {self._timeout_s:g} s.") from None
        except socket.gaierror as error:
            raise self._failed(f"its name could not be looked up ({error.strerror})") from None
        except ssl.SSLCertVerificationError as error:
            raise self._failed(
                f"its TLS certificate was not accepted ({error.verify_message.rstrip('.')})",
                remedy="Certificates of an authority of your own: name its file in RONDO_CA_FILE.",
            ) from None
        except ssl.SSLError as error:
            raise self._failed(f"the TLS handshake failed ({error.reason or 'no reason given'})") from None
        except OSError as error:
            # Not `strerror`, which asyncio fills with words of its own.
            reason = os.strerror(error.errno) if error.errno else type(error).__name__
            raise self._failed(f"the connection failed ({reason})") from None

    @property
    def _where(self) -> str:
        through = f" through the proxy {self._proxy.name}" if self._proxy is not None else ""
        return f"{self._origin.authority}{through}"

    def _failed(self, reason: str, *, remedy: str | None = None) -> UpstreamError:
        return UpstreamUnreachable(f"{self._where} could not be reached: {reason}.", remedy=remedy)

    async def _dial(self, protocol: Callable[[], P]) -> P:
        host, port = (
            (self._origin.host, self._origin.port) if self._proxy is None else (self._proxy.host, self._proxy.port)
        )
        addresses = await self._names.addresses(host, port)
        try:
            sock = await connected(addresses)
        except OSError:
            self._names.forget(host, port)
            raise
        try:
            if self._proxy is not None and self._tls is not None:
                await open_tunnel(sock, self._proxy, self._origin)
        except BaseException:
            sock.close()
            raise
        return await self._secured(sock, protocol)

    async def _secured(self, sock: socket.socket, protocol: Callable[[], P]) -> P:
        """The protocol on its transport, over TLS where the server speaks it. Closes the socket where it fails."""
        made = False

        def make() -> P:
            nonlocal made
            made = True
            return protocol()

        host = None if self._tls is None else self._origin.host.rstrip(".")
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                make, sock=sock, ssl=self._tls, server_hostname=host
            )
        except ConnectionError as error:
            raise self._failed(f"the TLS handshake was broken off ({type(error).__name__})") from None
        finally:
            if not made:  # from then on the socket is the transport's, which closes it
                sock.close()
        return connection


async def connected(addresses: Sequence[Address]) -> socket.socket:
    """A socket to the first address that takes one; families take turns. Raises OSError, the last address's."""
    waiting = _interleaved(addresses)[::-1]
    if len(waiting) == 1:
        return await _connect(waiting[0])
    trying: set[asyncio.Task[socket.socket]] = set()
    failure: BaseException = OSError("the name has no address")
    try:
        while waiting or trying:
            if waiting:
                trying.add(asyncio.create_task(_connect(waiting.pop())))
            done, trying = await asyncio.wait(
                trying, timeout=_STAGGER_S if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            good = [task for task in done if task.exception() is None]
            for late in good[1:]:
                late.result().close()
            if good:
                return good[0].result()
            failure = next((error for task in done if (error := task.exception())), failure)
    finally:
        for task in trying:
            task.add_done_callback(_close_late)
            task.cancel()
    raise failure


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connect(address: Address) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE.items():
            if hasattr(socket, option):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        await asyncio.get_running_loop().sock_connect(sock, address.sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


def _literal(host: str, port: int) -> Address | None:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return None
    return Address(socket.AF_INET, (host, port)) if ip.version == 4 else Address(socket.AF_INET6, (host, port, 0, 0))


def _interleaved(addresses: Sequence[Address]) -> list[Address]:
    """In the resolver's order, but with the families taking turns."""
    first = [each for each in addresses if each.family == addresses[0].family]
    others = [each for each in addresses if each.family != addresses[0].family]
    return [each for each in chain.from_iterable(zip_longest(first, others)) if each is not None]
