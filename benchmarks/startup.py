"""How soon `rondo up` answers, what it holds while idle, and how long `rondo --help` takes.

Every round starts the server twice in a fresh project from `rondo init`: on no data folder, and on the one that the
first start made. "Ready" is the line that it prints, from the start of the process; the answers are checked. Prints
Markdown; exits with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import load
import processes
from load import Address
from subjects import RONDO

IDLE_AFTER_S = 5


class Start(NamedTuple):
    """One start. Memory and CPU time are of the whole process tree; `idle_cpu` is in ms per second."""

    ready_s: float
    rss: float
    pss: float
    idle_cpu: float


class Measured(NamedTuple):
    """`most` is the target for the median; None where there is none."""

    what: str
    unit: str
    values: Sequence[float]
    most: float | None


def start(project: Path) -> Start:
    """Start the server in a project folder, look at it for a while, stop it. Raises RuntimeError."""
    port = load.free_port()
    command = [*RONDO, "up", "--project", str(project), "--port", str(port)]
    began = time.monotonic()
    with open(project.parent / "log", "ab") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, start_new_session=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        ready_s = time.monotonic() - began
        if not line.startswith(b"ready "):
            raise RuntimeError(f"rondo did not start: {line!r}\n{(project.parent / 'log').read_text()[-2_000:]}")
        _check(f"http://127.0.0.1:{port}")
        time.sleep(IDLE_AFTER_S / 2)
        before = processes.cpu_ms(process.pid)
        time.sleep(IDLE_AFTER_S / 2)
        idle_cpu = (processes.cpu_ms(process.pid) - before) / (IDLE_AFTER_S / 2)
        rss, pss = processes.memory(process.pid)
        return Start(ready_s, rss, pss, idle_cpu)
    finally:
        processes.stop(process)


def answered(project: Path) -> float:
    """Idle RSS in MB after 200 answers of the example app and a look at the status."""
    port = load.free_port()
    with open(project.parent / "log", "ab") as log:
        command = [*RONDO, "up", "--project", str(project), "--port", str(port)]
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        key = (project / ".rondo/admin.key").read_text().strip()
        address = Address(f"http://127.0.0.1:{port}", "bench", key)
        load.until_it_answers(address, process)
        for _ in range(200):
            load.ask(address)
        processes.settle(process.pid, least_s=2.0)
        return processes.memory(process.pid).rss
    finally:
        processes.stop(process)


def help_s() -> float:
    """Wall time of `rondo --help`."""
    began = time.monotonic()
    subprocess.run([*RONDO, "--help"], check=True, capture_output=True)
    return time.monotonic() - began


def measure(rounds: int) -> list[Measured]:
    """Everything, `rounds` times. The first `rondo --help` writes bytecode caches and does not count."""
    help_s()
    fresh, again, used = [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(prefix="rondo-bench-") as folder:
            project = Path(folder) / "bench"
            subprocess.run([*RONDO, "init", "bench", "--dir", str(project)], check=True, capture_output=True)
            fresh.append(start(project))
            again.append(start(project))
            used.append(answered(project))
    return [
        Measured("`rondo up`, first start: ready", "s", [each.ready_s for each in fresh], 2.0),
        Measured("`rondo up`, second start: ready", "s", [each.ready_s for each in again], 2.0),
        Measured(f"idle RSS, {IDLE_AFTER_S} s after the first start", "MB", [each.rss for each in fresh], 150.0),
        Measured(f"idle PSS, {IDLE_AFTER_S} s after the first start", "MB", [each.pss for each in fresh], None),
        Measured(f"idle RSS, {IDLE_AFTER_S} s after the second start", "MB", [each.rss for each in again], 150.0),
        Measured("RSS after 200 answers of the example app", "MB", used, None),
        Measured("CPU while idle", "ms/s", [each.idle_cpu for each in fresh + again], None),
        Measured("`rondo --help`", "s", [help_s() for _ in range(7)], 0.3),
    ]


def report(found: Sequence[Measured]) -> str:
    lines = ["| | median (least–most) | target |", "|---|---|---|"]
    for what, unit, values, most in found:
        middle, least, most_seen = statistics.median(values), min(values), max(values)
        form = ".2f" if unit == "s" else ".0f"
        verdict = "" if most is None else f"≤ {most:g} {unit}: {'met' if middle <= most else 'MISSED'}"
        lines.append(f"| {what} | {middle:{form}} ({least:{form}}–{most_seen:{form}}) {unit} | {verdict} |")
    return "\n".join([*lines, "", f"{os.cpu_count()} cores, Python {sys.version.split()[0]}."])


def _check(url: str) -> None:
    with urllib.request.urlopen(f"{url}/healthz", timeout=10) as answer:
        if answer.status != 200:
            raise RuntimeError(f"/healthz answered {answer.status} after the server said that it was ready")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    found = measure(parser.parse_args().rounds)
    print(report(found))
    sys.exit(any(each.most is not None and statistics.median(each.values) > each.most for each in found))


if __name__ == "__main__":
    main()
