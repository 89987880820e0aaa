"""A worker's way to the control plane: whatever is not the gateway's goes over a local socket, unchanged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import msgspec
from yarl import URL

from rondo.errors import NotFound, Unavailable
from rondo.gateway.endpoint import Gateway, Receive, Scope, is_gateways
from rondo.gateway.reply import Send
from rondo.gateway.wire import error_body
from rondo.records import Call
from rondo.server.lookup import INTERNAL, query_of

_HOP_BY_HOP = frozenset((b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"te", b"trailer"))


class ControlSocket:
    """Passes requests on to the control plane."""

    def __init__(self, path: Path, *, patience_s: float = 10.0) -> None:
        """`patience_s` is how long our own questions wait for an answer; clients' requests may take longer."""
        self._path = path
        self._patience = aiohttp.ClientTimeout(total=patience_s)
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else ""
        url = URL(f"http://control{scope['raw_path'].decode('latin-1')}{query}", encoded=True)
        headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in scope["headers"] if n not in _HOP_BY_HOP]
        try:
            response = await self._opened().request(
                scope["method"], url, headers=headers, data=_body(receive), allow_redirects=False
            )
        except (aiohttp.ClientError, OSError):
            away = Unavailable("The control plane does not answer.", remedy="Try again in a moment.")
            await _send_error(send, error_body(away))
            return
        async with response:
            answered = [
                (n, v) for n, v in response.raw_headers if n.lower() not in _HOP_BY_HOP and n.lower() != b"date"
            ]
            await send({"type": "http.response.start", "status": response.status, "headers": answered})
            async for chunk in response.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    async def call(self, project: str, trace_id: str) -> Call | None:
        """A recorded call, asked of the control plane. Raises Unavailable."""
        try:
            async with self._opened().get(
                URL(f"http://control{query_of(project, trace_id)}", encoded=True), timeout=self._patience
            ) as response:
                found, status = await response.read(), response.status
        except (aiohttp.ClientError, OSError):
            raise Unavailable("The control plane does not answer.", remedy="Try again in a moment.") from None
        if status not in (200, 404):
            raise Unavailable("The control plane cannot read the records.", remedy="Try again in a moment.")
        return msgspec.json.decode(found, type=Call) if status == 200 else None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.UnixConnector(str(self._path), limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


class WorkerFront:
    """The gateway's own paths here, the others over there."""

    def __init__(self, gateway: Gateway, control: ControlSocket) -> None:
        self._gateway = gateway
        self._control = control

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"].startswith(INTERNAL):
            nothing = NotFound("There is nothing here.")
            await _send_error(send, error_body(nothing), status=404)
            return
        own = is_gateways(scope["path"])
        await (self._gateway if own else self._control)(scope, receive, send)


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        yield message.get("body", b"")
        if not message.get("more_body"):
            return


async def _send_error(send: Send, body: bytes, *, status: int = 503) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
