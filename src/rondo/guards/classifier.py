"""The check `classifier`: one of the app's own small classifiers, and the labels that are findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rondo.guards.model import FOREIGN, NOTHING, Looked, Role, Text, joined

Classify = Callable[[str], tuple[str | None, float]]
"""From a text to its label and how sure that is (0 to 1)."""

_LONGEST = 20_000
_ROLES: frozenset[Role] = FOREIGN | {"assistant"}


class Classified:
    """Says what label a text has, where it is one of `labels` and sure enough."""

    def __init__(self, classify: Classify, labels: Sequence[str], at_least: float) -> None:
        self._classify = classify
        self._labels = labels
        self._at_least = at_least

    def look(self, texts: Sequence[Text]) -> Looked:
        label, share = self._classify(joined(texts, _ROLES, longest=_LONGEST))
        if label is None or label not in self._labels or share < self._at_least:
            return NOTHING
        return Looked({label: 1}, note=f"{share:.2f} sure")
