"""What a case of an evaluation costs: Rondo, keeping everything, beside promptfoo and DeepEval, in one run.

Every turn starts from an empty folder, evaluates one case unmeasured (what is made once is then there), and then
measures one command from its start to its end, with so many fresh cases against an instant local model: 32 at a time,
one deterministic scorer. What a case costs is what a run costs beyond a run of one case, which is start-up. CPU time
and memory are those of the whole process tree, Rondo's server included until it is quiet again. Then Rondo alone
evaluates more, for its memory. Prints Markdown; exits with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import evaluators
import load
import processes
from evaluators import Evaluator

SIZES = (1, 1_000, 10_000)
"""Cases. The first is start-up."""

GROWN = 30_000
MOST_SHARE = 1 / 5
"""Of a peer's wall time per case, at each size."""

MOST_GROWTH = 0.10
"""Of Rondo's peak memory, from the largest of SIZES to GROWN."""

_LOOK_EVERY_S = 0.2


class Cost(NamedTuple):
    """Of one command, with the server that it talks to: times in s, the most memory in MiB. `runner_rss` is the most
    of the one process that runs the evaluation."""

    wall_s: float
    cpu_s: float
    peak_rss: float
    runner_rss: float


class Turn(NamedTuple):
    """One command. `others` are the cores that everything else on the machine used meanwhile."""

    cost: Cost
    others: float


Turns = Mapping[tuple[str, int], list[Turn]]


class _Watch(threading.Thread):
    """Looks for the most memory that process trees have while they run; and the last one's root alone."""

    def __init__(self, roots: Sequence[int]) -> None:
        super().__init__(daemon=True)
        self.peak_rss = self.root_rss = 0.0
        self._roots = roots
        self._ended = threading.Event()

    def run(self) -> None:
        while not self._ended.wait(_LOOK_EVERY_S):
            self.peak_rss = max(self.peak_rss, sum(processes.memory(root).rss for root in self._roots))
            self.root_rss = max(self.root_rss, processes.memory(self._roots[-1], alone=True).rss)

    def end(self) -> None:
        self._ended.set()
        self.join()


def take_turn(evaluator: Evaluator, base_url: str, cases: int, model: int) -> Turn:
    """Set up, warm up, evaluate, stop. `model` is the process that answers. Raises RuntimeError where not every case
    has passed."""
    with tempfile.TemporaryDirectory(prefix="rondo-bench-") as name:
        folder = Path(name)
        server = evaluator.prepare(folder, base_url)
        try:
            evaluator.write_cases(folder, 1, seed=0)
            _evaluate(evaluator, base_url, folder, 1, None)
            if server is not None:
                processes.settle(server.pid)
            evaluator.write_cases(folder, cases, seed=cases)
            began, machine, models = time.monotonic(), processes.machine_time(), processes.cpu_ms(model)
            cost = _evaluate(evaluator, base_url, folder, cases, server)
            took_s = time.monotonic() - began
            busy_s = (processes.machine_time().busy - machine.busy - processes.cpu_ms(model) + models) / 1_000
        finally:
            if server is not None:
                processes.stop(server)
    return Turn(cost, (busy_s - cost.cpu_s) / took_s)


