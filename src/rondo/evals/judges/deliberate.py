"""What a judge says of a case: several votes, put together to one score for each of its metrics.

- `rubric`: the median of the votes, criterion by criterion.
- `geval`: the mean of the votes, each weighted by the probabilities of the score's tokens where the model tells them.
- `yes_no`: the majority; votes that are split evenly are an error.
- `pairwise`: each vote is asked in both orders. A win counts where both orders agree; everything else is a tie, and
  a verdict that the order has changed is counted as inconsistent (Zheng et al. 2023, https://arxiv.org/abs/2306.05685).

More than half of the votes must be readable, or there is no score. Scores are shares of their scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from statistics import fmean, median
from typing import Any, TypeVar

from rondo.errors import RondoError
from rondo.evals.judges import prompt, verdict
from rondo.evals.judges.asking import Asking, Vote
from rondo.evals.judges.material import material, pair
from rondo.evals.judges.model import Criterion, Judge
from rondo.evals.judges.verdict import Ruling
from rondo.evals.model import Answer, Case, Scored

T = TypeVar("T")

NO_OTHER = "There is no baseline whose answer this one could be compared with."


async def deliberate(judge: Judge, case: Case, asking: Asking) -> dict[str, Scored]:
    """By aspect; "" is their mean, where there are several. Raises BudgetExceeded and PriceUnknown."""
    if judge.kind == "rubric":
        found = await _rubric(judge, case, asking)
    elif judge.kind == "geval":
        found = {each.name: await _geval(judge, case, each, asking) for each in judge.criteria}
    elif judge.kind == "yes_no":
        return {judge.name: await _yes_no(judge, case, asking)}
    else:
        return {judge.name: await _pairwise(judge, case, asking)}
    return found if len(found) == 1 else {**found, "": _mean(found)}


async def _rubric(judge: Judge, case: Case, asking: Asking) -> dict[str, Scored]:
    request = prompt.rubric(judge, material(case))
    form = prompt.form_of(judge)
    votes = [
        await asking.vote(request, lambda answer: verdict.scores(answer.text, judge.criteria), form=form, number=number)
        for number in _numbers(judge)
    ]
    found = {}
    for at, criterion in enumerate(judge.criteria):
        rulings = [vote.verdict[criterion.name] for vote in votes if vote.verdict is not None]
        found[criterion.name] = _counted(
            votes, partial(_median, criterion, rulings), cost=_cost(votes) if at == 0 else 0.0
        )
    return found


def _median(criterion: Criterion, rulings: Sequence[Ruling]) -> Scored:
    values = [ruling.value for ruling in rulings]
    middle = median(values)
    nearest = min(rulings, key=lambda ruling: abs(ruling.value - middle))
    details = {"score": middle, "votes": values, "spread": max(values) - min(values)}
    return Scored(value=criterion.share(middle), reason=nearest.reason, details=details)


async def _geval(judge: Judge, case: Case, criterion: Criterion, asking: Asking) -> Scored:
    request = prompt.geval(judge, material(case), criterion)
    form = prompt.form_of(judge, criterion)

    def read(answer: Answer) -> tuple[float, dict[str, float] | None]:
        said = verdict.number(answer.text, criterion)
        return verdict.expected_score(said, answer.top_logprobs or (), criterion) or (float(said), None)

    votes = [await asking.vote(request, read, form=form, number=number) for number in _numbers(judge)]
    return _counted(votes, partial(_weighted, criterion, votes), cost=_cost(votes))


def _weighted(criterion: Criterion, votes: Sequence[Vote[tuple[float, dict[str, float] | None]]]) -> Scored:
    verdicts = [vote.verdict for vote in votes if vote.verdict is not None]
    values = [value for value, _ in verdicts]
    weighed = [weights for _, weights in verdicts if weights is not None]
    mean = fmean(values)
    details: dict[str, Any] = {"score": mean, "votes": values, "spread": max(values) - min(values)}
    details["method"] = "probabilities" if len(weighed) == len(values) else "votes" if not weighed else "mixed"
    if weighed:
        details["probabilities"] = {score: fmean(each[score] for each in weighed) for score in weighed[0]}
    return Scored(value=criterion.share(mean), details=details)


async def _yes_no(judge: Judge, case: Case, asking: Asking) -> Scored:
    request = prompt.yes_no(judge, material(case))
    form = prompt.form_of(judge)
    votes = [
        await asking.vote(request, lambda answer: verdict.yes_or_no(answer.text), form=form, number=number)
        for number in _numbers(judge)
    ]
    return _counted(votes, partial(_majority, [vote.verdict for vote in votes if vote.verdict]), cost=_cost(votes))


def _majority(rulings: Sequence[Ruling]) -> Scored:
    values = [ruling.value for ruling in rulings]
    share = fmean(values)
    details = {"votes": values, "spread": max(values) - min(values)}
    if share == 0.5:
        return Scored(error="votes_are_split", reason="As many votes say yes as say no.", details=details)
    value = float(share > 0.5)
    reason = next(ruling.reason for ruling in rulings if ruling.value == value)
    return Scored(value=value, passed=value == 1.0, reason=reason, details=details)


async def _pairwise(judge: Judge, case: Case, asking: Asking) -> Scored:
    """1 where the answer is better than the baseline's, 0 where it is worse, 0.5 for a tie."""
    if case.other is None:
        return Scored(reason=NO_OTHER)
    form = prompt.form_of(judge)
    straight, swapped = (prompt.pairwise(judge, pair(case, swapped=each)) for each in (False, True))
    votes: list[Vote[tuple[Ruling, tuple[int, int]]]] = []
    for number in _numbers(judge):
        first = await asking.vote(straight, _preferred, form=form, number=number)
        second = await asking.vote(swapped, _preferred, form=form, number=number)
        votes.append(_both(first, second))
    return _counted(votes, partial(_preference, votes), cost=_cost(votes))


