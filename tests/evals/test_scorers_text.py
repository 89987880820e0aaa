"""Scorers of texts, against examples worked by hand, against other libraries, and against what must always hold."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from rondo.evals.scorers.number import numbers_in
from rondo.evals.scorers.overlap import RougeOptions, f1, rouge_scores, rouge_tokens, squad_tokens
from rondo.evals.scorers.porter import stem
from scorer_cases import case, scored

PERFECT = ("exact", "contains", "levenshtein", "token_f1", "rouge", "bleu", "chrf")
WORDS = st.text(alphabet=st.sampled_from("aabeint xyz,.-'AN 12é中"), max_size=60)


def value(kind: str, text: str, expected: Any, **options: Any) -> float | None:
    found = asyncio.run(scored(kind, case(text, expected), **options))
    assert found.error is None, found
    return found.value


@pytest.mark.parametrize(
    ("text", "expected", "options", "right"),
    [
        ("14 days", "14 days", {}, True),
        (" 14   days\n", "14 days", {}, True),
        ("14 Days", "14 days", {}, False),
        ("14 Days.", "14 days", {"normalise": ["case", "punctuation"]}, True),
        ("The café", "cafe", {"normalise": ["case", "accents", "articles", "space"]}, True),
        ("B", ["A", "B"], {}, True),
        ('["A","B"]', ["A", "B"], {}, True),
        ('{"b": 2.0, "a": 1}', {"a": 1, "b": 2}, {}, True),
        ('```json\n{"a": 1}\n```', {"a": 1}, {}, True),
        ('{"a": true}', {"a": 1}, {}, False),
        ("yes", {"a": 1}, {}, False),
        ("42", 42, {}, True),
        ("", "x", {}, False),
        ("false", False, {}, True),
    ],
)
def test_exact(text: str, expected: Any, options: dict[str, Any], right: bool) -> None:
    assert value("exact", text, expected, **options) == float(right)


@pytest.mark.parametrize(
    ("text", "expected", "options", "right"),
    [
        ("Within 14  DAYS, free", ["14 days", "free"], {}, True),
        ("Within 14 days", ["14 days", "free"], {}, False),
        ("Within 14 days", ["14 days", "free"], {"how": "any"}, True),
        ("nothing", ["14 days", "free"], {"how": "any"}, False),
        ("Within 14 days", ["30 days"], {"how": "none"}, True),
        ("Within 30 days", ["30 days"], {"how": "none"}, False),
        ("DAYS", "days", {"case": True}, False),
        ("14 days", None, {"value": "days"}, True),
        ("14 days", None, {"value": "days", "negate": True}, False),
    ],
)
def test_contains(text: str, expected: Any, options: dict[str, Any], right: bool) -> None:
    assert value("contains", text, expected, **options) == float(right)


@pytest.mark.parametrize(
    ("text", "options", "right"),
    [
        ("order AB-12", {"value": r"[A-Z]{2}-\d+"}, True),
        ("order ab-12", {"value": r"[A-Z]{2}-\d+"}, False),
        ("order ab-12", {"value": r"[A-Z]{2}-\d+", "case": False}, True),
        ("order AB-12", {"value": r"[A-Z]{2}-\d+", "full": True}, False),
        (" AB-12\n", {"value": r"[A-Z]{2}-\d+", "full": True}, True),
        ("ab", {"value": "a|b", "full": True}, False),
        ("one two", {"value": ["one", "two"]}, True),
        ("one", {"value": ["one", "two"]}, False),
        ("grün", {"value": "gr.n"}, True),
    ],
)
def test_regex(text: str, options: dict[str, Any], right: bool) -> None:
    assert value("regex", text, None, **options) == float(right)


def test_a_hard_pattern_takes_no_more_time_than_the_text_is_long() -> None:
    assert value("regex", "a" * 50_000 + "!", None, value="(a+)+$", full=True) == 0.0


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("It costs $1,234.50, or 5kg.", [1234.5, 5]),
        ("3-4", [3, 4]),
        ("v1.2.3 B2 1.2.3 a_7", []),
        (".5 and -3 and −2", [0.5, -3, -2]),
        ("2e6 and 1E-3", [2e6, 1e-3]),
        ("12,34", [12, 34]),
        ("2024-01-05", [2024, 1, 5]),
        ("9" * 500, []),
        ("1\u202f000 and 1'000", [1000, 1000]),
        ("is 7.", [7]),
        ("", []),
    ],
)
def test_numbers_in_texts(text: str, numbers: list[float]) -> None:
    assert numbers_in(text) == numbers


def test_numbers_with_a_decimal_comma() -> None:
    assert numbers_in("1.234,5 und 3,5", ",") == [1234.5, 3.5]


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e15, max_value=1e15))
def test_a_number_is_found_as_it_was_written(number: float) -> None:
    assert numbers_in(f"It is {number!r}.") == [number]


@pytest.mark.parametrize(
    ("text", "expected", "options", "right"),
    [
        ("It is 42.", 42, {}, True),
        ("It is 42.", "42", {}, True),
        ("41 or 42", 42, {}, False),
        ("42, so 42.0", 42, {}, True),
        ("41 or 42", 42, {"find": "last"}, True),
        ("41 or 42", 42, {"find": "first"}, False),
        ("42.4", 42, {"abs": 0.5}, True),
        ("42.6", 42, {"abs": 0.5}, False),
        ("110", 100, {"rel": 0.1}, True),
        ("none", 42, {}, False),
        ("0", 0, {}, True),
    ],
)
def test_number(text: str, expected: Any, options: dict[str, Any], right: bool) -> None:
    assert value("number", text, expected, **options) == float(right)


@pytest.mark.parametrize("expected", [True, "many", "1 or 2", [1], {}, 10**400])
async def test_a_reference_that_is_no_number_is_an_error(expected: Any) -> None:
    found = await scored("number", case("42", expected))
    assert (found.value, found.error) == (None, "wrong_type")


def test_levenshtein() -> None:
    assert value("levenshtein", "kitten", "sitting") == pytest.approx(1 - 3 / 7)
    assert value("levenshtein", "kitten", ["sitting", "kitten"]) == 1.0
    assert value("levenshtein", "", "abc") == 0.0


def test_token_f1_is_squads() -> None:
    assert squad_tokens("The  Cat's, an A-1!") == ["cats", "a1"]
    assert value("token_f1", "the red cat", "a red dog") == pytest.approx(0.5)
    assert f1([], []) == (1.0, 1.0, 1.0)
    assert f1(["a"], []) == (0.0, 0.0, 0.0)


ENGLISH = """
    generalizations oscillators relational conditional rationally valenci hesitancy digitizer conformably radically
    differently vilely analogously vietnamization predication operator feudalism decisiveness hopefulness callousness
    formality sensitivity sensibility triplicate formative formalize electricity electrical goodness revival allowance
    inference airliner gyroscopic adjustable defensible irritant replacement adjustment dependent adoption homologous
    communism activate angularity effective bowdlerize probate rate cease controlling rolled dying skies news innings
    flies dies died tied enjoying enjoyed spying apology geologically fulfilled usefully ing ed sky happy yyyyes oed aed
    feed agreed plastered bled motoring sing conflated troubled sized hopping tanned falling hissing fizzed failing
    filing
    """.split()


@pytest.mark.parametrize("word", ENGLISH)
def test_stems_are_nltks(word: str) -> None:
    assert stem(word) == PorterStemmer().stem(word)


ENDINGS = "s ed ing ies ied eed ational izer alli bli logi fulli ement ion ness ical ll y ative e".split()


def test_stems_of_made_up_words_are_nltks() -> None:
    draw, theirs = random.Random(1), PorterStemmer()
    roots = ["".join(draw.choices("aeiouylstdbnzcvwx", k=draw.randint(1, 8))) for _ in range(200)]
    words = [root + ending for root in roots for ending in ("", *ENDINGS)]
    assert {word: stem(word) for word in words} == {word: theirs.stem(word) for word in words}


@settings(max_examples=300, deadline=None)
@given(WORDS, WORDS, st.booleans())
def test_rouge_is_the_packages(text: str, expected: str, stemmed: bool) -> None:
    options = RougeOptions(kind="rouge", stem=stemmed)
    ours = rouge_scores(rouge_tokens(text, options), rouge_tokens(expected, options))
    theirs = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=stemmed).score(expected, text)
    assert ours == pytest.approx({name.lower(): score.fmeasure for name, score in theirs.items()})


def test_rouge_of_several_references_is_the_packages() -> None:
    rng = random.Random(1)
    words = "the cat sat on a mat and saw dogs running happily".split()
    for _ in range(50):
        text, *references = (" ".join(rng.choices(words, k=rng.randint(1, 12))) for _ in range(4))
        found = asyncio.run(scored("rouge", case(text, references), stem=True))
        theirs = RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=True).score_multi(references, text)
        assert found.details == pytest.approx({name.lower(): score.fmeasure for name, score in theirs.items()})


def test_rouge_sees_other_scripts_where_it_is_asked_to() -> None:
    assert value("rouge", "возврат за 14 дней", "возврат за 30 дней") == pytest.approx(0.0)
    assert value("rouge", "возврат за 14 дней", "возврат за 30 дней", words="unicode") == pytest.approx(0.75)


@settings(deadline=None)
@given(WORDS, st.lists(WORDS, min_size=1, max_size=3))
def test_bleu_and_chrf_of_a_sentence_are_sacrebleus(text: str, references: list[str]) -> None:
    bleu = BLEU(effective_order=True).sentence_score(text, references).score / 100
    assert value("bleu", text, references) == pytest.approx(bleu)
    assert value("chrf", text, references) == pytest.approx(CHRF().sentence_score(text, references).score / 100)
    chrf2 = CHRF(word_order=2, lowercase=True).sentence_score(text, references).score / 100
    assert value("chrf", text, references, word_order=2, lowercase=True) == pytest.approx(chrf2)


@settings(deadline=None)
@given(st.lists(st.text(alphabet="abcdefg", min_size=1, max_size=8), min_size=4, max_size=8).map(" ".join))
def test_a_perfect_answer_has_one(text: str) -> None:
    for kind in PERFECT:
        assert value(kind, text, text) == pytest.approx(1.0), kind


@settings(deadline=None)
@given(WORDS, WORDS)
def test_values_are_shares(text: str, expected: str) -> None:
    for kind in PERFECT:
        found = value(kind, text, expected)
        assert found is not None
        assert 0.0 <= found <= 1.0, kind


@settings(deadline=None)
@given(WORDS, WORDS)
def test_what_is_symmetric_is(text: str, expected: str) -> None:
    for kind in ("exact", "levenshtein", "token_f1", "rouge"):
        assert value(kind, text, expected) == pytest.approx(value(kind, expected, text)), kind


@pytest.mark.parametrize("kind", [*PERFECT, "number", "classification", "json_fields"])
async def test_without_a_reference_there_is_no_score(kind: str) -> None:
    found = await scored(kind, case("an answer"))
    assert (found.value, found.error) == (None, "no_reference")
    skipped = await scored(kind, case("an answer"), no_reference="skip")
    assert (skipped.value, skipped.error) == (None, None)
    assert skipped.reason


@settings(deadline=None)
@given(st.text(max_size=40), st.text(max_size=40))
def test_no_text_is_too_odd(text: str, expected: str) -> None:
    for kind in (*PERFECT, "json_fields", "classification"):
        found = asyncio.run(scored(kind, case(text, expected)))
        assert found.value is not None or found.error in ("no_reference", "wrong_type"), found
