"""Rows of whatever shape: what becomes of each field, and what cannot be an example."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rondo.datasets.fields import NO_COLUMNS, Columns, Unfit, example_of
from rondo.datasets.model import Example, Provenance, Split

HERE = Provenance(kind="file", source="f.jsonl", line=3)


def row(columns: Columns = NO_COLUMNS, **fields: Any) -> Example:
    return example_of(fields, columns, HERE)


def test_a_question_of_the_template() -> None:
    found = row(
        id="q1", question="Open on Sundays?", expected="10:00", source="kb/hours.md", tags=["contact", "hours"],
        answerable=False,
    )  # fmt: skip
    assert found.messages == [{"role": "user", "content": "Open on Sundays?"}]
    assert found.expected == "10:00"
    assert found.sources == ["kb/hours.md"]
    assert found.tags == {"topic": "contact", "hours": "yes"}
    assert found.hand_over is True
    assert found.metadata == {"id": "q1"}
    assert found.provenance == HERE


@pytest.mark.parametrize("name", ["question", "input", "prompt", "query", "instruction", "text"])
@pytest.mark.parametrize("right", ["expected", "answer", "ideal", "output", "reference", "ground_truth", "label"])
def test_usual_names_are_known(name: str, right: str) -> None:
    found = row(NO_COLUMNS, **{name: "a?", right: "b"})
    assert (found.question, found.expected, found.metadata) == ("a?", "b", {})


def test_columns_named_by_the_caller_win() -> None:
    columns = Columns(
        input="frage", expected="antwort", tags=["art"], variables=["stadt"], group="kunde", hand_over="mensch"
    )
    found = row(columns, frage="Wo?", antwort="Hier", art=3, stadt="Bonn", kunde=17, mensch="yes", question="nicht")
    assert found.question == "Wo?"
    assert found.expected == "Hier"
    assert found.tags == {"art": "3"}
    assert found.inputs == {"stadt": "Bonn"}
    assert found.group == "17"
    assert found.hand_over is True
    assert found.metadata == {"question": "nicht"}


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(Unfit, match=r"no column 'frage'; there are question, answer"):
        row(Columns(input="frage"), question="a", answer="b")


def test_a_conversation_with_its_answer() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "weight": 0},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": '{"x": 1}'}}]},
    ]
    found = row(messages=messages, tools=[{"type": "function"}], parallel_tool_calls=False)
    assert found.messages == messages[:-1]
    assert found.expected is None
    assert found.tool_calls == [{"name": "f", "arguments": {"x": 1}}]
    assert found.params == {"tools": [{"type": "function"}], "parallel_tool_calls": False}


def test_other_forms_of_conversations() -> None:
    shared = row(conversations=[{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}])
    assert (shared.question, shared.expected) == ("a", "b")
    evals = row(input=[{"role": "system", "content": "s"}, {"role": "user", "content": "q"}], ideal=["x", "y", "x"])
    assert (len(evals.messages), evals.expected) == (2, ["x", "y"])
    preferred = row(prompt=[{"role": "user", "content": "q"}], completion=[{"role": "assistant", "content": "r"}])
    assert (preferred.question, preferred.expected) == ("q", "r")
    assert row(instruction="Translate.", input="Hund", output="dog").question == "Translate.\n\nHund"
    squad = row(context="A bike.", question="What?", answers={"text": ["a bike", "bike"], "answer_start": [0, 2]})
    assert (squad.context, squad.expected) == ([{"text": "A bike."}], ["a bike", "bike"])
    assert row(question="q", system="s").messages[0] == {"role": "system", "content": "s"}


def test_a_conversation_that_is_only_named_is_a_group() -> None:
    found = row(NO_COLUMNS, question="a?", conversation="chat-17")
    assert (found.question, found.group, found.metadata) == ("a?", "chat-17", {})
    assert row(NO_COLUMNS, conversation="a?").question == "a?"
    assert row(NO_COLUMNS, conversation='[{"role": "user", "content": "a?"}]', group="g").question == "a?"


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("dev", "validation"),
        ("val", "validation"),
        ("TEST", "test"),
        ("", None),
    ],
)
def test_splits_by_any_of_their_names(name: str, split: Split | None) -> None:
    assert row(question="q", split=name).split == split


def test_what_has_no_place_is_kept() -> None:
    found = row(question="q", difficulty="hard", rank=3, source="wikipedia", none=None, extra={"a": [1]})
    assert found.tags == {"difficulty": "hard"}
    assert found.sources == []
    assert found.metadata == {"rank": 3, "source": "wikipedia", "extra": {"a": [1]}}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "--input"),
        ({"question": ""}, "--input"),
        ({"question": {"a": 1}}, "neither text"),
        ({"question": True}, "neither text"),
        ({"messages": []}, "no list of messages"),
        ({"messages": [{"role": "robot", "content": "x"}], "x": 1}, "neither text"),
        ({"messages": [{"role": "assistant", "content": "x"}], "x": 1}, "no question"),
        ({"messages": [{"role": "user", "content": "q"}], "inputs": 3}, "does not fit"),
        ({"question": "q", "split": "holdout"}, "no split"),
        ({"question": "q", "answerable": "perhaps"}, "neither true nor false"),
        ({"question": "q", "tags": 3}, "tags"),
        ({"question": "q", "topic": "x" * 300}, "topic"),
        ({"question": "q", "context": 3}, "context"),
        ({"question": "q", "sources": [1]}, "sources"),
        ({"question": "q", "inputs": [1]}, "inputs"),
        ({"question": "q", "persona": {"who": 3}}, "persona|fit"),
        ({"question": "q", "expect": "not json"}, "not JSON"),
    ],
)
def test_what_cannot_be_an_example_says_why(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(Unfit, match=words):
        row(**fields)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    "question input messages conversations expected answer tags split group inputs context source sources expect "
    "metadata persona must_pass hand_over answerable tool_calls params id item provenance expected_json x".split()
)


@settings(suppress_health_check=[HealthCheck.too_slow])  # so many kinds of values, on a busy machine
@given(st.dictionaries(NAMES, JSON, max_size=6))
def test_any_row_is_an_example_or_unfit(fields: dict[str, Any]) -> None:
    try:
        found = example_of(fields, NO_COLUMNS, HERE)
    except Unfit as unfit:
        assert unfit.message  # noqa: PT017 - either end is right
    else:
        assert found.messages
        assert found.identified().id
