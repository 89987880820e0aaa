"""What may be said of an item, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from review_makers import RUBRIC, make_item
from rondo.errors import Conflict, InvalidRequest
from rondo.evals.judges.rubric import DEFAULT
from rondo.reviews import state
from rondo.reviews.model import Given, ReviewAnswer, is_sampled, rules_of, sample_bound

SCORES = st.fixed_dictionaries(
    {"accuracy": st.one_of(st.none(), st.integers(1, 5)), "tone": st.one_of(st.none(), st.integers(0, 1))}
)


def said(
    reviewer: str, scores: Given, *, adjudicates: bool = False, at: int = 0, expected: str | None = None
) -> ReviewAnswer:
    return ReviewAnswer(
        item="i",
        reviewer=reviewer,
        scores=scores,
        comment="",
        expected=expected,
        adjudicates=adjudicates,
        created_at=at,
    )


@pytest.mark.parametrize(
    ("given_scores", "param"),
    [
        ({"accuracy": 6}, "scores.accuracy"),
        ({"accuracy": 0}, "scores.accuracy"),
        ({"accuracy": 2.5}, "scores.accuracy"),
        ({"accuracy": 4.0}, "scores.accuracy"),
        ({"accuracy": True}, "scores.accuracy"),
        ({"accuracy": "4"}, "scores.accuracy"),
        ({"accuracy": float("nan")}, "scores.accuracy"),
        ({"accuracy": float("inf")}, "scores.accuracy"),
        ({"accuracy": [4]}, "scores.accuracy"),
        ({"tone": -1}, "scores.tone"),
        ({"manners": 3, "accuracy": 3}, "scores"),
        ({}, "scores"),
        ({"accuracy": None, "tone": None}, "scores"),
    ],
)
def test_what_is_no_score_is_refused_by_name(given_scores: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        state.checked(RUBRIC, given_scores)
    assert refused.value.param == param


def test_a_criterion_that_is_left_out_has_no_score_and_not_zero() -> None:
    assert state.checked(RUBRIC, {"tone": 0}) == {"accuracy": None, "tone": 0}


@pytest.mark.parametrize(
    ("one", "other", "gap", "status"),
    [
        ({"accuracy": 4}, {"accuracy": 4}, 0.5, "done"),
        ({"accuracy": 4}, {"accuracy": 3}, 0.5, "done"),
        ({"accuracy": 5}, {"accuracy": 3}, 0.5, "disputed"),
        ({"accuracy": 5}, {"accuracy": 1}, 1.0, "disputed"),
        ({"accuracy": 5}, {"accuracy": 2}, 1.0, "done"),
        ({"accuracy": 5, "tone": 1}, {"accuracy": 5, "tone": 0}, 0.5, "disputed"),
        ({"accuracy": 5, "tone": None}, {"accuracy": 5, "tone": 0}, 0.5, "done"),
        ({"accuracy": None, "tone": 1}, {"accuracy": 1, "tone": None}, 0.1, "done"),
    ],
)
def test_reviewers_who_are_far_apart_make_a_dispute(one: Given, other: Given, gap: float, status: str) -> None:
    item = make_item()
    answers = [said("anna", one), said("ben", other)]
    assert state.status_after(item, answers[:1], gap) == "open"
    assert state.status_after(item, answers, gap) == status
    assert state.status_after(item, [*answers, said("cleo", one, adjudicates=True)], gap) == "done"


@given(st.lists(SCORES, min_size=1, max_size=5), st.floats(0.01, 1))
def test_a_dispute_needs_two_scores_and_their_order_does_not_matter(scores: list[Given], gap: float) -> None:
    answers = [said(str(number), each) for number, each in enumerate(scores)]
    item = make_item(reviewers=len(answers))
    status = state.status_after(item, answers, gap)
    assert status == state.status_after(item, answers[::-1], gap)
    assert 0 <= state.widest_gap(RUBRIC, answers) <= 1
    if len(answers) == 1:
        assert status == "done"
    final = state.final_scores(RUBRIC, answers)
    for criterion in RUBRIC:
        given_ones = [score for each in scores if (score := each[criterion.name]) is not None]
        assert (criterion.name in final) == bool(given_ones)
        if given_ones:
            assert min(given_ones) <= final[criterion.name] <= max(given_ones)


def test_the_word_that_settles_a_dispute_stands_alone() -> None:
    answers = [
        said("anna", {"accuracy": 5, "tone": 1}, at=1, expected="Anna's"),
        said("ben", {"accuracy": 1, "tone": None}, at=2),
        said("cleo", {"accuracy": 2, "tone": None}, at=3, adjudicates=True),
    ]
    assert state.final_scores(RUBRIC, answers) == {"accuracy": 2.0}
    assert state.final_scores(RUBRIC, answers[:2]) == {"accuracy": 3.0, "tone": 1.0}
    assert state.expected(answers) == "Anna's", "whoever settles it need not write it all again"
    assert state.gaps(RUBRIC, answers) == [("accuracy", 1.0)]


def test_who_may_say_something() -> None:
    item, anna, ben = make_item(), said("anna", {"accuracy": 5}), said("ben", {"accuracy": 1})
    state.refuse_answer(item, [], "anna")
    state.refuse_answer(item, [anna], "anna")
    with pytest.raises(Conflict):
        state.refuse_answer(item, [anna, ben], "cleo")
    for status in ("disputed", "done", "dismissed"):
        with pytest.raises(Conflict):
            state.refuse_answer(make_item(status=status), [anna], "anna")
    disputed = make_item(status="disputed")
    state.refuse_adjudication(disputed, [anna, ben], "cleo")
    for party in ("anna", "ben"):
        with pytest.raises(Conflict, match="cannot settle"):
            state.refuse_adjudication(disputed, [anna, ben], party)
    with pytest.raises(Conflict):
        state.refuse_adjudication(item, [anna, ben], "cleo")


def test_an_app_without_reviews_has_the_default_rules() -> None:
    without: list[dict[str, Any] | None] = [None, {}, {"use_case": {}, "goals": []}, {"reviews": None}]
    for settings in without:
        rules = rules_of(settings)
        assert rules.criteria == list(DEFAULT)
        assert (rules.reviewers, rules.sample_percent, rules.thumbs_down, rules.dispute_gap) == (2, 0, True, 0.5)
    rules = rules_of({"reviews": {"settings": {"reviewers": 1, "sample_percent": 2.5}, "criteria": []}})
    assert (rules.reviewers, rules.sample_percent, rules.criteria) == (1, 2.5, list(DEFAULT))


@given(st.lists(st.uuids().map(lambda each: each.hex), min_size=1, max_size=50), st.floats(0, 100), st.floats(0, 100))
def test_a_larger_sample_holds_the_smaller_one(traces: list[str], one: float, other: float) -> None:
    small, large = sorted((one, other))
    for trace in traces:
        assert is_sampled(trace, small) <= is_sampled(trace, large)
        assert is_sampled(trace, 100)
        assert not is_sampled(trace, 0)


def test_a_sample_has_its_size() -> None:
    traces = [f"{number:032x}" for number in range(20_000)]
    assert sum(is_sampled(trace, 5) for trace in traces) == pytest.approx(1_000, rel=0.1)
    assert len({sample_bound(percent) for percent in (0, 0.1, 1, 50, 100)}) == 5
