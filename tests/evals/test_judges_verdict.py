"""Reading verdicts: what says one thing is taken, and nothing else ever is."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge_makers import ACCURACY, CLARITY, verdict
from rondo.evals.judges.verdict import Ruling, Unreadable, better, expected_score, number, scores, yes_or_no

BOTH = [ACCURACY, CLARITY]
GOOD = {"accuracy": Ruling(4.0, "because"), "clarity": Ruling(10.0, "because")}


@pytest.mark.parametrize(
    "reply",
    [
        verdict(),
        f"```json\n{verdict()}\n```",
        f"Here is my verdict:\n{verdict()}\nI hope it helps {{sincerely}}.",
        f"<think>\nThe answer wants {verdict(5, 5)}, but no.\n</think>\n{verdict()}",
        verdict(4.0),
        f'{{"note": "nothing of the kind"}} {verdict()}',
    ],
)
def test_a_verdict_is_read_wherever_it_stands(reply: str) -> None:
    assert scores(reply, BOTH) == GOOD


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("", "empty"),
        ("I can't help with that.", "no JSON object"),
        ("4", "no JSON object"),
        (verdict()[:-3], "no JSON object|no score"),
        (verdict(6), "no whole number from 1 to 5: 6"),
        (verdict(0), "no whole number"),
        (verdict(4.5), "no whole number"),
        (verdict("4"), "no whole number"),
        (verdict(True), "no whole number"),
        (verdict(None), "no whole number"),
        (verdict(math.nan), "no whole number"),
        (verdict(10**400), "no whole number"),
        ('{"accuracy": {"score": 4}}', "no score for `clarity`"),
        ('{"accuracy": 4, "clarity": 4}', "no score for `accuracy`"),
        (f"{verdict(5)} {verdict(1)}", "several verdicts"),
        ('{"accuracy": {"score": 1, "score": 5}, "clarity": {"score": 1}}', "stands twice"),
        ("{" * 10_000, "too many braces"),
        ("[" * 100_000 + "{", "no JSON object"),
        ('{"a":' * 100_000, "no JSON object|too many braces"),
    ],
)
def test_what_is_no_verdict_is_never_guessed(reply: str, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        scores(reply, BOTH)


@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(reply: str) -> None:
    for read in (lambda text: scores(text, BOTH), yes_or_no, better, lambda text: number(text, ACCURACY)):
        try:
            read(reply)
        except Unreadable:
            continue


@given(st.dictionaries(st.sampled_from(["accuracy", "clarity", "x"]), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.dictionaries(st.sampled_from(["score", "reason"]), inner, max_size=2),
    max_leaves=5,
)))  # fmt: skip
def test_a_score_is_on_its_scale_or_there_is_none(value: dict[str, Any]) -> None:
    try:
        found = scores(json.dumps(value), BOTH)
    except Unreadable:
        return
    assert found["accuracy"].value in range(1, 6)
    assert found["clarity"].value in range(11)


def test_yes_and_no() -> None:
    assert yes_or_no('{"reason": "it is", "verdict": "Yes"}') == Ruling(1.0, "it is")
    assert yes_or_no("**No.**") == Ruling(0.0)
    for reply in ("yes and no", "maybe", '{"verdict": "perhaps"}', '{"verdict": true}', "", "yesterday"):
        with pytest.raises(Unreadable):
            yes_or_no(reply)


def test_the_better_of_two() -> None:
    assert better('{"reason": "r", "better": "2"}') == (2, "r")
    assert better('{"better": "Tie"}') == (0, "")
    for reply in ("2", '{"better": 2}', '{"better": "3"}', '{"better": "answer_1"}', '{"better": "1"} {"better": "2"}'):
        with pytest.raises(Unreadable):
            better(reply)


def test_a_number_alone() -> None:
    assert number(" 4.\n", ACCURACY) == 4
    assert number("10", CLARITY) == 10
    for reply in ("6", "0", "4 or 5", "score: 4", "four", "-1", "4/5", "٤"):
        with pytest.raises(Unreadable):
            number(reply, ACCURACY)


def test_the_expected_score_by_hand() -> None:
    tokens = {"4": math.log(0.6), "5": math.log(0.2), " 4": math.log(0.1), "Four": math.log(0.1)}
    found = expected_score(4, [{"\n": 0.0}, tokens], ACCURACY)
    assert found is not None
    mean, weights = found
    assert mean == pytest.approx((4 * 0.7 + 5 * 0.2) / 0.9)
    assert weights["4"] == pytest.approx(0.7)
    assert weights["1"] == 0


def test_there_is_no_expected_score_where_tokens_do_not_tell() -> None:
    assert expected_score(4, [], ACCURACY) is None
    assert expected_score(4, [{"5": 0.0}], ACCURACY) is None
    assert expected_score(4, [{"4": -math.inf}], ACCURACY) is None
    assert expected_score(4, [{"4": math.nan}], ACCURACY) is None
    assert expected_score(10, [{"10": 0.0}], CLARITY) is None
