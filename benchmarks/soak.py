"""Rondo under full load for a long time: does its memory stay flat, and does every request get its answer?

    python benchmarks/soak.py [--minutes 10] [--folder /var/tmp]

wrk keeps 32 connections busy all the while. Memory is the resident memory of the whole process tree; the median of
half a minute after the first minute is compared with that of the last half minute. After the load the record store
must hold every answered request. Ten minutes need about 10 GB of disk in the folder. Prints Markdown; exits with 1
where a target is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

import load
import processes
import subjects
from load import Sent

MOST_GROWTH = 0.03
_FIRST_S = 60.0
_WINDOW_S = 30.0


class Soaked:
    """What was seen: (seconds, MiB) of all processes and of the gateway's alone, one a second, and what wrk says."""

    def __init__(self) -> None:
        self.memory: list[tuple[float, float]] = []
        self.gateway: list[tuple[float, float]] = []
        self.sent: Sent | None = None


def growth(memory: list[tuple[float, float]], seconds: int) -> tuple[float, str]:
    """From after the first minute to the end: as a share, and in words."""
    first, window = min(_FIRST_S, seconds / 3), min(_WINDOW_S, seconds / 4)

    def median(since: float, until: float) -> float:
        return statistics.median(mib for at, mib in memory if since <= at <= until)

    early, late = median(first, first + window), median(seconds - window, seconds)
    share = late / early - 1
    return share, f"{early:.0f} → {late:.0f} MB ({share:+.1%})"


def soak(folder: Path, seconds: int) -> tuple[Soaked, int]:
    """Load for so long; also how many records the store then has for it."""
    soaked = Soaked()
    with load.instant_provider(folder) as provider:
        project = folder / "project"
        project.mkdir()
        running = subjects.rondo(project, provider.base_url)
        try:
            load.until_it_answers(running.address, running.process)
            assert running.stored is not None
            before = running.stored()

            def press() -> None:
                soaked.sent = load.send(running.address, seconds)

            pressing = threading.Thread(target=press)
            began = time.monotonic()
            pressing.start()
            while pressing.is_alive():
                at = time.monotonic() - began
                if at <= seconds:
                    soaked.memory.append((at, processes.memory(running.process.pid).rss))
                    soaked.gateway.append((at, processes.memory(running.process.pid, alone=True).rss))
                pressing.join(1)
            processes.settle(running.process.pid, least_s=3.0)
            return soaked, running.stored() - before
        finally:
            processes.stop(running.process)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--folder", help="where the records go; a temporary folder by default")
    asked = parser.parse_args()
    seconds = int(asked.minutes * 60)
    with tempfile.TemporaryDirectory(prefix="rondo-bench-", dir=asked.folder) as name:
        soaked, stored = soak(Path(name), seconds)
    sent = soaked.sent
    if sent is None:
        sys.exit("the load generator failed")
    grown, figure = growth(soaked.memory, seconds)
    lost = max(0, sent.requests - stored)
    rows = [
        (sent.bad == 0 and sent.requests > 0, "errors", f"{sent.bad:,} of {sent.requests:,} requests", "none"),
        (lost == 0, "answered, but not recorded", f"{lost:,}", "none"),
        (grown <= MOST_GROWTH, "memory", figure, f"at most {MOST_GROWTH:+.0%}"),
    ]
    most = max(memory for _, memory in soaked.memory)
    print(f"{asked.minutes:g} minutes at {sent.rps:,.0f} requests/s; the most memory was {most:.0f} MB\n")
    print("| | | target |\n|---|---|---|")
    for met, what, figure, target in rows:
        print(f"| {what} | {figure} | {target}: {'met' if met else 'MISSED'} |")
    print(f"| of that, the gateway's process | {growth(soaked.gateway, seconds)[1]} | |")
    sys.exit(0 if all(met for met, *_ in rows) else 1)


if __name__ == "__main__":
    main()
