"""What patterns speak of: a call that went wrong, a pattern of such calls, and a run that found patterns. Pure."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Why = Literal["failing", "disliked", "low", "handed_over"]
WHYS: tuple[Why, ...] = ("failing", "disliked", "low", "handed_over")
USUAL: tuple[Why, ...] = ("failing", "disliked", "low")

Trend = Literal["new", "grown", "steady", "shrunk", "gone", "not_enough", "unknown"]


class Wrong(Struct, frozen=True, kw_only=True):
    """A call, and in which ways it went wrong. `is_now`: of the window, not of the one before."""

    trace_id: str
    started_at: int
    unit: str
    app: str | None
    release: int | None
    model: str | None
    error_code: str | None
    error_message: str | None
    question: str
    failed: bool
    disliked: bool
    low: bool
    handed_over: bool
    is_now: bool


class Side(Struct, frozen=True, kw_only=True):
    """A window: `drawn` of `matching` calls that went wrong, among all `calls`."""

    since: int
    until: int
    calls: int
    matching: int
    drawn: list[Wrong]


class Example(Struct, frozen=True, kw_only=True):
    """A call of a pattern; the question is scrubbed and cut."""

    trace_id: str
    question: str
    started_at: int


class Pattern(Struct, frozen=True, kw_only=True):
    """Calls that went wrong alike. `kind` is `error` where they have an error's code in common, else `topic`.

    `calls` and `before` count those of the window and of the one before it, as estimated where only some were drawn.
    `share` is of all that went wrong. `rate` is of all calls; `change` is how far it moved, with its 95 % interval. The
    trend is `steady` where that is known to be little, `not_enough` where the interval tells neither that nor a change,
    and `unknown` where there were no calls before.
    `traces` are the calls of the window that were looked at, the newest first.
    """

    number: int
    kind: Literal["error", "topic"]
    name: str
    terms: list[str]
    error_code: str | None
    calls: int
    before: int
    share: float
    rate: float
    change: float
    low: float
    high: float
    trend: Trend
    users: int
    whys: dict[str, int]
    releases: dict[str, int]
    models: dict[str, int]
    first_seen: int
    last_seen: int
    examples: list[Example]
    traces: list[str]


class Found(Struct, frozen=True, kw_only=True):
    """One run. `alone` are calls of the window that went wrong and are in no pattern."""

    id: str
    project: str
    app: str | None
    since: int
    until: int
    before_since: int
    whys: list[Why]
    score: str | None
    below: float | None
    calls: int
    wrong: int
    drawn: int
    alone: int
    vectors: str
    patterns: list[Pattern]
    notes: list[str]
    created_by: str
    created_at: int
    spent_usd: float = 0.0
