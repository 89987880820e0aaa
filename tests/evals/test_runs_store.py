"""The statements of runs on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from rondo.catalog.engine import Catalog
from rondo.errors import NotFound
from rondo.evals import store
from rondo.evals.model import Answer, Result, Run, Scored, Target
from rondo.evals.store import Kept, Place
from rondo.governance.store import insert_project

NOW = 1_800_000_000_000_000


def run_of(name: str = "run_1", **fields: Any) -> Run:
    usual: dict[str, Any] = {
        "id": name,
        "project": "p",
        "app": "bot",
        "name": "answers",
        "suite": {"dataset": "d"},
        "suite_hash": "s",
        "dataset": "d",
        "dataset_hash": "h",
        "targets": [Target(label="bot#1", app="bot", number=1, hash="aa"), Target(label="m", model="m")],
        "baseline": 0,
        "status": "running",
        "created_by": "me",
        "created_at": NOW,
        "key_id": "k",
        "max_concurrency": 4,
    }
    return Run(**{**usual, **fields})


def kept(example: str, *, target: int = 0, repeat: int = 0, key: str = "", text: str = "hello") -> Kept:
    answer = Answer(text=text) if key else None
    result = Result(target=target, example=example, repeat=repeat, answer=answer, error=None if key else "timeout")
    return Kept(result, key)


@pytest.fixture
def filled(catalog: Catalog) -> Catalog:
    with catalog.begin() as connection:
        for project in ("p", "q"):
            insert_project(connection, project, NOW)
        store.insert_run(connection, run_of())
        rows = [kept(f"e{n}", target=at, key=f"k{at}{n}") for n in range(3) for at in (0, 1)]
        store.insert_results(connection, "p", "run_1", [*rows, kept("bad")])
    return catalog


def test_a_run_comes_back_as_it_was_and_belongs_to_its_project(filled: Catalog) -> None:
    with filled.read() as connection:
        assert store.get_run(connection, "p", "run_1") == run_of()
        assert store.list_runs(connection, "p") == [run_of()]
        assert store.list_runs(connection, "q") == []
        with pytest.raises(NotFound):
            store.get_run(connection, "q", "run_1")
        assert store.results(connection, "q", "run_1") == []
        assert store.answers(connection, "q", ["k00"]) == {}


def test_a_result_is_written_once(filled: Catalog) -> None:
    with filled.begin() as connection:
        store.insert_results(connection, "p", "run_1", [kept("e0", key="other", text="changed"), kept("new", key="n")])
    with filled.read() as connection:
        assert store.answers(connection, "p", ["k00", "other", "n"]).keys() == {"k00", "n"}
        assert len(list(store.every_result(connection, "p", "run_1"))) == 8


def test_pages_cover_everything_once_and_in_order(filled: Catalog) -> None:
    found: list[Place] = []
    after: Place | None = None
    with filled.read() as connection:
        while page := store.results(connection, "p", "run_1", after=after, limit=2):
            found += [Place(each.target, each.example, each.repeat) for each in page]
            after = found[-1]
        assert found == sorted(found)
        assert len(found) == len(set(found)) == 7
        assert store.places(connection, "p", "run_1", ["e1", "e2", "nothing"], 2) == {
            Place(at, f"e{n}", 0) for at in (0, 1) for n in (1, 2)
        }
        assert {each.target for each in store.results(connection, "p", "run_1", target=1)} == {1}


def test_whatever_may_have_failed_is_doubtful(filled: Catalog) -> None:
    """An answer that quotes a failure is none: its quotes are escaped."""
    scores = {"right": Scored(value=1.0, passed=True), "wrong": Scored(value=0.0, passed=False)}
    scores["lost"] = Scored(error="timeout")
    quoted = '"passed":false, "error":"x"'
    rows = [
        Kept(Result(target=0, example=name, repeat=0, answer=Answer(text=quoted), scores={"s": scored}), name)
        for name, scored in scores.items()
    ]
    with filled.begin() as connection:
        store.insert_results(connection, "p", "run_1", rows)
    with filled.read() as connection:
        doubtful = store.results(connection, "p", "run_1", doubtful=True)
        assert [each.example for each in doubtful] == ["bad", "lost", "wrong"]
        counted = {each.example: each for each in store.counted_of(connection, "p", "run_1", ["bad", "wrong"], 2)}
        assert (counted["bad"].answer, counted["bad"].error) == (None, "timeout")
        assert counted["wrong"].answer is not None
        assert counted["wrong"].scores == {"s": scores["wrong"]}


def test_answers_are_known_by_what_was_asked_and_failures_are_not(filled: Catalog) -> None:
    with filled.begin() as connection:
        store.keep_said(connection, "p", {"judge": Answer(text="yes")})
        store.keep_said(connection, "p", {"judge": Answer(text="no")})
    with filled.read() as connection:
        assert store.answers(connection, "p", ["k00", "k11", ""]).keys() == {"k00", "k11"}
        assert store.said(connection, "p", "judge") == Answer(text="yes")
        assert store.said(connection, "q", "judge") is None
        assert store.counts(connection, "p", "run_1") == (len(list(store.every_result(connection, "p", "run_1"))), 1)
        assert store.counts(connection, "q", "run_1") == (0, 0)


def test_failures_are_taken_out_to_be_asked_again(filled: Catalog) -> None:
    with filled.begin() as connection:
        assert store.delete_failed(connection, "p", "run_1") == 1
        assert len(list(store.every_result(connection, "p", "run_1"))) == 6


def test_scores_are_put_beside_those_there_are(filled: Catalog) -> None:
    place = Place(0, "e0", 0)
    with filled.begin() as connection:
        assert store.add_scores(connection, "p", "run_1", {place: {"a": Scored(value=1.0, cost_usd=0.5)}}) == (1, 0.5)
        again = {"a": Scored(value=1.0, cost_usd=0.75), "b": Scored(value=0.0)}
        assert store.add_scores(connection, "p", "run_1", {place: again}) == (1, 0.25)
        assert store.add_scores(connection, "p", "run_1", {Place(5, "e0", 0): {}}) == (0, 0.0)
        (found,) = store.results_of(connection, "p", "run_1", ["e0"], 1)
    assert found.scores == again


def test_only_runs_under_way_are_gone_on_with(catalog: Catalog) -> None:
    with catalog.begin() as connection:
        insert_project(connection, "p", NOW)
        for status in ("queued", "running", "paused", "awaiting_scores", "finished", "failed", "cancelled"):
            store.insert_run(connection, run_of(status, status=status))
        assert sorted(store.unfinished(connection)) == ["queued", "running"]
        assert not store.update_run(connection, "paused", ("running",), status="finished")
        assert store.update_run(connection, "paused", ("paused",), status="queued")


def test_the_newest_finished_run_of_each_suite_is_the_evidence_on_a_hash(catalog: Catalog) -> None:
    with catalog.begin() as connection:
        insert_project(connection, "p", NOW)
        finished = structs.replace(run_of(), status="finished")
        for at, (name, suite, hash_) in enumerate(
            [("old", "a", "aa"), ("new", "a", "aa"), ("other", "b", "aa"), ("else", "a", "bb")]
        ):
            targets = [Target(label="x", app="bot", hash=hash_)]
            store.insert_run(
                connection, structs.replace(finished, id=name, name=suite, created_at=NOW + at, targets=targets)
            )
        store.insert_run(connection, run_of("unfinished", created_at=NOW + 9))
        assert [run.id for run in store.latest_runs(connection, "p", "bot", "aa")] == ["other", "new"]


def test_odd_characters_cost_themselves_only(filled: Catalog) -> None:
    odd = "half \ud83d and \x00"
    with filled.begin() as connection:
        store.insert_results(connection, "p", "run_1", [kept("odd", key="o", text=odd)])
        found = store.answers(connection, "p", ["o"])["o"]
    assert found.text == "half � and \x00"
