"""Several gateway processes on one port, and the control plane behind them on a local socket.

Each worker is a process of its own with its own journal; one that dies is started again. A worker ends when its
standard input does, so that none outlives the control plane.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from rondo.errors import Unavailable
from rondo.server.data_folder import DataFolder
from rondo.server.front import Application
from rondo.server.listener import GRACE_S, HttpServer

_START_S = 30
_RESTART_S = 0.5
_log = logging.getLogger("rondo.server")


class Workers:
    """`count` gateway processes."""

    def __init__(self, data: DataFolder, project: Path | None, *, host: str, port: int, count: int) -> None:
        self._data = data
        self._arguments = ["--data", str(data.path), "--host", host, "--port", str(port)]
        if project is not None:
            self._arguments += ["--project", str(project)]
        self._count = count

    async def serve(self, control: Application, *, on_ready: Callable[[], None], on_stop: Callable[[], None]) -> None:
        """Until a stop signal: workers first, so that they still find the control plane while they finish."""
        path = self._data.control_socket
        path.unlink(missing_ok=True)
        local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            local.bind(str(path))
        except OSError as error:
            local.close()
            raise Unavailable(
                f"The control plane's socket {path} cannot be made: {error}.",
                remedy="Choose a data folder with a shorter path (--data); a socket's may have about 100 characters.",
            ) from None
        path.chmod(0o600)
        crew: list[asyncio.Task[None]] = []
        stop = asyncio.Event()
        http = HttpServer(control, on_ready=lambda: None, on_stop=stop.set, lingers=True)
        serving = asyncio.create_task(http.serve([local]))
        try:
            started = [asyncio.Event() for _ in range(self._count)]
            crew = [asyncio.create_task(self._keep_running(slot, up)) for slot, up in enumerate(started)]
            await asyncio.wait_for(asyncio.gather(*(up.wait() for up in started)), _START_S)
            on_ready()
            await stop.wait()
        except TimeoutError:
            raise Unavailable("A gateway process did not start.", remedy="The log says why.") from None
        finally:
            on_stop()
            for task in crew:
                task.cancel()
            await asyncio.gather(*crew, return_exceptions=True)
            http.should_exit = True
            await serving
            path.unlink(missing_ok=True)

    async def _keep_running(self, slot: int, up: asyncio.Event) -> None:
        while True:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", "-m", "rondo.server.worker", "--slot", str(slot), *self._arguments,
                stdin=PIPE, stdout=PIPE, stderr=None,
            )  # fmt: skip
            try:
                assert process.stdout is not None
                if await process.stdout.readline():
                    up.set()
                await process.wait()
            except asyncio.CancelledError:
                await _finish(process)
                raise
            _log.error("gateway process %d ended with status %s; starting it again", slot, process.returncode)
            await asyncio.sleep(_RESTART_S)


async def _finish(process: Process) -> None:
    """Let a worker end its running requests, and kill it if it does not."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), GRACE_S + 5)
    except TimeoutError:
        process.kill()
        await process.wait()
