"""Connections to one server, kept for the next request.

The one that was used last is used first, so that those too many grow old and are closed. A connection is not kept as
long as servers usually keep theirs: a request must not be written into one that the server is just closing.
"""

from __future__ import annotations

from rondo.errors import UpstreamUnreachable
from rondo.providers.http.address import Origin
from rondo.providers.http.connection import Connection
from rondo.providers.http.dial import Dialer

MAX_IDLE = 256
"""Idle connections that are kept per server."""
_KEPT_S = {"http": 4.0, "https": 15.0}
# Servers in Python and Node drop idle connections after 5 s; what answers https to the world keeps them for a minute.
_LONGEST_S = 60.0


class Pool:
    """All connections to one server, by one way."""

    def __init__(self, origin: Origin, dialer: Dialer) -> None:
        self._name = origin.authority
        self._secure = origin.scheme == "https"
        self._dialer = dialer
        self._kept_s = _KEPT_S[origin.scheme]
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._closing = False

    def idle(self) -> Connection | None:
        """A connection that can be used at once, if there is one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_fresh():
                return connection
            connection.abort()
        return None

    async def connect(self) -> Connection:
        """A new connection. Raises UpstreamUnreachable, UpstreamTimeout."""
        connection = await self._dialer.dial(lambda: Connection(self._name, self._closed, self._keep))
        self._open.add(connection)
        # Over TLS the server may have sent session tickets, which nothing has read yet.
        if not self._secure and not connection.is_fresh():
            connection.abort()
            raise UpstreamUnreachable(f"{self._name} spoke, or closed the connection, before it was asked.")
        return connection

    def close(self) -> None:
        """Close all, whatever goes on over them, and keep none from now on."""
        self._closing = True
        for connection in list(self._open):
            connection.abort()

    @property
    def size(self) -> tuple[int, int]:
        """How many connections are open, and how many of them are idle."""
        return len(self._open), len(self._idle)

    def _keep(self, connection: Connection) -> None:
        asked = connection.asked_to_keep_s
        seconds = self._kept_s if asked is None else min(asked - 1.0, _LONGEST_S)
        if self._closing or seconds <= 0 or len(self._idle) >= MAX_IDLE:
            connection.abort()
            return
        self._idle.append(connection)
        connection.expire_after(seconds)

    def _closed(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
