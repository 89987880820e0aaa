"""What a request costs: Rondo, recording everything, beside other gateways and beside bare floors, in one run.

Every round starts each subject afresh, warms it up, and keeps 32 connections busy for some seconds with 1 KB
requests to an instant local provider. CPU time is that of the subject's whole process tree, counted until it is
quiet again, so work that is put off (Rondo's drain into its record store) counts too. After each of Rondo's turns
its record store must hold every answered request. Rondo checks a key, and counts every request against a limit on
requests, one on tokens and a budget for its project. Prints Markdown; exits with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import load
import processes
import subjects
from load import Provider, Sent
from processes import Memory
from subjects import Subject

WARM_UP_S = 2
CATCH_UP_S = 3.0
"""The shortest wait after the load, for work that was put off."""

TARGETS = {"TensorZero": 1 / 2, "Portkey": 1 / 8, "LiteLLM": 1 / 60}
"""Rondo's CPU time per request must be at most this share of the peer's."""

LEAST_PER_CORE = 6_000
"""Recorded requests that Rondo must answer with a second of one core."""


@dataclass(frozen=True)
class Turn:
    """One subject in one round. `others` are the cores that everything else on the machine used meanwhile."""

    sent: Sent
    cpu_ms: float
    ready_s: float
    idle: Memory
    loaded: Memory
    others: float
    stolen: float


class _Clocks(NamedTuple):
    """Readings of CPU time in ms, and of the wall clock in s."""

    wall_s: float
    machine: processes.MachineTime
    ours: float


def take_turn(subject: Subject, provider: Provider, seconds: int) -> Turn:
    """Start, warm up, load, wait until it is quiet, stop. Raises RuntimeError where anything is not as it should be."""
    with tempfile.TemporaryDirectory(prefix="rondo-bench-") as folder:
        began = time.monotonic()
        running = subject.start(Path(folder), provider.base_url)
        root = running.process.pid
        try:
            load.until_it_answers(running.address, running.process)
            ready_s = time.monotonic() - began
            time.sleep(2)
            idle = processes.memory(root)
            load.send(running.address, WARM_UP_S)
            processes.settle(root)
            stored = running.stored() if running.stored else 0
            before, cpu_before = _clocks(root, provider), processes.cpu_ms(root)
            sent = load.send(running.address, seconds)
            after = _clocks(root, provider)
            processes.settle(root, least_s=CATCH_UP_S)
            _verify(sent, running.stored() - stored if running.stored else None)
            cpu_ms = processes.cpu_ms(root) - cpu_before
            loaded = processes.memory(root)
        finally:
            processes.stop(running.process)
    wall_ms = (after.wall_s - before.wall_s) * 1_000
    others = after.machine.busy - before.machine.busy - (after.ours - before.ours)
    stolen = after.machine.stolen - before.machine.stolen
    return Turn(sent, cpu_ms / sent.requests, ready_s, idle, loaded, others / wall_ms, stolen / wall_ms)


def _clocks(root: int, provider: Provider) -> _Clocks:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)  # wrk, which has been waited for
    ours = (children.ru_utime + children.ru_stime) * 1_000 + processes.cpu_ms(root) + processes.cpu_ms(provider.pid)
    return _Clocks(time.monotonic(), processes.machine_time(), ours)


def _verify(sent: Sent, stored: int | None) -> None:
    """Every request answered, and recorded. wrk hangs up on up to 32 requests at its end: recorded, not counted."""
    if sent.bad or not sent.requests:
        raise RuntimeError(f"{sent.bad} bad answers of {sent.requests}")
    if stored is not None and not 0 <= stored - sent.requests <= load.CONNECTIONS:
        raise RuntimeError(f"{sent.requests} answered, but {stored} records stored")


def run(chosen: Sequence[Subject], rounds: int, seconds: int) -> dict[str, list[Turn]]:
    """All turns, by subject. Every other round goes in the opposite order."""
    turns: dict[str, list[Turn]] = {subject.name: [] for subject in chosen}
    with tempfile.TemporaryDirectory(prefix="rondo-bench-") as folder, load.instant_provider(Path(folder)) as provider:
        for number in range(rounds):
            for subject in chosen if number % 2 == 0 else reversed(chosen):
                turn = take_turn(subject, provider, seconds)
                turns[subject.name].append(turn)
                print(
                    f"round {number + 1}, {subject.name}: {turn.sent.rps:,.0f} rps, {turn.cpu_ms:.3f} CPU-ms,"
                    f" {turn.others:.2f} cores used by others",
                    file=sys.stderr,
                    flush=True,
                )
    return turns


def report(chosen: Sequence[Subject], turns: dict[str, list[Turn]], seconds: int) -> str:
    """The table, the ratios, and how noisy the machine was."""
    columns: list[tuple[str, Callable[[Turn], float], str]] = [
        ("requests/s", lambda turn: turn.sent.rps, ",.0f"),
        ("CPU-ms per request", lambda turn: turn.cpu_ms, ".3f"),
        ("p50 ms", lambda turn: turn.sent.p50, ".1f"),
        ("p99 ms", lambda turn: turn.sent.p99, ".1f"),
        ("idle RSS MB", lambda turn: turn.idle.rss, ".0f"),
        ("RSS MB after", lambda turn: turn.loaded.rss, ".0f"),
        ("first answer s", lambda turn: turn.ready_s, ".1f"),
    ]
    lines = [
        "| | records | " + " | ".join(title for title, _, _ in columns) + " |",
        "|---|---|" + "---|" * len(columns),
    ]
    for subject in chosen:
        cells = [_spread([value(turn) for turn in turns[subject.name]], form) for _, value, form in columns]
        lines.append(f"| {subject.name} | {subject.records} | " + " | ".join(cells) + " |")
    everything = [turn for each in turns.values() for turn in each]
    rounds = len(next(iter(turns.values())))
    lines += [
        "",
        f"Median of {rounds} rounds of {seconds} s (least–most), {load.CONNECTIONS} connections,"
        f" {load.BODY_BYTES} bytes in and out, {os.cpu_count()} cores shared with the load generator and the provider."
        f" Meanwhile other programs used {_spread([turn.others for turn in everything], '.2f')} cores,"
        f" the hypervisor took {_spread([turn.stolen for turn in everything], '.2f')}.",
        "",
    ]
    return "\n".join(lines + [f"- {sentence}" for _, sentence in verdicts(turns)])


def verdicts(turns: dict[str, list[Turn]]) -> list[tuple[bool, str]]:
    """Rondo's CPU time per request as a share of each peer's, and whether the target is met, plain and compiled.

    By the medians, and by each one's least disturbed round; the worse of the two counts, since a busy machine makes
    some programs dearer than others.
    """
    return [verdict for name in ("Rondo", "Rondo, compiled") for verdict in _verdicts_on(name, turns)]


def _verdicts_on(name: str, turns: dict[str, list[Turn]]) -> list[tuple[bool, str]]:
    found = []
    for peer, most in TARGETS.items():
        if turns.get(name) and turns.get(peer):
            ours, theirs = ([turn.cpu_ms for turn in turns[each]] for each in (name, peer))
            middle, least = statistics.median(ours) / statistics.median(theirs), min(ours) / min(theirs)
            met = max(middle, least) <= most
            found.append(
                (
                    met,
                    f"{name} / {peer}: {middle:.3f} of its CPU time by the medians, {least:.3f} by the least disturbed"
                    f" rounds (at most {most:.3f}: {'met' if met else 'MISSED'})",
                )
            )
    if turns.get(name):
        spent = [turn.cpu_ms for turn in turns[name]]
        middle, least = 1_000 / statistics.median(spent), 1_000 / min(spent)
        met = middle >= LEAST_PER_CORE
        found.append(
            (
                met,
                f"{name}: {middle:,.0f} recorded requests per second of a core by the median, {least:,.0f} in the least"
                f" disturbed round (at least {LEAST_PER_CORE:,}: {'met' if met else 'MISSED'})",
            )
        )
    return found


def _spread(values: Sequence[float], form: str) -> str:
    middle, least, most = (format(value, form) for value in (statistics.median(values), min(values), max(values)))
    return middle if least == most else f"{middle} ({least}–{most})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=6, help="of load per turn")
    parser.add_argument("--only", action="append", choices=[subject.name for subject in subjects.SUBJECTS])
    asked = parser.parse_args()
    chosen = [subject for subject in subjects.SUBJECTS if not asked.only or subject.name in asked.only]
    absent = [subject.name for subject in chosen if subject.missing()]
    chosen = [subject for subject in chosen if subject.name not in absent]
    turns = run(chosen, asked.rounds, asked.seconds)
    print(report(chosen, turns, asked.seconds))
    if absent:
        print(f"- Not installed, so not measured: {', '.join(absent)} (benchmarks/peers.sh)")
    sys.exit(0 if all(met for met, _ in verdicts(turns)) else 1)


if __name__ == "__main__":
    main()
