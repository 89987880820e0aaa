"""What this machine uses: processors, memory, disk, and Rondo's own memory. From Linux' /proc; elsewhere the disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from msgspec import Struct

_PROC = Path("/proc")
_IDLE = (3, 4)  # idle and waiting for a disk, in /proc/stat


class Ticks(Struct, frozen=True):
    """Processor time since the machine began, in its own units: all of it, and what was not idle."""

    whole: int
    busy: int


def ticks(proc: Path = _PROC) -> Ticks | None:
    """None where it cannot be told."""
    try:
        line = (proc / "stat").read_text().split("\n", 1)[0].split()
        numbers = [int(word) for word in line[1:9]]  # guests' time is in the others already
    except (OSError, ValueError):
        return None
    if len(numbers) < 5 or line[0] != "cpu":
        return None
    return Ticks(sum(numbers), sum(numbers) - sum(numbers[place] for place in _IDLE))


def cpu_share(before: Ticks | None, after: Ticks | None) -> float | None:
    """The share of all processors that was busy between two looks."""
    if before is None or after is None or after.whole <= before.whole:
        return None
    return min(max((after.busy - before.busy) / (after.whole - before.whole), 0.0), 1.0)


def memory(proc: Path = _PROC) -> dict[str, float]:
    """`memory_share` in use of the machine's, `rondo_bytes` of this process and of those that it started."""
    found: dict[str, float] = {}
    try:
        lines = (line.split() for line in (proc / "meminfo").read_text().splitlines())
        known = {line[0].rstrip(":"): int(line[1]) for line in lines if len(line) > 1}
        found["memory_share"] = 1 - known["MemAvailable"] / known["MemTotal"]
    except (OSError, ValueError, KeyError, ZeroDivisionError):
        pass
    own = _resident(proc)
    if own is not None:
        found["rondo_bytes"] = float(own)
    return found


def disk(folder: Path) -> dict[str, float]:
    """`disk_share` in use where `folder` is, and what is free."""
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return {}
    return {"disk_share": usage.used / usage.total if usage.total else 0.0, "disk_free_bytes": float(usage.free)}


def _resident(proc: Path) -> int | None:
    """Bytes in memory of this process and its children, as `VmRSS` tells them."""
    try:
        pids = ["self", *(proc / "self" / "task").joinpath(_main_thread(proc), "children").read_text().split()]
    except (OSError, ValueError):
        pids = ["self"]
    sizes = [size for pid in pids if (size := _rss(proc / pid)) is not None]
    return sum(sizes) if sizes else None


def _main_thread(proc: Path) -> str:
    return (proc / "self" / "stat").read_text().split(" ", 1)[0]


def _rss(process: Path) -> int | None:
    try:
        for line in (process / "status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return None
