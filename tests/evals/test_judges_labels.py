"""Labels: read, checked against the judge, put together where several people spoke."""

from __future__ import annotations

import json
from typing import Any

import pytest

from judge_makers import judge
from rondo.errors import InvalidRequest
from rondo.evals.judges import labels as module
from rondo.evals.judges.labels import Labelled, checked, parse


def read(one: Any, *lines: dict[str, Any]) -> list[Labelled]:
    return checked(one, parse(json.dumps(line) for line in lines))


LINE = {"question": "When?", "answer": "Soon.", "scores": {"accuracy": 4, "clarity": 7}}


def test_a_label_is_the_case_that_a_run_would_show() -> None:
    (found,) = read(judge(), {**LINE, "expected": "In May.", "context": ["It is in May."]})
    assert found.case.example.question == "When?"
    assert found.case.answer.text == "Soon."
    assert (found.case.example.expected, found.case.example.context) == ("In May.", [{"text": "It is in May."}])
    assert (found.people(judge(), "accuracy"), found.people(judge(), "clarity")) == (4, 7)


def test_people_are_put_together() -> None:
    scores = [1, 2, 4]
    (found,) = read(
        judge(),
        *({**LINE, "scores": {"accuracy": score}, "annotator": str(score)} for score in scores),
    )
    assert found.people(judge(), "accuracy") == 2
    assert found.people(judge(), "clarity") is None
    (found,) = read(judge(), *({**LINE, "scores": {"accuracy": score}, "annotator": str(score)} for score in (2, 3)))
    assert found.people(judge(), "accuracy") == 2, "halves go to the even one"
    (found,) = read(judge(), *({**LINE, "scores": {"accuracy": score}, "annotator": str(score)} for score in (3, 4)))
    assert found.people(judge(), "accuracy") == 4


def test_people_who_are_split_say_nothing_of_yes_or_no() -> None:
    line = {"question": "?", "answer": "!"}
    said = ({**line, "verdict": verdict, "annotator": str(verdict)} for verdict in ("yes", False))
    (found,) = read(judge("yes_no"), *said)
    assert found.people(judge("yes_no"), "quality") is None
    (found,) = read(judge("yes_no"), {**line, "verdict": True})
    assert found.people(judge("yes_no"), "quality") == 1


def test_two_answers() -> None:
    line = {"question": "?", "answer": "a", "other": "b"}
    (found,) = read(judge("pairwise"), {**line, "better": "other"})
    assert found.case.other is not None
    assert found.people(judge("pairwise"), "quality") == 0
    said = ({**line, "better": better, "annotator": better} for better in ("answer", "tie"))
    (found,) = read(judge("pairwise"), *said)
    assert found.people(judge("pairwise"), "quality") == 0.5


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 1"),
        ("[]", "line 1"),
        ('{"question": "?"}', "answer"),
        ('{"answer": "!", "scores": {"accuracy": 3}}', "neither `question`"),
        ('{"question": "?", "answer": "!"}', "no `scores` of accuracy, clarity"),
        ('{"question": "?", "answer": "!", "scores": {"speed": 3}}', "no `scores`"),
        ('{"question": "?", "answer": "!", "scores": {"accuracy": 3, "speed": 3}}', "'speed'"),
        ('{"question": "?", "answer": "!", "scores": {"accuracy": 6}}', "scores.accuracy` is 6"),
        ('{"question": "?", "answer": "!", "scores": {"accuracy": "5"}}', "line 1"),
        ('{"question": "?", "answer": "!", "scores": {"accuracy": NaN}}', "line 1"),
        ('{"question": "?", "answer": "!", "score": {"accuracy": 3}}', "unknown field `score`"),
        ('{"question": "?", "answer": "!", "scores": {"accuracy": 1e999}}', "line 1"),
    ],
)
def test_a_wrong_label_is_named(line: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words) as caught:
        checked(judge(), parse([line]))
    assert caught.value.param == "labels"


def test_what_other_judges_need() -> None:
    with pytest.raises(InvalidRequest, match="`other`"):
        read(judge("pairwise"), {"question": "?", "answer": "a", "better": "answer"})
    with pytest.raises(InvalidRequest, match="`better`"):
        read(judge("pairwise"), {"question": "?", "answer": "a", "other": "b"})
    with pytest.raises(InvalidRequest, match="`verdict`"):
        read(judge("yes_no"), LINE)


def test_nobody_labels_the_same_twice() -> None:
    with pytest.raises(InvalidRequest, match=r"line 2.*line 1"):
        read(judge(), LINE, {**LINE, "scores": {"accuracy": 1}})
    assert len(read(judge(), LINE, {**LINE, "annotator": "b"})) == 1
    assert len(read(judge(), LINE, {**LINE, "answer": "Later."})) == 2


def test_too_few_and_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidRequest, match="no labels"):
        checked(judge(), parse(["", "  "]))
    monkeypatch.setattr(module, "MOST", 2)
    with pytest.raises(InvalidRequest, match="more than 2"):
        read(judge(), *({**LINE, "answer": str(number)} for number in range(3)))
