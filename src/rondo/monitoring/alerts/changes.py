"""What a look changes: alerts begin, fire, resolve, and whoever is to be told is noted down, in one transaction.

Notices are rows of the same transaction, so what was decided is told, whatever happens next; and a second server that
has seen the same finds the alert changed already and has nothing to add.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct, field, structs
from sqlalchemy import Connection

from rondo.monitoring.alerts import notice, state, store
from rondo.monitoring.alerts.declared import channels_of
from rondo.monitoring.alerts.evidence import change_before
from rondo.monitoring.alerts.model import (
    ENGINE,
    Alert,
    AlertEvent,
    Notice,
    NoticeKind,
    Progress,
    Rule,
    Seen,
    Silence,
    fingerprint,
)
from rondo.settings.alerting import AlertsSettings

_FLAP_US = 6 * 3_600_000_000
_ANOTHERS_US = 120_000_000
_GONE = "It is not there any more."
_UNWATCHED = "It is not watched any more."


class Looked(Struct, frozen=True, kw_only=True):
    """One look at a project. `rules` and `seen` are by app and rule; what could not be looked at is in no `seen`.

    `passed_s` is what went by since the last look, by a clock that does not jump; None at the first. `mine` are the
    fingerprints of open alerts that this server looks after where each sees only its own; `write` brings it up to date.
    """

    project: str
    now: int
    passed_s: float | None
    rules: Mapping[tuple[str, str], Rule]
    seen: Mapping[tuple[str, str], Sequence[Seen]]
    settings: Mapping[str, AlertsSettings]
    mine: set[str] = field(default_factory=set)


class _At(NamedTuple):
    """The transaction of a look."""

    connection: Connection
    look: Looked
    silences: Sequence[Silence]


def write(connection: Connection, look: Looked) -> None:
    """Call it inside `Catalog.begin`."""
    at = _At(connection, look, store.silences(connection, look.project, look.now))
    known = set()
    for alert in store.open_alerts(connection, look.project):
        known.add(alert.fingerprint)
        rule = look.rules.get((alert.app, alert.rule))
        if rule is None:
            _end_unwatched(at, alert)
            continue
        seen = _seen_of(alert, look.seen.get((alert.app, alert.rule)))
        if seen is not None and not _is_anothers(look, alert, seen):
            look.mine.add(alert.fingerprint)
            _go_on(at, alert, rule, seen)
    for place, found in look.seen.items():
        rule = look.rules[place]
        for seen in found:
            mark = fingerprint(rule.app, rule.name, seen.labels)
            if mark not in known:
                known.add(mark)
                look.mine.add(mark)
                _begin(at, rule, seen, mark)
    look.mine.intersection_update(known)


def tell(connection: Connection, alert: Alert, kind: NoticeKind, channels: Sequence[str], now: int) -> Alert:
    """Note down that these channels are to be told; the alert as told."""
    told = structs.replace(
        alert,
        told=alert.told + 1,
        told_kind=kind,
        progress=structs.replace(alert.progress, told_s=0.0),
        acknowledged=None if kind == "worse" else alert.acknowledged,
    )
    content = notice.payload(alert, kind, now)
    for channel in channels:
        store.insert_notice(
            connection, new_notice(alert.project, alert.app, channel, kind, content, now, alert=alert.id)
        )
    return told


def tell_end(connection: Connection, alert: Alert, settings: AlertsSettings, now: int) -> Alert:
    """Whoever was told of it, and is still there, is told that it is over: neither a silence that came meanwhile nor a
    change of the rule's channels leaves them with something open."""
    told = store.channels_told(connection, alert.project, alert.id)
    return tell(connection, alert, "resolved", [name for name in told if name in settings.channels], now)


def new_notice(  # noqa: PLR0917 - to whom, what, when: in the order one says it
    project: str, app: str, channel: str, kind: NoticeKind, content: dict[str, object], now: int, *, alert: str | None
) -> Notice:
    """For one channel."""
    return Notice(
        id=f"msg_{secrets.token_hex(12)}",
        order=0,
        project=project,
        app=app,
        channel=channel,
        alert=alert,
        kind=kind,
        payload=content,
        created_at=now,
        due_at=now,
    )


def _begin(at: _At, rule: Rule, seen: Seen, mark: str) -> None:
    flaps = 0
    if state.after(None, seen.level, 0.0, rule) is not None:
        flaps = store.ended_since(at.connection, at.look.project, mark, at.look.now - _FLAP_US)
    progress = state.after(None, seen.level, 0.0, rule, flaps=flaps)
    if progress is None:
        return
    alert = Alert(
        id=f"alert_{secrets.token_hex(8)}",
        project=at.look.project,
        app=rule.app,
        rule=rule.name,
        on=rule.on,
        fingerprint=mark,
        severity=rule.severity,
        sequence=1,
        progress=structs.replace(progress, status="pending"),
        seen=seen,
        worst=seen,
        release=change_before(at.connection, at.look.project, rule.app, at.look.now),
        began_at=at.look.now,
        looked_at=at.look.now,
    )
    store.insert_alert(at.connection, alert)
    began = AlertEvent(
        alert=alert.id,
        sequence=1,
        at=at.look.now,
        actor=ENGINE,
        kind="pending",
        sentence=seen.sentence,
        value=seen.value,
    )
    store.insert_event(at.connection, at.look.project, began)
    _save(at, alert, structs.replace(alert, progress=progress), rule)


