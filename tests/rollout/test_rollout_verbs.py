"""What people do with rollouts, on both databases: each verb whole or not at all, and everything on record."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import delete

from rollout.rollout_house import ANN, events, fill, latest, start, traffic_now
from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.catalog.schema import models
from rondo.errors import Conflict, Forbidden, InvalidRequest, NotFound, RondoError
from rondo.governance import audit
from rondo.releases import store as releases
from rondo.releases import traffic
from rondo.rollout import store, verbs
from rondo.rollout.verbs import Whose

NOON = 1_800_000_000_000_000


@pytest.fixture
def ready(catalog: Catalog) -> Catalog:
    return fill(catalog)


def test_a_start_gives_the_first_share_and_is_on_record(ready: Catalog) -> None:
    begun = start(ready, reason="try it")
    assert begun == latest(ready)
    assert (begun.release, begun.baseline, begun.created_by, begun.reason) == (2, 1, "ann", "try it")
    assert begun.began_at is not None
    now = traffic_now(ready)
    assert [(arm.release, arm.share_bp) for arm in now.traffic.arms] == [(2, 500)]
    assert now.traffic.trial is not None
    assert now.traffic.trial.rollout == begun.id
    assert sum(end - at for at, end in now.traffic.trial.baseline) == 500
    (event,) = events(ready)
    assert (event.kind, event.actor, event.after) == ("began", "ann", begun.progress)
    with ready.read() as connection:
        entries = audit.entries(connection, "p", subject="app:bot")
    assert [entry.action for entry in entries[:2]] == ["rollout.began", "traffic.split"]
    assert entries[0].details["share"] == "5 %"


def test_there_is_one_at_a_time(ready: Catalog) -> None:
    first = start(ready)
    with pytest.raises(Conflict, match="goes on"):
        start(ready, 3)
    verbs.abort(ready, ANN)
    second = start(ready, 3)
    with ready.read() as connection:
        assert [each.id for each in store.listed(connection, "p", "bot", limit=9)] == [second.id, first.id]


def test_of_many_who_start_at_once_one_does(ready: Catalog) -> None:
    def try_it(_: int) -> bool:
        try:
            start(ready)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(try_it, range(4))) == 1
    assert len(events(ready)) == 1


def test_pause_resume_promote(ready: Catalog) -> None:
    start(ready)
    paused = verbs.pause(ready, ANN, reason="lunch")
    assert (paused.progress.status, paused.progress.why) == ("paused", "ann has paused it. lunch")
    assert traffic_now(ready).traffic.arms
    assert verbs.resume(ready, ANN).progress.status == "running"
    done = verbs.promote(ready, ANN, reason="good enough")
    assert (done.progress.status, done.ended_at is not None) == ("promoted", True)
    now = traffic_now(ready)
    assert (now.traffic.stable, now.traffic.arms, now.traffic.trial, now.action) == (2, (), None, "promote")
    assert [event.kind for event in events(ready)] == ["began", "paused", "resumed", "promoted"]
    with pytest.raises(NotFound, match="No rollout"):
        verbs.pause(ready, ANN)


def test_an_abort_takes_everything_back(ready: Catalog) -> None:
    start(ready)
    ended = verbs.abort(ready, ANN, reason="wrong prompt")
    assert ended.progress.status == "aborted"
    now = traffic_now(ready)
    assert (now.traffic.stable, now.traffic.arms, now.traffic.trial) == (1, (), None)
    assert now.action == "rollback"
    assert "wrong prompt" in now.reason


def test_other_verbs_leave_the_traffic_alone_while_it_goes_on(ready: Catalog) -> None:
    start(ready)
    refused: list[Callable[[], object]] = [
        lambda: traffic.promote(ready, "p", "bot", 3, actor="bob"),
        lambda: traffic.split(ready, "p", "bot", {3: 5}, actor="bob"),
        lambda: traffic.shadow(ready, "p", "bot", {"3": 5}, actor="bob"),
    ]
    for verb in refused:
        with pytest.raises(Conflict, match="under way"):
            verb()


def test_a_rollback_by_hand_ends_it_at_once(ready: Catalog) -> None:
    start(ready)
    traffic.rollback(ready, "p", "bot", actor="bob", reason="fire")
    with pytest.raises(NotFound):
        verbs.promote(ready, ANN)
    ended = latest(ready)
    assert (ended.progress.status, ended.progress.why) == ("aborted", "bob has moved the traffic (rollback): fire.")
    start(ready, 3)
    traffic.rollback(ready, "p", "bot", actor="bob")
    assert start(ready, 2).release == 2


def test_a_scheduled_one_moves_nothing_until_then(ready: Catalog) -> None:
    with clock.at(NOON):
        waiting = start(ready, at="2030-01-01T09:00Z")
    assert (waiting.progress.status, waiting.began_at) == ("scheduled", None)
    assert traffic_now(ready).sequence == 1
    assert events(ready)[0].sentence == "It begins at 2030-01-01T09:00:00Z."
    traffic.split(ready, "p", "bot", {3: 5}, actor="bob")
    assert verbs.abort(ready, ANN).progress.status == "aborted"
    assert traffic_now(ready).traffic.arms


def test_an_approver_is_not_who_made_the_release(ready: Catalog) -> None:
    start(ready, asked={"steps": ["approve", "100%"]})
    assert not traffic_now(ready).traffic.arms
    with pytest.raises(Forbidden, match="maker made bot#2"):
        verbs.approve(ready, Whose("p", "bot", "maker"))
    assert verbs.approve(ready, Whose("p", "bot", "maker", is_admin=True)).progress.approved_by == "maker"
    with pytest.raises(Conflict, match="does not wait"):
        verbs.approve(ready, ANN)


@pytest.mark.parametrize("steps", [["approve", "100%"], ["5% 1h", "approve", "100%"]])
def test_who_made_the_release_cannot_promote_it_past_an_approval(ready: Catalog, steps: list[str]) -> None:
    start(ready, asked={"steps": steps})
    with pytest.raises(Forbidden, match="maker made bot#2"):
        verbs.promote(ready, Whose("p", "bot", "maker"))
    assert traffic_now(ready).traffic.stable == 1
    assert verbs.promote(ready, ANN).progress.status == "promoted"


def test_who_made_the_release_may_promote_it_once_approved(ready: Catalog) -> None:
    start(ready, asked={"steps": ["approve", "5% 1h", "100%"]})
    verbs.approve(ready, ANN)
    assert verbs.promote(ready, Whose("p", "bot", "maker")).progress.status == "promoted"


def test_a_shadowed_model_that_is_gone_keeps_nobody_from_going_back(ready: Catalog) -> None:
    settings = {"provider": "scripted", "params": {"script": ["hi"]}}
    with ready.begin() as connection:
        releases.save_model(connection, "p", "gone", settings, 0)
    traffic.shadow(ready, "p", "bot", {"gone": 5}, actor="bob")
    start(ready)
    with ready.begin() as connection:
        connection.execute(delete(models))
    assert verbs.abort(ready, ANN).progress.status == "aborted"
    assert traffic_now(ready).traffic.arms == ()


def test_what_cannot_be_done_now_says_what_can(ready: Catalog) -> None:
    start(ready, at="2040-01-01")
    for verb in (verbs.pause, verbs.resume, verbs.promote):
        with pytest.raises(Conflict, match=r"is scheduled.*rondo rollout status"):
            verb(ready, ANN)


WRONG: list[tuple[dict[str, Any], type[RondoError], str]] = [
    ({"release": 1}, Conflict, "serves already"),
    ({"release": 9}, NotFound, "no release 9"),
    ({"asked": {}}, InvalidRequest, "Nothing says in which steps"),
    ({"asked": {"steps": ["5%"]}}, InvalidRequest, "says not how long"),
    ({"asked": {"steps": ["5% 1m"]}}, InvalidRequest, "last step of a canary"),
    ({"asked": {"steps": ["25% 1m", "5% 1m", "100%"]}}, InvalidRequest, "must not fall"),
    ({"asked": {"steps": ["at noon", "100%"]}}, InvalidRequest, "is no time"),
    ({"asked": {"steps": ["5% until evidence", "100%"]}}, InvalidRequest, "no guarded goal"),
    ({"asked": {"steps": ["50% 1d"], "kind": "bandit"}}, InvalidRequest, "by a metric"),
    ({"asked": {"steps": ["50% 1d"], "kind": "bandit", "reward": "calls.count"}}, InvalidRequest, "by a metric"),
    ({"at": "tomorrow"}, InvalidRequest, "is no time"),
    ({"reason": "x" * 3_000}, InvalidRequest, "reason"),
]


@pytest.mark.parametrize(("asked", "kind", "told"), WRONG)
def test_bad_input_starts_nothing(ready: Catalog, asked: dict[str, Any], kind: type[RondoError], told: str) -> None:
    with pytest.raises(kind, match=told):
        start(ready, **asked)
    assert traffic_now(ready).sequence == 1
    with ready.read() as connection:
        assert store.latest(connection, "p", "bot") is None


def test_a_split_by_hand_comes_first(ready: Catalog) -> None:
    traffic.split(ready, "p", "bot", {3: 5}, actor="bob")
    with pytest.raises(Conflict, match="split by hand"):
        start(ready)
