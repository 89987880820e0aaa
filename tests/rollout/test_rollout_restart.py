"""A restart in the states that `test_rollout_controller.py` does not pass through: what is over stays over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rollout.rollout_house import ANN, BREACH, Watch, events, fill, latest, reading, start, traffic_now
from rondo.catalog.engine import Catalog
from rondo.rollout import verbs
from rondo.rollout.model import Mismatch

MISMATCH = Mismatch(candidate=900, baseline=100, expected_share=0.5, p_value=1e-9, suspected=True)


def roll_back(catalog: Catalog, watch: Watch) -> None:
    start(catalog)
    watch.next = reading(20, breaches=[BREACH])
    watch.look()


def abort(catalog: Catalog, watch: Watch) -> None:
    start(catalog)
    watch.look()
    verbs.abort(catalog, ANN)


def promote(catalog: Catalog, watch: Watch) -> None:
    start(catalog)
    watch.look()
    verbs.promote(catalog, ANN)


def report(catalog: Catalog, watch: Watch) -> None:
    start(catalog, asked={"steps": ["50% 20 calls"], "kind": "ab"})
    watch.look()
    watch.next = reading(200)
    watch.look(2)


@pytest.mark.parametrize(
    ("end", "status", "stable"),
    [(roll_back, "rolled_back", 1), (abort, "aborted", 1), (promote, "promoted", 2), (report, "reported", 1)],
)
def test_what_has_ended_stays_as_it_ended(
    catalog: Catalog, end: Callable[[Catalog, Watch], None], status: str, stable: int
) -> None:
    watch = Watch(fill(catalog))
    end(catalog, watch)
    ended, before = latest(catalog), events(catalog)
    assert ended.progress.status == status
    watch.open()
    watch.next = reading(500, breaches=[BREACH])
    assert watch.look(3) == ended
    assert events(catalog) == before
    assert (traffic_now(catalog).traffic.stable, traffic_now(catalog).traffic.arms) == (stable, ())


def test_a_suspected_mismatch_stays_paused_and_still_waits_for_a_person(catalog: Catalog) -> None:
    watch = Watch(fill(catalog))
    start(catalog)
    watch.next = reading(100, mismatch=MISMATCH)
    paused = watch.look()
    assert paused.progress.status == "paused"
    watch.open()
    assert watch.look(3).progress == paused.progress
    verbs.resume(catalog, ANN)
    watch.open()
    assert watch.look().progress.status == "running"
