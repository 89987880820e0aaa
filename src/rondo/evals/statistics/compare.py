"""Better, worse, or not enough evidence: a target against a baseline, on the same examples. Pure.

Repeats are averaged within their example, examples are paired, pairs of one cluster stay together. What decides is a
test by exchange of labels (`significance.py`), corrected over all that is compared together; so with ten goals and no
change, one in twenty comparisons of releases raises an alarm, not four in ten. The interval says how large the
difference is, and is not corrected.

Intervals of differences: yes and no, Agresti & Min (2005), Wald's interval with half a pair more in each cell. With
bounds, Student's interval with the standard error of the paired bootstrap. Means without bounds, the symmetric
studentised bootstrap. Quantiles, the percentile bootstrap. Chosen by coverage, as in `intervals.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np

from rondo.evals.evidence import Comparison
from rondo.evals.model import Outcome
from rondo.evals.statistics import power
from rondo.evals.statistics.distributions import normal_quantile
from rondo.evals.statistics.estimate import is_yes_or_no
from rondo.evals.statistics.intervals import LEVEL, Interval, around, symmetric_studentised
from rondo.evals.statistics.resample import DRAWS, Weights, all_swaps, bootstrap, swapped_sums
from rondo.evals.statistics.sample import SHARE, Floats, Mean, Quantile, Sample, Sums, paired
from rondo.evals.statistics.significance import ALPHA, ENUMERATED, exchanged_p, holm, mcnemar
from rondo.evals.statistics.sums import (
    Window,
    of_sums,
    quantile_draws,
    residuals,
    studentised_draws,
    unit_sums,
    value_of,
    window,
)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """One question: is the target better than the baseline in this metric (on these examples)?

    `margin` is the smallest difference that matters; it only decides how many examples would be `needed`.
    """

    target: Sample
    baseline: Sample
    higher_is_better: bool = True
    margin: float | None = None


def compare(pair: Pair, *, baseline: int = 0, draws: int = DRAWS, seed: int = 0) -> Comparison:
    """One comparison by itself. Several that are decided on together belong into `compare_all`."""
    return compare_all([pair], baseline=baseline, draws=draws, seed=seed)[0]


def compare_all(pairs: Sequence[Pair], *, baseline: int = 0, draws: int = DRAWS, seed: int = 0) -> list[Comparison]:
    """All metrics and slices that are decided on together: their p are corrected by Holm over all of them.

    `baseline` is the number of the baseline's target, passed through. `p` is None, and not counted, where no example
    has a value in both, or the metric is undefined. Raises InvalidRequest where a pair's samples do not fit together.
    """
    questions = [_Question(each) for each in pairs]
    tests = _tests(questions, max(draws, 40 * len(questions)), seed)
    corrected = holm(tests)
    alpha = ALPHA / max(1, sum(p is not None for p in tests))
    spreads = _spreads(questions, draws, seed)
    return [
        Comparison(
            baseline=baseline,
            difference=asked.difference,
            low=spread.interval[0],
            high=spread.interval[1],
            p=p,
            n=asked.ours.n,
            method=asked.method,
            outcome=_outcome(asked.difference, p, pair.higher_is_better),
            visible=_visible(asked, spread, alpha),
            needed=_needed(asked, spread, pair.margin, alpha),
        )
        for pair, asked, p, spread in zip(pairs, questions, corrected, spreads, strict=True)
    ]


def _outcome(difference: float | None, p: float | None, higher_is_better: bool) -> Outcome:
    if difference is None or p is None or p > ALPHA or difference == 0:
        return "not_enough_evidence"
    return "better" if (difference > 0) == higher_is_better else "worse"


class _Question:
    """A pair, brought to its units.

    `is_counted`: yes or no, and a unit for each pair; McNemar's table says all (`better` have more of the metric).
    `exchanged` is the sample pair whose labels are exchanged: for a quantile, of who exceeds the common quantile.
    """

    def __init__(self, pair: Pair) -> None:
        self.ours, self.theirs = paired(pair.target, pair.baseline)
        self.statistic = self.ours.statistic
        mine, other = value_of(self.ours), value_of(self.theirs)
        self.difference = None if mine is None or other is None else mine - other
        self.exchanged = _exceeding(self.ours, self.theirs)
        self.is_clustered = self.ours.is_clustered
        self.units = self.ours.unit_count
        both = [is_yes_or_no(each) for each in self.exchanged]
        self.is_counted = all(both) and not self.is_clustered
        if self.is_counted:
            change = self.exchanged[0].rows[:, 0] - self.exchanged[1].rows[:, 0]
            self.better, self.worse = int((change > 0).sum()), int((change < 0).sum())

    @property
    def method(self) -> str:
        if self.difference is None:
            return "none: undefined" if self.ours.n else "none: no examples in common"
        test = "exact McNemar" if self.is_counted else "exchange of labels"
        if isinstance(self.statistic, Quantile):
            test += " above the common quantile, percentile bootstrap"
        elif self.is_counted:
            test += ", Agresti-Min interval"
        elif self.statistic.bounds is None and not isinstance(self.statistic, Sums):
            test += ", studentised paired bootstrap"
        else:
            test += ", paired bootstrap"
        return test + (", clustered" if self.is_clustered else "")


def _exceeding(ours: Sample, theirs: Sample) -> tuple[Sample, Sample]:
    """For a quantile, who is above the quantile of both together; exchanging labels leaves that one where it is."""
    if not isinstance(ours.statistic, Quantile) or not ours.n:
        return ours, theirs
    together = np.concatenate([ours.rows[:, 0], theirs.rows[:, 0]])
    line = np.quantile(together, ours.statistic.level, method="inverted_cdf")
    return (
        replace(ours, statistic=SHARE, rows=(ours.rows > line).astype(float)),
        replace(theirs, statistic=SHARE, rows=(theirs.rows > line).astype(float)),
    )


def _tests(questions: Sequence[_Question], draws: int, seed: int) -> list[float | None]:
    """Every question's own p; None where there is nothing to test."""
    ps: list[float | None] = [None] * len(questions)
    waiting: dict[int, _Exchange] = {}
    for at, asked in enumerate(questions):
        if asked.difference is None:
            continue
        if asked.is_counted:
            ps[at] = mcnemar(asked.better, asked.worse)
            continue
        exchange = _Exchange(*asked.exchanged)
        if len(exchange.change) <= ENUMERATED:
            ps[at] = exchange.p(all_swaps(exchange.change), is_complete=True)
        else:
            waiting[at] = exchange
    for at, sums in swapped_sums({at: exchange.change for at, exchange in waiting.items()}, draws, seed):
        ps[at] = waiting[at].p(sums)
    return ps


