"""A small text classifier for rules: complement naive Bayes over pieces of words. Pure, and the same on every machine.

Trained from labelled examples when a release is made; what it learnt is a table of whole numbers, which the manifest
carries. It knows words, not meaning: it tells topics apart that people name by different words. How well it does on
examples that it has not seen is measured while training (`Report`), never assumed.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

MOST_WEIGHTS = 16_000
"""Features times labels; as JSON, about 130 KB."""

_FOLDS = 10
_LONGEST = 2_000
_SCALE = 100
_WORD = re.compile(r"\w+")
_SIZES = (3, 4, 5)
_TEMPERATURES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5, 4.0)

Examples = Sequence[tuple[str, str]]
"""(text, label) of each."""

_Counts = dict[str, Counter[str]]


class Learnt(Struct, frozen=True, kw_only=True):
    """What training leaves: how much each piece of a word speaks for each label, in hundredths."""

    labels: tuple[str, ...]
    weights: dict[str, tuple[int, ...]]
    temperature: float


class Report(Struct, frozen=True, kw_only=True):
    """How often the label was right for examples held back (`low` to `high`: 95 %), in all and by label.

    `guessing` is how often it would be right to always say the commonest label.
    """

    examples: int
    accuracy: float
    low: float
    high: float
    guessing: float
    by_label: dict[str, float]


class Classifier:
    """Gives the label of a text, and how sure it is."""

    def __init__(self, learnt: Learnt) -> None:
        self.labels = learnt.labels
        self._weights = learnt.weights
        self._temperature = learnt.temperature

    def classify(self, text: str) -> tuple[str | None, float]:
        """The label, and its share of the belief (0 to 1); no label where nothing in the text is known."""
        sums, known = _sums(self._weights, len(self.labels), features(text))
        if not known:
            return None, 0.0
        shares = _shares(sums, known, self._temperature)
        best = max(range(len(shares)), key=shares.__getitem__)
        return self.labels[best], shares[best]


def features(text: str) -> list[str]:
    """The pieces of three to five characters of each word; a space stands for a word's edge."""
    found: list[str] = []
    for word in _WORD.findall(text[:_LONGEST].casefold()):
        edged = f" {word[:40]} "
        for size in _SIZES:
            found += [edged[at : at + size] for at in range(len(edged) - size + 1)]
    return found


def train(examples: Examples) -> tuple[Learnt, Report]:
    """Needs two labels with two examples each at least."""
    rows = [(features(text), label) for text, label in sorted(examples, key=lambda row: (row[1], row[0]))]
    labels = tuple(sorted({label for _, label in rows}))
    folds = [rows[start::_FOLDS] for start in range(_FOLDS)]
    whole = _count(rows, labels)
    tried: list[tuple[list[int], int, int]] = []
    for fold in folds:
        weights = _weigh(_without(whole, _count(fold, labels)), labels)
        for pieces, label in fold:
            tried.append((*_sums(weights, len(labels), pieces), labels.index(label)))
    learnt = Learnt(labels=labels, weights=_weigh(whole, labels), temperature=_calibrated(tried))
    return learnt, _report(tried, labels)


def _count(rows: Iterable[tuple[list[str], str]], labels: Sequence[str]) -> _Counts:
    counts: _Counts = {label: Counter() for label in labels}
    for pieces, label in rows:
        counts[label].update(pieces)
    return counts


def _without(counts: _Counts, part: _Counts) -> _Counts:
    return {label: counts[label] - part[label] for label in counts}


def _weigh(counts: _Counts, labels: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Complement naive Bayes: a piece speaks for a label as much as it is rare among all others.

    Only the pieces that tell most are kept, so that a manifest stays small.
    """
    total: Counter[str] = Counter()
    for label in labels:
        total.update(counts[label])
    size, everything = len(total), sum(total.values())
    norms = [math.log(everything - sum(counts[label].values()) + size) for label in labels]
    found: list[tuple[float, str, tuple[int, ...]]] = []
    for piece, times in total.items():
        speaks = [norm - math.log(times - counts[label][piece] + 1) for label, norm in zip(labels, norms, strict=True)]
        mean = sum(speaks) / len(speaks)
        row = tuple(round((each - mean) * _SCALE) for each in speaks)
        # Rounded, so that the last bit of a logarithm does not decide which pieces are kept.
        found.append((-round((max(speaks) - min(speaks)) * math.sqrt(times), 6), piece, row))
    found.sort()
    return {piece: row for _, piece, row in found[: MOST_WEIGHTS // len(labels)] if any(row)}


def _sums(weights: dict[str, tuple[int, ...]], labels: int, pieces: list[str]) -> tuple[list[int], int]:
    """What the pieces say together, and how many of them are known."""
    known = [row for piece in pieces if (row := weights.get(piece)) is not None]
    if not known:
        return [0] * labels, 0
    return [sum(column) for column in zip(*known, strict=True)], len(known)


def _shares(sums: Sequence[int], known: int, temperature: float) -> list[float]:
    """Belief in each label. Pieces overlap, so evidence counts by the root of their number."""
    scale = 1 / (_SCALE * temperature * math.sqrt(known or 1))
    most = max(sums)
    raised = [math.exp((each - most) * scale) for each in sums]
    whole = sum(raised)
    return [each / whole for each in raised]


def _calibrated(tried: Sequence[tuple[list[int], int, int]]) -> float:
    """The temperature by which held-back examples were least of a surprise."""

    def surprise(temperature: float) -> float:
        return sum(-math.log(max(_shares(sums, known, temperature)[label], 1e-9)) for sums, known, label in tried)

    return min(_TEMPERATURES, key=lambda each: (round(surprise(each), 6), each))


def _report(tried: Sequence[tuple[list[int], int, int]], labels: Sequence[str]) -> Report:
    right: defaultdict[int, int] = defaultdict(int)
    times: Counter[int] = Counter(label for _, _, label in tried)
    for sums, known, label in tried:
        right[label] += bool(known) and sums.index(max(sums)) == label
    share = sum(right.values()) / len(tried)
    low, high = _interval(share, len(tried))
    return Report(
        examples=len(tried),
        accuracy=share,
        low=low,
        high=high,
        guessing=max(times.values()) / len(tried),
        by_label={label: right[at] / times[at] for at, label in enumerate(labels)},
    )


def _interval(share: float, size: int) -> tuple[float, float]:
    """Wilson's, 95 %."""
    z = 1.959964
    middle = (share + z * z / (2 * size)) / (1 + z * z / size)
    half = z * math.sqrt(share * (1 - share) / size + z * z / (4 * size * size)) / (1 + z * z / size)
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def learnt_from(values: object) -> Learnt:
    """What a manifest holds. Raises msgspec.ValidationError."""
    return msgspec.convert(values, Learnt)
