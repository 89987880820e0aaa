"""Metrics whose truth is known, to see how often intervals cover it and how often comparisons raise a false alarm.

Used by the suite with few repetitions and by `benchmarks/eval_statistics.py` with many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rondo.evals.evidence import Comparison, Estimate
from rondo.evals.statistics.sample import SHARE, Floats, Integers, Mean, Quantile, Ratio, Sample, Statistic, Sums

Make = Callable[[np.random.Generator, int], tuple[Sample, Sample | None]]


@dataclass(frozen=True)
class Truth:
    """A scenario: `make` gives a target (and a baseline) of about n examples; `value` should be covered."""

    name: str
    make: Make
    value: float


def ends(found: Estimate | Comparison) -> tuple[float, float]:
    """The interval's ends, where both are known."""
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


def sample_of(values: Floats, statistic: Statistic = SHARE, clusters: Floats | None = None) -> Sample:
    """Values (n,), repeats of them (n, repeats), or rows of columns for sums and ratios (n, columns)."""
    keys = tuple(str(at) for at in range(len(values)))
    named = None if clusters is None else tuple(f"c{int(each)}" for each in clusters)
    if isinstance(statistic, (Sums, Ratio)) or values.ndim == 1:
        rows = values if values.ndim == 2 else values[:, None]
        return Sample(statistic, keys, rows.astype(float), np.arange(len(values)), named, ())
    repeats = values.shape[1]
    example = np.repeat(np.arange(len(values)), repeats)
    return Sample(statistic, keys, values.reshape(-1, 1).astype(float), example, named, ())


