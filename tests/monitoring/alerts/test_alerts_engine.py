"""The alarms on both databases: alerts begin, fire, are told, and end; whatever restarts, jumps or runs beside it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from urllib.parse import parse_qsl, urlsplit

import pytest

from monitoring.alerts.alerts_house import GOALS, HOOKS, LASTING, Records, Time, Watch, declare, fill, fire
from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.errors import NotFound, Unavailable
from rondo.governance import projects
from rondo.limits.status import Status
from rondo.monitoring.alerts import engine, notice, store, verbs, view
from rondo.monitoring.alerts.model import Alert
from rondo.monitoring.alerts.verbs import Quiet
from rondo.releases import manifest as manifests
from rondo.releases import store as releases
from rondo.releases import traffic
from rondo.releases.model import Release


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


def test_the_list_of_all_calls_reaches_from_before_its_beginning_to_its_end(watch: Watch, records: Records) -> None:
    """It ended at the worst look: of an alert that went on it showed the first errors only."""
    records.set(0.9)
    watch.look(LASTING)
    records.set(0.2)
    watch.look(100)
    alert = watch.one()
    window = linked(alert)
    assert window == {"since": clock.iso(alert.began_at - 3_600_000_000)}
    records.set(0.01)
    watch.look(LASTING + 1)
    (over,) = watch.ended()
    assert over.ended_at is not None
    assert linked(over) == {**window, "until": clock.iso(over.ended_at)}


def linked(alert: Alert) -> dict[str, str]:
    """The window of the list that an alert links."""
    address = notice.calls_page(alert)
    assert address is not None
    words = dict(parse_qsl(urlsplit(address).query))
    return {name: words[name] for name in ("since", "until") if name in words}


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


def test_two_servers_that_look_at_once_agree(watch: Watch, records: Records, time: Time) -> None:
    other = Watch(watch.catalog, records, time)
    records.set(0.2)

    async def both() -> None:
        await asyncio.gather(watch.alarms.look(), other.alarms.look())

    for _ in range(LASTING + 3):
        time.pass_s(15)
        asyncio.run(both())
    assert watch.one().status == "firing"
    assert watch.told() == ["firing"]
    assert [*watch.alarms.faults("p"), *other.alarms.faults("p")] == []


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


def test_one_project_that_cannot_be_looked_at_keeps_no_other_from_it(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    projects.create(watch.catalog, "a", actor="tests")
    with watch.catalog.begin() as connection:
        releases.save_app(connection, "a", "bot", {"alerts": {"rules": [{"name": "b", "on": "budget"}]}}, 0)

    async def broken(project: str) -> Status | None:
        raise RuntimeError("no")

    monkeypatch.setattr(watch.alarms, "_spent", broken)
    fire(watch)
    assert watch.told() == ["firing"]
    assert watch.alarms.faults("a") == ["alerts cannot be looked at: RuntimeError"]
    assert watch.alarms.faults("p") == []


def test_calls_that_cannot_be_found_keep_nobody_from_being_told(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> list[str]:
        raise ValueError("no")

    monkeypatch.setattr(engine, "calls_behind", broken)
    assert fire(watch).told() == ["firing"]


def test_settings_of_a_newer_server_are_a_fault_and_not_silence(watch: Watch) -> None:
    declare(watch.catalog, {"goals": GOALS, "alerts": {**HOOKS, "of_tomorrow": 1}})
    watch.look()
    assert watch.alarms.faults("p") == ["bot: its [alerts] cannot be read by this server, so nobody is told"]


def test_time_without_a_catalog_is_nobodys(watch: Watch, records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    records.set(0.2)
    watch.look(5)
    before = watch.one().progress.bad_s

    def away(*_: object) -> None:
        raise Unavailable("the catalog is away")

    with monkeypatch.context() as patched:
        patched.setattr(store, "open_alerts", away)
        watch.time.pass_s(600)
        with suppress(Unavailable):
            asyncio.run(watch.alarms.look())
    assert watch.look(1, every_s=600).one().progress.bad_s == before


def test_what_is_over_is_forgotten_after_its_time(watch: Watch, records: Records, time: Time) -> None:
    declare(watch.catalog, {"goals": GOALS, "alerts": {**HOOKS, "keep": "30d"}})
    silent = verbs.silence(watch.catalog, "p", Quiet(app="bot", rule="other", lasting="1h", reason="x"), actor="ann")
    fire(watch)
    verbs.resolve(watch.catalog, "p", watch.one().id, actor="ann")
    (first,) = watch.ended()
    time.pass_s(29 * 86_400)
    fire(watch)
    assert [alert.id for alert in watch.ended()] == [first.id]
    time.pass_s(86_400)
    watch.look()
    assert watch.ended() == []
    assert watch.events(first) == []
    with watch.catalog.read() as connection:
        assert store.notices_of(connection, "p", first.id) == []
        assert [each.id for each in store.silences(connection, "p", 0)] == [silent.id]
    assert watch.told() == ["firing"], "what goes on is kept"
    time.pass_s(70 * 86_400)
    watch.look()
    with watch.catalog.read() as connection:
        assert store.silences(connection, "p", 0) == []


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
