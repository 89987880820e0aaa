"""Markdown taken apart into what can be quoted."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rondo.providers.sentences import MAX_CHARS, count_words, is_table_rule, sentences, stem, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? “Four.” Five", ["One.", "Two!", "Three?", "“Four.”", "Five"]),
        ("It costs 9.9 percent, i.e. £3.95 vs. £5. See e.g. Fig. 3. Done.",
         ["It costs 9.9 percent, i.e. £3.95 vs. £5.", "See e.g. Fig. 3.", "Done."]),
        ("Mr. Smith pays. J. R. Doe does not.", ["Mr. Smith pays.", "J. R. Doe does not."]),
        ("A line\nthat goes on.\n\nNext.", ["A line that goes on.", "Next."]),
        ("- one item\n- two. Parts\n1. three", ["one item", "two.", "Parts", "three"]),
        ("Intro:\n- item\n\nEnd", ["Intro:", "item", "End"]),
        ("**Bold** and `code_name` and [link](http://x/y_(z)) and __init__.",
         ["Bold and code_name and link and init."]),
        ("| Plan | Price |\n| --- | --- |\n| Basic | £6 |\n| **Plus** | £11 \\| month |\n\nText.",
         ["Plan: Basic; Price: £6.", "Plan: Plus; Price: £11 | month.", "Text."]),
        ("Prices:\n| A | |\n|--|--|\n| x | y |\n| | |", ["Prices:", "A: x; y."]),
        ("Before.\n```sh\n# A comment. Not quoted.\n| a | b |\n```\nAfter.", ["Before.", "After."]),
        ("", []),
        ("---\n***\n!!!", []),
        ("x" * (MAX_CHARS + 1), []),
    ],
)  # fmt: skip
def test_sentences(text: str, expected: list[str]) -> None:
    assert list(sentences(text)) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("returns", "returned"), ("delivery", "deliveries"), ("shipping", "delivered"), ("boxes", "box"),
        ("paid", "pay"), ("stopped", "stopping"), ("send it back", "return"), ("money back", "refund"),
        ("e-mail", "email"), ("second hand", "refurbished"), ("children", "child"),
        ("don't", ""), ("the customer's", "customers"),
    ],
)  # fmt: skip
def test_words_that_mean_the_same(one: str, other: str) -> None:
    assert words(one) == words(other)


def test_words_that_do_not() -> None:
    assert words("bus") != words("bu")
    assert words("glass") == ["glass"]
    assert words("TW48210377 £3.95 café") == ["tw48210377", "3", "95", "café"]
    assert stem("naïve") == "naïve"


def test_words_and_marks_are_counted() -> None:
    assert count_words("It costs £3.95, really!") == 9
    assert count_words("") == 0


def test_table_rules() -> None:
    assert is_table_rule("| --- | :-: |")
    assert is_table_rule("---|---")
    assert not any(is_table_rule(line) for line in ("---", "| a | - |", "|  |", "| - - |", ""))


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet="aB. |-`#\n*[]()1£", max_size=200))
def test_any_text_is_taken_apart(text: str) -> None:
    for each in sentences(text):
        assert each == each.strip()
        assert 0 < len(each) <= MAX_CHARS
        words(each)
