"""What a process tree costs, read from /proc: CPU time, memory, threads. Linux only.

CPU time comes in ticks of 10 ms, so measure over seconds. Wall-clock times on a shared machine mislead; these do not.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_TICK_MS = 1_000 / os.sysconf("SC_CLK_TCK")


class Memory(NamedTuple):
    """Of a whole tree, in MiB. RSS counts a shared page once per process, PSS once in all."""

    rss: float
    pss: float


class MachineTime(NamedTuple):
    """Since boot, over all cores, in ms: at work, and taken by the hypervisor for others."""

    busy: float
    stolen: float


def tree(root: int) -> list[int]:
    """`root` and all its descendants that are alive."""
    children: dict[int, list[int]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            children.setdefault(int(_stat(f"/proc/{name}/stat")[1]), []).append(int(name))
    found, to_visit = [], [root]
    while to_visit:
        process = to_visit.pop()
        found.append(process)
        to_visit += children.get(process, [])
    return found


def cpu_ms(root: int) -> float:
    """User and system time of the tree, with that of children it has already waited for."""
    ticks = 0
    for process in tree(root):
        with suppress(OSError):
            ticks += sum(map(int, _stat(f"/proc/{process}/stat")[11:15]))
    return ticks * _TICK_MS


def thread_cpu_ms(process: int) -> dict[int, float]:
    """User and system time of each thread, by its id. The main thread's id is the process's."""
    found = {}
    for thread in os.listdir(f"/proc/{process}/task"):
        with suppress(OSError):
            found[int(thread)] = sum(map(int, _stat(f"/proc/{process}/task/{thread}/stat")[11:13])) * _TICK_MS
    return found


def memory(root: int, *, alone: bool = False) -> Memory:
    """Of the tree, now; `alone`, of its root only."""
    sums = {"Rss:": 0, "Pss:": 0}
    for process in [root] if alone else tree(root):
        with suppress(OSError):
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                field, *rest = line.split()
                if field in sums:
                    sums[field] += int(rest[0])
    return Memory(sums["Rss:"] / 1024, sums["Pss:"] / 1024)


def machine_time() -> MachineTime:
    """Of the whole machine."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _, _, interrupt, soft_interrupt, stolen, *_ = map(int, file.readline().split()[1:])
    return MachineTime((user + nice + system + interrupt + soft_interrupt) * _TICK_MS, stolen * _TICK_MS)


def settle(root: int, *, quiet_cores: float = 0.06, least_s: float = 1.0, most_s: float = 60.0) -> None:
    """Wait until the tree has next to nothing left to do (background work that the load left behind)."""
    began = time.monotonic()
    before = cpu_ms(root)
    while time.monotonic() - began < most_s:
        time.sleep(0.5)
        after = cpu_ms(root)
        if after - before < quiet_cores * 500 and time.monotonic() - began >= least_s:
            return
        before = after


def stop(process: subprocess.Popen[bytes], *, grace_s: float = 10.0) -> None:
    """End a process that was started with its own session, and all its children."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _stat(path: str) -> list[str]:
    """The fields of a stat file after the name, which may hold blanks and parentheses."""
    text = Path(path).read_text()
    return text[text.rindex(")") + 2 :].split()
