"""Filling the queue: what is found, what is not, and that looking twice changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from record_makers import START, make_call, make_score
from review_makers import declare, keep, make_item, queue_up
from rondo import clock
from rondo.catalog.engine import Catalog, open_catalog, sqlite_url
from rondo.evals import store as runs
from rondo.evals.model import Answer, Result, Run, Scored, Target
from rondo.records import Call
from rondo.reviews import collect as collecting
from rondo.reviews import store
from rondo.reviews.collect import LOOK_BACK_US, collect
from rondo.reviews.model import Item, is_sampled
from rondo.reviews.store import ItemFilter
from rondo.store.base import RecordStore
from rondo.store.duckdb import DuckDBStore

NOW = START + 3_600_000_000


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    return open_catalog(sqlite_url(tmp_path / "catalog.db"))


def look(catalog: Catalog, records: RecordStore, project: str = "p", since: int | None = None) -> dict[str, int]:
    with clock.at(NOW):
        found = collect(catalog, records, project, actor="rondo", since=since)
        return {str(source): number for source, number in found.added.items()}


def queued(catalog: Catalog, project: str = "p") -> list[Item]:
    with catalog.read() as connection:
        return store.list_items(connection, project, ItemFilter(), limit=1_000)


def call(**fields: object) -> Call:
    return make_call(**{"app": "bot", "answer": "yes", **fields})


def test_a_sample_is_drawn_by_hash_and_once(catalog: Catalog, store: RecordStore) -> None:
    declare(catalog, sample_percent=25.0, reviewers=3)
    calls = [call() for _ in range(200)]
    keep(store, *calls)
    wanted = {each.trace_id for each in calls if is_sampled(each.trace_id, 25)}
    assert 20 < len(wanted) < 80
    assert look(catalog, store) == {"sampled": len(wanted)}
    items = queued(catalog)
    assert {item.trace_id for item in items} == wanted
    assert [item.trace_id for item in items] == [each.trace_id for each in calls if each.trace_id in wanted]
    assert {(item.reviewers, item.status, item.created_by) for item in items} == {(3, "open", "rondo")}
    assert look(catalog, store) == {}
    declare(catalog, sample_percent=100.0)
    assert look(catalog, store) == {"sampled": 200 - len(wanted)}


def test_what_is_no_answer_to_a_user_is_not_sampled(catalog: Catalog, database: DuckDBStore) -> None:
    declare(catalog, sample_percent=100.0)
    declare(catalog, "quiet")
    good = call()
    keep(
        database,
        good,
        call(status=500, error_code="x"),
        call(answer=""),
        call(arm="shadow"),
        call(arm="eval"),
        call(app=None),
        call(app="quiet"),
        call(app="unknown"),
        call(project="q"),
        call(started_at=NOW - LOOK_BACK_US - 1),
        call(trace_id=good.trace_id),
    )
    assert look(catalog, database) == {"sampled": 1}
    assert [item.trace_id for item in queued(catalog)] == [good.trace_id]


def test_votes_against_answers_are_found(catalog: Catalog, database: DuckDBStore) -> None:
    declare(catalog)
    declare(catalog, "deaf", thumbs_down=False)
    bad, good, deaf, numbers = call(), call(), call(app="deaf"), call()
    keep(
        database,
        *(bad, good, deaf, numbers),
        make_score(bad, value=0.0, comment="Wrong\x00 price", name="one"),
        make_score(bad, value=0.0, comment="Wrong price", name="two"),
        make_score(good),
        make_score(deaf, value=0.0),
        make_score(numbers, data_type="number", value=-5.0),
        make_score(numbers, value=0.0, kind="human"),
        make_score(numbers, value=0.0, kind="judge"),
    )
    assert look(catalog, database) == {"thumbs_down": 1}
    (item,) = queued(catalog)
    assert (item.trace_id, item.source, item.note) == (bad.trace_id, "thumbs_down", "Wrong price")


@pytest.mark.parametrize(
    ("vote", "judged", "disputed"),
    [
        (0.0, {"value": 0.9, "data_type": "number"}, True),
        (0.0, {"value": 1.0}, True),
        (1.0, {"value": 0.25, "data_type": "number"}, True),
        (1.0, {"value": 0.5, "data_type": "number"}, False),
        (1.0, {"value": 0.9, "data_type": "number"}, False),
        (1.0, {"value": 4.0, "data_type": "number"}, False),
        (1.0, {"value": None, "label": "bad", "data_type": "category"}, False),
    ],
)
def test_a_judge_that_contradicts_a_user(
    catalog: Catalog, database: DuckDBStore, vote: float, judged: dict[str, object], disputed: bool
) -> None:
    declare(catalog, thumbs_down=False)
    there = call()
    keep(
        database,
        there,
        make_score(there, value=vote),
        make_score(there, kind="judge", name="quality.accuracy", **judged),
    )
    assert look(catalog, database) == ({"disputed": 1} if disputed else {})
    assert [item.note for item in queued(catalog)] == (
        ["The judge 'quality.accuracy' and a user disagree."] if disputed else []
    )


def scored(value: float | None, votes: list[float], **details: object) -> Scored:
    return Scored(value=value, details={"votes": votes, "spread": max(votes) - min(votes), **details})


def finished_run(catalog: Catalog, results: list[Result], **fields: Any) -> None:
    """A run of the app `bot` with a judge of the default scale, which has ended a minute ago."""
    judge = {"name": "quality", "kind": "rubric", "model": {"name": "m", "provider": "scripted", "model": "m"}}
    criteria = [{"name": "accuracy", "question": "?"}, {"name": "clarity", "question": "?"}]
    plain: dict[str, Any] = {
        "id": "run_1",
        "project": "p",
        "app": "bot",
        "name": "smoke",
        "suite": {"judges": {"quality": {**judge, "criteria": criteria}}},
        "suite_hash": "s",
        "dataset": "d",
        "dataset_hash": "h",
        "targets": [Target(label="bot#1")],
        "baseline": None,
        "status": "finished",
        "created_by": "anna",
        "created_at": NOW - 120_000_000,
        "ended_at": NOW - 60_000_000,
        "key_id": "k",
        "max_concurrency": 1,
    }
    run = Run(**{**plain, **fields})
    with catalog.begin() as connection:
        runs.insert_run(connection, run)
        runs.insert_results(connection, "p", run.id, [runs.Kept(each, "") for each in results])


def answered(example: str, repeat: int, trace: str | None, **scores: Scored) -> Result:
    named = {name.replace("__", "."): each for name, each in scores.items()}
    return Result(target=0, example=example, repeat=repeat, answer=Answer(text="a", trace_id=trace), scores=named)


def test_judges_that_contradict_themselves(catalog: Catalog, database: DuckDBStore) -> None:
    declare(catalog)
    results = [
        answered("torn", 0, "1" * 32, quality__accuracy=scored(0.5, [5, 3, 1])),
        answered("agreed", 0, "2" * 32, quality__accuracy=scored(0.5, [3, 4])),
        answered("order", 0, "3" * 32, better=scored(0.5, [0.5], inconsistent=1)),
        answered("flaky", 0, "4" * 32, quality__clarity=scored(1.0, [5])),
        answered("flaky", 1, "5" * 32, quality__clarity=scored(0.25, [2])),
        answered("split", 0, "6" * 32, yes=scored(None, [0.0, 1.0])),
        answered("far", 0, "7" * 32, length=Scored(value=0.1), exact=Scored(value=1.0)),
        answered("far", 1, "8" * 32, length=Scored(value=0.9), exact=Scored(value=0.0)),
        answered("unknown-scale", 0, "9" * 32, odd=scored(0.5, [3, 90])),
        answered("nobody", 0, None, quality__accuracy=scored(0.5, [5, 1])),
        Result(target=0, example="failed", repeat=0, error="x", scores={}),
    ]
    finished_run(catalog, results)
    finished_run(
        catalog,
        [answered("torn", 0, "a" * 32, quality__accuracy=scored(0.5, [5, 1]))],
        id="run_2",
        ended_at=NOW - LOOK_BACK_US - 1,
        created_at=1,
    )
    assert look(catalog, database) == {"disputed": 4}
    assert {item.trace_id[0]: item.note for item in queued(catalog)} == {
        "1": "The votes of quality.accuracy lie 100% of its scale apart.",
        "3": "The votes of better lie 100% of its scale apart.",
        "5": "quality.clarity gave repeats of this from 0.25 to 1.00.",
        "6": "The votes of yes lie 100% of its scale apart.",
    }
    assert look(catalog, database) == {}


def test_a_call_is_put_in_once_whatever_it_is_found_by(catalog: Catalog, database: DuckDBStore) -> None:
    declare(catalog, sample_percent=100.0)
    voted, sampled, there = call(), call(), call()
    keep(
        database,
        *(voted, sampled, there),
        make_score(voted, value=0.0),
        make_score(voted, kind="judge", value=1.0),
        make_score(sampled, value=0.0),
    )
    queue_up(catalog, make_item(trace_id=there.trace_id, status="dismissed"))
    assert look(catalog, database) == {"disputed": 1, "thumbs_down": 1}
    assert len(queued(catalog)) == 3


def test_a_look_is_bounded_and_the_next_one_goes_on(
    catalog: Catalog, database: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "MOST_AT_ONCE", 7)
    declare(catalog, sample_percent=100.0)
    calls = [call() for _ in range(10)]
    keep(database, *calls)
    with clock.at(NOW):
        first = collect(catalog, database, "p", actor="rondo")
        assert (first.added, first.left_over) == ({"sampled": 7}, True)
        assert [item.trace_id for item in queued(catalog)] == [each.trace_id for each in calls[:7]]
        second = collect(catalog, database, "p", actor="rondo")
        assert (second.added, second.left_over) == ({"sampled": 3}, False)


def test_only_what_came_in_since(catalog: Catalog, database: DuckDBStore) -> None:
    declare(catalog, sample_percent=100.0)
    old, new = call(), call()
    keep(database, old, new)
    assert look(catalog, database, since=new.started_at) == {"sampled": 1}
    assert look(catalog, database) == {"sampled": 1}
    assert look(catalog, database, "q") == {}, "a project without apps has no queue"
