"""Alerts as doors show them: what is open, what was, what is watched, what is silent, and what could not be told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection

from rondo.monitoring.alerts import store
from rondo.monitoring.alerts.declared import settings_of
from rondo.monitoring.alerts.engine import Watched
from rondo.monitoring.alerts.model import SEVERITIES, Alert, AlertEvent, Notice, Rule, Silence, fingerprint
from rondo.monitoring.alerts.notice import calls_page, release_words
from rondo.monitoring.health import Check
from rondo.releases import store as releases

_DAY_US = 86_400_000_000
_UNDELIVERED = {"dead": "given up", "waiting": "waiting", "sent": "sent, but not to all"}


class AlertView(Struct, frozen=True, kw_only=True):
    """An alert, and in words what people ask first. `state` is its status, or what hides it."""

    alert: Alert
    state: str
    release: str | None
    calls: str | None
    silenced_by: str | None
    events: list[AlertEvent] = []
    notices: list[Notice] = []


class RuleView(Struct, frozen=True, kw_only=True):
    """Something that is watched, and how it is now; `state` is ok, no data, pending, firing or not looked at."""

    rule: Rule
    labels: dict[str, str]
    state: str
    sentence: str
    value: float | None
    bound: float | None


class AlertsView(Struct, frozen=True, kw_only=True):
    """Everything about alerts of a project. `undelivered` are notices that wait after a failure, and those of the
    last day that were given up, or sent and not to all."""

    open: list[AlertView]
    ended: list[AlertView]
    silences: list[Silence]
    rules: list[RuleView]
    undelivered: list[Notice]
    faults: list[str]


def view(
    connection: Connection,
    project: str,
    watched: Sequence[Watched],
    faults: Sequence[str],
    now: int,
    *,
    app: str | None = None,
    limit: int = 50,
) -> AlertsView:
    """The worst open ones first; `limit` is of those that are over."""
    silences = store.silences(connection, project, now)
    there = store.open_alerts(connection, project)
    mine = [each for each in there if app in (None, each.app)]
    by_mark = {each.fingerprint: each for each in there}
    return AlertsView(
        open=[_shown(each, silences, now) for each in sorted(mine, key=_urgency)],
        ended=[_shown(each, silences, now) for each in store.ended_alerts(connection, project, app=app, limit=limit)],
        silences=silences,
        rules=[line for each in watched if app in (None, each.rule.app) for line in _rules(each, by_mark)],
        undelivered=store.undelivered(connection, project, now - _DAY_US),
        faults=list(faults),
    )


def story(connection: Connection, project: str, alert: str, now: int) -> AlertView:
    """One alert with all that became of it, and who was told. Raises NotFound."""
    found = store.get(connection, project, alert)
    shown = _shown(found, store.silences(connection, project, now), now)
    return msgspec.structs.replace(
        shown,
        events=store.events(connection, project, alert),
        notices=store.notices_of(connection, project, alert),
    )


def channels(connection: Connection, project: str) -> list[tuple[str, str, str]]:
    """App, name and kind of every channel, as the latest releases have them."""
    return [
        (app.name, name, channel.kind)
        for app in releases.list_apps(connection, project)
        for name, channel in settings_of(app.settings).channels.items()
    ]


def firing(connection: Connection, project: str, now: int) -> list[AlertView]:
    """For overviews: what fires now, the worst first."""
    silences = store.silences(connection, project, now)
    found = [each for each in store.open_alerts(connection, project) if each.status == "firing"]
    return [_shown(each, silences, now) for each in sorted(found, key=_urgency)]


def checks(connection: Connection, project: str, faults: Sequence[str], now: int) -> list[Check]:
    """For `rondo doctor`: what fires, what cannot be looked at, and who could not be told."""
    found = [
        Check(
            name=f"alert {each.alert.app} {each.alert.rule}",
            ok=each.silenced_by is not None or each.alert.acknowledged is not None,
            detail=f"{each.state}: {each.alert.seen.sentence}",
            remedy=f"`rondo alerts show {each.alert.id}` tells more.",
        )
        for each in firing(connection, project, now)
    ]
    found += [Check(name="alerts", ok=False, detail=fault, remedy="The server's log says more.") for fault in faults]
    late: dict[tuple[str, str], list[Notice]] = {}
    for each in store.undelivered(connection, project, now - _DAY_US):
        late.setdefault((each.app, each.channel), []).append(each)
    for (app, channel), notices in late.items():
        counts = {words: sum(each.status == status for each in notices) for status, words in _UNDELIVERED.items()}
        told = f"{', '.join(f'{n} {words}' for words, n in counts.items() if n)}: {notices[-1].error}"
        remedy = f"`rondo alerts test {channel} --app {app}` tries it out."
        found.append(Check(name=f"channel {app} {channel}", ok=False, detail=told, remedy=remedy))
    return found or [Check(name="alerts", ok=True, detail="none fires")]


def one_line(shown: AlertView) -> Mapping[str, Any]:
    """For `rondo status`."""
    alert = shown.alert
    return {
        "id": alert.id,
        "app": alert.app,
        "rule": alert.rule,
        "severity": alert.severity,
        "state": shown.state,
        "sentence": alert.seen.sentence,
        "fired_at": alert.fired_at,
    }


def _shown(alert: Alert, silences: Sequence[Silence], now: int) -> AlertView:
    silence = next((each.id for each in silences if alert.ended_at is None and each.matches(alert, now)), None)
    state: str = alert.status
    if state == "firing":
        state = _hidden(alert, silence) or state
    return AlertView(
        alert=alert,
        state=state,
        release=None if alert.release is None else release_words(alert.app, alert.release),
        calls=calls_page(alert),
        silenced_by=silence,
    )


def _hidden(alert: Alert, silence: str | None) -> str | None:
    if alert.acknowledged is not None:
        return "acknowledged"
    return "silenced" if silence is not None else "no data" if alert.progress.no_data else None


def _rules(watched: Watched, by_mark: Mapping[str, Alert]) -> list[RuleView]:
    rule = watched.rule
    if watched.fault is not None:
        return [RuleView(rule=rule, labels={}, state="not looked at", sentence=watched.fault, value=None, bound=None)]
    lines = []
    for seen in watched.seen:
        alert = by_mark.get(fingerprint(rule.app, rule.name, seen.labels))
        state = alert.status if alert is not None else "no data" if seen.level == "no_data" else "ok"
        lines.append(
            RuleView(
                rule=rule, labels=seen.labels, state=state, sentence=seen.sentence, value=seen.value, bound=seen.bound
            )
        )
    return lines


def _urgency(alert: Alert) -> tuple[bool, int, int]:
    return alert.status != "firing", -SEVERITIES.index(alert.severity), alert.began_at
