"""The front of the control plane's process: sends each request to the gateway, the API or the console.

It also answers the probes, which need no key: they say `ok` or not, and nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rondo.gateway.endpoint import Gateway, Receive, Scope, is_gateways
from rondo.gateway.reply import Send

_API = ("/api/", "/v1/")
"""What of /v1/ is not the gateway's is the API's: files, batches and OpenTelemetry's."""

Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Front:
    """An ASGI application over three others."""

    def __init__(self, gateway: Gateway, api: Application, console: Application) -> None:
        self._gateway = gateway
        self._api = api
        self._console = console

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        if is_gateways(path):
            await self._gateway(scope, receive, send)
        elif path.startswith(_API) or path in ("/healthz", "/readyz", "/metrics"):
            await self._api(scope, receive, send)
        else:
            await self._console(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