def clustered(rng: np.random.Generator, n: int) -> Floats:
    """Clusters of one to nine examples, about n in all."""
    sizes = rng.integers(1, 10, max(2, n // 5))
    return np.repeat(np.arange(len(sizes)), sizes).astype(float)


def _share(p: float) -> Truth:
    return Truth(f"share {p:g}", lambda rng, n: (sample_of((rng.random(n) < p).astype(float)), None), p)


def _clustered_share() -> Truth:
    def make(rng: np.random.Generator, n: int) -> tuple[Sample, None]:
        clusters = clustered(rng, n)
        chance = rng.beta(2.4, 0.6, int(clusters.max()) + 1)[clusters.astype(int)]
        return sample_of((rng.random(len(clusters)) < chance).astype(float), SHARE, clusters), None

    return Truth("share 0.8, in clusters of 1-9", make, 0.8)


def _repeated_share() -> Truth:
    def make(rng: np.random.Generator, n: int) -> tuple[Sample, None]:
        chance = rng.beta(2.4, 0.6, n)
        return sample_of((rng.random((n, 5)) < chance[:, None]).astype(float)), None

    return Truth("share 0.8, five repeats", make, 0.8)


def _mean(name: str, draw: Callable[[np.random.Generator, int], Floats], truth: float, statistic: Statistic) -> Truth:
    return Truth(name, lambda rng, n: (sample_of(draw(rng, n), statistic), None), truth)


def _clustered_cost() -> Truth:
    def make(rng: np.random.Generator, n: int) -> tuple[Sample, None]:
        clusters = clustered(rng, n)
        size = rng.lognormal(-0.125, 0.5, int(clusters.max()) + 1)[clusters.astype(int)]
        return sample_of(size * rng.lognormal(-0.125, 0.5, len(clusters)), Mean(), clusters), None

    return Truth("cost, in clusters of 1-9", make, 1.0)


def _cost_per_case() -> Truth:
    def make(rng: np.random.Generator, n: int) -> tuple[Sample, None]:
        rows = np.column_stack([rng.lognormal(-0.18, 0.6, n), rng.random(n) < 0.7])
        return sample_of(rows, Ratio()), None

    return Truth("cost per solved case", make, 1 / 0.7)


def macro_f1(classes: int) -> Sums:
    """Rows: true positives, false positives, false negatives of each class."""

    def of(sums: Floats) -> Floats:
        hits, false, missed = np.split(sums, 3, axis=1)
        total = 2 * hits + false + missed
        each = np.where(total > 0, 2 * hits / np.where(total > 0, total, 1), 0.0)
        return np.asarray(each.mean(axis=1), np.float64)

    return Sums(of, f"macro F1 of {classes}", (0.0, 1.0))


_SHARES = np.array([0.5, 0.3, 0.2])
_CONFUSION = np.array([[0.85, 0.1, 0.05], [0.15, 0.75, 0.1], [0.1, 0.2, 0.7]])
_OTHER_CONFUSION = np.array([[0.75, 0.15, 0.1], [0.15, 0.75, 0.1], [0.2, 0.2, 0.6]])


def _labelled(rng: np.random.Generator, true: Integers, confusion: Floats) -> Integers:
    above = rng.random(len(true))[:, None] > np.cumsum(confusion, axis=1)[true]
    return np.asarray(np.minimum(above.sum(axis=1), 2), np.int64)


def _f1_rows(true: Integers, said: Integers) -> Floats:
    t, s = np.eye(3)[true], np.eye(3)[said]
    return np.hstack([t * s, (1 - t) * s, t * (1 - s)])


def _true_f1(confusion: Floats) -> float:
    joint = _SHARES[:, None] * confusion
    hits = np.diag(joint)
    return float(macro_f1(3).of(np.concatenate([hits, joint.sum(0) - hits, joint.sum(1) - hits])[None])[0])


def _f1() -> Truth:
    def make(rng: np.random.Generator, n: int) -> tuple[Sample, None]:
        true = rng.choice(3, n, p=_SHARES)
        return sample_of(_f1_rows(true, _labelled(rng, true, _CONFUSION)), macro_f1(3)), None

    return Truth("macro F1 of three classes", make, _true_f1(_CONFUSION))


def _latency(level: float, z: float) -> Truth:
    return _mean(
        f"p{100 * level:g} of latency", lambda rng, n: rng.lognormal(0, 0.6, n), float(np.exp(0.6 * z)), Quantile(level)
    )


def _repeated_latency() -> Truth:
    def make(rng: np.random.Generator, n: int) -> tuple[Sample, None]:
        hard = rng.normal(0, 0.42, (n, 1))
        return sample_of(np.exp(hard + rng.normal(0, 0.43, (n, 3))), Quantile(0.95)), None

    return Truth("p95 of latency, three repeats", make, float(np.exp(1.6448536 * np.hypot(0.42, 0.43))))


def estimated() -> list[Truth]:
    """What an estimate should cover."""
    return [
        _share(0.5),
        _share(0.8),
        _share(0.95),
        _clustered_share(),
        _repeated_share(),
        _mean("score, beta, mean 0.9", lambda rng, n: rng.beta(4.5, 0.5, n), 0.9, SHARE),
        _mean("rubric 1-5, mean 4.2", lambda rng, n: 1 + rng.binomial(4, 0.8, n).astype(float), 4.2, Mean((1.0, 5.0))),
        _f1(),
        _mean("tokens, log-normal 0.6", lambda rng, n: rng.lognormal(-0.18, 0.6, n), 1.0, Mean()),
        _mean("cost, log-normal 1.0", lambda rng, n: rng.lognormal(-0.5, 1.0, n), 1.0, Mean()),
        _clustered_cost(),
        _cost_per_case(),
        _latency(0.5, 0.0),
        _latency(0.95, 1.6448536),
        _repeated_latency(),
    ]


def _paired_share(up: float, down: float) -> Truth:
    def make(rng: np.random.Generator, n: int) -> tuple[Sample, Sample]:
        change = rng.choice([1.0, -1.0, 0.0], n, p=[up, down, 1 - up - down])
        base = np.where(change == 0, rng.random(n) < 0.8, change < 0).astype(float)
        return sample_of(base + change), sample_of(base)

    return Truth(f"share, {up:g} better, {down:g} worse", make, up - down)


def _paired_clusters() -> Truth:
    def make(rng: np.random.Generator, n: int) -> tuple[Sample, Sample]:
        clusters = clustered(rng, n)
        at = clusters.astype(int)
        count = int(clusters.max()) + 1
        touched = rng.random(count) < 0.3
        kind = rng.random(count) < 0.5
        moved = touched[at] & (rng.random(len(at)) < 0.6)
        plain = (rng.random(len(at)) < 0.8).astype(float)
        target = np.where(moved, kind[at].astype(float), plain)
        base = np.where(moved, 1.0 - kind[at], plain)
        return sample_of(target, SHARE, clusters), sample_of(base, SHARE, clusters)

    return Truth("share, changes in clusters", make, 0.0)


def _paired_repeats() -> Truth:
    def make(rng: np.random.Generator, n: int) -> tuple[Sample, Sample]:
        chance = rng.beta(1.6, 0.4, n)[:, None]
        return sample_of((rng.random((n, 5)) < chance).astype(float)), sample_of(
            (rng.random((n, 5)) < chance).astype(float)
        )

    return Truth("share, five repeats", make, 0.0)


def _paired_score() -> Truth:
    def make(rng: np.random.Generator, n: int) -> tuple[Sample, Sample]:
        base = rng.integers(1, 6, n).astype(float)
        moved = np.clip(base + rng.choice([-1, 0, 1], n, p=[0.1, 0.8, 0.1]), 1, 5)
        return sample_of(moved, Mean((1.0, 5.0))), sample_of(base, Mean((1.0, 5.0)))

    return Truth("rubric 1-5, a fifth moved", make, 0.0)


def _paired_cost(name: str, ratio: float) -> Truth:
    def make(rng: np.random.Generator, n: int) -> tuple[Sample, Sample]:
        base = rng.lognormal(-0.32, 0.8, n)
        return sample_of(ratio * base * rng.lognormal(-0.045, 0.3, n), Mean()), sample_of(base, Mean())

    return Truth(name, make, ratio - 1)


def _paired_latency(level: float, z: float) -> Truth:
    def make(rng: np.random.Generator, n: int) -> tuple[Sample, Sample]:
        hard = rng.normal(0, 0.5, n)
        mine, other = (np.exp(hard + rng.normal(0, 0.3, n)) for _ in range(2))
        return sample_of(1.2 * mine, Quantile(level)), sample_of(other, Quantile(level))

    return Truth(f"p{100 * level:g} of latency, 20 % slower", make, 0.2 * float(np.exp(z * np.hypot(0.5, 0.3))))


def _paired_f1() -> Truth:
    def make(rng: np.random.Generator, n: int) -> tuple[Sample, Sample]:
        true = rng.choice(3, n, p=_SHARES)
        base = _labelled(rng, true, _CONFUSION)
        said = np.where(rng.random(n) < 0.6, base, _labelled(rng, true, _OTHER_CONFUSION))
        return sample_of(_f1_rows(true, said), macro_f1(3)), sample_of(_f1_rows(true, base), macro_f1(3))

    return Truth(
        "macro F1, 40 % of answers new",
        make,
        _true_f1(0.6 * _CONFUSION + 0.4 * _OTHER_CONFUSION) - _true_f1(_CONFUSION),
    )


def compared() -> list[Truth]:
    """What the interval of a difference should cover."""
    return [
        _paired_share(0.05, 0.05),
        _paired_share(0.12, 0.03),
        _paired_clusters(),
        _paired_repeats(),
        _paired_score(),
        _paired_f1(),
        _paired_cost("cost, same", 1.0),
        _paired_cost("cost, a fifth less", 0.8),
        _paired_latency(0.5, 0.0),
        _paired_latency(0.95, 1.6448536),
    ]


def unchanged(rng: np.random.Generator, n: int) -> list[tuple[Sample, Sample]]:
    """Ten goals' metrics of the same examples, in clusters of five that share their luck; nothing has changed."""
    clusters = np.repeat(np.arange(-(-n // 5)), 5)[:n].astype(float)
    at = clusters.astype(int)
    pairs = []
    for p in (0.9, 0.85, 0.7, 0.95, 0.5):
        hard = rng.random(at.max() + 1)[at]
        sides = [((rng.random(at.max() + 1)[at] * 0.5 + hard * 0.5) < p).astype(float) for _ in range(2)]
        pairs.append((sample_of(sides[0], SHARE, clusters), sample_of(sides[1], SHARE, clusters)))
    for _ in range(2):
        hard = rng.normal(0, 0.5, at.max() + 1)[at]
        sides = [np.exp(hard + rng.normal(0, 0.4, at.max() + 1)[at] + rng.normal(0, 0.2, n)) for _ in range(2)]
        pairs.append((sample_of(sides[0], Mean(), clusters), sample_of(sides[1], Mean(), clusters)))
        pairs.append((sample_of(sides[0], Quantile(0.95), clusters), sample_of(sides[1], Quantile(0.95), clusters)))
    hard = rng.integers(1, 5, at.max() + 1)[at]
    sides = [(hard + rng.integers(0, 2, at.max() + 1)[at]).astype(float) for _ in range(2)]
    pairs.append((sample_of(sides[0], Mean((1.0, 5.0)), clusters), sample_of(sides[1], Mean((1.0, 5.0)), clusters)))
    return pairs
