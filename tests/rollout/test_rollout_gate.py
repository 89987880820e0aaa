"""A rollout behind a gate: no start without evidence, and no growth once the evidence no longer holds."""

from __future__ import annotations

import pytest
from msgspec import structs

from releases.gate_house import TERMS, add_dataset, add_release, add_run, set_terms
from rollout.rollout_house import ANN, STEPS, Watch, events, latest, reading, traffic_now
from rondo.catalog.engine import Catalog
from rondo.errors import Forbidden, GateClosed
from rondo.evals.goals import Goal
from rondo.governance import projects
from rondo.releases import gate_store, store
from rondo.releases.gate_passage import ExceptionAsked
from rondo.rollout import store as rollouts
from rondo.rollout import verbs
from rondo.rollout.verbs import Whose

SHADOWED = {"steps": ["shadow 5 calls", "5% 0s 1 calls", "25% 50 calls", "100%"]}


@pytest.fixture
def house(catalog: Catalog) -> Catalog:
    """Releases 1 to 3 of `bot`, behind a gate; 1 serves."""
    projects.create(catalog, "p", actor="tests")
    add_dataset(catalog)
    with catalog.begin() as connection:
        for _ in range(3):
            add_release(connection)
    return catalog


def decisions(catalog: Catalog) -> list[str]:
    with catalog.read() as connection:
        hash_ = store.get_release(connection, "p", "bot", 2).hash
        return [each.kind for each in gate_store.decisions(connection, "p", "bot", hash_)]


@pytest.mark.parametrize("asked", [STEPS, SHADOWED, {"steps": ["approve", "100%"]}, {"steps": ["100%"]}])
@pytest.mark.parametrize("at", [None, "2040-01-01"])
def test_a_closed_gate_starts_nothing_and_what_it_said_is_kept(
    house: Catalog, asked: dict[str, object], at: str | None
) -> None:
    with pytest.raises(GateClosed, match="'answers' has not been run on bot#2"):
        verbs.start(house, ANN, 2, asked=asked, at=at)
    assert traffic_now(house).sequence == 1
    with house.read() as connection:
        assert rollouts.latest(connection, "p", "bot") is None
    assert decisions(house) == ["decision"]


def test_with_evidence_it_starts_and_each_growth_is_let_through(house: Catalog) -> None:
    add_run(house, 2)
    verbs.start(house, ANN, 2, asked=SHADOWED)
    watch = Watch(house)
    watch.next = reading(0, shadow_calls=5)
    watch.look()
    watch.next = reading(60, shadow_calls=5)
    assert watch.look().progress.share_bp == 2_500
    assert len(decisions(house)) == 3


def test_where_the_evidence_no_longer_holds_it_stays_where_it_is(house: Catalog) -> None:
    add_run(house, 2)
    verbs.start(house, ANN, 2, asked={"steps": ["5% 1 calls", "25% 50 calls", "100%"]})
    with house.begin() as connection:
        set_terms(connection, structs.replace(TERMS, goals=[Goal(metric="answer.correct", at_least=0.99)]))
    watch = Watch(house)
    watch.next = reading(60)
    paused = watch.look()
    assert (paused.progress.status, paused.progress.share_bp, paused.progress.step) == ("paused", 500, 0)
    assert "may not take traffic" in paused.progress.why
    assert [(arm.release, arm.share_bp) for arm in traffic_now(house).traffic.arms] == [(2, 500)]
    verbs.resume(house, ANN)
    with pytest.raises(GateClosed):
        verbs.promote(house, ANN)
    assert latest(house).progress.status == "running"
    assert traffic_now(house).traffic.stable == 1


def test_where_the_gate_shuts_before_it_begins_it_ends_with_the_gates_reason(house: Catalog) -> None:
    add_run(house, 2)
    verbs.start(house, ANN, 2, asked=STEPS, at="2020-01-01")
    with house.begin() as connection:
        set_terms(connection, structs.replace(TERMS, goals=[Goal(metric="answer.correct", at_least=0.99)]))
    ended = Watch(house).look(2)
    assert (ended.progress.status, ended.began_at, ended.ended_at is not None) == ("aborted", None, True)
    assert "may not take traffic" in ended.progress.why
    assert [event.kind for event in events(house)] == ["scheduled", "aborted"]
    assert traffic_now(house).sequence == 1


def test_an_exception_of_its_maker_starts_nothing_even_while_the_gate_is_open(house: Catalog) -> None:
    add_run(house, 2)
    with pytest.raises(Forbidden, match="Ask another approver"):
        verbs.start(house, Whose("p", "bot", "dev"), 2, asked=STEPS, exception=ExceptionAsked(reason="in case"))


def test_an_exception_holds_for_all_its_steps(house: Catalog) -> None:
    with pytest.raises(Forbidden):
        verbs.start(house, Whose("p", "bot", "dev"), 2, asked=SHADOWED, exception=ExceptionAsked(reason="I know"))
    verbs.start(house, ANN, 2, asked=SHADOWED, exception=ExceptionAsked(reason="a fix for customers"))
    watch = Watch(house)
    watch.next = reading(0, shadow_calls=5)
    watch.look()
    watch.next = reading(60, shadow_calls=5)
    watch.look()
    watch.next = reading(200, shadow_calls=5)
    assert watch.look().progress.status == "promoted"
    assert traffic_now(house).traffic.stable == 2
    assert set(decisions(house)) == {"exception"}
    assert [event.kind for event in events(house)] == ["began", "step", "step", "promoted"]
