"""What drift speaks of: a call as it is compared, a check, a topic, a report. Pure.

A report compares a window of an app's calls with the reference before it. One call of each user (else session, else
trace) is compared, so that a single busy user is no drift.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Verdict = Literal["drifted", "steady", "not_enough"]
Part = Literal["inputs", "retrieval", "outputs"]
Change = Literal["new", "grown", "gone", "shrunk", "steady"]


class Sample(Struct, frozen=True, kw_only=True):
    """One call; what is not known of it is None. `personal` says whether there is personal data, not which."""

    trace_id: str
    question: str
    question_chars: int
    answer_chars: int | None = None
    language: str | None = None
    personal: bool | None = None
    top_score: float | None = None
    handed_over: bool | None = None
    refused: bool | None = None


class Said(Struct, frozen=True, kw_only=True):
    """A score of a call: a number (a boolean is 0 or 1), or a category."""

    trace_id: str
    value: float | None = None
    label: str | None = None


class Side(Struct, frozen=True, kw_only=True):
    """One of the two windows: what was drawn, out of how many `units` and `calls`."""

    since: int
    until: int
    calls: int
    units: int
    samples: list[Sample]
    scores: dict[str, list[Said]] = {}


class Example(Struct, frozen=True, kw_only=True):
    """A call that shows something: its trace, and its question, scrubbed and cut."""

    trace_id: str
    question: str


class Bar(Struct, frozen=True, kw_only=True):
    """A part of a distribution, for a chart: its share of the reference and of the window."""

    name: str
    before: float
    now: float


class Check(Struct, frozen=True, kw_only=True):
    """One question: has this distribution changed? `p` is the permutation test's, `corrected` Holm's over all checks.

    `effect` is between 0 (the same) and 1; `effect_name` says what it is. `units` are those compared, before and now.
    """

    name: str
    part: Part
    title: str
    verdict: Verdict
    units: tuple[int, int]
    statistic: float | None = None
    p: float | None = None
    corrected: float | None = None
    effect: float | None = None
    effect_name: str = ""
    sentence: str = ""
    next_step: str = ""
    bars: list[Bar] = []
    examples: list[Example] = []
    facts: dict[str, float] = {}


class Topic(Struct, frozen=True, kw_only=True):
    """A group of questions that are alike: its share of both windows, the difference with its 95 % interval."""

    name: str
    terms: list[str]
    change: Change
    before: float
    now: float
    difference: float
    low: float
    high: float
    p: float
    examples: list[Example]


class Report(Struct, frozen=True, kw_only=True):
    """All that a look found. `notes` say what was left out and why; `spent_usd` is what its models cost."""

    id: str
    project: str
    app: str
    since: int
    until: int
    reference_since: int
    scheduled: bool
    created_by: str
    created_at: int
    verdict: Verdict
    calls: tuple[int, int]
    units: tuple[int, int]
    vectors: str
    checks: list[Check]
    topics: list[Topic]
    notes: list[str]
    spent_usd: float = 0.0

    @property
    def drifted(self) -> list[Check]:
        return [check for check in self.checks if check.verdict == "drifted"]
