"""How scores add up to a metric: sufficient statistics of each, and the metric as a function of their sums. Pure.

Intervals draw examples again and again; with sums, a draw is a product of matrices, and a metric that is no mean (BLEU,
F1, perplexity) costs no more than one that is. What `Metric.adds_up` may say:

    mean            the mean of the values                mean:KEY       of `details[KEY]`
    bleu            BLEU of the corpus                    chrf:WORDS     chrF, with word n-grams up to WORDS
    macro_f1, macro_precision, macro_recall, weighted_f1  of labels
    perplexity      of all tokens together                gap            the mean gap of pairs
    p50, p95        a percentile: no function of sums; see `quantile_of`
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from rondo.evals.model import Metric, Scored

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_PERCENTILE = re.compile(r"p(\d{1,2})")
_CHRF_LETTERS = 6
_CHRF_BETA = 2
_BLEU_WORDS = 4


class Adding(Struct, frozen=True, kw_only=True):
    """How one metric adds up. Columns are the same for all scores that it was made from.

    `rows` turns n scores into (n × k) numbers, NaN throughout where there is no score. `fold` turns sums of rows
    (draws × k) into the metric (draws), NaN where they hold nothing. Rows of repeats may be averaged before.
    """

    rows: Callable[[Sequence[Scored | None]], Numbers]
    fold: Callable[[Numbers], Numbers]


def adding(metric: Metric, *scores: Sequence[Scored | None]) -> Adding:
    """How a metric adds up. `scores` are those of every target that will be compared: they say which labels there are.

    Raises ValueError for a percentile, and for a word that is not known.
    """
    kind, _, detail = metric.adds_up.partition(":")
    if kind == "mean":
        return Adding(rows=lambda given: _ratio(given, lambda scored: _number(scored, detail)), fold=_mean)
    if kind == "bleu":
        return Adding(rows=lambda given: _counts(given, 2 + 2 * _BLEU_WORDS), fold=_bleu)
    if kind == "chrf":
        return Adding(rows=lambda given: _counts(given, 3 * (_CHRF_LETTERS + int(detail))), fold=_chrf)
    if kind == "perplexity":
        return Adding(rows=lambda given: _table(given, 2, _logprobs), fold=_perplexity)
    if kind == "gap":
        return Adding(rows=_gaps, fold=_mean)
    if kind in _OF_LABELS:
        labels = {label: at for at, label in enumerate(labels_of(*scores))}
        return Adding(
            rows=lambda given: _table(given, 3 * len(labels), lambda scored: _labels(scored, labels)),
            fold=_OF_LABELS[kind],
        )
    raise ValueError(f"{metric.name}: {metric.adds_up!r} is no function of sums")


def quantile_of(metric: Metric) -> float | None:
    """0.95 for `p95`; None for a metric that is no percentile. Its values are those of `values`."""
    found = _PERCENTILE.fullmatch(metric.adds_up)
    return int(found[1]) / 100 if found else None


def values(metric: Metric, scores: Sequence[Scored | None]) -> Numbers | None:
    """Each example's own value (n), NaN where there is none; None for metrics that only a corpus has."""
    kind, _, detail = metric.adds_up.partition(":")
    if kind != "mean" and quantile_of(metric) is None:
        return None
    return np.array([_or_nan(_number(scored, detail)) for scored in scores], dtype=np.float64)


def value(metric: Metric, scores: Sequence[Scored | None]) -> float | None:
    """The metric over all scores; None where there are none to speak of."""
    quantile = quantile_of(metric)
    if quantile is not None:
        own = values(metric, scores)
        assert own is not None
        there = own[~np.isnan(own)]
        return float(np.quantile(there, quantile)) if there.size else None
    how = adding(metric, scores)
    rows = how.rows(scores)
    sums = np.nansum(rows, axis=0, keepdims=True)
    found = float(how.fold(sums)[0]) if rows.size else math.nan
    return found if math.isfinite(found) else None


