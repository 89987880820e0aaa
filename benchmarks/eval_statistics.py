"""What the statistics of evaluations cost, and whether they hold: time, memory, coverage, false alarms.

    python benchmarks/eval_statistics.py [repetitions] [cost|coverage|alarms]

Prints Markdown tables. Coverage is the share of 95 % intervals that contain the truth, *below* and *above* the
shares with the truth beyond their lower or upper end; *open-ended* are those with an end that is not known.
4,000 repetitions tell 95.0 % from 94.3 %, and take minutes.
"""

from __future__ import annotations

import platform
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from rondo.evals.evidence import Comparison, Estimate
from rondo.evals.statistics.agreement import cohen_kappa, krippendorff_alpha
from rondo.evals.statistics.compare import Pair, compare_all
from rondo.evals.statistics.estimate import estimate_all
from rondo.evals.statistics.prediction_powered import corrected_mean
from rondo.evals.statistics.sample import SHARE, Mean, Quantile, Sample
from simulated_metrics import Truth, compared, estimated, sample_of, unchanged

SIZES = (30, 100, 300)
BATCH = 250
Ends = tuple[float | None, float | None]


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ten_metrics(rng: np.random.Generator, n: int, *, only_means: bool) -> list[tuple[Sample, Sample]]:
    """Of a target and a baseline on the same examples: yes or no, scores, cost and tokens, latency."""
    pairs = []
    for _ in range(0 if only_means else 3):
        base = (rng.random(n) < 0.85).astype(float)
        pairs.append((sample_of(np.where(rng.random(n) < 0.05, 1 - base, base)), sample_of(base)))
    for _ in range(5 if only_means else 3):
        base = rng.beta(4, 1, n)
        pairs.append((sample_of((base + rng.normal(0, 0.1, n)).clip(0, 1), SHARE), sample_of(base, SHARE)))
    for _ in range(5 if only_means else 2):
        base = rng.lognormal(-5, 1, n)
        pairs.append((sample_of(base * rng.lognormal(0, 0.1, n), Mean()), sample_of(base, Mean())))
    for level in () if only_means else (0.5, 0.95):
        base = rng.lognormal(6, 0.6, n)
        pairs.append((sample_of(base * rng.lognormal(0, 0.3, n), Quantile(level)), sample_of(base, Quantile(level))))
    return pairs


def cost(n: int = 10_000, draws: int = 10_000) -> None:
    print(f"\n## Cost: {n:,} paired examples, 10 metrics, {draws:,} draws\n")
    print("| metrics | estimates of the target, s | comparisons, s | both, s | peak memory, MB (before) |")
    print("|---|---:|---:|---:|---:|")
    rng = np.random.default_rng(1)
    for name, only_means in (("3 yes/no, 3 scores, 2 costs, 2 latencies", False), ("5 scores, 5 costs", True)):
        pairs = ten_metrics(rng, n, only_means=only_means)
        before, took = _peak_mb(), []
        for _ in range(3):
            start = time.perf_counter()
            estimate_all([target for target, _ in pairs], draws=draws)
            middle = time.perf_counter()
            compare_all([Pair(target, base, margin=0.01) for target, base in pairs], draws=draws)
            took.append((middle - start, time.perf_counter() - middle))
        first, second = min(took, key=sum)
        print(f"| {name} | {first:.2f} | {second:.2f} | {first + second:.2f} | {_peak_mb():.0f} ({before:.0f}) |")


def _row(name: str, n: int, truth: float, found: list[Ends]) -> None:
    low = np.array([-np.inf if each[0] is None else each[0] for each in found])
    high = np.array([np.inf if each[1] is None else each[1] for each in found])
    over, under = float((low > truth + 1e-12).mean()), float((high < truth - 1e-12).mean())
    open_ended = float((np.isinf(low) | np.isinf(high)).mean())
    width = "–" if open_ended > 0.5 else f"{np.median(high - low):.3f}"
    print(
        f"| {name} | {n} | {100 * (1 - over - under):.1f} | {100 * over:.1f} | {100 * under:.1f}"
        f" | {width} | {100 * open_ended:.0f} |",
        flush=True,
    )


def _head(title: str) -> None:
    print(f"\n## {title}\n\n| metric | n | coverage, % | truth below, % | truth above, % | width | open-ended, % |")
    print("|---|---:|---:|---:|---:|---:|---:|")


