"""`rondo up`: the server in the foreground, until it is told to stop.

One process serves everything, beside it one has the record store. With `--workers N` the control plane moves to a local
socket, and N gateway processes share the port (SO_REUSEPORT); what is not the gateway's they pass on to the control
plane.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvloop

from rondo.allocator import hold_little
from rondo.server.app import Server
from rondo.server.data_folder import DataFolder
from rondo.server.listener import HttpServer, listen
from rondo.server.log import log_to_stderr
from rondo.server.lookup import LocalFront
from rondo.server.otlp_ports import open_ports
from rondo.server.records_process import RecordsProcess
from rondo.server.scheduling import take_short_turns
from rondo.server.workers import Workers
from rondo.settings.project import read
from rondo.settings.telemetry import TracesSettings

_THREADS = 32


def up(*, project: Path | None, data: Path, host: str, port: int, workers: int = 1) -> int:
    """Serve until SIGTERM or SIGINT; the exit status. Raises RondoError where it cannot start."""
    hold_little()
    take_short_turns()
    log_to_stderr()
    folder = DataFolder(data)
    server = Server(folder, project, workers=workers, open_records=RecordsProcess)
    traces = read(server.settings).traces if server.settings is not None else TracesSettings()
    if server.admin_key is not None:
        print(f"admin key, also in {data / 'admin.key'}: {server.admin_key}", file=sys.stderr, flush=True)
    try:
        listener = listen(host, port, shared=workers > 1)
    except BaseException:
        asyncio.run(server.close())
        raise
    url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"

    def ready() -> None:
        folder.announce(url)
        print(f"ready {url}", flush=True)

    async def serve() -> None:
        # Who waits for the records' process holds a thread; plans, guards and logs must not run out of them.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="rondo"))
        await server.start()
        try:
            async with open_ports(server.control, server.front, traces, host):
                if workers > 1:
                    crew = Workers(folder, server.settings, host=host, port=listener.getsockname()[1], count=workers)
                    await crew.serve(
                        LocalFront(server.front, server.lookup), on_ready=ready, on_stop=server.control.stopping.set
                    )
                else:
                    http = HttpServer(
                        server.front,
                        gateway=server.control.gateway,
                        on_ready=ready,
                        on_stop=server.control.stopping.set,
                    )
                    await http.serve([listener])
        finally:
            await server.close()
            listener.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve())
    return 0
