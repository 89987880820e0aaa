"""Lists of words and phrases, and regular expressions of the operator's own: the check `words`.

Words are found whole, in capitals or not, with any space between the words of a phrase. Scripts without spaces
(Chinese, Japanese, Thai) have no whole words: there they are found anywhere. Expressions are RE2's, which takes time in
proportion to the text, whatever they are.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

import re2

from rondo.guards.model import NOTHING, Finding, Looked, Text, count
from rondo.guards.patterns import positions

_EDGE_BEFORE, _EDGE_AFTER = r"(?:^|[^\pL\pN_])", r"(?:$|[^\pL\pN_])"
_GAP = r"[\s\pZ\x0b\x1c-\x1f\x{85}]+"
_PATTERN_REACH = 256
_SPACE = 16
_MEMORY = 64 * 1024 * 1024


class Words:
    """Compiled once."""

    def __init__(self, words: Sequence[str], patterns: Sequence[str]) -> None:
        """Raises ValueError for an expression that RE2 does not take."""
        self._searches = [("word", each, 1) for each in _lists(words)]
        self._searches += [("pattern", compile_pattern(pattern), 0) for pattern in patterns]
        longest = max((len(word) for word in words), default=0) + _SPACE
        self._reach = max(longest, _PATTERN_REACH) if patterns else longest

    def look(self, texts: Sequence[Text]) -> Looked:
        places = [self._find(text.value) for text in texts]
        return Looked(count(places), places) if any(places) else NOTHING

    def settled(self, text: str) -> int:
        return max(0, len(text) - self._reach)

    def _find(self, text: str) -> list[Finding]:
        data = text.encode("utf-8", "replace")
        spans = sorted(
            (start, end, kind) for kind, search, group in self._searches for start, end in _spans(search, group, data)
        )
        merged: list[tuple[int, int, str]] = []
        for start, end, kind in spans:
            if merged and start < merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end), merged[-1][2])
            else:
                merged.append((start, end, kind))
        at = positions(text, data)
        return [Finding(kind, at(start), at(end)) for start, end, kind in merged]


def compile_pattern(pattern: str) -> Any:
    """Raises ValueError for what RE2 does not take."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    try:
        return re2.compile(pattern.encode(), options)
    except re2.error as error:
        reason = error.args[0]
        raise ValueError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)) from None


def _spans(search: Any, group: int, data: bytes) -> Iterator[tuple[int, int]]:
    position = 0
    while (match := search.search(data, position)) is not None:
        start, end = match.span(group)
        if end > start:
            yield start, end
        position = max(end, position + 1)
        if position > len(data):
            return


def _lists(words: Sequence[str]) -> list[Any]:
    """One expression for each kind of edge that words have."""
    by_edges: dict[tuple[bool, bool], list[str]] = {}
    for word in words:
        for form in sorted({word, *(unicodedata.normalize(form, word) for form in ("NFC", "NFD"))}):
            parts = form.split()
            if parts:
                edges = (_has_edge(parts[0][0]), _has_edge(parts[-1][-1]))
                by_edges.setdefault(edges, []).append(_GAP.join(re2.escape(part) for part in parts))
    options = re2.Options()
    options.case_sensitive = False
    options.longest_match = True
    options.max_mem = _MEMORY
    return [
        re2.compile(
            f"{_EDGE_BEFORE if before else ''}({'|'.join(forms)}){_EDGE_AFTER if after else ''}".encode(),
            options,
        )
        for (before, after), forms in by_edges.items()
    ]


def _has_edge(char: str) -> bool:
    """Whether a word that begins or ends with this has an end there: a letter or digit of a script with spaces."""
    if not (char.isalnum() or char == "_" or unicodedata.combining(char)):
        return False
    return not unicodedata.name(char, "").startswith(("CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR"))
