"""The controller, on both databases: it acts on what it reads, each step once, also after a restart."""

from __future__ import annotations

import asyncio

import pytest

from rollout.rollout_house import ANN, BREACH, STEPS, Watch, events, fill, latest, reading, start, traffic_now
from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.errors import Unavailable
from rondo.releases import traffic
from rondo.rollout import moves, state, verbs
from rondo.rollout.progress import ENDED
from rondo.rollout.report import view


@pytest.fixture
def ready(catalog: Catalog) -> Catalog:
    return fill(catalog)


@pytest.fixture
def watch(ready: Catalog) -> Watch:
    return Watch(ready)


class Time:
    """The monotonic clock, held; the controller reads it through `clock`."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    held = Time()
    monkeypatch.setattr(clock, "monotonic", held)
    return held


def shares(catalog: Catalog) -> list[tuple[int, int]]:
    return [(arm.release, arm.share_bp) for arm in traffic_now(catalog).traffic.arms]


def test_from_step_to_step_to_the_end(ready: Catalog, watch: Watch, time: Time) -> None:
    start(ready)
    watch.look()
    assert shares(ready) == [(2, 500)]
    time.now += 2
    assert watch.look().progress.step == 1
    assert shares(ready) == [(2, 2_500)]
    watch.look(3)
    watch.next = reading(150)
    done = watch.look()
    assert (done.progress.status, done.ended_at is not None) == ("promoted", True)
    assert (traffic_now(ready).traffic.stable, shares(ready)) == (2, [])
    assert [(event.kind, event.actor) for event in events(ready)] == [
        ("began", "ann"), ("step", "rollout"), ("promoted", "rollout"),
    ]  # fmt: skip
    assert watch.published == 2


def test_a_breach_takes_all_traffic_back_at_once(ready: Catalog, watch: Watch) -> None:
    start(ready)
    watch.next = reading(20, breaches=[BREACH])
    ended = watch.look()
    assert (ended.progress.status, ended.progress.why) == ("rolled_back", BREACH.sentence)
    assert (traffic_now(ready).traffic.stable, shares(ready), watch.published) == (1, [], 1)
    assert traffic_now(ready).reason == BREACH.sentence
    assert events(ready)[-1].traces == ["t"]


def test_every_decision_of_the_evidence_can_be_made_again(ready: Catalog, watch: Watch, time: Time) -> None:
    start(ready)
    watch.look()
    time.now += 2
    watch.look()
    watch.next = reading(30, breaches=[BREACH])
    watch.look()
    terms = latest(ready).terms
    decided = [event for event in events(ready) if event.basis is not None]
    assert [event.kind for event in decided] == ["step", "rolled_back"]
    for event in decided:
        assert event.basis is not None
        again = state.decide(terms, event.basis)
        assert (again.progress, again.kind, again.sentence) == (event.after, event.kind, event.sentence)


def test_a_restart_in_each_state_goes_on_where_it_was(ready: Catalog, watch: Watch, time: Time) -> None:
    with clock.at(1_700_000_000_000_000) as advance:
        start(ready, at="2023-11-14T23:00Z", asked={"steps": ["shadow 2 calls", "approve", "5% 20s", "100%"]})
        watch.open()
        assert watch.look().progress.status == "scheduled"
        advance(3_600_000_000)
        watch.open()
        watch.next = reading(0)
        assert watch.look(2).progress.step == 0
        assert traffic_now(ready).traffic.shadows[0].release == 2
        watch.open()
        watch.next = reading(0, shadow_calls=2)
        assert watch.look().progress.step == 1
        assert traffic_now(ready).traffic.shadows == ()
        watch.open()
        assert watch.look(3).progress.step == 1
        verbs.approve(ready, ANN)
        watch.open()
        watch.next = reading(30, shadow_calls=2)
        assert watch.look().progress.share_bp == 500
        watch.next = reading(60, shadow_calls=2)
        watch.open()
        for _ in range(3):
            watch.look()
            time.now += 6
        verbs.pause(ready, ANN)
        watch.open()
        watch.look(2)
        time.now += 60
        assert watch.look().progress.status == "paused"
        verbs.resume(ready, ANN)
        watch.open()
        watch.look()
        assert latest(ready).progress.elapsed_s == pytest.approx(12)  # what it had saved, and no time without a look
        time.now += 9
        assert watch.look().progress.status == "promoted"
    watch.open()
    watch.look()
    assert len(events(ready)) == 8
    assert watch.rollouts.faults("p") == {}


def test_two_servers_on_one_catalog_take_each_step_once(ready: Catalog, watch: Watch, time: Time) -> None:
    other = Watch(ready)
    start(ready)
    for each in (watch, other):
        each.look()
    time.now += 2

    async def both() -> None:
        await asyncio.gather(watch.rollouts.look(), other.rollouts.look())

    asyncio.run(both())
    for each in (watch, other):
        each.look()
    assert [event.kind for event in events(ready)] == ["began", "step"]
    assert latest(ready).progress.step == 1


def test_whoever_does_not_know_the_last_event_writes_nothing(ready: Catalog) -> None:
    stale = start(ready)
    verbs.pause(ready, ANN)
    before = traffic_now(ready)
    with ready.begin() as connection:
        assert moves.write(connection, stale, state.promote(stale.progress, "late"), actor="late") is None
    assert traffic_now(ready) == before
    assert [event.kind for event in events(ready)] == ["began", "paused"]


def test_while_the_record_store_is_away_it_waits_and_says_so(ready: Catalog, watch: Watch, time: Time) -> None:
    begun = start(ready)
    watch.look()
    watch.next = Unavailable("The record store is away.")
    for _ in range(5):
        time.now += 5
        watch.look()
    assert latest(ready).progress.step == 0
    assert watch.rollouts.faults("p") == {"bot#2": "The record store is away."}
    assert watch.rollouts.faults("q") == {}
    watch.next = reading()
    watch.look()
    assert watch.rollouts.faults("p") == {}
    assert watch.rollouts.latest(begun)[0].elapsed_s < 1
    time.now += 2
    assert watch.look().progress.step == 1


def test_late_records_let_nothing_go_on_but_harm_is_acted_on(ready: Catalog, watch: Watch, time: Time) -> None:
    start(ready)
    watch.behind_s = 60.0
    for _ in range(5):
        time.now += 5
        watch.look()
    assert latest(ready).progress.step == 0
    assert "60 s behind" in watch.rollouts.faults("p")["bot#2"]
    watch.next = reading(30, breaches=[BREACH])
    assert watch.look().progress.status == "rolled_back"


def test_while_its_candidate_cannot_be_served_it_waits_and_says_so(ready: Catalog, watch: Watch, time: Time) -> None:
    start(ready)
    watch.look()
    watch.unserved = "its index is gone."
    time.now += 60
    assert watch.look().progress.step == 0
    assert watch.rollouts.latest(latest(ready))[2] == "#2 cannot be served: its index is gone."
    assert watch.rollouts.faults("p") == {}  # doctor has it from the plan
    watch.unserved = None
    assert watch.look().progress.step == 0  # what has passed meanwhile counts for nothing
    time.now += 2
    assert watch.look().progress.step == 1
    assert watch.rollouts.latest(latest(ready))[2] is None


def test_without_its_candidate_harm_is_acted_on_all_the_same(ready: Catalog, watch: Watch) -> None:
    start(ready)
    watch.unserved = "its index is gone."
    watch.next = reading(20, breaches=[BREACH])
    ended = watch.look()
    assert ended.progress.status == "rolled_back"
    assert watch.rollouts.latest(ended)[2] is None


def test_one_that_ends_before_it_begins_has_taken_no_step(ready: Catalog) -> None:
    start(ready, at="2099-01-01T00:00Z")
    ended = verbs.abort(ready, ANN)
    assert {step.state for step in view(ended, []).steps} == {"next"}


def test_a_rollback_by_hand_ends_it(ready: Catalog, watch: Watch) -> None:
    start(ready)
    traffic.rollback(ready, "p", "bot", actor="bob")
    ended = watch.look()
    assert ended.progress.status == "aborted"
    assert "bob" in ended.progress.why
    assert traffic_now(ready).sequence == 3
    watch.look()
    assert len(events(ready)) == 2


def test_one_whose_beginning_no_longer_fits_ends_with_the_reason(ready: Catalog, watch: Watch) -> None:
    start(ready, at="2020-01-01")
    traffic.split(ready, "p", "bot", {3: 5}, actor="bob")
    ended = watch.look()
    assert ended.progress.status == "aborted"
    assert "split by hand" in ended.progress.why
    assert shares(ready) == [(3, 500)]


def test_progress_is_saved_now_and_then_and_at_the_end(ready: Catalog, watch: Watch, time: Time) -> None:
    start(ready, asked={"steps": ["5% 1h", "100%"]})
    watch.look()
    for _ in range(4):
        time.now += 2
        watch.look()
    assert latest(ready).progress.elapsed_s == 6

    async def run_and_end() -> None:
        ended = asyncio.Event()
        ended.set()
        await watch.rollouts.run(ended)

    asyncio.run(run_and_end())
    saved = latest(ready)
    assert saved.progress.elapsed_s == 8
    assert saved.sequence == 1
    assert saved.reading == reading()


def test_one_that_begins_later_is_compared_with_what_serves_by_then(ready: Catalog, watch: Watch) -> None:
    start(ready, at="2020-01-01")
    traffic.promote(ready, "p", "bot", 3, actor="bob")
    begun = watch.look()
    assert (begun.progress.status, begun.baseline) == ("running", 3)
    assert watch.rollouts.latest(begun)[0] == begun.progress


async def test_it_looks_only_while_there_is_something_to_see(ready: Catalog, watch: Watch) -> None:
    ended = asyncio.Event()
    running = asyncio.create_task(watch.rollouts.run(ended))
    try:
        await asyncio.sleep(0.05)
        assert watch.woken == 0
        start(ready, asked=STEPS)
        watch.next = reading(20, breaches=[BREACH])
        async with asyncio.timeout(5):
            while latest(ready).progress.status not in ENDED:
                await asyncio.sleep(0.02)
        assert latest(ready).progress.status == "rolled_back"
    finally:
        ended.set()
        await running