class _Exchange:
    """The units that differ at all: `change` is what exchanging each of them moves from one side to the other."""

    def __init__(self, ours: Sample, theirs: Sample) -> None:
        statistic = ours.statistic
        assert not isinstance(statistic, Quantile)
        self._of = of_sums(statistic)
        mine, other = unit_sums(ours), unit_sums(theirs)
        self._mine, self._other = mine.sum(axis=0), other.sum(axis=0)
        change = mine - other
        self.change = change[change.any(axis=1)]

    def p(self, moved: Floats, *, is_complete: bool = False) -> float:
        observed = self._difference(np.zeros((1, self.change.shape[1])))
        return exchanged_p(float(observed[0]), self._difference(moved), is_complete=is_complete)

    def _difference(self, moved: Floats) -> Floats:
        return self._of(self._mine - moved) - self._of(self._other + moved)


@dataclass(frozen=True, slots=True)
class _Spread:
    """A difference's interval and its standard error; 0 where nothing varies, None where it cannot be known."""

    interval: Interval
    error: float | None


_UNKNOWN = _Spread((None, None), None)


def _spreads(questions: Sequence[_Question], draws: int, seed: int) -> list[_Spread]:
    """Every question's interval; all that need draws share them."""
    spreads = [_UNKNOWN] * len(questions)
    columns: dict[int, Floats] = {}
    windows: dict[int, tuple[Window, Window]] = {}
    for at, asked in enumerate(questions):
        if asked.difference is None:
            continue
        if asked.is_counted and not isinstance(asked.statistic, Quantile):
            spreads[at] = _of_counts(asked.better, asked.worse, asked.ours.n)
        elif asked.units > 1:
            if isinstance(asked.statistic, Quantile):
                windows[at] = _windows(asked, asked.statistic.level)
            columns[at] = _drawn_columns(asked) if at not in windows else np.hstack([w.columns for w in windows[at]])
    kept = {at: [each.units for each in both] for at, both in windows.items()}
    for at, sums, weights in bootstrap(columns, kept, draws, seed):
        asked = questions[at]
        spreads[at] = _of_quantiles(asked, windows[at], sums, weights) if weights else _of_draws(asked, sums)
    return spreads


