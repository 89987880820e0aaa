"""One gateway process of `rondo up --workers N`: the hot path and nothing else.

It reads the catalog only to learn of new plans, keeps its own journal, and passes what is not the gateway's on to the
control plane.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import uvloop

from rondo.allocator import hold_little
from rondo.catalog.engine import Catalog
from rondo.providers.registry import Providers
from rondo.releases.publish import Publisher
from rondo.server import ledger as ledgers
from rondo.server.data_folder import DataFolder
from rondo.server.ledger import open_workers_ledger
from rondo.server.listener import HttpServer, join
from rondo.server.log import log_to_stderr
from rondo.server.passing import ControlSocket, WorkerFront
from rondo.server.plan_watch import PlanWatch
from rondo.server.scheduling import take_short_turns
from rondo.server.wiring import catalog_url, limits, make_gateway, open_journal, open_upstream, pseudonym_secret


async def serve(data: DataFolder, project: Path | None, *, slot: int, host: str, port: int) -> None:
    """Until SIGTERM, or until standard input ends."""
    journal_settings, gateway_settings = limits(project)
    catalog = Catalog(catalog_url(data))
    upstream = open_upstream(gateway_settings)
    publisher = Publisher(catalog, data.knowledge, Providers(upstream), secret=pseudonym_secret(data))
    journal = open_journal(data, f"worker-{slot}", journal_settings)
    ledger = open_workers_ledger(data, project)
    await ledgers.start(ledger)
    control = ControlSocket(data.control_socket)
    gateway = make_gateway(publisher.plan(), journal, gateway_settings, control.call, ledger)
    stopping = asyncio.Event()
    watching = asyncio.create_task(PlanWatch(publisher, gateway).run(stopping))
    # Patient, because a signal to the whole group (Ctrl-C) comes twice: by itself, and by the control plane.
    http = HttpServer(
        WorkerFront(gateway, control),
        gateway=gateway,
        on_ready=lambda: print("ready", flush=True),
        on_stop=stopping.set,
        patient=True,
    )

    def orphaned() -> None:
        loop.remove_reader(sys.stdin.fileno())
        http.stop()

    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), orphaned)  # readable only at its end
    try:
        await http.serve([join(host, port)])
    finally:
        stopping.set()
        await watching
        await gateway.close()
        await ledgers.close(ledger)
        await control.close()
        await upstream.close()
        journal.close()
        catalog.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--project", type=Path)
    parser.add_argument("--slot", type=int, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    hold_little()
    take_short_turns()
    log_to_stderr()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(DataFolder(given.data), given.project, slot=given.slot, host=given.host, port=given.port))


if __name__ == "__main__":
    main()
