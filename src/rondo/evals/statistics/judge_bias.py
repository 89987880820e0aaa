"""Whether a judge is swayed by what should not matter: the order of two answers, and their length. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import atanh, sqrt, tanh
from typing import Literal

import numpy as np

from rondo.errors import InvalidRequest
from rondo.evals.evidence import Comparison, Estimate
from rondo.evals.statistics.compare import Pair, compare
from rondo.evals.statistics.distributions import normal_quantile
from rondo.evals.statistics.estimate import estimate
from rondo.evals.statistics.intervals import LEVEL
from rondo.evals.statistics.resample import DRAWS
from rondo.evals.statistics.sample import SHARE, Floats, Sample, sample
from rondo.evals.statistics.significance import exchanged_p

Choice = Literal["first", "second", "tie"]


@dataclass(frozen=True, slots=True)
class PositionBias:
    """`preference` is how much more often the answer shown first is chosen than the one shown second.

    `consistent` is the share of pairs of which the same answer wins (or neither) in both orders.
    """

    preference: Comparison
    consistent: Estimate


def position_bias(choices: Sequence[tuple[Choice, Choice]], *, seed: int = 0) -> PositionBias:
    """A pairwise judge, asked about each pair in both orders: what it chose in the one, and in the other."""
    points = {"first": 1.0, "tie": 0.5, "second": 0.0}
    first = [(points[one] + points[other]) / 2 for one, other in choices]
    same = [points[one] == 1 - points[other] for one, other in choices]
    favoured = Pair(_numbered(first), _numbered([1 - share for share in first]))
    return PositionBias(compare(favoured, seed=seed), estimate(_numbered([float(each) for each in same])))


def length_bias_of_choices(judge: Sequence[float], people: Sequence[float], *, seed: int = 0) -> Comparison:
    """Whether a judge chooses the longer of two answers more often than people do, on the same pairs.

    1 where the longer one was chosen, 0 where the shorter one was, 0.5 for a tie. Leave out pairs of equal length.
    """
    _same_length(judge, people)
    return compare(Pair(_numbered(judge), _numbered(people)), seed=seed)


@dataclass(frozen=True, slots=True)
class LengthBias:
    """`correlation` is Spearman's, of how much higher than people a judge scores, with the answer's length.

    `low` and `high` are its 95 % interval (Bonett & Wright 2000), `p` is that of no correlation, by shuffling. None
    where one of the two does not vary, or for fewer than four answers.
    """

    correlation: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int


def length_bias_of_scores(
    judge: Sequence[float], people: Sequence[float], lengths: Sequence[float], *, draws: int = DRAWS, seed: int = 0
) -> LengthBias:
    """Whether a judge scores longer answers higher than people score them.

    Against people's scores, not by itself: longer answers may well be better ones.
    """
    _same_length(judge, people)
    _same_length(judge, lengths)
    n = len(judge)
    over = np.asarray(judge, np.float64) - np.asarray(people, np.float64)
    length = np.asarray(lengths, np.float64)
    if not (np.isfinite(over).all() and np.isfinite(length).all()):
        raise InvalidRequest("A score or a length is NaN or infinite; leave out what is not known.", param="judge")
    if n < 4 or not np.ptp(over) or not np.ptp(length):
        return LengthBias(None, None, None, None, n)
    one, other = _standardised_ranks(over), _standardised_ranks(length)
    correlation = float(np.clip(one @ other, -1, 1))
    rng = np.random.Generator(np.random.PCG64(seed))
    shuffled = np.array([one @ rng.permutation(other) for _ in range(draws)])
    if abs(correlation) > 1 - 1e-12:
        low = high = correlation
    else:
        reach = normal_quantile((1 + LEVEL) / 2) * sqrt((1 + correlation**2 / 2) / (n - 3))
        low, high = tanh(atanh(correlation) - reach), tanh(atanh(correlation) + reach)
    return LengthBias(correlation, low, high, exchanged_p(correlation, shuffled), n)


def _standardised_ranks(values: Floats) -> Floats:
    """Ranks (ties share their mean rank), with mean 0 and length 1: their product is Spearman's correlation."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    centred = ranks - ranks.mean()
    return np.asarray(centred / np.sqrt((centred**2).sum()), np.float64)


def _numbered(values: Sequence[float]) -> Sample:
    return sample({str(at): [value] for at, value in enumerate(values)}, SHARE)


def _same_length(one: Sequence[float], other: Sequence[float]) -> None:
    if len(one) != len(other):
        raise InvalidRequest(f"Both must be about the same answers, not {len(one)} and {len(other)}.", param="judge")