def _evaluate(
    evaluator: Evaluator, base_url: str, folder: Path, cases: int, server: subprocess.Popen[bytes] | None
) -> Cost:
    """Raises RuntimeError where not every case has passed."""
    before = processes.cpu_ms(server.pid) if server is not None else 0.0
    with open(folder / "printed", "wb") as printed:
        began = time.monotonic()
        process = subprocess.Popen(
            evaluator.command(base_url),
            cwd=folder,
            env={**os.environ, **evaluator.environment},
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        watch = _Watch([process.pid] if server is None else [process.pid, server.pid])
        watch.start()
        _, status, used = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    watch.end()
    cpu_s = used.ru_utime + used.ru_stime
    if server is not None:
        processes.settle(server.pid)
        cpu_s += (processes.cpu_ms(server.pid) - before) / 1_000
    text = (folder / "printed").read_text(errors="replace")
    passed = evaluator.count_passed(text)
    if process.returncode or passed != cases:
        raise RuntimeError(
            f"{evaluator.name}: {passed} of {cases} passed, status {process.returncode}: {text[-2_000:]}"
        )
    return Cost(wall_s, cpu_s, watch.peak_rss, watch.root_rss)


def run(
    chosen: Sequence[Evaluator], sizes: Sequence[int], grown: int, rounds: int
) -> dict[tuple[str, int], list[Turn]]:
    """All turns, by evaluator and size. Every other round goes in the opposite order."""
    turns: dict[tuple[str, int], list[Turn]] = {}
    with tempfile.TemporaryDirectory(prefix="rondo-bench-") as folder, load.instant_provider(Path(folder)) as model:
        for number in range(rounds):
            order = [(evaluator, size) for size in sizes for evaluator in chosen]
            order += [(evaluator, grown) for evaluator in chosen if grown and _is_rondo(evaluator.name)]
            for evaluator, size in order if number % 2 == 0 else reversed(order):
                turn = take_turn(evaluator, model.base_url, size, model.pid)
                turns.setdefault((evaluator.name, size), []).append(turn)
                print(
                    f"round {number + 1}, {evaluator.name}, {size:,}: {turn.cost.wall_s:.2f} s,"
                    f" {turn.cost.cpu_s:.2f} CPU-s, {turn.cost.peak_rss:.0f} MB,"
                    f" {turn.others:.2f} cores used by others",
                    file=sys.stderr,
                    flush=True,
                )
    return turns


def _is_rondo(name: str) -> bool:
    return name.startswith("Rondo")


def per_case_ms(turns: Turns, name: str, size: int, *, least: bool = False) -> float:
    """Wall time of a case beyond start-up: by the medians, or by the `least` disturbed rounds."""
    choose = min if least else statistics.median
    smallest = min(of for by, of in turns if by == name)
    whole, start = (choose([turn.cost.wall_s for turn in turns[name, of]]) for of in (size, smallest))
    return 1_000 * (whole - start) / (size - smallest)


def report(chosen: Sequence[Evaluator], sizes: Sequence[int], turns: Turns) -> str:
    """The tables, and how noisy the machine was."""
    lines = [
        "| | cases | keeps | wall s | cases/s | CPU s | peak RSS MB | ms per case |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for size in sorted({of for _, of in turns}):
        for evaluator in chosen:
            if (taken := turns.get((evaluator.name, size))) is None:
                continue
            each = "" if size == sizes[0] else f"{per_case_ms(turns, evaluator.name, size):.2f}"
            cells = [
                _spread([turn.cost.wall_s for turn in taken], ".1f"),
                _spread([size / turn.cost.wall_s for turn in taken], ",.0f"),
                _spread([turn.cost.cpu_s for turn in taken], ".1f"),
                _spread([turn.cost.peak_rss for turn in taken], ",.0f"),
                each,
            ]
            lines.append(f"| {evaluator.name} | {size:,} | {evaluator.keeps} | {' | '.join(cells)} |")
    others = [turn.others for taken in turns.values() for turn in taken]
    rounds = len(next(iter(turns.values())))
    lines += [
        "",
        f"Median of {rounds} rounds (least–most), {evaluators.CONCURRENCY} cases at a time, {os.cpu_count()} cores"
        f" shared with the model. *ms per case* is wall time beyond that of {sizes[0]:,} case, by the medians."
        f" Meanwhile other programs used {_spread(others, '.2f')} cores.",
        "",
    ]
    return "\n".join(lines + [f"- {sentence}" for _, sentence in verdicts(sizes, turns)])


def verdicts(sizes: Sequence[int], turns: Turns) -> list[tuple[bool, str]]:
    """Rondo's wall time per case as a share of each peer's, and its growth of memory; whether the targets are met.

    Time by the medians, and by each one's least disturbed round; the worse of the two counts.
    """
    found = []
    names = list(dict.fromkeys(name for name, _ in turns))
    for ours in filter(_is_rondo, names):
        for peer in names:
            for size in sizes[1:] if not _is_rondo(peer) else ():
                middle, least = (
                    per_case_ms(turns, ours, size, least=by_least) / per_case_ms(turns, peer, size, least=by_least)
                    for by_least in (False, True)
                )
                whole = _median_wall(turns, ours, size) / _median_wall(turns, peer, size)
                met = max(middle, least) <= MOST_SHARE
                found.append(
                    (
                        met,
                        f"{ours} / {peer}, {size:,} cases: {middle:.3f} of its wall time per case by the medians,"
                        f" {least:.3f} by the least disturbed rounds (at most {MOST_SHARE:.3f}: {_met(met)});"
                        f" {whole:.3f} with start-up",
                    )
                )
        grown = max(size for name, size in turns if name == ours)
        if grown > sizes[-1] > 1:
            found.append(_growth(turns, ours, sizes[-1], grown))
    return found


def _growth(turns: Turns, name: str, size: int, grown: int) -> tuple[bool, str]:
    """Whether memory stays the same from one size to another."""
    before, after = (statistics.median(turn.cost.peak_rss for turn in turns[name, of]) for of in (size, grown))
    runner = [statistics.median(turn.cost.runner_rss for turn in turns[name, of]) for of in (size, grown)]
    met = after / before - 1 <= MOST_GROWTH
    return (
        met,
        f"{name}: {before:,.0f} MB at {size:,} cases, {after:,.0f} MB at {grown:,}, {after / before - 1:+.1%}"
        f" (at most {MOST_GROWTH:+.0%}: {_met(met)}); of that the process that runs them {runner[0]:,.0f} and"
        f" {runner[1]:,.0f} MB",
    )


def _median_wall(turns: Turns, name: str, size: int) -> float:
    return statistics.median(turn.cost.wall_s for turn in turns[name, size])


def _met(met: bool) -> str:
    return "met" if met else "MISSED"


def _spread(values: Sequence[float], form: str) -> str:
    middle, least, most = (format(value, form) for value in (statistics.median(values), min(values), max(values)))
    return middle if least == most else f"{middle} ({least}–{most})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of cases; the first is start-up")
    parser.add_argument("--grown", type=int, default=GROWN, help="cases that only Rondo evaluates; 0 for none")
    parser.add_argument("--only", action="append", choices=[each.name for each in evaluators.EVALUATORS])
    asked = parser.parse_args()
    chosen = [each for each in evaluators.EVALUATORS if not asked.only or each.name in asked.only]
    absent = [each.name for each in chosen if each.missing()]
    chosen = [each for each in chosen if each.name not in absent]
    sizes = sorted(asked.sizes)
    turns = run(chosen, sizes, asked.grown, asked.rounds)
    print(report(chosen, sizes, turns))
    if absent:
        print(f"- Not installed, so not measured: {', '.join(absent)} (benchmarks/peers.sh)")
    sys.exit(0 if all(met for met, _ in verdicts(sizes, turns)) else 1)


if __name__ == "__main__":
    main()