def _go_on(at: _At, alert: Alert, rule: Rule, seen: Seen) -> None:
    passed_s = min(at.look.passed_s or 0.0, max(0, at.look.now - alert.looked_at) / 1_000_000)
    progress = state.after(alert.progress, seen.level, passed_s, rule)
    if progress is None:
        store.drop_alert(at.connection, alert)
        return
    worst = alert.worst
    if seen.level == "bad" and (seen.excess > worst.excess or not worst.traces):
        worst = structs.replace(seen, traces=seen.traces or worst.traces)
    now = structs.replace(
        alert, progress=progress, seen=seen, worst=worst, severity=rule.severity, looked_at=at.look.now
    )
    _save(at, alert, now, rule)


def _save(at: _At, before: Alert, now: Alert, rule: Rule) -> None:
    """Write where it stands, what became of it, and who is told."""
    latest = now
    if now.status == "firing" and before.status == "pending":
        latest = structs.replace(now, fired_at=at.look.now)
        latest = _noted(at.connection, latest, "firing", now.seen, at.look.now)
    if now.status == "resolved":
        latest = structs.replace(now, ended_at=at.look.now, resolved_by=ENGINE)
        latest = _noted(at.connection, latest, "resolved", now.seen, at.look.now)
    kind = state.due(
        latest.progress,
        told=latest.told_kind,
        repeat_s=rule.repeat_s,
        excess=latest.seen.excess,
        acknowledged=latest.acknowledged,
    )
    if kind == "resolved":
        latest = tell_end(at.connection, latest, at.look.settings[rule.app], at.look.now)
    elif kind is not None and not any(each.matches(latest, at.look.now) for each in at.silences):
        if kind == "worse":
            latest = _noted(at.connection, latest, "worse", now.seen, at.look.now)
        latest = tell(at.connection, latest, kind, channels_of(rule, at.look.settings[rule.app]), at.look.now)
    store.save_alert(at.connection, before, latest)


def _end_unwatched(at: _At, alert: Alert) -> None:
    """A rule that was taken away takes its alerts with it; whoever was told of one is told that it is over."""
    if alert.status == "pending":
        store.drop_alert(at.connection, alert)
        return
    progress = structs.replace(alert.progress, status="resolved")
    seen = Seen(rule=alert.rule, level="clear", sentence=_UNWATCHED, labels=alert.seen.labels)
    ended = structs.replace(alert, progress=progress, seen=seen, ended_at=at.look.now, resolved_by=ENGINE)
    ended = _noted(at.connection, ended, "resolved", seen, at.look.now)
    settings = at.look.settings.get(alert.app)
    if settings is not None and alert.told_kind is not None:
        ended = tell_end(at.connection, ended, settings, at.look.now)
    store.save_alert(at.connection, alert, ended)


def _noted(connection: Connection, alert: Alert, kind: str, seen: Seen, now: int) -> Alert:
    return note(connection, alert, kind, seen.sentence, now, actor=ENGINE, value=seen.value)


def note(
    connection: Connection,
    alert: Alert,
    kind: str,
    sentence: str,
    now: int,
    *,
    actor: str,
    value: float | None = None,
) -> Alert:
    """Keep that something became of it; the alert with its next sequence."""
    after = structs.replace(alert, sequence=alert.sequence + 1)
    event = AlertEvent(
        alert=alert.id, sequence=after.sequence, at=now, actor=actor, kind=kind, sentence=sentence, value=value
    )
    store.insert_event(connection, alert.project, event)
    return after


def _seen_of(alert: Alert, found: Sequence[Seen] | None) -> Seen | None:
    """What was seen of an alert's subject. One that is gone is over, unless nothing at all could be seen."""
    if found is None:
        return None
    labels = alert.seen.labels
    mine = next((seen for seen in found if seen.labels == labels), None)
    if mine is not None:
        return mine
    blind = next((seen for seen in found if seen.level == "no_data" and not seen.labels), None)
    if blind is not None:
        return structs.replace(blind, labels=labels)
    return Seen(rule=alert.rule, level="clear", sentence=_GONE, labels=labels)


def _is_anothers(look: Looked, alert: Alert, seen: Seen) -> bool:
    """Each server sees the way of its own records only. So one where none waits says nothing of what another server saw
    waiting a short while ago; later it does, since that one may be gone."""
    return (
        alert.on == "drain_lag"
        and seen.level != "bad"
        and alert.fingerprint not in look.mine
        and look.now - alert.looked_at < _ANOTHERS_US
    )


def is_quiet(look: Looked, open_alerts: Sequence[Alert]) -> bool:
    """Whether a look changes nothing, so that no transaction is needed."""
    if open_alerts:
        return False
    bad = (
        state.after(None, seen.level, 0.0, look.rules[place]) for place, found in look.seen.items() for seen in found
    )
    return not any(isinstance(each, Progress) for each in bad)
