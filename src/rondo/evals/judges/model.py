"""What a judge is: a model, what it is asked, and the mark it must reach before its word counts. Pure.

Its metrics are shares of a scale: 0 is the worst score that a criterion has, 1 the best, so that 4 of 1 to 5 is 0.75.
Criteria of different scales can be added up so, and goals read the same for all of them.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from rondo.providers.base import ModelSpec

Kind = Literal["rubric", "pairwise", "geval", "yes_no"]


class Criterion(Struct, frozen=True, kw_only=True):
    """One thing to look at, with what its scores mean: `anchors` by the score as text."""

    name: str
    question: str
    lowest: int = 1
    highest: int = 5
    anchors: dict[str, str] = {}

    @property
    def scale(self) -> range:
        """Every score there is."""
        return range(self.lowest, self.highest + 1)

    def share(self, score: float) -> float:
        """A score as a share of the scale, 0 to 1."""
        return (score - self.lowest) / (self.highest - self.lowest)

    def score(self, share: float) -> float:
        """A share of the scale as a score."""
        return self.lowest + share * (self.highest - self.lowest)


class Judge(Struct, frozen=True, kw_only=True):
    """A judge as a release freezes it. `criteria` are empty for `yes_no`, and may be for `pairwise`.

    `mark` and `least_labels` say when its word counts; they decide none of its words, and are no part of its version.
    """

    name: str
    kind: Kind
    model: ModelSpec
    criteria: list[Criterion] = []
    question: str | None = None
    instructions: str = ""
    votes: int = 1
    params: dict[str, Any] = {}
    mark: float | None = None
    least_labels: int = 30

    @property
    def aspects(self) -> list[str]:
        """What it says something about, and people can be asked too: its criteria, or the one question it answers."""
        return [criterion.name for criterion in self.criteria] if self.scores_criteria else [self.name]

    @property
    def scores_criteria(self) -> bool:
        return self.kind in ("rubric", "geval")

    def metric_of(self, aspect: str, name: str | None = None) -> str:
        """What the metric of an aspect is called, where the scorer is called `name` (the judge's own by default)."""
        base = name or self.name
        return f"{base}.{aspect}" if self.scores_criteria and len(self.criteria) > 1 else base

    def metrics(self, name: str | None = None) -> list[str]:
        """One for each aspect, and where there are several, their mean under the scorer's own name."""
        found = [self.metric_of(aspect, name) for aspect in self.aspects]
        return found if len(found) == 1 else [*found, name or self.name]
