"""Feedback from a request's body: what is right becomes a score, what is not names its field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo import clock
from rondo.errors import InvalidRequest
from rondo.feedback.scores import MAX_BODY, parse_feedback
from rondo.records import Score, to_json

TRACE = "0" * 31 + "a"


def parse(key_id: str = "k", project: str = "p", **fields: Any) -> Score:
    body = {"trace_id": TRACE, "name": "helpful", "value": True, **fields}
    return parse_feedback(
        json.dumps({name: each for name, each in body.items() if each != "-"}).encode(), project, key_id
    )


@pytest.mark.parametrize(
    ("value", "data_type", "number", "label"),
    [
        (True, "boolean", 1.0, None),
        (False, "boolean", 0.0, None),
        (4, "number", 4.0, None),
        (-0.5, "number", -0.5, None),
        ("rude", "category", None, "rude"),
    ],
)
def test_values(value: object, data_type: str, number: float | None, label: str | None) -> None:
    with clock.at(5):
        score = parse(value=value)
    assert (score.data_type, score.value, score.label) == (data_type, number, label)
    assert (score.kind, score.project, score.author, score.key_id, score.created_at) == ("user", "p", "k", "k", 5)


def test_what_became_of_an_answer_is_no_opinion() -> None:
    assert parse(name="outcome.ticket_closed").kind == "outcome"
    assert parse(name="outcome_ticket").kind == "user"
    body = json.dumps({"trace_id": TRACE, "name": "outcome.ticket_closed", "value": True}).encode()
    assert parse_feedback(body, "p", "k", kind="human").kind == "human"


def test_one_author_has_one_score_per_name_and_trace() -> None:
    first = parse(user="anna")
    assert parse(user="anna", value=False, comment="no").id == first.id
    assert parse(user="anna", key_id="other").id == first.id
    others = [
        parse(user="bert"),
        parse(),
        parse(user="anna", name="other"),
        parse(user="anna", trace_id="f" * 32),
        parse(user="anna", project="q"),
        parse(user="anna", id="mine"),
    ]
    assert len({first.id, *(other.id for other in others)}) == len(others) + 1


def test_an_id_of_the_clients_own_cannot_reach_another_score() -> None:
    target = parse(user="anna")
    assert parse(id=target.id, key_id="public").id != target.id
    assert parse(id="x", key_id="a").id != parse(id="x", key_id="b").id
    assert parse(id="x").id == parse(id="x", value=False, trace_id="f" * 32).id


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("trace_id", "-"),
        ("trace_id", None),
        ("trace_id", 7),
        ("trace_id", "abc"),
        ("trace_id", "A" * 32),
        ("name", "-"),
        ("name", ""),
        ("name", "two words"),
        ("name", "x" * 65),
        ("name", ["x"]),
        ("value", "-"),
        ("value", None),
        ("value", ""),
        ("value", "x" * 201),
        ("value", [1]),
        ("value", {"a": 1}),
        ("value", 10**400),
        ("comment", 5),
        ("comment", "x" * 10_001),
        ("user", {}),
        ("user", "x" * 201),
        ("id", 1),
        ("id", "x" * 201),
        ("kind", "human"),
        ("data_type", "boolean"),
    ],
)
def test_what_is_wrong_is_named(field: str, value: Any) -> None:
    with pytest.raises(InvalidRequest) as wrong:
        parse(**{field: value})
    assert wrong.value.param == field


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"value":NaN}', b"[" * 60_000, b" " * (MAX_BODY + 1)]
)
def test_bodies_that_are_no_feedback(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as wrong:
        parse_feedback(body, "p", "k")
    assert wrong.value.param == "body"


def test_a_long_odd_field_name_is_cut() -> None:
    with pytest.raises(InvalidRequest) as wrong:
        parse_feedback(json.dumps({"x" * 5000: 1}).encode(), "p", "k")
    assert len(str(wrong.value)) < 300


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: json.dumps({"comment": text}).encode()))
def test_any_bytes_are_a_score_or_a_clear_error(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_feedback(body, "p", "k")


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_survives(comment: str, user: str) -> None:
    score = parse(comment=comment, user=user)
    assert score.comment == (comment or None)
    assert score.author == (user or "k")
    to_json(score)
