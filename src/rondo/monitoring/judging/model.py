"""What live judging speaks of: an app that has it, and how it stands. And which calls are chosen. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from rondo.evals.targets import Subject
from rondo.reviews.model import is_sampled
from rondo.settings.live import LiveSettings

KEY = "live"
"""The key id of its scores, which no key has: nothing that a client sends can overwrite them."""


class Watched(Struct, frozen=True, kw_only=True):
    """An app that is judged live. `subject` is its latest release, whose judges judge all its releases alike."""

    project: str
    app: str
    settings: LiveSettings
    subject: Subject

    def same_as(self, other: Watched) -> bool:
        """Whether the other is judged in the same way."""
        return self.settings == other.settings and self.subject.target == other.subject.target

    def pays_as(self, other: Watched) -> bool:
        """Whether the other has as much money, and asks as much at once."""
        ours, theirs = self.settings, other.settings
        return (ours.budget_usd_per_day, ours.max_concurrency) == (theirs.budget_usd_per_day, theirs.max_concurrency)


class LiveStatus(Struct, frozen=True, kw_only=True):
    """How an app's live judging stands. Counts are since the server started; money is of this day (UTC).

    `scored` calls have all their scores, of `failed` ones some could not be had in the end; `skipped` were passed by
    while scorers that ask models rested: `resting` says why they do, `is_spent` that it is for the day's own budget.
    `errors` counts every try that failed. `waiting` calls are chosen and not done, the oldest since `lag_s`. `fault` is
    what keeps it from working at all.
    """

    app: str
    scorers: list[str]
    scored: int
    failed: int
    skipped: int
    errors: int
    waiting: int
    lag_s: float
    spent_usd: float
    budget_usd: float | None
    resting: str | None = None
    is_spent: bool = False
    last_error: str | None = None
    fault: str | None = None


def is_chosen(row: Mapping[str, Any], settings: LiveSettings) -> bool:
    """Whether a stored call, as `calls_after` has it, is scored: by its trace's hash, so everyone decides the same.

    Evaluations and calls made elsewhere never are; of copies for a shadow, those of a rollout are.
    """
    if not row["answered"] or row["arm"] not in ("live", "shadow"):
        return False
    if row["rollout"] is None:
        return row["arm"] == "live" and is_sampled(row["trace_id"], settings.sample_percent)
    return is_sampled(row["trace_id"], max(settings.rollout_percent, settings.sample_percent))
