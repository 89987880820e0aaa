"""Alerts of what is around the calls: budgets, records that wait, judges, drift; on both databases."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from monitoring.alerts.alerts_house import HOOKS, Records, Time, Watch, declare, fill
from rondo.catalog.engine import Catalog
from rondo.limits.ledger import LedgerState
from rondo.limits.status import Budget, Status, Use
from rondo.monitoring.alerts import surroundings
from rondo.monitoring.alerts.surroundings import Drifted


def about(rule: dict[str, object]) -> dict[str, object]:
    return {"alerts": {**HOOKS, "rules": [{"name": "mine", "lasting": "1m", **rule}]}}


def test_budgets_are_alerts_each_for_itself(catalog: Catalog, records: Records, time: Time) -> None:
    watch = Watch(fill(catalog, about({"on": "budget", "above": 0.8})), records, time)
    watch.spent = spent(project=0.9, other=0.95, mine=0.1)
    watch.look(6)
    assert {alert.seen.labels["budget"]: alert.status for alert in watch.open()} == {"project": "firing"}
    watch.spent = Status(ledger=ledger(away_since=1), uses=[])
    watch.look(10)
    assert watch.one().progress.no_data, "a ledger that is away says nothing"
    watch.spent = spent(mine=0.1)
    watch.look(6)
    assert watch.open() == [], "a new month has begun"


def ledger(away_since: int | None = None) -> LedgerState:
    return LedgerState(backend="memory", away_since=away_since, reason=None, fail="closed", refused=0, passed=0)


def spent(**shares: float) -> Status:
    scopes = {"project": "project", "other": "app:other", "mine": "app:bot"}
    uses = [
        Use(
            scope=scopes[name],
            of=scopes[name],
            name=name,
            requests=0,
            requests_per_minute=None,
            tokens=0,
            tokens_per_minute=None,
            concurrent=0,
            most_concurrent=None,
            budgets=[Budget(period="month", usd=100, spent_usd=share * 100, reserved_usd=0, share=share)],
        )
        for name, share in shares.items()
    ]
    return Status(ledger=ledger(), uses=uses)


def test_records_that_wait_are_an_alert(catalog: Catalog, records: Records, time: Time) -> None:
    watch = Watch(fill(catalog, about({"on": "drain_lag"})), records, time)
    watch.lag = 30.0
    assert watch.look(10).open() == []
    watch.lag = 120.0
    assert watch.look(6).one().status == "firing"
    watch.lag = None
    assert watch.look(6).open() == []


def test_drift_is_an_alert_with_its_own_calls(catalog: Catalog, records: Records, time: Time) -> None:
    report = Drifted(part="topics", share=1.4, sentence="A topic is new: parking.", traces=["t1", "t2"])
    declared = {**about({"on": "drift", "severity": "info"}), "drift": {"window": "24h"}}
    watch = Watch(fill(catalog, declared), records, time, drift=lambda connection, project, app: [report])
    alert = watch.look(6).one()
    assert alert.status == "firing"
    assert alert.severity == "info"
    assert watch.notices()[0].payload["data"]["traces"] == ["t1", "t2"]


def test_drift_that_nobody_looks_for_any_more_takes_its_alert_with_it(
    catalog: Catalog, records: Records, time: Time
) -> None:
    report = Drifted(part="topics", share=1.4, sentence="A topic is new: parking.", traces=["t1"])
    rule = about({"on": "drift"})
    watch = Watch(fill(catalog, {**rule, "drift": {"window": "24h"}}), records, time, drift=lambda *_: [report])
    assert watch.look(6).one().status == "firing"
    declare(catalog, rule)
    assert watch.look(6).open() == [], "the last report stands, and no other will follow it"
    assert watch.told() == ["firing", "resolved"]
    (seen,) = watch.alarms.watched("p")[0].seen
    assert "declares no [drift]" in seen.sentence


def test_a_budget_that_is_taken_away_takes_its_alert_with_it(catalog: Catalog, records: Records, time: Time) -> None:
    watch = Watch(fill(catalog, about({"on": "budget"})), records, time)
    watch.spent = spent(mine=0.9)
    assert watch.look(6).one().status == "firing"
    watch.spent = spent()
    assert watch.look(6).open() == [], "that there is none is known"
    assert watch.told() == ["firing", "resolved"]


def test_a_judge_that_is_taken_away_takes_its_alert_with_it(
    catalog: Catalog, records: Records, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = SimpleNamespace(judge=SimpleNamespace(name="strict", mark=0.6), kappa=0.2, counts=False, sentence="0.2.")
    judges = [judge]
    monkeypatch.setattr(surroundings, "list_judges", lambda connection, project, app: judges)
    watch = Watch(fill(catalog, about({"on": "judge_drift"})), records, time)
    assert watch.look(6).one().status == "firing"
    judges.clear()
    assert watch.look(6).open() == []


def test_a_server_whose_records_flow_does_not_hide_that_anothers_wait(
    catalog: Catalog, records: Records, time: Time
) -> None:
    late = Watch(fill(catalog, about({"on": "drain_lag"})), records, time)
    well = Watch(catalog, records, time)
    late.lag = 300.0
    for _ in range(6):
        late.look(every_s=7)
        well.look(every_s=8)
    assert late.one().status == "firing"
    for _ in range(5):
        late.look(every_s=7)
        well.look(every_s=8)
    assert late.told() == ["firing"]
    late.lag = None
    for _ in range(10):
        late.look(every_s=7)
        well.look(every_s=8)
    assert late.open() == []
    late.lag = 300.0
    late.look(6)
    assert late.one().status == "firing"
    well.look(8, every_s=60)
    assert well.open() == [], "the late one is gone for good; what is left sees nothing wait"


def test_a_restart_ends_what_waits_no_more(catalog: Catalog, records: Records, time: Time) -> None:
    watch = Watch(fill(catalog, about({"on": "drain_lag"})), records, time)
    watch.lag = 300.0
    assert watch.look(6).one().status == "firing"
    assert Watch(catalog, records, time).look(6, every_s=60).open() == []
