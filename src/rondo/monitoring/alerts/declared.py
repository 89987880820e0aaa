"""The rules of an app, from its settings: every goal, and what `[alerts]` adds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import structs
from pydantic import ValidationError

from rondo.durations import parse_duration
from rondo.monitoring.alerts.model import Rule
from rondo.monitoring.goals import live_percent
from rondo.reviews.model import rules_of
from rondo.settings.alerting import SHARES, AlertRuleSettings, AlertsSettings

_NAME = "goal:"
_OF_GOALS = ("goal", "burn_rate")


def settings_of(about: Mapping[str, Any]) -> AlertsSettings:
    """`[alerts]` of an app as the catalog has it. What this Rondo cannot read is as if absent."""
    try:
        return AlertsSettings.model_validate(about.get("alerts") or {})
    except ValidationError:
        return AlertsSettings()


def is_unread(about: Mapping[str, Any]) -> bool:
    """Whether there is an `[alerts]` that this Rondo cannot read, as one that a newer server took may be."""
    try:
        AlertsSettings.model_validate(about.get("alerts") or {})
    except ValidationError:
        return True
    return False


def rules_of_app(app: str, about: Mapping[str, Any]) -> list[Rule]:
    """Everything that is watched for an app; names are unique."""
    settings = settings_of(about)
    goals = about.get("goals") or []
    sample = float(rules_of(about).sample_percent)
    found = [rule for each in settings.rules for rule in _declared(app, each, settings, goals, sample)]
    named = {rule.metric for rule in found if rule.on == "goal"}
    if settings.goals:
        found += [
            _goal(app, goal, settings, sample, _NAME + goal["metric"]) for goal in goals if goal["metric"] not in named
        ]
    live = live_percent(about)
    known = {rule.name: structs.replace(rule, live_percent=live) for rule in reversed(found)}
    return list(known.values())[::-1]


def channels_of(rule: Rule, settings: AlertsSettings) -> list[str]:
    """The names of who is told."""
    return [name for name in rule.channels if name in settings.channels] if rule.channels else list(settings.channels)


def _goal(app: str, goal: Mapping[str, Any], settings: AlertsSettings, sample: float, name: str) -> Rule:
    return Rule(
        name=name,
        app=app,
        on="goal",
        metric=goal["metric"],
        below=goal.get("at_least"),
        above=goal.get("at_most"),
        window_s=parse_duration(settings.window),
        lasting_s=parse_duration(settings.lasting),
        repeat_s=parse_duration(settings.repeat),
        least_calls=settings.least_calls,
        sample_percent=sample,
    )


def _declared(
    app: str, each: AlertRuleSettings, settings: AlertsSettings, goals: list[Mapping[str, Any]], sample: float
) -> list[Rule]:
    """One rule, or for a burn rate without a metric one per goal that is a share."""
    bounds: list[tuple[str | None, float | None, float | None]] = [(each.metric, each.above, each.below)]
    if each.on in _OF_GOALS and each.above is None and each.below is None:
        bounds = [
            (goal["metric"], goal.get("at_most"), goal.get("at_least"))
            for goal in goals
            if each.metric in (None, goal["metric"]) and (each.on == "goal" or is_share(goal["metric"]))
        ]
    return [
        Rule(
            name=each.name if len(bounds) == 1 else f"{each.name}:{metric}",
            app=app,
            on=each.on,
            metric=metric,
            above=above,
            below=below,
            window_s=parse_duration(each.window),
            lasting_s=parse_duration(each.lasting),
            repeat_s=parse_duration(settings.repeat),
            least_calls=each.least_calls or settings.least_calls,
            severity=each.severity,
            no_data=each.no_data,
            channels=list(each.channels),
            sample_percent=sample,
        )
        for metric, above, below in bounds
    ]


def is_share(metric: str) -> bool:
    """Whether it is a share of calls or judgements, so that what may go wrong of it is a budget."""
    return metric in COUNTED


_COLUMNS = {
    "errors.rate": "calls.count",
    "handed_over.rate": "handed_over.known_count",
    "deflection": "handed_over.known_count",
    "feedback.positive_rate": "feedback.count",
}
COUNTED: dict[str, tuple[str, bool]] = {name: (_COLUMNS[name], worse) for name, worse in SHARES.items()}
"""Shares, by metric: the column that says of how many, and whether more of it is worse."""
