"""What is told of an alert: one JSON value, from which each kind of channel makes its own form.

Paths are of the console; whoever sends it puts the address before them that people reach it at.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from rondo import clock
from rondo.monitoring.alerts.model import ENGINE, Alert, Behind, NoticeKind

_WORDS: dict[NoticeKind, str] = {
    "firing": "fires",
    "worse": "has got worse",
    "repeat": "still fires",
    "resolved": "is resolved",
    "test": "is tried out",
}


def payload(alert: Alert, kind: NoticeKind, now: int) -> dict[str, Any]:
    """Of an alert, as it is now."""
    seen = alert.seen if alert.seen.level == "bad" or kind == "resolved" else alert.worst
    text = seen.sentence
    if alert.resolved_by not in (None, ENGINE):
        text = f"{alert.resolved_by} says that it is over. What was seen last: {text}"
    return {
        "type": f"alert.{kind}",
        "timestamp": clock.iso(now),
        "data": {
            "title": f"{alert.app}: {alert.rule} {_WORDS[kind]}",
            "text": text,
            "alert": alert.id,
            "project": alert.project,
            "app": alert.app,
            "rule": alert.rule,
            "on": alert.on,
            "labels": seen.labels,
            "severity": alert.severity,
            "status": alert.status,
            "value": seen.value,
            "bound": seen.bound,
            "worst": alert.worst.value,
            "began_at": clock.iso(alert.began_at),
            "fired_at": None if alert.fired_at is None else clock.iso(alert.fired_at),
            "ended_at": None if alert.ended_at is None else clock.iso(alert.ended_at),
            "acknowledged_by": None if alert.acknowledged is None else alert.acknowledged.by,
            "resolved_by": alert.resolved_by,
            "traces": alert.worst.traces,
            "release": None if alert.release is None else release_words(alert.app, alert.release),
            "rollout": None if alert.release is None else alert.release.rollout,
            "links": _links(alert),
        },
    }


def trial(project: str, app: str, channel: str, now: int) -> dict[str, Any]:
    """For trying a channel out."""
    return {
        "type": "alert.test",
        "timestamp": clock.iso(now),
        "data": {
            "title": f"{app}: the channel {channel} is tried out",
            "text": "Nothing is wrong: somebody wants to know whether this arrives.",
            "project": project,
            "app": app,
            "severity": "info",
            "status": "test",
            "traces": [],
            "release": None,
            "links": {"alert": "/alerts"},
        },
    }


def release_words(app: str, behind: Behind) -> str:
    """`bot#8 split at 2026-11-21 10:22, rollout r_1: shorter answers`."""
    numbers = behind.candidates or ([behind.stable] if behind.stable is not None else [])
    labels = ", ".join(f"{app}#{number}" for number in numbers) or app
    when = clock.iso(behind.at)[:16].replace("T", " ")
    told = f"{labels}: {behind.action.replace('_', ' ')} by {behind.actor} at {when}"
    told += f", rollout {behind.rollout}" if behind.rollout else ""
    return f"{told} ({behind.reason})" if behind.reason else told


def calls_page(alert: Alert) -> str | None:
    """The page of the console that lists all calls behind it, from the window before it began to its end, or to now
    while it goes on; None where no calls are behind it. What they have in common is as at its worst."""
    if alert.worst.calls is None:
        return None
    words = dict(alert.worst.calls)
    worst_until = words.pop("until", None)
    if worst_until is not None and alert.on != "budget":  # its calls are those of its day or month
        since = clock.parse_time(words["since"])
        words["since"] = clock.iso(min(since, alert.began_at - (clock.parse_time(worst_until) - since)))
    if alert.ended_at is not None:
        words["until"] = clock.iso(alert.ended_at)
    return f"/calls?{urlencode(words)}"


def with_address(payload: dict[str, Any], console: str | None) -> dict[str, Any]:
    """The same with whole links, where the console's address is known."""
    links = payload["data"]["links"]
    whole = {name: f"{console or ''}{path}" for name, path in links.items() if path is not None}
    return {**payload, "data": {**payload["data"], "links": whole}}


def _links(alert: Alert) -> dict[str, str | None]:
    behind = alert.release
    numbers = [] if behind is None else behind.candidates or ([behind.stable] if behind.stable is not None else [])
    release = f"/releases/{quote(alert.app, safe='')}/{numbers[-1]}" if numbers else None
    return {
        "alert": f"/alerts/{quote(alert.id, safe='')}",
        "calls": calls_page(alert),
        "release": release,
    }