def labels_of(*scores: Sequence[Scored | None]) -> list[str]:
    """The labels that are expected anywhere, sorted. Labels that only answers have are no classes of their own."""
    return sorted({each for given in scores for scored in given if (each := _expected(scored)) is not None})


def confusion(scores: Sequence[Scored | None]) -> dict[str, Any]:
    """The confusion matrix: `matrix[i][j]` counts answers `labels[j]` where `labels[i]` was expected.

    `other[i]` counts answers with a label that is never expected, or with none.
    """
    labels = labels_of(scores)
    place = {label: at for at, label in enumerate(labels)}
    matrix = [[0] * len(labels) for _ in labels]
    other = [0] * len(labels)
    for scored in scores:
        expected = _expected(scored)
        if scored is None or expected is None:
            continue
        given = place.get(scored.details.get("given") or "")
        if given is None:
            other[place[expected]] += 1
        else:
            matrix[place[expected]][given] += 1
    return {"labels": labels, "matrix": matrix, "other": other}


def _number(scored: Scored | None, key: str) -> float | None:
    if scored is None or scored.value is None:
        return None
    found = scored.details.get(key) if key else scored.value
    return float(found) if isinstance(found, int | float) and math.isfinite(found) else None


def _or_nan(number: float | None) -> float:
    return math.nan if number is None else number


def _table(scores: Sequence[Scored | None], columns: int, row: Callable[[Scored], Sequence[float] | None]) -> Numbers:
    found = np.full((len(scores), columns), math.nan)
    for at, scored in enumerate(scores):
        numbers = None if scored is None or scored.value is None else row(scored)
        if numbers is not None and len(numbers) == columns:
            found[at] = numbers
    return found


def _ratio(scores: Sequence[Scored | None], number: Callable[[Scored], float | None]) -> Numbers:
    """(value, 1) of each."""

    def row(scored: Scored) -> Sequence[float] | None:
        found = number(scored)
        return None if found is None else (found, 1.0)

    return _table(scores, 2, row)


def _counts(scores: Sequence[Scored | None], columns: int) -> Numbers:
    """1 and the counts of each: where all counts are 0, there still was an answer."""

    def row(scored: Scored) -> Sequence[float] | None:
        counts = scored.details.get("counts")
        return None if counts is None else (1.0, *counts)

    return _table(scores, 1 + columns, row)


def _logprobs(scored: Scored) -> Sequence[float] | None:
    total, tokens = scored.details.get("logprob"), scored.details.get("tokens")
    return None if total is None or not tokens else (total, tokens)


def _gaps(scores: Sequence[Scored | None]) -> Numbers:
    """(gap, 1) at the first example of each pair, (0, 0) at the others: a pair is drawn with its first example."""
    pairs: dict[str, dict[str, list[float]]] = {}
    first: dict[str, int] = {}
    found = np.full((len(scores), 2), math.nan)
    for at, scored in enumerate(scores):
        pair = None if scored is None or scored.value is None else scored.details.get("pair")
        if scored is None or scored.value is None or pair is None:
            continue
        found[at] = 0.0
        first.setdefault(pair, at)
        pairs.setdefault(pair, {}).setdefault(scored.details.get("example") or str(at), []).append(scored.value)
    for pair, members in pairs.items():
        means = [math.fsum(each) / len(each) for each in members.values()]
        if len(means) > 1:
            found[first[pair]] = (max(means) - min(means), 1.0)
    return found


def _expected(scored: Scored | None) -> str | None:
    found = None if scored is None or scored.value is None else scored.details.get("expected")
    return found if isinstance(found, str) else None


def _labels(scored: Scored, labels: dict[str, int]) -> Sequence[float] | None:
    """For each label: right, expected, given."""
    expected, given = _expected(scored), scored.details.get("given")
    if expected is None:
        return None
    row = [0.0] * (3 * len(labels))
    row[3 * labels[expected] + 1] = 1.0
    if given in labels:
        row[3 * labels[given] + 2] = 1.0
        if given == expected:
            row[3 * labels[given]] = 1.0
    return row


