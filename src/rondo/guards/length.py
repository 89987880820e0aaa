"""The check `length`: whether a text is longer than it may be."""

from __future__ import annotations

from collections.abc import Sequence

from rondo.guards.model import NOTHING, Looked, Text


class Length:
    """Counts the characters of all texts of a request or an answer together."""

    def __init__(self, max_chars: int) -> None:
        self._max_chars = max_chars

    def look(self, texts: Sequence[Text]) -> Looked:
        length = sum(len(text.value) for text in texts)
        if length <= self._max_chars:
            return NOTHING
        return Looked({"length": 1}, note=f"{length:,} characters, at most {self._max_chars:,}")
