"""The socket and the HTTP server on it: uvicorn, with signals that let running requests finish."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn

from rondo.errors import Conflict
from rondo.gateway.endpoint import Gateway
from rondo.server.exchange import GatewayProtocol
from rondo.server.front import Application

GRACE_S = 30
"""How long running requests may take to finish after a stop signal."""


class HttpServer(uvicorn.Server):
    """The first stop signal lets running requests finish, a second one ends them, unless it is `patient`.

    Requests for `gateway` take the short way to it. One that `lingers` only tells of the signal (`on_stop`) and serves
    on until `should_exit` is set.
    """

    def __init__(
        self,
        app: Application,
        *,
        on_ready: Callable[[], None],
        on_stop: Callable[[], None],
        gateway: Gateway | None = None,
        patient: bool = False,
        lingers: bool = False,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=partial(GatewayProtocol, gateway) if gateway is not None else "httptools",  # type: ignore[arg-type]
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_S,
                timeout_keep_alive=75,
            )
        )
        self._on_ready = on_ready
        self._on_stop = on_stop
        self._patient = patient
        self._lingers = lingers

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What has been built until now stays; requests leave few cycles behind. Looking for them all the time costs a
        # tenth of a request.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        gc.unfreeze()  # or the end of the process finds objects that nobody took down

    def stop(self) -> None:
        """Accept nothing new; end once what runs has finished."""
        if not self._lingers:
            self.force_exit = self.should_exit and not self._patient
            self.should_exit = True
        self._on_stop()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """uvicorn would die of the signal again after a clean end; ours is a clean exit."""
        yield


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A bound socket; `shared` lets other processes of ours bind the same port. Raises Conflict where it is taken."""
    if shared and port:
        listen(host, port).close()  # someone else's shared socket must not be joined unawares
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Conflict(
            f"Cannot listen on {host}:{port}: {error.strerror or error}.", remedy="Choose another --host or --port."
        ) from None
    return listener


def join(host: str, port: int) -> socket.socket:
    """A worker's own socket on a port that the control plane has reserved."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host, port))
    return listener
