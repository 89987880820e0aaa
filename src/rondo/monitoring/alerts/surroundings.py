"""What rules see around the calls: budgets, the way of the records, judges, drift. Each subject is seen for itself."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct
from sqlalchemy import Connection

from rondo import clock
from rondo.errors import NotFound
from rondo.limits.model import Limit
from rondo.limits.status import Alerts, Status
from rondo.monitoring.alerts.model import Level, Rule, Seen
from rondo.monitoring.alerts.state import level_of
from rondo.releases.judged import JudgeLine, list_judges
from rondo.traces.drain import DrainStatus

_BUDGET_SHARE = 0.8
_LAG_S = 60.0


class Drifted(Struct, frozen=True, kw_only=True):
    """The newest word on one part of an app that may drift. From a `share` of 1 on it is drift."""

    part: str
    share: float
    sentence: str
    traces: list[str]


class Unlogged(Alerts):
    """For asking after budgets beside whoever logs what they reach."""

    def reached(self, whose: str, words: str, period: str, share: float, limit: Limit) -> None:
        return None


class DriftNow(Protocol):
    """The newest reports on an app, one for each part; empty where there are none."""

    def __call__(self, connection: Connection, project: str, app: str) -> list[Drifted]: ...


def no_drift(connection: Connection, project: str, app: str) -> list[Drifted]:
    """Where nothing looks for drift."""
    return []


def budgets(rule: Rule, status: Status | None) -> list[Seen]:
    """A `Seen` for each budget that holds for the app, or for everyone."""
    if status is None or status.ledger.away_since is not None:
        return [_silent(rule, "The ledger cannot tell what has been spent.")]
    bound = _BUDGET_SHARE if rule.above is None else rule.above
    found = []
    for use in status.uses:
        kind, _, name = use.of.partition(":")
        if kind == "app" and name != rule.app:
            continue
        for budget in use.budgets:
            level, excess = level_of(budget.share, bound, above=True)
            spent = f"{budget.spent_usd:,.2f} of {budget.usd:,.2f} USD"
            found.append(
                Seen(
                    rule=rule.name,
                    level=level,
                    labels={"budget": use.of, "period": budget.period},
                    sentence=f"{use.name} has spent {spent} of this {budget.period} ({budget.share:.0%}).",
                    value=budget.share,
                    bound=bound,
                    excess=excess,
                    calls=_spenders(kind, name, budget.period),
                )
            )
    return found or [_none(rule, "There is no budget.")]


def drain_lag(rule: Rule, status: DrainStatus) -> list[Seen]:
    """How long the oldest record has waited for the store."""
    bound = _LAG_S if rule.above is None else rule.above
    waited = status.oldest_queued_s or 0.0
    level, excess = level_of(waited, bound, above=True)
    why = f": {status.last_error}" if status.last_error else ""
    told = f"The oldest of {status.queued:,} queued records has waited {waited:.0f} s (at most {bound:g}){why}."
    if not status.queued:
        told = "No record waits for the store."
    return [Seen(rule=rule.name, level=level, sentence=told, value=waited, bound=bound, excess=excess)]


def judge_drift(rule: Rule, connection: Connection, project: str) -> list[Seen]:
    """Judges whose agreement with people was measured, and is below their mark."""
    try:
        lines = list_judges(connection, project, rule.app)
    except NotFound:
        lines = []
    return [_judge(rule, line) for line in lines if line.judge.mark is not None] or [
        _none(rule, "No judge has a mark.")
    ]


def drift(rule: Rule, reports: list[Drifted] | None) -> list[Seen]:
    """As the newest reports say it; None where nobody looks for drift, and so no other report will follow."""
    if reports is None:
        return [_none(rule, "Nobody looks for drift: the app declares no [drift].")]
    found = []
    for each in reports:
        level, excess = level_of(each.share, 1.0, above=True)
        found.append(
            Seen(
                rule=rule.name,
                level="bad" if each.share >= 1 else level,
                labels={"part": each.part},
                sentence=each.sentence,
                value=each.share,
                bound=1.0,
                excess=excess,
                calls={"app": rule.app, "arm": "live"},
                traces=each.traces[:10],
            )
        )
    return found or [_silent(rule, "There is no report on drift yet.")]


def _judge(rule: Rule, line: JudgeLine) -> Seen:
    labels, mark = {"judge": line.judge.name}, line.judge.mark
    if line.kappa is None or mark is None:
        return Seen(rule=rule.name, level="no_data", labels=labels, sentence=line.sentence, bound=mark)
    excess = (mark - line.kappa) / (abs(mark) or 1.0)
    level: Level = "clear" if line.counts else "bad"
    return Seen(
        rule=rule.name, level=level, labels=labels, sentence=line.sentence, value=line.kappa, bound=mark, excess=excess
    )


def _none(rule: Rule, sentence: str) -> Seen:
    """There is nothing to watch, and that is known: what fired of something that is gone is over."""
    return Seen(rule=rule.name, level="clear", sentence=sentence)


def _silent(rule: Rule, sentence: str) -> Seen:
    return Seen(rule=rule.name, level="no_data", sentence=sentence)


def _spenders(kind: str, name: str, period: str) -> dict[str, str]:
    """The calls of this day or month (UTC) that a budget paid for."""
    now = clock.iso(clock.now_us())
    whose = {kind: name} if kind in ("app", "user", "key") else {}
    return {**whose, "since": (now[:10] if period == "day" else f"{now[:7]}-01") + "T00:00:00Z", "until": now}