def _divided(above: Numbers, below: Numbers, otherwise: float = math.nan) -> Numbers:
    found: Numbers = np.divide(above, below, out=np.full(np.shape(above), otherwise), where=below > 0)
    return found


def _mean(sums: Numbers) -> Numbers:
    return _divided(sums[:, 0], sums[:, 1])


def _perplexity(sums: Numbers) -> Numbers:
    return np.exp(np.minimum(_divided(-sums[:, 0], sums[:, 1]), 700.0))


def _bleu(sums: Numbers) -> Numbers:
    """As sacrebleu's `compute_bleu` with `exp` smoothing; a share, not percent."""
    given, right = sums[:, 1], sums[:, 2]
    correct, total = sums[:, 3 : 3 + _BLEU_WORDS], sums[:, 3 + _BLEU_WORDS :]
    # A precision of nothing is smoothed to 1/2, 1/4, ... of one n-gram, the n-th time that it happens.
    missed = np.cumsum((correct == 0) & (total > 0), axis=1)
    smoothed = np.where(correct > 0, correct, np.exp2(-missed))
    precision = _divided(smoothed, total, 0.0)
    logs = np.log(precision, out=np.full(precision.shape, -math.inf), where=precision > 0)
    brevity = np.exp(np.minimum(1 - _divided(right, given, math.inf), 0.0))
    score = brevity * np.exp(logs.mean(axis=1))
    score = np.where((correct > 0).any(axis=1), score, 0.0)
    return np.where(sums[:, 0] > 0, score, math.nan)


def _chrf(sums: Numbers) -> Numbers:
    """As sacrebleu's `_compute_f_score` without smoothing; a share, not percent."""
    given, right, matched = sums[:, 1::3], sums[:, 2::3], sums[:, 3::3]
    counts = (given > 0) & (right > 0)
    orders = counts.sum(axis=1).astype(np.float64)
    precision = _divided(np.where(counts, _divided(matched, given, 0.0), 0.0).sum(axis=1), orders, 0.0)
    recall = _divided(np.where(counts, _divided(matched, right, 0.0), 0.0).sum(axis=1), orders, 0.0)
    weight = _CHRF_BETA**2
    score = _divided((1 + weight) * precision * recall, weight * precision + recall, 0.0)
    return np.where(sums[:, 0] > 0, score, math.nan)


def _by_label(sums: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    """Right, expected, given: (draws × labels) each."""
    return sums[:, 0::3], sums[:, 1::3], sums[:, 2::3]


def _macro(share: Numbers, expected: Numbers, given: Numbers) -> Numbers:
    occurs = (expected + given) > 0
    return _divided(np.where(occurs, share, 0.0).sum(axis=1), occurs.sum(axis=1).astype(np.float64))


def _macro_precision(sums: Numbers) -> Numbers:
    right, expected, given = _by_label(sums)
    return _macro(_divided(right, given, 0.0), expected, given)


def _macro_recall(sums: Numbers) -> Numbers:
    right, expected, given = _by_label(sums)
    return _macro(_divided(right, expected, 0.0), expected, given)


def _macro_f1(sums: Numbers) -> Numbers:
    right, expected, given = _by_label(sums)
    return _macro(_divided(2 * right, expected + given, 0.0), expected, given)


def _weighted_f1(sums: Numbers) -> Numbers:
    right, expected, given = _by_label(sums)
    return _divided((_divided(2 * right, expected + given, 0.0) * expected).sum(axis=1), expected.sum(axis=1))


_OF_LABELS: dict[str, Callable[[Numbers], Numbers]] = {
    "macro_f1": _macro_f1,
    "macro_precision": _macro_precision,
    "macro_recall": _macro_recall,
    "weighted_f1": _weighted_f1,
}
