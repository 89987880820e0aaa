"""Words are found whole, in capitals or not, in every script; expressions are RE2's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guarding import guards, over
from rondo.guards.model import Text
from rondo.guards.words import Words


def found(words: list[str], text: str, patterns: tuple[str, ...] = ()) -> list[str]:
    (places,) = Words(words, patterns).look([Text("user", text)]).places or ([],)
    return [text[each.start : each.end] for each in places]


@pytest.mark.parametrize(
    ("words", "text", "hits"),
    [
        (["acme"], "ACME, acme; (Acme) acme_x pacme acmes", ["ACME", "acme", "Acme"]),
        (["bad", "bad word"], "a bad  word, bad bad", ["bad  word", "bad", "bad"]),
        (["größe"], "Die GRÖSSE? Die GRÖßE! gro\u0308ße größer", ["GRÖßE", "gro\u0308ße"]),
        (["c++", ".net"], "c++17 and C++, .NET", ["c++", "C++", ".NET"]),
        (["敏感"], "这是敏感词", ["敏感"]),
        (["россия"], "о России и РОССИЯ", ["РОССИЯ"]),
        (["new york", "new york city hall"], "new york city hallway", ["new york"]),
        (["a", "b"], "a b a", ["a", "b", "a"]),
    ],
)
def test_words(words: list[str], text: str, hits: list[str]) -> None:
    assert found(words, text) == hits


def test_patterns_are_found_as_they_are_written() -> None:
    assert found([], "ticket AB-123 ab-9", (r"[A-Z]{2}-\d+",)) == ["AB-123"]
    assert found([], "aXb", ("(?i)x", "x*")) == ["X"]
    assert found([], "(one)(two)", (r"\((one)\)",)) == ["(one)"]


async def test_a_word_is_blotted_out() -> None:
    outcome = await over(guards({"check": "words", "words": ["acme"], "action": "redact"}), "Is Acme cheaper?", "no")
    assert outcome.texts == ["Is [WORD] cheaper?", "no"]
    assert outcome.verdicts[0].found == {"word": 1}


def test_thousands_of_words() -> None:
    words = [f"word{number}x" for number in range(5_000)]
    assert found(words, "a word17x and WORD4999X and word5000x") == ["word17x", "WORD4999X"]


@given(st.text(min_size=1, max_size=12).filter(lambda word: word.strip()), st.text(max_size=40))
def test_a_word_is_found_between_spaces(word: str, text: str) -> None:
    if any(0xD800 <= ord(char) < 0xE000 for char in word):
        return
    assert found([word], f"{text} {word} {text}")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b"])
def test_no_pattern_takes_for_ever(pattern: str) -> None:
    found([], "a" * 5_000, (pattern,))
