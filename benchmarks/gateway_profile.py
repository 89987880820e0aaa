"""Where Rondo's time goes: CPU by thread from /proc, and the event loop's share by line from py-spy.

Puts Rondo under the load of `gateway.py`, and samples it while it serves. Needs `py-spy` (`pip install py-spy`) and
the right to trace one's own processes. Times are CPU microseconds per answered request; py-spy's samples
are scaled to the event loop's CPU time, so its pauses do not count.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import load
import processes
import subjects

_ROOMS = ("uvicorn", "httptools", "asyncio", "uvloop", "msgspec", "sqlalchemy", "starlette")


Costs = dict[str, float]
"""CPU-µs per request by name, dearest first."""


class Profile(NamedTuple):
    """Of all threads; of the event loop by package of the innermost frame, and by innermost line of Rondo's."""

    requests: int
    threads: Costs
    packages: Costs
    lines: Costs


def profile(seconds: int, model: str) -> Profile:
    """One server, warmed up, then `seconds` of load, then until it is quiet."""
    with tempfile.TemporaryDirectory(prefix="rondo-bench-") as name, load.instant_provider(Path(name)) as provider:
        folder = Path(name) / "project"
        folder.mkdir()
        running = subjects.rondo(folder, provider.base_url, model=model)
        pid = running.process.pid
        try:
            load.send(running.address, 2)
            processes.settle(pid)
            before, beside = processes.thread_cpu_ms(pid), _beside(pid)
            sent = load.send(running.address, seconds)
            processes.settle(pid, least_s=3.0)
            after, beside = processes.thread_cpu_ms(pid), _beside(pid) - beside
            names = _thread_names(pid)
            stacks = _sample(pid, folder / "stacks", running.address, seconds)
        finally:
            processes.stop(running.process)
    threads: defaultdict[str, float] = defaultdict(float)
    loop = 0.0
    for thread, spent in after.items():
        cost = (spent - before.get(thread, 0.0)) * 1_000 / sent.requests
        if thread == pid:
            loop = cost
        threads["event loop" if thread == pid else names.get(thread, "native threads")] += cost
    threads["the records' process"] = beside * 1_000 / sent.requests
    packages, lines = _attribute(stacks, loop)
    return Profile(sent.requests, _dearest_first(threads), packages, lines)


def _beside(pid: int) -> float:
    """CPU time of the processes that the server has beside it, in ms."""
    return sum(map(processes.cpu_ms, processes.tree(pid)[1:]))


def _thread_names(pid: int) -> dict[int, str]:
    """Names of the process's Python threads."""
    dump = subprocess.run([_py_spy(), "dump", "--pid", str(pid)], capture_output=True, text=True, check=True).stdout
    return {int(thread): name for thread, name in re.findall(r'^Thread (\d+) .*: "(.*)"$', dump, re.MULTILINE)}


def _py_spy() -> str:
    program = shutil.which("py-spy") or shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if program is None:
        sys.exit("py-spy is needed: `pip install py-spy`.")
    return program


def _sample(pid: int, target: Path, address: load.Address, seconds: int) -> str:
    """Collapsed stacks of the Python threads that were at work, one `frame;frame count` a line."""
    command = [_py_spy(), "record", "--pid", str(pid), "--duration", str(seconds), "--rate", "400", "--threads"]
    with subprocess.Popen(
        [*command, "--format", "raw", "--output", str(target)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as sampler:
        load.send(address, seconds + 1)
        sampler.wait(60)
    return target.read_text()


def _attribute(stacks: str, loop: float) -> tuple[Costs, Costs]:
    """The loop's microseconds by package of the innermost frame, and by the innermost line of Rondo's own."""
    packages: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for row in stacks.splitlines():
        stack, _, count = row.rpartition(" ")
        thread, *frames = stack.split(";")
        if "MainThread" not in thread or not frames:
            continue
        packages[_package(frames[-1])] += int(count)
        lines[_our_line(frames)] += int(count)
    scale = loop / max(1, packages.total())
    return _scaled(packages, scale), _scaled(lines, scale)


def _our_line(frames: list[str]) -> str:
    """Rondo's innermost frame, or what the event loop called where none of Rondo's is in it."""
    start = next((at for at, frame in enumerate(frames) if "asyncio/runners.py" in frame), -1) + 1
    while start < len(frames) and "asyncio/runners.py" in frames[start]:
        start += 1
    called = frames[start:]
    ours = next((frame for frame in reversed(called) if "rondo/" in frame), None)
    return ours or (f"from the event loop: {called[0]}" if called else "the event loop itself")


def _package(frame: str) -> str:
    """`rondo/gateway` or `uvicorn`, from `function (path/to/file.py:12)`."""
    path = frame.rpartition("(")[2]
    parts = Path(path.partition(":")[0]).parts
    if "rondo" in parts:
        return "/".join(parts[parts.index("rondo") :][:2])
    return next((part for part in parts if part in _ROOMS), parts[-1] if parts else frame)


def _scaled(samples: Counter[str], scale: float) -> Costs:
    return _dearest_first({name: count * scale for name, count in samples.items()})


def _dearest_first(costs: Mapping[str, float]) -> Costs:
    return dict(sorted(costs.items(), key=lambda item: -item[1]))


def report(found: Profile, top: int) -> str:
    lines = [f"{found.requests:,} requests", "", "| CPU-µs per request | thread |", "|---|---|"]
    lines += [f"| {cost:.1f} | {name} |" for name, cost in found.threads.items() if cost >= 0.05]
    lines += ["", "| CPU-µs | of the event loop, by package of the innermost frame |", "|---|---|"]
    lines += [f"| {cost:.1f} | {name} |" for name, cost in list(found.packages.items())[:12]]
    lines += ["", "| CPU-µs | of the event loop, by innermost line of Rondo's, with what it calls |", "|---|---|"]
    lines += [f"| {cost:.1f} | {name} |" for name, cost in list(found.lines.items())[:top]]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--model", default="mini", help="`mini` is a plain model, `bench` an app with a prompt")
    parser.add_argument("--top", type=int, default=30)
    asked = parser.parse_args()
    print(report(profile(asked.seconds, asked.model), asked.top))


if __name__ == "__main__":
    main()