def _preferred(answer: Answer) -> tuple[int, str]:
    return verdict.better(answer.text)


def _both(first: Vote[tuple[int, str]], second: Vote[tuple[int, str]]) -> Vote[tuple[Ruling, tuple[int, int]]]:
    """One vote of two orders: which place won in each, and what that means for the answer."""
    cost = first.cost_usd + second.cost_usd
    repaired = first.repaired or second.repaired
    if first.verdict is None or second.verdict is None:
        return Vote(verdict=None, error=first.error or second.error, repaired=repaired, cost_usd=cost)
    (one, reason), (two, _) = first.verdict, second.verdict
    value = {(1, 2): 1.0, (2, 1): 0.0}.get((one, two), 0.5)
    return Vote(verdict=(Ruling(value, reason), (one, two)), repaired=repaired, cost_usd=cost)


def _preference(votes: Sequence[Vote[tuple[Ruling, tuple[int, int]]]]) -> Scored:
    verdicts = [vote.verdict for vote in votes if vote.verdict is not None]
    values = [ruling.value for ruling, _ in verdicts]
    places = [list(each) for _, each in verdicts]
    middle = median(values)
    value = 1.0 if middle > 0.5 else 0.0 if middle < 0.5 else 0.5
    inconsistent = sum(1 for one, two in places if (one, two) not in CONSISTENT)
    reason = min(verdicts, key=lambda each: abs(each[0].value - value))[0].reason
    details = {"votes": values, "spread": max(values) - min(values), "places": places, "inconsistent": inconsistent}
    return Scored(value=value, reason=reason, details=details)


CONSISTENT = ((1, 2), (2, 1), (0, 0))
"""Places that won with the answer first and with the baseline's first, where the order has changed nothing."""


def _counted(votes: Sequence[Vote[T]], score: Callable[[], Scored], *, cost: float) -> Scored:
    """The score, if more than half of the votes could be read; with how many could not, and what all of them cost."""
    errors = [vote.error for vote in votes if vote.error is not None]
    told: dict[str, Any] = {}
    if errors:
        told["unreadable"] = len(errors)
    if any(vote.repaired for vote in votes):
        told["repaired"] = sum(1 for vote in votes if vote.repaired)
    if 2 * len(errors) >= len(votes):
        return Scored(error=errors[-1].code, reason=_sentence(errors[-1]), details=told, cost_usd=cost)
    found = score()
    return Scored(
        value=found.value,
        passed=found.passed,
        reason=found.reason,
        error=found.error,
        details={**found.details, **told},
        cost_usd=cost,
    )


def _mean(found: dict[str, Scored]) -> Scored:
    """The mean of all criteria. Where one has no score there is none: a mean of the rest is another metric."""
    missing = next(((name, each) for name, each in found.items() if each.value is None), None)
    if missing is not None:
        name, each = missing
        return Scored(error=each.error, reason=f"{name}: {each.reason}")
    values = {name: each.value for name, each in found.items() if each.value is not None}
    return Scored(value=fmean(values.values()), details={"criteria": values})


def _numbers(judge: Judge) -> range:
    return range(1, judge.votes + 1)


def _cost(votes: Sequence[Vote[T]]) -> float:
    return sum(vote.cost_usd for vote in votes)


def _sentence(error: RondoError) -> str:
    return str(error)[:500]
