"""The terms of a rollout: what the app declares in `[rollout]`, as far as whoever starts it does not say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rondo.durations import parse_duration
from rondo.errors import InvalidRequest, SettingsError
from rondo.releases import gate_terms
from rondo.releases.gate import LIVE_ONLY, OF_PRODUCTION
from rondo.rollout.model import MEASURES, TOTALS, Guards, Terms
from rondo.settings.project import rollout_settings
from rondo.settings.rollout import RolloutSettings
from rondo.settings.steps import parse_step


def terms_for(app_settings: Mapping[str, Any], asked: Mapping[str, Any]) -> Terms:
    """Of an app with these settings; what is `asked` takes the place of what is declared. Raises InvalidRequest."""
    declared = app_settings.get("rollout") or {}
    given = {name: value for name, value in asked.items() if value is not None}
    if "steps" not in declared and "steps" not in given:
        raise InvalidRequest(
            "Nothing says in which steps it is rolled out.",
            remedy='Add [rollout] to rondo.toml and release, or give them: `--step "5% 30m" --step 100%`.',
            param="steps",
        )
    try:
        settings = rollout_settings({**declared, **given})
    except SettingsError as error:
        raise InvalidRequest(error.message, remedy=error.remedy, param=error.param) from None
    return _checked(_terms(settings, app_settings))


def _terms(settings: RolloutSettings, app_settings: Mapping[str, Any]) -> Terms:
    goals = gate_terms.of_app(app_settings).goals
    guards = settings.guards
    return Terms(
        steps=[parse_step(text) for text in settings.steps],
        kind=settings.kind,
        sticky=settings.sticky,
        baseline=settings.baseline,
        false_alarms=settings.false_alarms,
        maturity_s=parse_duration(settings.maturity),
        window_s=parse_duration(settings.window),
        settle_s=parse_duration(settings.settle),
        draw_every_s=parse_duration(settings.draw_every),
        reward=settings.reward or (goals[0].metric if settings.kind == "bandit" and goals else None),
        goals=goals,
        untold=[goal.metric for goal in goals if not _is_told(goal.metric, app_settings)],
        guards=Guards(
            errors_at_most=guards.errors_at_most,
            timeouts_at_most=guards.timeouts_at_most,
            cost_ratio_at_most=guards.cost_ratio_at_most,
            least_calls=guards.least_calls,
        ),
    )


def _is_told(metric: str, app_settings: Mapping[str, Any]) -> bool:
    """Whether live calls are known to tell of it: by themselves, by what users, reviewers and programs say of them, or
    by a scorer of `[live]`. What only evaluations measure was the gate's to judge, and no rollout may wait for it."""
    scorers = (app_settings.get("live") or {}).get("scorers") or []
    names = [str(each.get("name") or each.get("judge") or each.get("kind")) for each in scorers]
    return (
        metric in MEASURES
        or metric in LIVE_ONLY
        or metric.startswith(OF_PRODUCTION)
        or any(metric == name or metric.startswith(f"{name}.") for name in names)
    )


def _checked(terms: Terms) -> Terms:
    """Raises InvalidRequest for what could never come to an end."""
    counted = [
        goal
        for goal in terms.goals
        if goal.metric not in TOTALS and goal.metric not in terms.untold and (goal.guarded or terms.kind != "canary")
    ]
    if any(step.until_evidence for step in terms.steps):
        if not counted:
            raise InvalidRequest(
                "A step lasts until there is evidence, and live calls tell of no guarded goal of the app.",
                remedy="Declare such [[goals]] in rondo.toml, e.g. for `errors.rate`, or give the step a time.",
                param="steps",
            )
        if not terms.baseline:
            raise InvalidRequest(
                "A step lasts until there is evidence, and without a baseline there is nothing to compare with.",
                remedy="Leave `baseline` on, or give the step a time.",
                param="baseline",
            )
    if terms.kind == "bandit" and (terms.reward is None or terms.reward in TOTALS or not terms.baseline):
        raise InvalidRequest(
            "A bandit compares the sides by a metric.",
            remedy="Name one that does not grow with the traffic as `reward` in [rollout], or declare a goal; leave"
            " `baseline` on.",
            param="reward",
        )
    return terms
