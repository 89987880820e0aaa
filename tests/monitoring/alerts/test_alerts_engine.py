"""The alarms on both databases: alerts begin, fire, are told, and end; whatever restarts, jumps or runs beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from monitoring.alerts.alerts_house import GOALS, HOOKS, Records, Time, Watch, declare, fill, held_time
from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.errors import Conflict, InvalidRequest, NotFound
from rondo.governance import audit
from rondo.limits.ledger import LedgerState
from rondo.limits.status import Budget, Status, Use
from rondo.monitoring.alerts import store, verbs, view
from rondo.monitoring.alerts.surroundings import Drifted
from rondo.monitoring.alerts.verbs import Quiet
from rondo.releases import manifest as manifests
from rondo.releases import store as releases
from rondo.releases import traffic
from rondo.releases.model import Release


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    with held_time(monkeypatch) as held:
        yield held


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
def watch(catalog: Catalog, records: Records, time: Time) -> Watch:
    return Watch(fill(catalog), records, time)


LASTING = 8
"""Looks: what `lasting` says."""


def fire(watch: Watch) -> Watch:
    watch.records.set(0.2)
    watch.look(LASTING + 1)
    assert watch.one().status == "firing"
    return watch


def test_a_missed_goal_fires_is_told_once_and_ends(watch: Watch, records: Records) -> None:
    watch.look(3)
    assert watch.open() == []
    records.set(0.2)
    watch.look(LASTING)
    assert watch.one().status == "pending"
    assert watch.told() == []
    watch.look()
    alert = watch.one()
    assert alert.status == "firing"
    assert alert.rule == "goal:errors.rate"
    assert watch.look(10).told() == ["firing"]
    assert alert.seen.sentence == "errors.rate is 0.2 over the last 1 h (at most 0.05; 100 calls)."
    records.set(0.01)
    watch.look(LASTING - 1)
    assert watch.one().status == "firing"
    watch.look(2)
    assert watch.open() == []
    assert watch.told() == ["firing", "resolved"]
    (over,) = watch.ended()
    assert [event.kind for event in watch.events(over)] == ["pending", "firing", "resolved"]
    payload = watch.notices()[0].payload
    assert payload["type"] == "alert.firing"
    assert payload["data"]["alert"] == alert.id
    assert payload["data"]["links"]["calls"].startswith("/calls?app=bot&arm=live&status=error&since=")


def test_one_of_two_calls_that_fails_wakes_nobody(watch: Watch, records: Records) -> None:
    records.set(0.5, calls=2)
    assert watch.look(20).open() == []


def test_what_never_fired_leaves_nothing_behind(watch: Watch, records: Records) -> None:
    records.set(0.2)
    watch.look(5)
    records.set(0.01)
    watch.look(2)
    assert watch.open() == []
    assert watch.ended() == []


def test_a_restart_goes_on_where_it_was(watch: Watch, records: Records, time: Time) -> None:
    records.set(0.2)
    watch.look(LASTING // 2)
    again = Watch(watch.catalog, records, time).look()
    assert again.one().status == "pending", "what passed before its first look is nobody's"
    again.look(LASTING // 2 + 1)
    assert again.one().status == "firing"
    assert again.told() == ["firing"]
    third = Watch(watch.catalog, records, time).look(20)
    assert third.told() == ["firing"]
    records.set(0.01)
    third.look(LASTING + 1)
    assert third.told() == ["firing", "resolved"]


@pytest.mark.parametrize("hours", [-48, -1, 1, 48, 24 * 400])
def test_a_clock_that_jumps_fires_and_resolves_nothing(watch: Watch, records: Records, time: Time, hours: int) -> None:
    records.set(0.2)
    watch.look(5)
    time.jump(hours * 3_600_000_000)
    assert watch.look(2).one().status == "pending"
    watch.look(LASTING)
    assert watch.one().status == "firing"
    records.set(0.01)
    watch.look(2)
    time.jump(hours * 3_600_000_000)
    assert watch.look(2).one().status == "firing"
    assert watch.told() == ["firing"]
    assert watch.look(LASTING).told() == ["firing", "resolved"]


def test_two_servers_tell_once_and_time_is_counted_once(watch: Watch, records: Records, time: Time) -> None:
    other = Watch(watch.catalog, records, time)
    records.set(0.2)
    for _ in range(LASTING - 1):
        watch.look(every_s=7)
        other.look(every_s=8)
    assert watch.one().status == "pending"
    for _ in range(4):
        watch.look(every_s=7)
        other.look(every_s=8)
    assert watch.one().status == "firing"
    assert watch.told() == ["firing"]


def test_a_store_that_is_away_changes_nothing_and_is_told(watch: Watch, records: Records) -> None:
    fire(watch)
    records.away = True
    watch.look(20)
    assert watch.one().status == "firing"
    assert watch.told() == ["firing"]
    assert watch.alarms.faults("p") == ["bot, goal:errors.rate: the store is away"]
    with watch.catalog.read() as connection:
        found = view.checks(connection, "p", watch.alarms.faults("p"), clock.now_us())
    assert {check.name for check in found if not check.ok} == {"alert bot goal:errors.rate", "alerts"}


def test_no_data_is_a_state_of_its_own(watch: Watch, records: Records) -> None:
    fire(watch)
    records.set(None, calls=0)
    watch.look(LASTING * 3)
    with watch.catalog.read() as connection:
        (shown,) = view.firing(connection, "p", clock.now_us())
        rules = view.view(connection, "p", watch.alarms.watched("p"), [], clock.now_us()).rules
    assert shown.state == "no data"
    assert watch.told() == ["firing"]
    assert [(rule.state, rule.sentence) for rule in rules] == [
        ("firing", "errors.rate is not measured in this window.")
    ]


def test_it_is_told_again_while_it_goes_on(watch: Watch) -> None:
    declare(watch.catalog, {"goals": GOALS, "alerts": {**HOOKS, "repeat": "10m"}})
    fire(watch)
    watch.look(9, every_s=60)
    assert watch.told() == ["firing"]
    assert watch.look(2, every_s=60).told() == ["firing", "repeat"]


def test_an_acknowledged_one_is_told_again_where_it_gets_worse(watch: Watch, records: Records) -> None:
    declare(watch.catalog, {"goals": GOALS, "alerts": {**HOOKS, "repeat": "10m"}})
    fire(watch)
    verbs.acknowledge(watch.catalog, "p", watch.one().id, actor="ann", note="on it")
    watch.look(12, every_s=60)
    assert watch.told() == ["firing"]
    records.set(0.9)
    assert watch.look().told() == ["firing", "worse"]
    assert watch.one().acknowledged is None
    assert [event.kind for event in watch.events(watch.one())] == ["pending", "firing", "acknowledged", "worse"]


def test_a_silence_keeps_it_from_being_told_until_it_ends(watch: Watch, records: Records) -> None:
    verbs.silence(watch.catalog, "p", Quiet(app="bot", lasting="10m", reason="migration"), actor="ann")
    fire(watch)
    assert watch.told() == []
    with watch.catalog.read() as connection:
        (shown,) = view.firing(connection, "p", clock.now_us())
    assert shown.state == "silenced"
    assert shown.silenced_by is not None
    watch.look(10, every_s=60)
    assert watch.told() == ["firing"]
    records.set(0.0)
    verbs.silence(watch.catalog, "p", Quiet(severity="critical", lasting="1h", reason="other"), actor="ann")
    assert watch.look(LASTING + 1).told() == ["firing", "resolved"]


def test_a_silence_can_be_ended(watch: Watch) -> None:
    made = verbs.silence(watch.catalog, "p", Quiet(rule="goal:errors.rate", lasting="3d", reason="x"), actor="ann")
    fire(watch)
    assert watch.told() == []
    verbs.unsilence(watch.catalog, "p", made.id, actor="ben")
    assert watch.look().told() == ["firing"]
    with pytest.raises(NotFound):
        verbs.unsilence(watch.catalog, "p", made.id, actor="ben")


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        (Quiet(reason="x"), "lasting"),
        (Quiet(reason="x", lasting="1h", until="2099-01-01"), "lasting"),
        (Quiet(reason="x", lasting="soon"), "lasting"),
        (Quiet(reason="x", until="yesterday"), "until"),
        (Quiet(reason="x", until="1990-01-01"), "until"),
        (Quiet(reason="x", lasting="400d"), "lasting"),
        (Quiet(reason="", lasting="1h"), "reason"),
        (Quiet(reason="x", lasting="1h", severity="awful"), "severity"),
    ],
)
def test_a_silence_that_cannot_be_is_refused(watch: Watch, wanted: Quiet, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        verbs.silence(watch.catalog, "p", wanted, actor="ann")
    assert refused.value.param == param


def test_somebody_may_say_that_it_is_over_and_it_begins_anew_where_it_is_not(watch: Watch) -> None:
    fire(watch)
    first = watch.one()
    verbs.resolve(watch.catalog, "p", first.id, actor="ann", note="restarted")
    assert watch.open() == []
    assert watch.told() == ["firing", "resolved"]
    with pytest.raises(Conflict):
        verbs.resolve(watch.catalog, "p", first.id, actor="ann")
    with pytest.raises(Conflict):
        verbs.acknowledge(watch.catalog, "p", first.id, actor="ann")
    with pytest.raises(NotFound):
        verbs.acknowledge(watch.catalog, "p", "alert_none", actor="ann")
    watch.look(LASTING + 1)
    assert watch.one().id != first.id
    assert watch.one().progress.flaps == 1
    assert watch.told() == ["firing", "resolved", "firing"]


def test_a_rule_that_is_taken_away_takes_its_alert_with_it(watch: Watch) -> None:
    fire(watch)
    declare(watch.catalog, {"goals": [], "alerts": HOOKS})
    assert watch.look().open() == []
    assert watch.told() == ["firing", "resolved"]


def test_an_alert_knows_what_came_before_it(watch: Watch, records: Records) -> None:
    text, hash_ = manifests.text_and_hash({"format": 1})
    made = Release(
        project="p", app="bot", number=1, hash=hash_, manifest={}, message="", created_by="maker", created_at=0
    )
    with watch.catalog.begin() as connection:
        releases.insert_release(connection, made, text)
        traffic.first(connection, made, actor="tests")
    fire(watch)
    behind = watch.one().release
    assert behind is not None
    assert behind.stable == 1
    data = watch.notices()[0].payload["data"]
    assert data["release"].startswith("bot#1: ")
    assert data["links"]["release"] == "/releases/bot/1"


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
    rule = about({"on": "drift", "severity": "info"})
    watch = Watch(fill(catalog, rule), records, time, drift=lambda connection, project, app: [report])
    alert = watch.look(6).one()
    assert alert.status == "firing"
    assert alert.severity == "info"
    assert watch.notices()[0].payload["data"]["traces"] == ["t1", "t2"]


def test_a_rule_tells_its_own_channels(catalog: Catalog, records: Records, time: Time) -> None:
    hooks = {name: {"kind": "webhook", "url": "https://example.com"} for name in ("ops", "quiet", "loud")}
    rules = [{"name": "lag", "on": "drain_lag", "lasting": "0s", "channels": ["quiet", "loud"]}]
    watch = Watch(fill(catalog, {"alerts": {"channels": hooks, "rules": rules}}), records, time)
    watch.lag = 500.0
    assert [each.channel for each in watch.look().notices()] == ["quiet", "loud"]


def test_every_verb_is_in_the_audit_log(watch: Watch) -> None:
    fire(watch)
    verbs.acknowledge(watch.catalog, "p", watch.one().id, actor="ann")
    verbs.resolve(watch.catalog, "p", watch.one().id, actor="ann")
    verbs.silence(watch.catalog, "p", Quiet(lasting="1h", reason="x"), actor="ann")
    with watch.catalog.read() as connection:
        actions = [entry.action for entry in audit.entries(connection, "p")][:3]
    assert actions == ["alert.silence", "alert.resolve", "alert.acknowledge"]


def test_another_project_sees_nothing_of_it(watch: Watch) -> None:
    fire(watch)
    with watch.catalog.read() as connection:
        assert store.open_alerts(connection, "q") == []
        assert store.heads(connection, ["q"]) == []
        with pytest.raises(NotFound):
            view.story(connection, "q", watch.one().id, 0)


def test_goals_are_not_watched_where_they_are_not_wanted(catalog: Catalog, records: Records, time: Time) -> None:
    watch = Watch(fill(catalog, {"goals": GOALS, "alerts": {"goals": False}}), records, time)
    records.set(0.9)
    assert watch.look(20).open() == []
