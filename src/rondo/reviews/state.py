"""What may be said of an item, what becomes of it then, and what is left of it in the end. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rondo.errors import Conflict, InvalidRequest
from rondo.evals.judges.model import Criterion
from rondo.reviews.model import Given, Item, ReviewAnswer, Status


def checked(rubric: Sequence[Criterion], given: Mapping[str, object]) -> Given:
    """Scores for every criterion of the rubric, in its order. A criterion left out is None: no ground for a score.

    Raises InvalidRequest, which names the criterion, for scores that are no whole number of the scale, for criteria
    that the rubric does not have, and where there is no score at all.
    """
    names = [each.name for each in rubric]
    for name in given:
        if name not in names:
            raise InvalidRequest(
                f"There is no criterion {name!r:.80}.", remedy=f"The rubric has: {', '.join(names)}.", param="scores"
            )
    scores = {each.name: _score(each, given.get(each.name)) for each in rubric}
    if all(score is None for score in scores.values()):
        raise InvalidRequest(
            "There is no score.", remedy="Score at least one criterion, or dismiss the item.", param="scores"
        )
    return scores


def _score(criterion: Criterion, value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not criterion.lowest <= value <= criterion.highest:
        raise InvalidRequest(
            f"{criterion.name!r} cannot be {value!r:.40}.",
            remedy=f"A score is a whole number from {criterion.lowest} to {criterion.highest}.",
            param=f"scores.{criterion.name}",
        )
    return value


def refuse_answer(item: Item, answers: Sequence[ReviewAnswer], reviewer: str) -> None:
    """Raises Conflict where `reviewer` may not answer the item, or change what they answered, any more."""
    if item.status != "open":
        raise Conflict(f"{item.id} is {_words(item.status)}.", remedy="Go on with the next one.")
    others = [each for each in answers if each.reviewer != reviewer]
    if len(others) >= item.reviewers:
        raise Conflict(f"{item.id} has been reviewed by {item.reviewers} already.", remedy="Go on with the next one.")


def refuse_adjudication(item: Item, answers: Sequence[ReviewAnswer], adjudicator: str) -> None:
    """Raises Conflict unless the item is disputed, and by others."""
    if item.status != "disputed":
        raise Conflict(
            f"{item.id} is {_words(item.status)}, not disputed.", remedy="`rondo reviews list --status disputed`"
        )
    if any(each.reviewer == adjudicator for each in answers):
        raise Conflict(
            f"{adjudicator!r:.100} has reviewed {item.id}, and cannot settle it too.",
            remedy="Let someone settle it who is no party to it.",
        )


def status_after(item: Item, answers: Sequence[ReviewAnswer], dispute_gap: float) -> Status:
    """What the item is, once these answers are there."""
    if any(each.adjudicates for each in answers):
        return "done"
    if len(answers) < item.reviewers:
        return "open"
    return "disputed" if widest_gap(item.rubric, answers) >= dispute_gap else "done"


def widest_gap(rubric: Sequence[Criterion], answers: Sequence[ReviewAnswer]) -> float:
    """The largest difference of two reviewers in any criterion, as a share of its scale; 0 where none compares."""
    return max((gap for _, gap in gaps(rubric, answers)), default=0.0)


def gaps(rubric: Sequence[Criterion], answers: Sequence[ReviewAnswer]) -> list[tuple[str, float]]:
    """(criterion, difference as a share of its scale) for the criteria that two reviewers or more have scored."""
    found = []
    for each in rubric:
        scores = [
            score
            for answer in answers
            if not answer.adjudicates and (score := answer.scores.get(each.name)) is not None
        ]
        if len(scores) > 1:
            found.append((each.name, (max(scores) - min(scores)) / (each.highest - each.lowest)))
    return found


def standing(answers: Sequence[ReviewAnswer]) -> list[ReviewAnswer]:
    """The answers that stand: the one that settled a dispute, else all."""
    settled = [each for each in answers if each.adjudicates]
    return settled or list(answers)


def final_scores(rubric: Sequence[Criterion], answers: Sequence[ReviewAnswer]) -> dict[str, float]:
    """What people said in the end, by criterion: the mean of the answers that stand. What nobody scored is left out."""
    found: dict[str, float] = {}
    for each in rubric:
        scores = [score for answer in standing(answers) if (score := answer.scores.get(each.name)) is not None]
        if scores:
            found[each.name] = sum(scores) / len(scores)
    return found


def expected(answers: Sequence[ReviewAnswer]) -> str | None:
    """What should have been answered: the last word of those that stand, else of any."""
    for group in (standing(answers), answers):
        words = [each for each in group if each.expected]
        if words:
            return max(words, key=lambda each: each.created_at).expected
    return None


def sees_answers(item: Item) -> bool:
    """Whether answers of others may be seen: not before the last reviewer has answered."""
    return item.status != "open"


def _words(status: Status) -> str:
    return {"done": "done", "disputed": "waiting to be settled"}.get(status, status)