def _simulate(truth: Truth, n: int, repetitions: int) -> list[Ends]:
    rng = np.random.default_rng(7)
    found: list[Estimate | Comparison] = []
    for seed in range(-(-repetitions // BATCH)):
        made = [truth.make(rng, n) for _ in range(BATCH)]
        pairs = [Pair(target, base) for target, base in made if base is not None]
        found += compare_all(pairs, draws=2000, seed=seed) if pairs else []
        found += [] if pairs else estimate_all([target for target, _ in made], draws=2000, seed=seed)
    return [(each.low, each.high) for each in found]


def coverage(repetitions: int) -> None:
    for title, truths in (("Estimates", estimated()), ("Differences, paired", compared())):
        _head(f"Coverage: {title}")
        for truth in truths:
            for n in SIZES:
                _row(truth.name, n, truth.value, _simulate(truth, n, repetitions))
    _head("Coverage: judges")
    rng = np.random.default_rng(8)
    for name, value, once in (*_kappas(rng), _alpha(rng), *_corrections(rng)):
        for n in SIZES:
            _row(name, n, value, [once(n) for _ in range(min(repetitions, 2000))])


Once = Callable[[int], Ends]


def _kappas(rng: np.random.Generator) -> list[tuple[str, float, Once]]:
    """A judge and a person who agree on 80 % of yes and no, and within a point or so on a scale of five."""
    yes_no = np.array([[0.55, 0.1], [0.1, 0.25]])
    apart = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    scale = np.exp(-1.2 * apart) * np.array([0.08, 0.12, 0.2, 0.3, 0.3])[:, None]
    scale /= scale.sum()

    def truth(joint: np.ndarray[tuple[int, ...], np.dtype[np.float64]], power: float) -> float:
        penalty = np.abs(np.subtract.outer(np.arange(len(joint)), np.arange(len(joint)))) ** power
        return float(1 - (joint * penalty).sum() / (np.outer(joint.sum(1), joint.sum(0)) * penalty).sum())

    def plain(n: int) -> Ends:
        first, second = np.divmod(rng.choice(4, n, p=yes_no.ravel()), 2)
        found = cohen_kappa(first.tolist(), second.tolist())
        return found.low, found.high

    def weighted(n: int) -> Ends:
        first, second = np.divmod(rng.choice(25, n, p=scale.ravel()), 5)
        found = cohen_kappa(first.tolist(), second.tolist(), weights="quadratic", categories=range(5))
        return found.low, found.high

    return [
        ("kappa, yes or no", truth(yes_no, 1), plain),
        ("kappa, 1-5, quadratic weights", truth(scale, 2), weighted),
    ]


def _alpha(rng: np.random.Generator) -> tuple[str, float, Once]:
    def items(n: int) -> list[list[int | None]]:
        true = rng.choice(3, n, p=[0.5, 0.3, 0.2])[:, None]
        said = np.where(rng.random((n, 3)) < 0.8, true, rng.integers(0, 3, (n, 3)))
        there = rng.random((n, 3)) < 0.8
        return [
            [int(each) if here else None for each, here in zip(*row, strict=True)]
            for row in zip(said, there, strict=True)
        ]

    def once(n: int) -> Ends:
        found = krippendorff_alpha(items(n), scale="ordinal", categories=[0, 1, 2])
        return found.low, found.high

    # Its truth is its value on very many items: to 0.003.
    value = krippendorff_alpha(items(100_000), scale="ordinal", categories=[0, 1, 2]).value
    return "alpha, ordinal, three raters with gaps", value or 0.0, once


def _corrections(rng: np.random.Generator) -> list[tuple[str, float, Once]]:
    def judged(right: float) -> Once:
        def once(n: int) -> Ends:
            people = (rng.random(n + 1000) < 0.8).astype(float)
            judge = np.where(rng.random(n + 1000) < right, people, 1 - people)
            found = corrected_mean(people[:n].tolist(), judge[:n].tolist(), judge[n:].tolist()).estimate
            return found.low, found.high

        return once

    return [
        (f"share corrected by n labels, judge right in {100 * right:.0f} %", 0.8, judged(right))
        for right in (0.95, 0.8)
    ]


def alarms(repetitions: int) -> None:
    print("\n## False alarms: ten goals, clusters of five, nothing has changed\n")
    print("| rule | n | any goal *worse*, % | any goal *better* or *worse*, % |\n|---|---:|---:|---:|")
    for n in (50, 200, 1000):
        _alarms("as it is", n, repetitions, lambda pairs, seed: compare_all(pairs, draws=1000, seed=seed))
    _alarms(
        "without Holm's correction", 200, repetitions,
        lambda pairs, seed: [compare_all([each], draws=1000, seed=seed)[0] for each in pairs],
    )  # fmt: skip
    _alarms(
        "ignoring clusters", 200, repetitions,
        lambda pairs, seed: compare_all([_loose(each) for each in pairs], draws=1000, seed=seed),
    )  # fmt: skip


def _loose(pair: Pair) -> Pair:
    return Pair(replace(pair.target, clusters=None), replace(pair.baseline, clusters=None))


def _alarms(rule: str, n: int, repetitions: int, decide: Callable[[list[Pair], int], list[Comparison]]) -> None:
    rng = np.random.default_rng(9)
    worse = changed = 0
    for seed in range(repetitions):
        found = decide([Pair(target, base) for target, base in unchanged(rng, n)], seed)
        worse += any(each.outcome == "worse" for each in found)
        changed += any(each.outcome != "not_enough_evidence" for each in found)
    print(f"| {rule} | {n} | {100 * worse / repetitions:.1f} | {100 * changed / repetitions:.1f} |", flush=True)


def main() -> None:
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    asked = sys.argv[2:] or ["cost", "coverage", "alarms"]
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {repetitions:,} repetitions")
    if "cost" in asked:
        cost()
    if "coverage" in asked:
        coverage(repetitions)
    if "alarms" in asked:
        alarms(min(repetitions, 1000))


if __name__ == "__main__":
    main()
