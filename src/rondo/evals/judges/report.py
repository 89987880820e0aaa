"""How well a judge agreed with people, as a calibration keeps it, and what it lacks to count at a gate. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct, structs

from rondo.evals.judges.model import Judge


class Bounded(Struct, frozen=True):
    """A number with its 95 % interval; None where it cannot be told."""

    value: float | None = None
    low: float | None = None
    high: float | None = None


class Agreement(Struct, frozen=True, kw_only=True):
    """One aspect of a judge against people, over the `compared` answers that both gave a word on.

    `undecided` are answers on which people were evenly split, `failed` those on which the judge gave no verdict.
    `exact` is the share of equal words. `kappa` is Cohen's (`weights`: quadratic on a scale), `alpha` Krippendorff's;
    `people_alpha` is that of people among themselves, over the `annotated` answers that several have labelled: no judge
    can be expected to do much better. `lean` is judge minus people, as a share of the scale. `length` is Spearman's
    correlation of that difference with the answer's length; of a pairwise judge, how much more often than people it
    chooses the longer answer: above zero, it is kinder to long answers than people are. `confusion` counts answers: a
    row for each word of people, a column for each of the judge. `pairs` are (judge, people) as shares of the scale, for
    corrected estimates.
    """

    aspect: str
    metric: str
    weights: str
    compared: int
    undecided: int
    failed: int
    exact: float | None
    kappa: Bounded
    alpha: Bounded
    annotated: int
    people_alpha: Bounded
    lean: Bounded
    length: Bounded
    words: list[str]
    confusion: list[list[int]]
    pairs: list[tuple[float, float]]


class Position(Struct, frozen=True):
    """What the order of two answers does to a pairwise judge that was asked in both orders, `asked` times.

    `consistent` is the share of verdicts that the order has not changed; `preference` how much more often the answer
    that is given first wins than the one given second: 0, for a judge to whom the order means nothing.
    """

    asked: int
    consistent: Bounded
    preference: Bounded


class Corrected(Struct, frozen=True, kw_only=True):
    """A metric of a run, as the judge scored it (`judged`) and as people would have (`corrected`), by their labels."""

    target: str
    metric: str
    n: int
    labels: int
    judged: float
    corrected: Bounded


class Measured(Struct, frozen=True, kw_only=True):
    """A whole calibration. `errors` counts the judge's failures by what they are called; `source` names the labels."""

    source: str
    answers: int
    aspects: list[Agreement]
    position: Position | None
    errors: dict[str, int]
    cost_usd: float
    run: str | None = None
    corrected: list[Corrected] = []

    @property
    def kappa(self) -> float | None:
        """The least of all aspects: a judge is as good as what it is worst at. None where one cannot be told."""
        found = [each.kappa.value for each in self.aspects]
        known = [value for value in found if value is not None]
        return min(known) if known and len(known) == len(found) else None

    def without_pairs(self) -> Measured:
        """The same without the single answers' words, which are only for estimates."""
        return structs.replace(self, aspects=[structs.replace(each, pairs=[]) for each in self.aspects])

    @staticmethod
    def of(report: Mapping[str, Any]) -> Measured:
        """As it was kept."""
        return msgspec.convert(report, Measured)


def shortfall(judge: Judge, measured: Measured) -> str | None:
    """What keeps the judge from counting, in words; None where nothing does."""
    for each in measured.aspects:
        about = f" on {each.aspect}" if len(measured.aspects) > 1 else ""
        if each.compared < judge.least_labels:
            return f"it was compared with people{about} on {each.compared} answers of at least {judge.least_labels}"
        if each.kappa.value is None:
            return f"its agreement{about} cannot be told, because all answers were given the same word"
        if judge.mark is not None and each.kappa.value < judge.mark:
            return f"its agreement with people{about} is kappa {each.kappa.value:.2f}, below {judge.mark:g}"
    return None
