"""How far a rollout is, and what was decided of it. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from rondo.rollout.model import Reading, Terms

Status = Literal["scheduled", "running", "paused", "promoted", "rolled_back", "aborted", "reported"]
EventKind = Literal[
    "scheduled",
    "began",
    "step",
    "drawn",
    "paused",
    "resumed",
    "approved",
    "promoted",
    "rolled_back",
    "aborted",
    "reported",
]

ENDED = frozenset({"promoted", "rolled_back", "aborted", "reported"})


class Progress(Struct, frozen=True, kw_only=True):
    """Where a rollout stands. `step` counts from 0; `share_bp` is the candidate's share now.

    `elapsed_s` is how long the step has lasted, as far as somebody watched: time in which nothing was read does not
    count, nor do jumps of the clock. `calls_before` is how many calls (copies, of a shadow) there were when it began.
    `drawn_s` is when in the step a bandit last drew; `why` says why the rollout is paused, or has ended.
    `mismatch_accepted`: a person has resumed it in spite of a suspected sample-ratio mismatch.
    """

    status: Status
    step: int = 0
    share_bp: int = 0
    start_at: int | None = None
    elapsed_s: float = 0.0
    calls_before: int = 0
    drawn_s: float = 0.0
    approved_by: str | None = None
    mismatch_accepted: bool = False
    why: str = ""

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


class Basis(Struct, frozen=True, kw_only=True):
    """What a decision rests on: with the terms, it is all that is needed to make it again.

    `passed_s` is how long it is since the look before, `now` in microseconds. `reading` is None before the rollout has
    begun.
    """

    before: Progress
    passed_s: float
    now: int
    reading: Reading | None = None


class Decision(Struct, frozen=True, kw_only=True):
    """The progress after a look; `kind` is None where only time has passed. `traces` are calls that show why."""

    progress: Progress
    kind: EventKind | None = None
    sentence: str = ""
    traces: list[str] = []


class ExceptionGiven(Struct, frozen=True, kw_only=True):
    """A person's word against the gate's: it holds for every step of the rollout."""

    reason: str
    by: str
    by_admin: bool = False


class Rollout(Struct, frozen=True, kw_only=True):
    """One rollout as the catalog has it; `sequence` is that of its last event. Times are microseconds."""

    id: str
    project: str
    app: str
    release: int
    baseline: int
    sequence: int
    terms: Terms
    progress: Progress
    reading: Reading | None = None
    exception: ExceptionGiven | None = None
    reason: str = ""
    created_at: int
    created_by: str
    began_at: int | None = None
    ended_at: int | None = None


class Event(Struct, frozen=True, kw_only=True):
    """Something that was decided. `basis` is None where a person decided it."""

    rollout: str
    sequence: int
    at: int
    actor: str
    kind: EventKind
    sentence: str
    traces: list[str]
    after: Progress
    basis: Basis | None = None
