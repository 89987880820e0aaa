"""Which topics are new, have grown, or are gone. Pure, but for scikit-learn.

Both windows are grouped together, without regard to which a question is of; so exchanging windows is a fair test of
each group's share, and the largest of all deviations corrects for there being many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np
from msgspec import Struct

from rondo.evals.statistics.intervals import wilson
from rondo.monitoring.drift import exchange
from rondo.monitoring.drift.clusters import cluster
from rondo.monitoring.drift.model import Change, Example, Sample, Topic
from rondo.monitoring.drift.vectors import Vectors
from rondo.monitoring.drift.wording import name_of, scrubbed, shown, top_terms

MOST = 30
_EXAMPLES = 3
_ALIKE = 0.8
_RARE = 0.2
"""A topic with less than this part of its present share before is new."""


class Grouped(Struct, frozen=True, kw_only=True):
    """Topics, the largest first; `p` and `statistic` are of the one that changed most. `labels` has a number a row."""

    topics: list[Topic]
    p: float | None
    statistic: float | None
    labels: list[int]


def find(
    before: Sequence[Sample],
    now: Sequence[Sample],
    vectors: Vectors,
    *,
    seed: int,
    draws: int = exchange.DRAWS,
    of_words: bool = True,
) -> Grouped:
    """`vectors` has a row for each sample, those before first. Raises Conflict without scikit-learn."""
    samples = [*before, *now]
    labels = [label if label < MOST else -1 for label in cluster(vectors, of_words=of_words)]
    names = sorted(set(labels) - {-1})
    if not names:
        return Grouped(topics=[], p=None, statistic=None, labels=labels)
    counts = {label: _count(labels, label, len(before)) for label in [*names, -1]}
    rows = [counts[label] for label in counts if sum(counts[label])]
    tested = exchange.groups([row[0] for row in rows], [row[1] for row in rows], seed=seed, draws=draws)
    terms = top_terms(scrubbed([sample.question for sample in samples]), labels)
    sizes = len(before), len(now)
    topics = [
        _topic(counts[label], sizes, tested.each[at], terms[label], _middle(samples, vectors, labels, label))
        for at, label in enumerate(names)
    ]
    return Grouped(topics=topics, p=tested.p, statistic=tested.statistic, labels=labels)


def named(grouped: Grouped, names: Mapping[int, str], *, factor: float, alpha: float) -> list[Topic]:
    """The topics as they are told: with the names that a model gave, and a change only where it is no chance.

    `factor` is what the correction over all checks made of the topics' p.
    """
    found = []
    for at, topic in enumerate(grouped.topics):
        p = min(1.0, topic.p * factor)
        change = topic.change if p <= alpha else "steady"
        fields = {name: getattr(topic, name) for name in topic.__struct_fields__}
        found.append(Topic(**{**fields, "name": names.get(at, topic.name), "change": change, "p": p}))
    order = {"new": 0, "grown": 1, "gone": 2, "shrunk": 3, "steady": 4}
    return sorted(found, key=lambda topic: (order[topic.change], -max(topic.before, topic.now), topic.name))


def difference(before: tuple[float, float], now: tuple[float, float]) -> tuple[float, float, float]:
    """The difference of two shares (count, of how many), with Newcombe's (1998) 95 % interval."""
    one, other = now[0] / now[1], before[0] / before[1]
    low, high = wilson(one, now[1])
    other_low, other_high = wilson(other, before[1])
    gap = one - other
    return (
        gap,
        gap - sqrt((one - low) ** 2 + (other_high - other) ** 2),
        gap + sqrt((high - one) ** 2 + (other - other_low) ** 2),
    )


def _count(labels: Sequence[int], label: int, before: int) -> tuple[int, int]:
    first = sum(1 for each in labels[:before] if each == label)
    return first, sum(1 for each in labels if each == label) - first


def _topic(
    counts: tuple[int, int], sizes: tuple[int, int], p: float, terms: list[str], examples: list[Example]
) -> Topic:
    before, now = counts[0] / sizes[0], counts[1] / sizes[1]
    gap, low, high = difference((counts[0], sizes[0]), (counts[1], sizes[1]))
    return Topic(
        name=name_of(terms),
        terms=terms,
        change=_change(before, now),
        before=before,
        now=now,
        difference=gap,
        low=low,
        high=high,
        p=p,
        examples=examples,
    )


def _change(before: float, now: float) -> Change:
    if now > before:
        return "new" if before <= _RARE * now else "grown"
    return "gone" if now <= _RARE * before else "shrunk"


def _middle(samples: Sequence[Sample], vectors: Vectors, labels: Sequence[int], label: int) -> list[Example]:
    """The questions nearest to the group's middle, no two of them much alike; the newest of equals."""
    rows = np.flatnonzero(np.array(labels) == label)
    near = vectors[rows] @ vectors[rows].mean(axis=0)
    ordered = rows[np.lexsort((-rows, -np.round(near, 6)))].tolist()
    chosen: list[int] = []
    for row in ordered:
        if len(chosen) < _EXAMPLES and all(float(vectors[row] @ vectors[other]) < _ALIKE for other in chosen):
            chosen.append(row)
    return [Example(trace_id=samples[row].trace_id, question=shown(samples[row].question)) for row in chosen]
