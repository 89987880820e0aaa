"""What people said of answers, to compare a judge with: read from lines of JSON, checked against the judge. Pure.

    {"question": "May I return it?", "answer": "Yes, within 30 days.", "scores": {"accuracy": 5, "clarity": 4}}
    {"question": "...", "answer": "...", "verdict": "yes"}
    {"question": "...", "answer": "...", "other": "...", "better": "answer"}

`messages` may stand in the place of `question`; `expected` and `context` (a list of passages) are shown to the judge as
in a run. Several people may have labelled the same answer: `annotator` tells them apart.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from statistics import median
from typing import Any, Literal

import msgspec
from msgspec import Struct

from rondo.datasets.model import Example
from rondo.errors import InvalidRequest
from rondo.evals.judges.model import Criterion, Judge
from rondo.evals.model import Answer, Case

MOST = 5_000
"""Labels of one calibration."""

_BETTER = {"answer": 1.0, "tie": 0.5, "other": 0.0}
_VERDICT = {"yes": 1.0, "no": 0.0, True: 1.0, False: 0.0}
_NEEDS = {"rubric": "scores", "geval": "scores", "yes_no": "verdict", "pairwise": "better"}


class Label(Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one person said of one answer. Scores are on their criterion's own scale."""

    answer: str
    question: str | None = None
    messages: list[dict[str, Any]] = []
    expected: Any = None
    context: list[str] = []
    other: str | None = None
    scores: dict[str, float] = {}
    verdict: Literal["yes", "no"] | bool | None = None
    better: Literal["answer", "other", "tie"] | None = None
    annotator: str = ""
    source: str = ""

    def case(self) -> Case:
        """The answer as a judge is shown it."""
        messages = self.messages or [{"role": "user", "content": self.question or ""}]
        context = [{"text": passage} for passage in self.context]
        example = Example(messages=messages, expected=self.expected, context=context).identified()
        return Case(
            example=example,
            answer=Answer(text=self.answer),
            other=None if self.other is None else Answer(text=self.other),
        )

    def values(self, judge: Judge) -> dict[str, float]:
        """By aspect, what the judge would have said: scores of its criteria, 1 for yes, 1 for the better answer."""
        if judge.kind == "yes_no":
            return {} if self.verdict is None else {judge.name: _VERDICT[self.verdict]}
        if judge.kind == "pairwise":
            return {} if self.better is None else {judge.name: _BETTER[self.better]}
        return {name: score for name, score in self.scores.items() if name in judge.aspects}


class Labelled(Struct, frozen=True, kw_only=True):
    """An answer with what everyone said of it: by aspect, each person's value."""

    case: Case
    said: dict[str, list[float]]

    def people(self, judge: Judge, aspect: str) -> float | None:
        """What people say together, as a word that the judge could say too; None where they say nothing, or both.

        Of scores it is the median, a half going to the even neighbour so that it leans neither way; of yes and no the
        majority; of two answers the better one where most agree, else a tie.
        """
        values = self.said.get(aspect)
        if not values:
            return None
        middle = median(values)
        if judge.scores_criteria:
            return float(round(middle))
        if judge.kind == "pairwise":
            return middle if middle in (0.0, 1.0) else 0.5
        return None if middle == 0.5 else middle


def parse(lines: Iterable[str]) -> Iterator[tuple[str, Label]]:
    """("line 3", label) of each line that is not empty. Raises InvalidRequest, which names the line and the field."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            where = f"line {number}"
            try:
                yield where, msgspec.json.decode(line, type=Label)
            except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
                remedy = "Every line is a JSON object with a question, an answer and a label."
                raise _wrong(where, str(error), remedy) from None


def checked(judge: Judge, labels: Iterable[tuple[str, Label]]) -> list[Labelled]:
    """What was labelled, in the order of the first labels. `labels` come with the words that say where each is from.

    Raises InvalidRequest for a label that the judge has no use for, that is off its scale, or that the same person gave
    twice; and where there is none at all.
    """
    found: dict[str, Labelled] = {}
    seen: dict[tuple[str, str], str] = {}
    for count, (where, label) in enumerate(labels, 1):
        if count > MOST:
            raise InvalidRequest(f"There are more than {MOST:,} labels.", remedy="Send fewer.", param="labels")
        _check(judge, where, label)
        case = label.case()
        key = msgspec.json.encode([case.example.id, label.answer, label.other]).decode()
        if (key, label.annotator) in seen:
            raise _wrong(
                where,
                f"it labels the same answer as {seen[key, label.annotator]}, by the same person",
                "Name people as `annotator`, or leave one of the two out.",
            )
        seen[key, label.annotator] = where
        labelled = found.setdefault(key, Labelled(case=case, said={}))
        for aspect, value in label.values(judge).items():
            labelled.said.setdefault(aspect, []).append(value)
    if not found:
        raise InvalidRequest("There are no labels.", remedy=f"Give at least {judge.least_labels}.", param="labels")
    return list(found.values())


def _check(judge: Judge, where: str, label: Label) -> None:
    if label.question is None and not label.messages:
        raise _wrong(where, "it has neither `question` nor `messages`", "Say what was asked.")
    if judge.kind == "pairwise" and label.other is None:
        raise _wrong(where, "it has no `other`", "Give the answer that this one was compared with.")
    if not label.values(judge):
        needed = _NEEDS[judge.kind]
        aspects = f" of {', '.join(judge.aspects)}" if judge.scores_criteria else ""
        raise _wrong(where, f"it has no `{needed}`{aspects}", f"The judge {judge.name} is compared by `{needed}`.")
    for name in label.scores if judge.scores_criteria else ():
        criterion = next((each for each in judge.criteria if each.name == name), None)
        if criterion is None:
            allowed = ", ".join(judge.aspects)
            raise _wrong(where, f"`scores` has {name!r:.60}, which is no criterion", f"The judge has {allowed}.")
        _check_score(where, criterion, label.scores[name])


def _check_score(where: str, criterion: Criterion, score: float) -> None:
    if not math.isfinite(score) or not criterion.lowest <= score <= criterion.highest:
        scale = f"{criterion.lowest} to {criterion.highest}"
        raise _wrong(where, f"`scores.{criterion.name}` is {score:g}", f"The scale is {scale}.")


def _wrong(where: str, what: str, remedy: str) -> InvalidRequest:
    return InvalidRequest(f"{where}: {what}.", remedy=remedy, param="labels")
