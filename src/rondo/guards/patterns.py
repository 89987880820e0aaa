"""Finding many patterns in a text at once: one scan tells which of them occur at all, a second look tells where.

Nearly every text holds nothing, and costs one pass of RE2's set of all patterns. (Hyperscan finds the same; over texts
that are not all alike it is slower, see docs/guards.md.) RE2 takes time in proportion to the text, whatever is in it.

Patterns work on the bytes of UTF-8, with bounded repeats and no `^` or `$`: texts are scanned together. What RE2 cannot
say (checksums, neighbours) is said by a pattern's `refine`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import re2
from msgspec import Struct

from rondo.guards.model import NOTHING, Finding, Looked, Text, count

Refine = Callable[[bytes, int, int], tuple[int, int] | None]
"""From the data and a match's start and end to the true start and end; None where it is no match after all."""

ALNUM = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

_MEMORY = 64 * 1024 * 1024  # the most that RE2 may keep of its states; a hundredth of it is usual
_BETWEEN = b"\n\x00\n"


class Pattern(Struct, frozen=True, kw_only=True):
    """One thing to look for. With a group in `expression`, the group is what is found, the rest its context.

    `hint` is a simpler expression that occurs wherever `expression` does.
    """

    kind: str
    expression: str
    refine: Refine | None = None
    hint: str | None = None


class Hints:
    """Says which of many expressions occur in a text at all, in one pass."""

    def __init__(self, expressions: Sequence[str], *, latin1: bool = False) -> None:
        """`latin1` expressions are over the bytes of a text, the others over its characters."""
        self._set = re2.Set.SearchSet(_options(latin1=latin1))
        for expression in expressions:
            self._set.Add(expression.encode("latin-1" if latin1 else "utf-8"))
        self._set.Compile()

    def occurring(self, text: str) -> list[int]:
        """Their numbers."""
        return self.in_bytes(text.encode("utf-8", "replace"))

    def in_bytes(self, data: bytes) -> list[int]:
        return sorted(self._set.Match(data) or ())


class Patterns:
    """Compiled once; an earlier pattern names what a later one overlaps."""

    def __init__(self, patterns: Sequence[Pattern]) -> None:
        self._patterns = patterns
        self._searches = [_compile(each.expression) for each in patterns]
        self._hints = Hints([each.hint or each.expression for each in patterns], latin1=True)

    def find(self, text: str) -> list[Finding]:
        """What is in one text, in order; what overlaps is one finding."""
        return self.find_all((text,))[0]

    def find_all(self, texts: Sequence[str]) -> list[list[Finding]]:
        """What is in each text. One scan for all of them."""
        data = [text.encode("utf-8", "replace") for text in texts]
        numbers = self._hints.in_bytes(_BETWEEN.join(data))
        if not numbers:
            return [[] for _ in texts]
        return [self._confirm(text, encoded, numbers) for text, encoded in zip(texts, data, strict=True)]

    def _confirm(self, text: str, data: bytes, numbers: Sequence[int]) -> list[Finding]:
        spans = [(start, end, number) for number in numbers for start, end in self._spans(data, number)]
        if not spans:
            return []
        clusters: list[tuple[int, int, int]] = []
        for start, end, number in sorted(spans):
            if clusters and start < clusters[-1][1]:
                first, until, best = clusters[-1]
                clusters[-1] = (first, max(until, end), min(best, number))
            else:
                clusters.append((start, end, number))
        at = positions(text, data)
        return [Finding(self._patterns[number].kind, at(start), at(end)) for start, end, number in clusters]

    def _spans(self, data: bytes, number: int) -> list[tuple[int, int]]:
        search, refine = self._searches[number].search, self._patterns[number].refine
        spans: list[tuple[int, int]] = []
        position = 0
        while (match := search(data, position)) is not None:
            span: tuple[int, int] | None = match.span(match.re.groups and 1)
            if refine is not None and span is not None:
                span = refine(data, *span)
            if span is None:
                position = _next_word(data, match.start() + 1)
            else:
                spans.append(span)
                position = span[1]
        return spans


def _next_word(data: bytes, position: int) -> int:
    """Behind the word that `position` is in; a refined pattern begins at the start of one, or with a sign."""
    while position < len(data) and data[position] in ALNUM:
        position += 1
    return position


def positions(text: str, data: bytes) -> Callable[[int], int]:
    """From places in the bytes, asked for in order, to places in the text."""
    if len(data) == len(text):
        return lambda place: place
    before = count = 0

    def at(place: int) -> int:
        nonlocal before, count
        count += len(data[before:place].decode("utf-8", "ignore"))
        before = place
        return count

    return at


def _compile(expression: str) -> Any:
    return re2.compile(expression.encode("latin-1"), _options(latin1=True))


def _options(*, latin1: bool) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1 if latin1 else re2.Options.Encoding.UTF8
    options.log_errors = False
    options.max_mem = _MEMORY
    return options


_WORDS = re.compile(r"\S+")
_TAIL = 192
_KEY_HEAD = "-----BEGIN"
_KEY_HEAD_LONGEST = 80
_MONTHS = frozenset("jan feb mar mär apr may mai jun jul aug sep oct okt nov dec dez".split())


def settled(text: str) -> int:
    """How much of an unfinished text the patterns here are done with: all but what may yet become a part of something.

    That is the last word, and before it whatever can stand in a number of several words: digits, short groups, months,
    the head of a key.
    """
    start = max(0, len(text) - _TAIL)
    tail = text[start:]
    held = len(tail)
    for word in reversed(list(_WORDS.finditer(tail))):
        if word.end() < len(tail) and not _may_go_on(word[0]):
            break
        held = word.start()
    key = tail.rfind(_KEY_HEAD, len(tail) - _KEY_HEAD_LONGEST if len(tail) > _KEY_HEAD_LONGEST else 0)
    return start + (held if key < 0 else min(held, key))


def _may_go_on(word: str) -> bool:
    return len(word) <= 5 or word[:3].lower() in _MONTHS or any(char.isdigit() for char in word)


class PatternCheck:
    """A check that finds by patterns alone, and knows where."""

    def __init__(self, patterns: Patterns) -> None:
        self._patterns = patterns

    def look(self, texts: Sequence[Text]) -> Looked:
        places = self._patterns.find_all([text.value for text in texts])
        return Looked(count(places), places) if any(places) else NOTHING

    def settled(self, text: str) -> int:
        return settled(text)
