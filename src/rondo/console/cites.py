"""An answer, cut where it cites a passage, so that a page can link [1] to what it stands for. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

from rondo.traces.why import citations

_MARK = re.compile(r"\[(\d{1,4}(?:\s*,\s*\d{1,4})*)\]")
_NUMBER = re.compile(r"\d+|\D+")


class Piece(Struct, frozen=True):
    """A stretch of the answer; `number` is set where it stands for a passage that there is."""

    text: str
    number: int | None = None


class Cited(Struct, frozen=True):
    """The whole answer in pieces, and the numbers of the passages that it cites."""

    pieces: tuple[Piece, ...]
    numbers: frozenset[int]


def cite(answer: str, given: Iterable[int]) -> Cited:
    """`given` are the numbers of the passages; marks of others stay plain text: a model may make them up.

    The pieces' texts, joined, are the answer.
    """
    numbers = frozenset(citations(answer) & set(given))
    pieces: list[Piece] = []
    at = 0
    for mark in _MARK.finditer(answer):
        found = {int(number) for number in mark[1].split(",")}
        if not found & numbers:
            continue
        if mark.start() > at:
            pieces.append(Piece(answer[at : mark.start()]))
        pieces += _pieces(mark[0], numbers)
        at = mark.end()
    if at < len(answer):
        pieces.append(Piece(answer[at:]))
    return Cited(tuple(pieces), numbers)


def _pieces(mark: str, numbers: frozenset[int]) -> list[Piece]:
    """`[1]` is one link; of `[1, 2]` each number is."""
    if mark[1:-1].isdigit():
        return [Piece(mark, int(mark[1:-1]))]
    return [
        Piece(part, int(part)) if part.isdigit() and int(part) in numbers else Piece(part)
        for part in _NUMBER.findall(mark)
    ]
