"""Finds the sentences of retrieved passages that answer a question, or says that none does. Pure.

A sentence is worth the rarity of the question's words that it holds; words in its heading, its title and its
neighbours, and the rank of its passage, count less. A question that asks for an amount or a time prefers sentences
with a number. Nothing is understood: where few of the question's words are found, there is no answer.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

from rondo.providers.sentences import has_number, sentences, words
from rondo.records import Chunk

# From a coarse grid over 80 paraphrased questions about a handbook of 40 pages, of which it answers 64 (the accuracy
# is measured by tests/providers/test_extractive_accuracy.py). Neighbouring values do about as well.
HEADING_WEIGHT = 0.5
TITLE_WEIGHT = 0.3
NEIGHBOUR_WEIGHT = 0.4
RANK_WEIGHT = 0.3
NUMBER_BONUS = 0.3
NEXT_SENTENCE_SHARE = 0.6
ENOUGH_WORDS = 5
THRESHOLD = 1.1
MAX_QUOTES = 3

MAX_QUESTION_CHARS = 4000

# What a document says about itself answers nothing, however many of the question's words it holds.
_ABOUT_ITSELF = re.compile(
    r"(?:this|the) (?:page|document|section|chapter|guide|article) (?:covers|describes|explains|lists|contains)\b"
    r"|last (?:reviewed|updated|changed|modified)\b|see (?:also|the page)\b",
    re.IGNORECASE,
)
_ASKS_NUMBER = re.compile(
    r"\b(?:how (?:much|many|long|often|old|far|fast|soon|quick(?:ly)?|late|big|tall|heavy)|when|what time|price|cost|"
    r"fee|charge|deadline|until|percent|rate|number|phone|maximum|minimum|most|least|highest|lowest|last day|latest)\b",
    re.IGNORECASE,
)


class Quote(Struct, frozen=True):
    """A sentence and the number of the passage it stands in."""

    text: str
    number: int


class _Unit(Struct, frozen=True):
    """A sentence: its passage (by position), its place in it, what its words and those of its neighbours mean."""

    text: str
    chunk: int
    position: int
    words: frozenset[str]
    near: frozenset[str]


class _Rated(Struct, frozen=True):
    """`score` is about 0 to 2, `held` the number of the question's words in the sentence and the headings above it."""

    score: float
    held: int
    unit: _Unit


def quotes(question: str, chunks: Sequence[Chunk]) -> list[Quote]:
    """One to three sentences in reading order; none where nothing matches well enough."""
    question = question[:MAX_QUESTION_CHARS]
    asked = frozenset(words(question))
    units = _units(chunks)
    if not asked or not units:
        return []
    rated = _rate(units, chunks, asked, wants_number=_ASKS_NUMBER.search(question) is not None)
    best = rated[0]
    if best.score + min(best.held, ENOUGH_WORDS) / ENOUGH_WORDS < THRESHOLD:
        return []
    chosen = [best.unit]
    for each in rated[1:]:
        if len(chosen) == MAX_QUOTES or each.score < NEXT_SENTENCE_SHARE * best.score:
            break
        if all(_differs(each.unit, other) for other in chosen):
            chosen.append(each.unit)
    chosen.sort(key=lambda unit: (unit.chunk, unit.position))
    return [Quote(unit.text, chunks[unit.chunk].number) for unit in chosen]


def _units(chunks: Sequence[Chunk]) -> list[_Unit]:
    """All sentences; one that overlapping passages share only once."""
    found: dict[str, _Unit] = {}
    for index, chunk in enumerate(chunks):
        texts, meanings = _read(chunk.text)
        for position, text in enumerate(texts):
            near = meanings[max(position - 1, 0) : position] + meanings[position + 1 : position + 2]
            if text not in found and _ABOUT_ITSELF.match(text) is None:
                found[text] = _Unit(text, index, position, meanings[position], frozenset().union(*near))
    return list(found.values())


@lru_cache(maxsize=512)
def _read(text: str) -> tuple[list[str], list[frozenset[str]]]:
    """The sentences of a passage and what their words mean; popular passages are asked for again and again."""
    texts = list(sentences(text))
    return texts, [frozenset(words(each)) for each in texts]


def _rate(units: list[_Unit], chunks: Sequence[Chunk], asked: frozenset[str], *, wants_number: bool) -> list[_Rated]:
    """The sentences, best first."""
    weights = _weights(asked, units)
    total = sum(weights.values())
    top = max(chunk.score for chunk in chunks)
    headings = [frozenset(words(chunk.heading)) for chunk in chunks]
    titles = [frozenset(words(chunk.title)) for chunk in chunks]
    rated = []
    for unit in units:
        matched = 0.0
        held = 0
        for word, weight in weights.items():
            if word in unit.words:
                share = 1.0
            elif word in headings[unit.chunk]:
                share = HEADING_WEIGHT
            elif word in titles[unit.chunk]:
                share = TITLE_WEIGHT
            else:
                matched += NEIGHBOUR_WEIGHT * weight if word in unit.near else 0
                continue
            matched += share * weight
            held += 1
        score = matched / total + RANK_WEIGHT * (chunks[unit.chunk].score / top if top > 0 else 0)
        if wants_number and has_number(unit.text):
            score += NUMBER_BONUS
        rated.append(_Rated(score, held, unit))
    return sorted(rated, key=lambda each: (-each.score, each.unit.chunk, each.unit.position))


def _weights(asked: frozenset[str], units: Sequence[_Unit]) -> dict[str, float]:
    """How much each word of the question tells: the rarer among the sentences, the more; unknown ones most."""
    held = Counter(word for unit in units for word in unit.words if word in asked)
    count = len(units)
    return {word: math.log(1 + (count - held[word] + 0.5) / (held[word] + 0.5)) for word in sorted(asked)}


def _differs(unit: _Unit, other: _Unit) -> bool:
    shared = len(unit.words & other.words)
    return shared < 0.8 * min(len(unit.words), len(other.words)) or not shared
