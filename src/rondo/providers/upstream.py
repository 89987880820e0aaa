"""The seam to the network: post bytes to a provider, get a reply under way.

The only file of the providers that knows the HTTP client below it (`providers/http`). A `Target` is prepared once per
model, so that a request costs no URL parsing and no header building. Redirects are never followed: a key goes to the
host it was given for. Nothing is ever sent twice.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping

from rondo.errors import SettingsError, UpstreamCut, UpstreamError
from rondo.providers.base import Reply
from rondo.providers.http import address
from rondo.providers.http.address import Origin
from rondo.providers.http.connection import Connection
from rondo.providers.http.dial import Dialer, Names, tls_context
from rondo.providers.http.pool import Pool
from rondo.providers.http.proxy import Proxy, Routes, credentials_wanted
from rondo.settings.environment import Proxies

_NO_PROXIES = Proxies()
_SECRET = ("auth", "key", "token", "secret")
_CODINGS = ("gzip", "x-gzip", "deflate", "br", "zstd", "compress")


class Upstream:
    """Connections to providers, pooled; one per process. Use it and close it on one event loop."""

    def __init__(
        self,
        *,
        connect_timeout_s: float = 10.0,
        proxies: Proxies = _NO_PROXIES,
        ca_file: str | None = None,
        max_reply_mb: int = 128,
    ) -> None:
        """`ca_file` has certificates of authorities to trust beside those of the system.

        `max_reply_mb` is the largest reply that is read whole; streams have no end.
        Raises SettingsError where the environment names a proxy or a file that cannot be used.
        """
        self._connect_timeout_s = connect_timeout_s
        self._max_reply = max_reply_mb << 20
        self._pools: dict[tuple[Origin, Proxy | None], Pool] = {}
        self._names = Names()
        self._ca_file = ca_file
        self._tls: ssl.SSLContext | None = None
        try:
            self._routes = Routes(proxies)
        except ValueError as error:
            raise SettingsError(f"{error}.", file="the environment") from None
        if ca_file is not None:
            self._secure()

    def target(self, url: str, headers: Mapping[str, str], *, timeout_s: float) -> Target:
        """`timeout_s` is the longest silence: before the reply's headers, and between parts of its body.

        Raises ValueError for a URL that is none, BadHeader for a header that cannot be sent.
        """
        origin, path = address.split(url)
        proxy = self._routes.proxy_for(origin)
        pool = self._pools.get((origin, proxy))
        if pool is None:
            tls = self._secure() if origin.scheme == "https" else None
            dialer = Dialer(origin, proxy, self._names, tls, timeout_s=self._connect_timeout_s)
            pool = self._pools[origin, proxy] = Pool(origin, dialer)
        return Target(pool, origin, path, headers, proxy=proxy, timeout_s=timeout_s, max_reply=self._max_reply)

    def connections(self) -> tuple[int, int]:
        """How many connections are open, and how many of them are idle."""
        sizes = [pool.size for pool in self._pools.values()]
        return sum(open_ for open_, _ in sizes), sum(idle for _, idle in sizes)

    async def close(self) -> None:
        """Close all connections; calls under way get UpstreamCut."""
        for pool in self._pools.values():
            pool.close()
        for _ in range(10):  # the loop tells of a closed connection a moment later
            if self.connections()[0]:
                await asyncio.sleep(0)

    def _secure(self) -> ssl.SSLContext:
        if self._tls is None:
            try:
                self._tls = tls_context(self._ca_file)
            except OSError as error:
                reason = error.strerror or type(error).__name__
                raise SettingsError(
                    f"{self._ca_file!r} cannot be read as certificates ({reason}).",
                    file="the environment",
                    param="RONDO_CA_FILE",
                    remedy="It is a file of certificates in PEM.",
                ) from None
        return self._tls


class Target:
    """One address of one provider."""

    def __init__(
        self,
        pool: Pool,
        origin: Origin,
        path: str,
        headers: Mapping[str, str],
        *,
        proxy: Proxy | None,
        timeout_s: float,
        max_reply: int,
    ) -> None:
        self._pool = pool
        self._timeout_s = timeout_s
        self._max_reply = max_reply
        # Over http a proxy is asked for the whole address, and itself wants to know who asks.
        self._proxy = proxy if origin.scheme == "http" else None
        own = {"host": origin.authority, "content-type": "application/json", "accept-encoding": "identity"}
        if self._proxy is not None:
            path = f"http://{origin.authority}{path}"
            if self._proxy.authorization is not None:
                own["proxy-authorization"] = self._proxy.authorization
        self._path = path
        self._headers = {**own, **address.checked(headers)}
        self._head = address.request_head(path, self._headers)
        self._hidden = tuple(_secrets(self._headers))

    async def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
        """`headers` are this request's own, beside the target's or in place of them.

        Raises UpstreamError, and BadHeader for a header that cannot be sent.
        """
        head = self._head if headers is None else self._head_with(headers)
        connection = self._pool.idle() or await self._pool.connect()
        await connection.ask(b"%b%d\r\n\r\n" % (head, len(body)), body, self._timeout_s)
        reply = _Reply(connection, self._max_reply, self._hidden if connection.status != 200 else ())
        if b"content-encoding" in connection.headers or (self._proxy is not None and reply.status == 407):
            self._refuse(reply)
        return reply

    async def get(self) -> Reply:
        """Ask for what is at the address, once. Raises UpstreamError."""
        connection = self._pool.idle() or await self._pool.connect()
        await connection.ask(address.get_head(self._path, self._headers), b"", self._timeout_s)
        reply = _Reply(connection, self._max_reply, self._hidden if connection.status != 200 else ())
        if b"content-encoding" in connection.headers or (self._proxy is not None and reply.status == 407):
            self._refuse(reply)
        return reply

    def _head_with(self, headers: Mapping[str, str]) -> bytes:
        return address.request_head(self._path, {**self._headers, **address.checked(headers)})

    def _refuse(self, reply: _Reply) -> None:
        """Raises for what is no answer of the provider, or none that can be read."""
        if self._proxy is not None and reply.status == 407:
            reply.close()
            raise credentials_wanted(self._proxy)
        coding = reply.headers.get("content-encoding", "").strip().lower()
        if coding not in ("", "identity"):
            reply.close()
            named = coding if coding in _CODINGS else "a coding that is not known"
            raise UpstreamError(
                f"The provider compressed its answer ({named}), which it was asked not to do.",
                status=reply.status if reply.status >= 400 else None,
            )


class _Reply:
    """A reply under way. It has its connection until it is read to its end, or closed."""

    __slots__ = ("_connection", "_hidden", "_max", "headers", "status")

    def __init__(self, connection: Connection, most: int, hidden: tuple[bytes, ...]) -> None:
        """`hidden` is what must not be read out of it: errors like to repeat what they were sent."""
        self.status = connection.status
        self.headers: Mapping[str, str] = Headers(connection.headers)
        self._connection: Connection | None = connection
        self._max = most
        self._hidden = hidden

    async def read(self) -> bytes:
        connection = self._held()
        body = connection.taken(self._max) if connection.has_ended else await connection.whole(self._max)
        self.close()
        for secret in self._hidden:
            body = body.replace(secret, b"***")
        return body

    def chunks(self) -> AsyncIterator[bytes]:
        return _Chunks(self)

    async def part(self) -> bytes:
        """What has arrived of the body, b"" at its end. Asked for anew each time: the connection may be another
        request's by now."""
        data = await self._held().part()
        if not data:
            self.close()
        return data

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    def _held(self) -> Connection:
        if self._connection is None:
            raise UpstreamCut("The answer was closed before it was read.")
        return self._connection

    def __del__(self) -> None:
        # Forgotten: nobody will ever read it, and its connection would stay busy for ever.
        if self._connection is not None:
            self._connection.abandon()


class _Chunks:
    """A reply's body as it arrives."""

    __slots__ = ("_reply",)

    def __init__(self, reply: _Reply) -> None:
        self._reply = reply

    def __aiter__(self) -> _Chunks:
        return self

    async def __anext__(self) -> bytes:
        data = await self._reply.part()
        if not data:
            raise StopAsyncIteration
        return data


def _secrets(headers: Mapping[str, str]) -> Iterator[bytes]:
    """The keys among a request's headers, without the scheme before them."""
    for name, value in headers.items():
        if any(part in name.lower() for part in _SECRET) and (words := value.split()):
            yield words[-1].encode("latin-1")


class Headers(Mapping[str, str]):
    """A reply's headers, by their names in lower case; decoded when they are asked for, which is seldom."""

    __slots__ = ("_raw",)

    def __init__(self, raw: Mapping[bytes, bytes]) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        try:
            return self._raw[name.lower().encode("ascii")].decode("latin-1")
        except (KeyError, UnicodeEncodeError):
            raise KeyError(name) from None

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._raw)

    def __len__(self) -> int:
        return len(self._raw)