def _drawn_columns(asked: _Question) -> Floats:
    mine, other = unit_sums(asked.ours), unit_sums(asked.theirs)
    if isinstance(asked.statistic, Mean) and asked.statistic.bounds is None:
        return residuals(mine[:, 0] - other[:, 0], mine[:, 1]).columns
    return np.hstack([mine, other])


def _of_counts(better: int, worse: int, n: int) -> _Spread:
    """Agresti & Min (2005): Wald's interval with half a pair more in each cell of the table."""
    up, down = (better + 0.5) / (n + 2), (worse + 0.5) / (n + 2)
    error = sqrt((up + down - (up - down) ** 2) / (n + 2))
    reach = normal_quantile((1 + LEVEL) / 2) * error
    seen = (better - worse) / n
    return _Spread((min(seen, max(-1.0, up - down - reach)), max(seen, min(1.0, up - down + reach))), error)


def _of_draws(asked: _Question, drawn: Floats) -> _Spread:
    statistic, difference = asked.statistic, asked.difference
    assert difference is not None
    assert not isinstance(statistic, Quantile)
    units = asked.units
    mine, other = unit_sums(asked.ours), unit_sums(asked.theirs)
    if isinstance(statistic, Mean) and statistic.bounds is None:
        error = residuals(mine[:, 0] - other[:, 0], mine[:, 1]).error
        if error == 0:
            return _Spread((difference, difference), 0.0)
        return _Spread(symmetric_studentised(difference, error, studentised_draws(drawn), units), error)
    of, width = of_sums(statistic), mine.shape[1]
    differences = of(drawn[:, :width]) - of(drawn[:, width:])
    differences = differences[np.isfinite(differences)]
    if len(differences) < len(drawn) / 2:
        return _UNKNOWN
    error = float(differences.std()) * sqrt(units / (units - 1))
    if statistic.bounds is None:
        return _Spread(around(difference, error, units), error)
    span = statistic.bounds[1] - statistic.bounds[0]
    if error <= 1e-7 * span:
        # Nothing varies: as if two more units had changed, one each way.
        error = sqrt(2.0) * span / (units + 2)
    low, high = around(difference, error, units)
    return _Spread((max(-span, low or 0.0), min(span, high or 0.0)), error)


def _windows(asked: _Question, level: float) -> tuple[Window, Window]:
    units = asked.ours.units
    return (
        window(asked.ours.rows[:, 0], units[asked.ours.example], level),
        window(asked.theirs.rows[:, 0], units[asked.theirs.example], level),
    )


def _of_quantiles(
    asked: _Question,
    windows: tuple[Window, Window],
    drawn: Floats,
    weights: Sequence[Weights],
) -> _Spread:
    assert isinstance(asked.statistic, Quantile)
    level = asked.statistic.level
    mine = quantile_draws(windows[0], drawn[:, :2], weights[0], level)
    other = quantile_draws(windows[1], drawn[:, 2:], weights[1], level)
    differences = mine - other
    low, high = np.quantile(differences, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return _Spread((float(low), float(high)), float(differences.std()))


def _visible(asked: _Question, spread: _Spread, alpha: float) -> float | None:
    if not spread.error:
        return None
    if asked.is_counted and not isinstance(asked.statistic, Quantile):
        return power.visible_share_difference(asked.ours.n, _discordance(asked), alpha=alpha)
    return power.visible_mean_difference(spread.error, alpha=alpha)


def _needed(asked: _Question, spread: _Spread, margin: float | None, alpha: float) -> int | None:
    if margin is None or not spread.error:
        return None
    if asked.is_counted and not isinstance(asked.statistic, Quantile):
        return power.pairs_needed_for_shares(_discordance(asked), margin, alpha=alpha)
    return power.pairs_needed_for_means(spread.error**2 * asked.ours.n, margin, alpha=alpha)


def _discordance(asked: _Question) -> float:
    """The share of pairs that differ, as Agresti and Min count it: never none."""
    return (asked.better + asked.worse + 1) / (asked.ours.n + 2)
