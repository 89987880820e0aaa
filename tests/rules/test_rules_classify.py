"""The classifier: it learns what can be learnt, says how well, and comes out the same wherever it is trained."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rondo.rules.classify import MOST_WEIGHTS, Classifier, Examples, features, learnt_from, train

FILE = Path(__file__).parent / "support_questions.csv"
FRUIT = [(f"I like {fruit} number {number}", "fruit") for number, fruit in enumerate(["apples", "pears", "plums"] * 4)]
TOOLS = [(f"my {tool} broke, {number}", "tool") for number, tool in enumerate(["hammer", "saw", "drill"] * 4)]


def support_questions() -> Examples:
    with FILE.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


def test_topics_with_words_of_their_own() -> None:
    learnt, report = train([*FRUIT, *TOOLS])
    classifier = Classifier(learnt)
    assert classifier.classify("are pears good?")[0] == "fruit"
    assert classifier.classify("where is the hammer")[0] == "tool"
    assert report.examples == 24
    assert report.accuracy == 1.0
    assert report.guessing == 0.5
    assert report.by_label == {"fruit": 1.0, "tool": 1.0}


def test_real_questions() -> None:
    """150 questions to a shop, no two alike, on five topics; the docs have these figures."""
    learnt, report = train(support_questions())
    assert report.examples == 150
    assert report.guessing == pytest.approx(0.2)
    assert 0.70 <= report.accuracy <= 0.76
    assert report.low < report.accuracy < report.high
    assert len(json.dumps(msgspec.to_builtins(learnt))) < 150_000


def test_what_has_nothing_to_learn_is_not_learnt() -> None:
    """Labels that mean nothing are guessed: the report is of examples that training has not seen."""
    dice = random.Random(4)
    words = ["red", "green", "blue", "round", "long", "short", "heavy", "light", "old", "new"]
    rows = [(" ".join(dice.choices(words, k=6)) + f" {number}", dice.choice("ab")) for number in range(200)]
    _, report = train(rows)
    assert report.low < 0.5 < report.high


def test_confidence_is_about_how_often_it_is_right() -> None:
    """Trained on two thirds: of the other third, what it is sure of is right more often than what it is not."""
    rows = sorted(support_questions())
    learnt, _ = train([row for at, row in enumerate(rows) if at % 3])
    classifier = Classifier(learnt)
    told = [(*classifier.classify(text), label) for text, label in rows[::3]]
    sure = [found == label for found, confidence, label in told if confidence >= 0.7]
    unsure = [found == label for found, confidence, label in told if confidence < 0.7]
    assert len(sure) >= 10
    assert len(unsure) >= 10
    assert sum(sure) / len(sure) > sum(unsure) / len(unsure) + 0.1


def test_nothing_known_is_no_label() -> None:
    classifier = Classifier(train([*FRUIT, *TOOLS])[0])
    for text in ("", "?!", "注文", "qqq"):
        assert classifier.classify(text) == (None, 0.0)


def test_order_makes_no_difference() -> None:
    rows = list(support_questions())
    mixed = rows[:]
    random.Random(1).shuffle(mixed)
    assert train(rows) == train(mixed)


def test_through_a_manifest_and_back() -> None:
    learnt, _ = train([*FRUIT, *TOOLS])
    text = json.dumps(msgspec.to_builtins(learnt))
    assert learnt_from(json.loads(text)) == learnt
    with pytest.raises(msgspec.ValidationError):
        learnt_from({"labels": ["a"], "weights": {"x": ["y"]}, "temperature": 1})


def test_it_stays_small() -> None:
    dice = random.Random(2)
    words = ["".join(dice.choices("abcdefghijklmnopqrstuvwxyz", k=7)) for _ in range(3_000)]
    rows = [(" ".join(dice.choices(words, k=12)), f"label {number % 20}") for number in range(400)]
    learnt, _ = train(rows)
    assert len(learnt.weights) * 20 <= MOST_WEIGHTS
    assert len(json.dumps(msgspec.to_builtins(learnt))) < 200_000


def test_pieces_of_words() -> None:
    assert features("Hi") == [" hi", "hi ", " hi "]
    assert features("a") == [" a "]
    assert len(features("x" * 10_000)) <= 3 * 42


@settings(max_examples=30)
@given(st.lists(st.tuples(st.text(max_size=20), st.sampled_from("abc")), max_size=20), st.text(max_size=50))
def test_any_examples_and_any_text(rows: list[tuple[str, str]], text: str) -> None:
    learnt, report = train([*rows, *FRUIT, *TOOLS])
    label, confidence = Classifier(learnt).classify(text)
    assert label is None or label in learnt.labels
    assert 0 <= confidence <= 1
    assert 0 <= report.low <= report.accuracy <= report.high <= 1
