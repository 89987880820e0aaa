"""Alerts: what is watched, what was seen of it, and what became of it. Pure.

A rule watches one thing of one app. What it sees is a `Seen` for each of its subjects (a budget, a judge), most often
one. An `Alert` is one time that it was bad: from the first bad look to when it was over. Times are microseconds.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Literal

from msgspec import Struct, field

from rondo.catalog.text import canonical_json
from rondo.settings.alerting import NO_DATA, Kind, Severity

Level = Literal["bad", "good", "clear", "no_data"]
"""`good` is within the bound, `clear` is within it by a small share."""
Status = Literal["pending", "firing", "resolved"]
NoticeKind = Literal["firing", "worse", "repeat", "resolved", "test"]
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")
ENGINE = "alerts"
"""The actor of what nobody did."""


class Rule(Struct, frozen=True, kw_only=True):
    """Something that is watched. `metric` with `above` or `below` is its bound; without one, what is usual is."""

    name: str
    app: str
    on: Kind
    metric: str | None = None
    above: float | None = None
    below: float | None = None
    window_s: float = 3_600.0
    lasting_s: float = 300.0
    repeat_s: float = 43_200.0
    least_calls: int = 20
    severity: Severity = "warning"
    no_data: NO_DATA = "wait"
    channels: list[str] = field(default_factory=list)
    sample_percent: float = 0.0
    """Of the calls that people review, for goals that they measure."""
    live_percent: float = 0.0
    """Of the calls that are judged live, for goals on scores."""


class Seen(Struct, frozen=True, kw_only=True):
    """One look at one subject. `excess` is how far beyond the bound it is, as a share of the bound: 0 at the bound.

    `calls` are the words of the filter that finds the calls behind it (traces/filter.py); None where there are none.
    """

    rule: str
    level: Level
    sentence: str
    labels: dict[str, str] = field(default_factory=dict)
    value: float | None = None
    bound: float | None = None
    excess: float = 0.0
    n: int | None = None
    calls: dict[str, str] | None = None
    traces: list[str] = field(default_factory=list)


class Progress(Struct, frozen=True, kw_only=True):
    """How far an alert is. Seconds are counted from look to look, never by the wall clock.

    `flaps` is how often the same was resolved a short while before; `told_s` how long ago somebody was told last.
    """

    status: Status
    bad_s: float = 0.0
    good_s: float = 0.0
    clear_s: float = 0.0
    silent_s: float = 0.0
    told_s: float = 0.0
    flaps: int = 0
    no_data: bool = False


class Acknowledged(Struct, frozen=True, kw_only=True):
    """Somebody looks after it. It is told again where it gets worse than it was then."""

    by: str
    at: int
    note: str
    excess: float


class Behind(Struct, frozen=True, kw_only=True):
    """The change of traffic that was the last before it began."""

    at: int
    action: str
    actor: str
    reason: str
    stable: int | None
    candidates: list[int] = field(default_factory=list)
    rollout: str | None = None


class Alert(Struct, frozen=True, kw_only=True):
    """One time that a rule was broken. `sequence` counts its changes; who changes it must know it.

    `told` is how many notices were made of it, and `told_kind` which was the last.
    """

    id: str
    project: str
    app: str
    rule: str
    on: Kind
    fingerprint: str
    severity: Severity
    sequence: int
    progress: Progress
    seen: Seen
    worst: Seen
    release: Behind | None = None
    acknowledged: Acknowledged | None = None
    began_at: int
    fired_at: int | None = None
    ended_at: int | None = None
    looked_at: int
    told: int = 0
    told_kind: NoticeKind | None = None
    resolved_by: str | None = None

    @property
    def status(self) -> Status:
        return self.progress.status


class AlertEvent(Struct, frozen=True, kw_only=True):
    """Something that became of an alert."""

    alert: str
    sequence: int
    at: int
    actor: str
    kind: str
    sentence: str
    value: float | None = None


class Silence(Struct, frozen=True, kw_only=True):
    """Nobody is told of alerts that match: what is None matches all. Each is shown as ever."""

    id: str
    app: str | None
    rule: str | None
    severity: Severity | None
    reason: str
    created_by: str
    created_at: int
    until: int

    def matches(self, alert: Alert, now: int) -> bool:
        return (
            now < self.until  # another server's clock may be behind that of the one that took it
            and self.app in (None, alert.app)
            and self.rule in (None, alert.rule)
            and self.severity in (None, alert.severity)
        )


class Notice(Struct, frozen=True, kw_only=True):
    """Something that one channel is to be told. `id` stays the same over all tries: who receives it can tell twins."""

    id: str
    order: int
    project: str
    app: str
    channel: str
    alert: str | None
    kind: NoticeKind
    payload: dict[str, Any]
    created_at: int
    due_at: int
    attempts: int = 0
    status: Literal["waiting", "sent", "dead"] = "waiting"
    error: str | None = None
    ended_at: int | None = None


def fingerprint(app: str, rule: str, labels: dict[str, str]) -> str:
    """What tells one thing that is watched from another, within a project."""
    return blake2b(canonical_json([app, rule, labels]).encode(), digest_size=16).hexdigest()
