"""Who is told of an alert and of its end, and what people do to it: silence, acknowledge, resolve."""

from __future__ import annotations

import pytest

from monitoring.alerts.alerts_house import GOALS, HOOKS, LASTING, Records, Time, Watch, declare, fill, fire
from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.errors import Conflict, InvalidRequest, NotFound
from rondo.governance import audit
from rondo.monitoring.alerts import verbs, view
from rondo.monitoring.alerts.verbs import Quiet


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


def test_a_silence_holds_on_a_server_whose_clock_is_behind(watch: Watch, time: Time) -> None:
    fire(watch)
    verbs.silence(watch.catalog, "p", Quiet(lasting="1h", reason="x"), actor="ann")
    time.jump(-120_000_000)
    with watch.catalog.read() as connection:
        (shown,) = view.firing(connection, "p", clock.now_us())
    assert shown.state == "silenced"


def test_who_takes_it_on_while_it_is_silenced_is_not_told(watch: Watch, records: Records) -> None:
    verbs.silence(watch.catalog, "p", Quiet(lasting="10m", reason="migration"), actor="ann")
    fire(watch)
    verbs.acknowledge(watch.catalog, "p", watch.one().id, actor="ann")
    assert watch.look(20, every_s=60).told() == []
    records.set(0.9)
    assert watch.look().told() == ["worse"]


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


def test_who_said_that_it_is_over_is_told(watch: Watch) -> None:
    fire(watch)
    verbs.resolve(watch.catalog, "p", watch.one().id, actor="ann", note="restarted")
    data = watch.notices()[-1].payload["data"]
    assert data["text"].startswith("ann says that it is over. What was seen last: errors.rate is 0.2")
    assert data["resolved_by"] == "ann"


def test_a_rule_tells_its_own_channels(catalog: Catalog, records: Records, time: Time) -> None:
    hooks = {name: {"kind": "webhook", "url": "https://example.com"} for name in ("ops", "quiet", "loud")}
    rules = [{"name": "lag", "on": "drain_lag", "lasting": "0s", "channels": ["quiet", "loud"]}]
    watch = Watch(fill(catalog, {"alerts": {"channels": hooks, "rules": rules}}), records, time)
    watch.lag = 500.0
    assert [each.channel for each in watch.look().notices()] == ["quiet", "loud"]


def test_who_was_told_is_told_of_the_end_whatever_came_between(catalog: Catalog, records: Records, time: Time) -> None:
    hooks = {name: {"kind": "webhook", "url": "https://example.com"} for name in ("ops", "pager", "other")}
    rule = {"name": "lag", "on": "drain_lag", "lasting": "0s"}

    def told(**rules: object) -> dict[str, object]:
        return {"alerts": {"channels": hooks, **rules}}

    watch = Watch(fill(catalog, told(rules=[{**rule, "channels": ["pager", "ops"]}])), records, time)
    watch.lag = 500.0
    watch.look()
    verbs.silence(watch.catalog, "p", Quiet(lasting="1h", reason="quiet"), actor="ann")
    declare(catalog, told(rules=[{**rule, "channels": ["other"]}]))
    watch.lag = None
    watch.look(8)
    assert [(each.channel, each.kind) for each in watch.notices()] == [
        ("pager", "firing"),
        ("ops", "firing"),
        ("ops", "resolved"),
        ("pager", "resolved"),
    ]
    assert {each.payload["data"]["status"] for each in watch.notices()[2:]} == {"resolved"}


def test_a_rule_that_is_taken_away_is_told_to_whom_it_was_told(catalog: Catalog, records: Records, time: Time) -> None:
    hooks = {name: {"kind": "webhook", "url": "https://example.com"} for name in ("ops", "pager")}
    rules = [{"name": "lag", "on": "drain_lag", "lasting": "0s", "channels": ["pager"]}]
    watch = Watch(fill(catalog, {"alerts": {"channels": hooks, "rules": rules}}), records, time)
    watch.lag = 500.0
    watch.look()
    declare(catalog, {"alerts": {"channels": hooks}})
    watch.look()
    assert [(each.channel, each.kind) for each in watch.notices()] == [("pager", "firing"), ("pager", "resolved")]


def test_every_verb_is_in_the_audit_log(watch: Watch) -> None:
    fire(watch)
    verbs.acknowledge(watch.catalog, "p", watch.one().id, actor="ann")
    verbs.resolve(watch.catalog, "p", watch.one().id, actor="ann")
    verbs.silence(watch.catalog, "p", Quiet(lasting="1h", reason="x"), actor="ann")
    with watch.catalog.read() as connection:
        actions = [entry.action for entry in audit.entries(connection, "p")][:3]
    assert actions == ["alert.silence", "alert.resolve", "alert.acknowledge"]
