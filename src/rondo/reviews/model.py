"""What a review is: an answer that people look at, what each of them said of it, and by which rules. Pure.

An item waits (`open`) until as many people as its app asks for have answered. Where they are far apart it is
`disputed`, until a third person settles it; else it is `done`. Times are microseconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Literal

import msgspec
from msgspec import Struct

from rondo.evals.judges.model import Criterion
from rondo.evals.judges.rubric import DEFAULT
from rondo.settings.evaluating import ReviewSettings

Source = Literal["sampled", "disputed", "thumbs_down", "asked"]
SOURCES: tuple[Source, ...] = ("asked", "thumbs_down", "disputed", "sampled")

Status = Literal["open", "disputed", "done", "dismissed"]
STATUSES: tuple[Status, ...] = ("open", "disputed", "done", "dismissed")

Given = dict[str, int | None]
"""What one person scored, by criterion; None where the answer gives no ground for a score."""

METRIC = "human."
"""What the name of a person's score begins with in the records: `human.accuracy`."""

WRITER = "reviews"
"""The key id that scores of reviews are written under. No key has it, so no client can overwrite them."""


class Rules(Struct, frozen=True, kw_only=True):
    """How an app's answers are reviewed. `dispute_gap` is a share of the scale."""

    criteria: list[Criterion]
    reviewers: int
    sample_percent: float
    thumbs_down: bool
    dispute_gap: float


class Item(Struct, frozen=True, kw_only=True):
    """An answer in the queue. `rubric` and `reviewers` are as they were when it came in.

    `ended_at` is when its scores had been written to the journal; a `done` item without it is about to be.
    """

    id: str
    project: str
    app: str | None
    trace_id: str
    source: Source
    note: str
    rubric: list[Criterion]
    reviewers: int
    status: Status
    created_by: str
    created_at: int
    ended_at: int | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ("done", "dismissed")


class ReviewAnswer(Struct, frozen=True, kw_only=True):
    """What one person said of an item. `expected` is what should have been answered.

    `adjudicates`: it settles a dispute, and stands in the place of the reviewers' scores.
    """

    item: str
    reviewer: str
    scores: Given
    comment: str
    expected: str | None
    adjudicates: bool
    created_at: int


class Listed(Struct, frozen=True, kw_only=True):
    """An item in a list: how many have answered, whether the asker is among them; texts are cut to 200 characters."""

    item: Item
    answers: int
    is_mine: bool
    question: str | None = None
    answer: str | None = None
    release: int | None = None


class Figure(Struct, frozen=True, kw_only=True):
    """A coefficient with its interval; None where there is too little to tell."""

    value: float | None
    low: float | None
    high: float | None


class OfCriterion(Struct, frozen=True, kw_only=True):
    """All reviewers on one criterion, over `items` that two or more scored; `same` is the share they scored alike."""

    criterion: str
    alpha: Figure
    items: int
    same: float | None


class OfTwo(Struct, frozen=True, kw_only=True):
    """Two reviewers on one criterion, over the `items` that both scored."""

    criterion: str
    one: str
    other: str
    kappa: Figure
    items: int


class ReviewersAgreement(Struct, frozen=True, kw_only=True):
    """How far reviewers agree.

    `items` have two answers or more, `disputed` of them came to a dispute; `left_out` are older than those looked at.
    """

    criteria: list[OfCriterion]
    pairs: list[OfTwo]
    items: int
    disputed: int
    left_out: int


def rules_of(settings: Mapping[str, Any] | None) -> Rules:
    """The rules that an app was released with. `settings` are the app's in the catalog.

    Without an app, and for one released before there were reviews, they are as if `[reviews]` had been left out.
    """
    declared = (settings or {}).get("reviews") or {}
    reviews = ReviewSettings.model_validate(declared.get("settings") or {})
    return Rules(
        criteria=msgspec.convert(declared.get("criteria") or list(DEFAULT), list[Criterion]),
        reviewers=reviews.reviewers,
        sample_percent=reviews.sample_percent,
        thumbs_down=reviews.thumbs_down,
        dispute_gap=reviews.dispute_gap,
    )


def sample_bound(percent: float) -> str:
    """What the first eight hex digits of a sampled trace's SHA-256 are below; compared as text.

    A larger share holds all of a smaller one. `g` is above every digit.
    """
    places = round(percent / 100 * (1 << 32))
    return "g" if places >= 1 << 32 else f"{places:08x}"


def is_sampled(trace_id: str, percent: float) -> bool:
    """Whether the trace is in a sample of this many percent: by its hash, so everyone decides the same."""
    return sha256(trace_id.encode()).hexdigest()[:8] < sample_bound(percent)
