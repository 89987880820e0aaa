"""How far a judge agrees with people, in numbers: from what both said of the same answers. Pure.

Agreement is counted in words that both could say: whole scores, yes or no, the better answer. A judge's score between
two words (an even number of votes, a weighted score) counts as the nearer one. Scales with more than `MOST_WORDS`
scores are counted in tenths. Leanings and corrected estimates use the exact values.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from msgspec import Struct

from rondo.evals.evidence import Comparison, Estimate
from rondo.evals.judges.labels import Labelled
from rondo.evals.judges.model import Criterion, Judge
from rondo.evals.judges.report import Agreement, Bounded, Measured, Position
from rondo.evals.model import Scored
from rondo.evals.statistics import agreement, judge_bias
from rondo.evals.statistics.estimate import estimate
from rondo.evals.statistics.sample import Mean, sample

MOST_WORDS = 21
_SHUFFLES = 100
_PLACES: dict[int, judge_bias.Choice] = {0: "tie", 1: "first", 2: "second"}


class _Pair(Struct, frozen=True):
    """An answer that both gave a word on: words as whole numbers, and exact values as shares of the scale."""

    labelled: Labelled
    judge_word: int
    people_word: int
    judge: float
    people: float


def measure(judge: Judge, labelled: Sequence[Labelled], said: Sequence[dict[str, Scored]], *, source: str) -> Measured:
    """`said` is what the judge said of each labelled answer, by aspect; `source` names where the labels are from."""
    errors = Counter(
        next(each.error for each in scores.values() if each.error is not None)
        for scores in said
        if any(each.error is not None for each in scores.values())
    )
    return Measured(
        source=source,
        answers=len(labelled),
        aspects=[_aspect(judge, aspect, labelled, [scores[aspect] for scores in said]) for aspect in judge.aspects],
        position=_position([scores[judge.name] for scores in said]) if judge.kind == "pairwise" else None,
        errors={str(name): count for name, count in sorted(errors.items(), key=str)},
        cost_usd=sum(each.cost_usd for scores in said for each in scores.values()),
    )


def _aspect(judge: Judge, aspect: str, labelled: Sequence[Labelled], scores: Sequence[Scored]) -> Agreement:
    criterion = next((each for each in judge.criteria if each.name == aspect), None) if judge.scores_criteria else None
    steps = _steps(criterion, judge)
    pairs: list[_Pair] = []
    undecided = failed = 0
    for each, scored in zip(labelled, scores, strict=True):
        if aspect not in each.said:
            continue
        people = each.people(judge, aspect)
        if people is None:
            undecided += 1
        elif scored.value is None:
            failed += 1
        else:
            share = criterion.share if criterion is not None else float
            pairs.append(
                _Pair(
                    labelled=each,
                    judge_word=round(scored.value * steps),
                    people_word=round(share(people) * steps),
                    judge=scored.value,
                    people=share(fmean(each.said[aspect])),
                )
            )
    ones, others = [pair.judge_word for pair in pairs], [pair.people_word for pair in pairs]
    weights: agreement.Weights = "quadratic" if criterion is not None else "none"
    scale: agreement.Scale = "interval" if criterion is not None else "nominal"
    among = [each.said[aspect] for each in labelled if len(each.said.get(aspect, ())) > 1]
    words = range(steps + 1)
    kappa = agreement.cohen_kappa(ones, others, weights=weights, categories=list(words))
    exact = [
        (pair.judge, pair.people) if criterion is not None else (pair.judge_word, pair.people_word) for pair in pairs
    ]
    return Agreement(
        aspect=aspect,
        metric=judge.metric_of(aspect),
        weights=weights,
        compared=len(pairs),
        undecided=undecided,
        failed=failed,
        exact=fmean(one == other for one, other in zip(ones, others, strict=True)) if pairs else None,
        kappa=_bounded(kappa),
        alpha=_bounded(agreement.krippendorff_alpha(exact, scale=scale)),
        annotated=len(among),
        people_alpha=_bounded(agreement.krippendorff_alpha(among, scale=scale)),
        lean=_bounded(_lean(pairs)),
        length=_length(judge, pairs),
        words=_words(judge, criterion, steps),
        confusion=_confusion(others, ones, len(words)),
        pairs=[(pair.judge, pair.people) for pair in pairs],
    )


def _steps(criterion: Criterion | None, judge: Judge) -> int:
    """How many words there are above the lowest."""
    if criterion is None:
        return 2 if judge.kind == "pairwise" else 1
    return len(criterion.scale) - 1 if len(criterion.scale) <= MOST_WORDS else 10


def _words(judge: Judge, criterion: Criterion | None, steps: int) -> list[str]:
    if criterion is None:
        return ["other", "tie", "answer"] if judge.kind == "pairwise" else ["no", "yes"]
    return [f"{criterion.score(step / steps):g}" for step in range(steps + 1)]


def _confusion(people: Sequence[int], judge: Sequence[int], words: int) -> list[list[int]]:
    found = [[0] * words for _ in range(words)]
    for row, column in zip(people, judge, strict=True):
        found[row][column] += 1
    return found


def _lean(pairs: Sequence[_Pair]) -> Estimate:
    differences = {str(number): [pair.judge - pair.people] for number, pair in enumerate(pairs)}
    return estimate(sample(differences, Mean(bounds=(-1.0, 1.0))))


def _length(judge: Judge, pairs: Sequence[_Pair]) -> Bounded:
    """Of a pairwise judge: how much more often than people it chooses the longer answer."""
    if judge.kind != "pairwise":
        lengths = [len(pair.labelled.case.answer.text) for pair in pairs]
        found = judge_bias.length_bias_of_scores(
            [pair.judge for pair in pairs], [pair.people for pair in pairs], lengths, draws=_SHUFFLES
        )
        return Bounded(found.correlation, found.low, found.high)
    chosen: list[tuple[float, float]] = []
    for pair in pairs:
        other = pair.labelled.case.other
        longer = len(pair.labelled.case.answer.text) - len(other.text if other is not None else "")
        if longer:
            chosen.append((pair.judge, pair.people) if longer > 0 else (1 - pair.judge, 1 - pair.people))
    compared = judge_bias.length_bias_of_choices([one for one, _ in chosen], [other for _, other in chosen])
    return Bounded(compared.difference, compared.low, compared.high)


def _position(scores: Sequence[Scored]) -> Position:
    places = [pair for scored in scores for pair in scored.details.get("places", ())]
    found = judge_bias.position_bias([(_PLACES[one], _PLACES[other]) for one, other in places])
    preference = found.preference
    return Position(
        asked=len(places),
        consistent=_bounded(found.consistent),
        preference=Bounded(preference.difference, preference.low, preference.high),
    )


def _bounded(found: agreement.Agreement | Estimate | Comparison) -> Bounded:
    value = found.difference if isinstance(found, Comparison) else found.value
    return Bounded(value, found.low, found.high)
