"""Proxies: which requests go through one, and how a tunnel through it is asked for.

The rules are curl's: http upstreams are asked for by their whole address, https upstreams through a CONNECT tunnel, in
which the TLS session is with the upstream, not with the proxy. Proxies are spoken to over plain TCP.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from base64 import b64encode
from urllib.parse import unquote, urlsplit

from rondo.errors import UpstreamUnreachable
from rondo.providers.http.address import Origin, host_of
from rondo.settings.environment import Proxies

_MAX_HEAD = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9]\d\d)(?: [^\r\n]*)?\r\n")
_USUAL_PORT = 1080  # curl's, for a proxy whose address names none


class Proxy:
    """One proxy. Its password stands in `authorization` and nowhere else."""

    __slots__ = ("authorization", "host", "port")

    def __init__(self, host: str, port: int, authorization: str | None) -> None:
        self.host = host
        self.port = port
        self.authorization = authorization

    @property
    def name(self) -> str:
        """For people: without user name and password."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(address: str) -> Proxy:
    """A proxy from its address, `[http://][user:password@]host[:port]`. Raises ValueError, without the password."""
    if "://" not in address:
        address = f"http://{address}"
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise ValueError("it is no address") from None
    if parts.scheme != "http":
        raise ValueError(f"{parts.scheme}:// proxies are not supported; use an http:// one")
    host = host_of(parts.hostname)
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {b64encode(pair.encode()).decode()}"
    return Proxy(host, port or _USUAL_PORT, authorization)


class Routes:
    """Which proxy a server is reached through."""

    def __init__(self, proxies: Proxies) -> None:
        """Raises ValueError for a proxy that cannot be used; the message names the variable."""
        self._by_scheme: dict[str, Proxy | None] = {}
        for scheme, address in (("http", proxies.http), ("https", proxies.https)):
            try:
                self._by_scheme[scheme] = parse(address) if address else None
            except ValueError as error:
                raise ValueError(f"the proxy for {scheme}:// addresses cannot be used: {error}") from None
        self._exceptions = proxies.exceptions

    def proxy_for(self, origin: Origin) -> Proxy | None:
        """None where it is reached directly."""
        proxy = self._by_scheme[origin.scheme]
        return None if proxy is None or is_excepted(origin, self._exceptions) else proxy


def is_excepted(origin: Origin, exceptions: str) -> bool:
    """Whether a server is reached without a proxy: it is this machine, or NO_PROXY has it."""
    host = origin.host.rstrip(".")
    ip = _ip(host)
    if host == "localhost" or host.endswith(".localhost") or (ip is not None and ip.is_loopback):
        return True
    return any(_covers(entry, host, ip, origin.port) for entry in exceptions.replace(",", " ").split())


_IP = ipaddress.IPv4Address | ipaddress.IPv6Address


def _ip(text: str) -> _IP | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _covers(entry: str, host: str, ip: _IP | None, port: int) -> bool:
    """One entry: `*`, a name (with all names below it), an IP address or a network; `:port` limits it to one port."""
    entry = entry.lower()
    if entry == "*":
        return True
    name, number = _with_port(entry)
    if number is not None and number != port:
        return False
    if ip is not None:
        try:
            return ip in ipaddress.ip_network(name, strict=False)
        except ValueError:
            return False
    name = name.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _with_port(entry: str) -> tuple[str, int | None]:
    """`host:port`, `[ipv6]:port`, or what has no port, an IPv6 address without brackets too."""
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        rest = rest.removeprefix(":")
        # curl writes a network as [2001:db8::]/32.
        return (f"{name}{rest}", None) if rest.startswith("/") else (name, int(rest) if _is_port(rest) else None)
    name, colon, rest = entry.partition(":")
    return (name, int(rest)) if colon and _is_port(rest) else (entry, None)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 6


async def open_tunnel(sock: socket.socket, proxy: Proxy, origin: Origin) -> None:
    """Have the proxy connect `sock` to the server. Raises UpstreamUnreachable, OSError."""
    loop = asyncio.get_running_loop()
    lines = [f"CONNECT {origin.with_port} HTTP/1.1", f"host: {origin.with_port}"]
    if proxy.authorization is not None:
        lines.append(f"proxy-authorization: {proxy.authorization}")
    await loop.sock_sendall(sock, "\r\n".join([*lines, "", ""]).encode("latin-1"))
    head = bytearray()
    while (end := head.find(b"\r\n\r\n")) < 0:
        part = await loop.sock_recv(sock, 4096)
        if not part or len(head) > _MAX_HEAD:
            raise _refused(proxy, origin, "it broke off its answer" if not part else "its answer has no end")
        head += part
    status = _STATUS.match(head)
    if status is None:
        raise _refused(proxy, origin, "it does not speak HTTP")
    code = int(status[1])
    if code == 407:
        raise credentials_wanted(proxy)
    if not 200 <= code < 300:
        raise _refused(proxy, origin, f"it answered {code}")
    if end + 4 != len(head):
        # The server behind it speaks only after our handshake has begun: whatever this is, it is not from there.
        raise _refused(proxy, origin, "it sent more than its answer")


def credentials_wanted(proxy: Proxy) -> UpstreamUnreachable:
    """What a proxy's 407 means."""
    given = "does not accept the user name and password it was given" if proxy.authorization else "wants a user name"
    return UpstreamUnreachable(
        f"The proxy {proxy.name} {given} (407).",
        remedy="Put them into the proxy's address, http://USER:PASSWORD@HOST:PORT, in the server's environment.",
    )


def _refused(proxy: Proxy, origin: Origin, reason: str) -> UpstreamUnreachable:
    return UpstreamUnreachable(f"{origin.authority} could not be reached through the proxy {proxy.name}: {reason}.")
