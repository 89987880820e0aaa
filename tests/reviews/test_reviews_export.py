"""Reviews in files, agreement, and goals: what others make of what people said."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from record_makers import START, make_call, make_score
from review_makers import RUBRIC, declare, keep, make_item, queue_up, words
from rondo.catalog.engine import Catalog, open_catalog, sqlite_url
from rondo.evals.judges.model import Criterion
from rondo.evals.statistics.agreement import cohen_kappa, krippendorff_alpha
from rondo.monitoring.goals import standing
from rondo.records import Call, Chunk
from rondo.reviews import answering
from rondo.reviews.agreement import agreement
from rondo.reviews.answering import Words
from rondo.reviews.export import export, rubric_of
from rondo.reviews.model import Item, is_sampled
from rondo.reviews.store import ItemFilter
from rondo.store.duckdb import DuckDBStore

HOSTILE = '=HYPERLINK("http://evil")'
CHUNK = Chunk(number=1, id="c", source="r.md", title="Returns", heading="", text="30 days", score=1.0)


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    opened = open_catalog(sqlite_url(tmp_path / "catalog.db"))
    declare(opened)
    return opened


def call(**fields: Any) -> Call:
    talk = json.dumps([{"role": "user", "content": "May I?"}])
    plain = {"app": "bot", "release": 3, "release_hash": "h", "question": "May I?", "answer": HOSTILE}
    return make_call(**{**plain, "input": talk, "chunks": [CHUNK], **fields})


def reviewed(catalog: Catalog, records: DuckDBStore, *said: tuple[str, Words], **fields: Any) -> Item:
    """A call with its item and what people said of it."""
    there = call()
    keep(records, there)
    item = make_item(trace_id=there.trace_id, **fields)
    queue_up(catalog, item)
    for reviewer, its_words in said:
        verb = answering.adjudicate if reviewer == "cleo" else answering.answer
        verb(catalog, "p", item.id, reviewer, its_words)
    return item


def written(catalog: Catalog, records: DuckDBStore, folder: Path, kind: Any, **more: Any) -> str:
    target = folder / "file"
    export(catalog, records, "p", more.pop("wanted", ItemFilter()), format=kind, target=target, **more)
    assert [each.name for each in folder.iterdir() if "file" in each.name] == ["file"]
    return target.read_text()


def test_json_lines_hold_everything_that_may_be_seen(catalog: Catalog, database: DuckDBStore, tmp_path: Path) -> None:
    settled = reviewed(
        catalog,
        database,
        ("anna", words(5, comment="fine\nreally")),
        ("ben", words(1, None, expected="No.")),
        ("cleo", words(2)),
    )
    blind = reviewed(catalog, database, ("anna", words(5, comment="a secret")))
    text = written(catalog, database, tmp_path, "jsonl")
    one, two = map(json.loads, text.splitlines())
    assert (one["id"], one["trace_id"], one["release"], one["answer"]) == (settled.id, settled.trace_id, 3, HOSTILE)
    assert (one["scores"], one["expected"], one["status"]) == ({"accuracy": 2.0, "tone": 1.0}, "No.", "done")
    assert [(each["reviewer"], each["adjudicates"]) for each in one["answers"]] == [
        ("anna", False),
        ("ben", False),
        ("cleo", True),
    ]
    assert one["answers"][1]["scores"] == {"accuracy": 1, "tone": None}
    assert (two["id"], two["answers"], two["scores"], two["expected"]) == (blind.id, [], {}, None)
    assert "a secret" not in text


def test_csv_has_a_row_for_each_answer_and_no_formulas(catalog: Catalog, database: DuckDBStore, tmp_path: Path) -> None:
    reviewed(catalog, database, ("anna", words(5)), ("ben", words(4, None, comment="+1")))
    reviewed(catalog, database, rubric=[Criterion(name="speed", question="?")], reviewers=1)
    rows = list(csv.DictReader(written(catalog, database, tmp_path, "csv").splitlines()))
    assert [row["reviewer"] for row in rows] == ["anna", "ben", ""]
    assert [(row["accuracy"], row["tone"], row["speed"]) for row in rows] == [
        ("5", "1", ""),
        ("4", "", ""),
        ("", "", ""),
    ]
    assert {row["answer"] for row in rows} == {"'" + HOSTILE}
    assert rows[1]["comment"] == "'+1"


def test_tasks_for_label_studio_have_one_rubric(catalog: Catalog, database: DuckDBStore, tmp_path: Path) -> None:
    reviewed(catalog, database, rubric=[Criterion(name="speed", question="?")])
    item = reviewed(catalog, database)
    there = structs.replace(call(), trace_id=item.trace_id)
    keep(database, make_score(there, kind="judge", name="quality.accuracy", data_type="number", value=0.75), writer="v")
    target = tmp_path / "file"
    done = export(catalog, database, "p", ItemFilter(), format="label-studio", target=target, predictions=True)
    assert (done.items, done.left_out) == (1, 1)
    (task,) = json.loads(target.read_text())
    assert task["data"]["review"] == item.id
    assert task["data"]["passages"][0]["text"] == "30 days"
    assert task["predictions"][0]["model_version"] == "quality"
    assert "predictions" not in json.loads(written(catalog, database, tmp_path, "label-studio"))[0]
    assert rubric_of(catalog, "p", ItemFilter()) == RUBRIC
    assert json.loads(written(catalog, database, tmp_path, "label-studio", wanted=ItemFilter(app="none"))) == []


def test_files_of_many_items_are_whole(catalog: Catalog, database: DuckDBStore, tmp_path: Path) -> None:
    items = [make_item(created_at=number // 7) for number in range(450)]
    queue_up(catalog, *items)
    lines = written(catalog, database, tmp_path, "jsonl").splitlines()
    assert {json.loads(line)["id"] for line in lines} == {item.id for item in items}
    assert len(lines) == 450


def test_agreement_is_measured_before_disputes_are_settled(catalog: Catalog, database: DuckDBStore) -> None:
    pairs = [(5, 5), (4, 4), (2, 3), (1, 1), (5, 1), (3, 3)]
    for one, other in pairs:
        said = [("anna", words(one)), ("ben", words(other))]
        if abs(one - other) > 2:
            said.append(("cleo", words(3)))
        reviewed(catalog, database, *said)
    reviewed(catalog, database, ("anna", words(2)), ("dora", words(2, None)))
    reviewed(catalog, database, ("anna", words(2)))
    reviewed(catalog, database, ("anna", words(2)), reviewers=1)
    found = agreement(catalog, "p", ItemFilter())
    assert (found.items, found.disputed, found.left_out) == (7, 1, 0)
    accuracy = next(each for each in found.criteria if each.criterion == "accuracy")
    expected = krippendorff_alpha([list(pair) for pair in pairs[::-1]] + [[2, 2]], scale="ordinal")
    assert (accuracy.items, accuracy.same) == (7, 5 / 7)
    assert accuracy.alpha.value == pytest.approx(expected.value)
    assert accuracy.alpha.low is not None
    assert accuracy.alpha.low < accuracy.alpha.value < 1  # type: ignore[operator]
    of_two = {(each.one, each.other, each.criterion): each for each in found.pairs}
    kappa = cohen_kappa([a for a, _ in pairs], [b for _, b in pairs], weights="quadratic", categories=[1, 2, 3, 4, 5])
    assert of_two["anna", "ben", "accuracy"].kappa.value == pytest.approx(kappa.value)
    assert of_two["anna", "dora", "accuracy"].items == 1
    assert ("anna", "dora", "tone") not in of_two
    assert agreement(catalog, "p", ItemFilter(app="other")).criteria == []


def test_agreement_knows_long_scales(catalog: Catalog, database: DuckDBStore) -> None:
    long = [Criterion(name="percent", question="?", lowest=0, highest=100)]
    for one, other in [(10, 12), (50, 49), (90, 95), (30, 30)]:
        said = [("anna", Words(scores={"percent": one})), ("ben", Words(scores={"percent": other}))]
        reviewed(catalog, database, *said, rubric=long)
    found = agreement(catalog, "p", ItemFilter())
    assert found.pairs == []
    assert found.criteria[0].alpha.value == pytest.approx(0.99, abs=0.02)


def test_goals_are_measured_on_the_sample_alone(catalog: Catalog, database: DuckDBStore) -> None:
    calls = [call() for _ in range(60)]
    sampled = [each for each in calls if is_sampled(each.trace_id, 50)]
    rest = [each for each in calls if not is_sampled(each.trace_id, 50)]
    human = {"kind": "human", "key_id": "reviews", "data_type": "number"}
    keep(
        database,
        *calls,
        *(make_score(each, name="human.accuracy", value=0.75, author="anna", **human) for each in sampled),
        make_score(sampled[0], name="human.accuracy", value=0.25, author="ben", **human),
        *(make_score(each, name="human.accuracy", value=0.0, author="anna", **human) for each in rest),
        make_score(sampled[0], name="human.accuracy", value=0.0, kind="human", key_id="k", data_type="number"),
        make_score(sampled[0], name="human.accuracy", value=0.0, kind="user", key_id="reviews", data_type="number"),
    )
    goals = [{"metric": "human.accuracy", "at_least": 0.7}, {"metric": "calls.count", "at_least": 1}]

    def measured(percent: float) -> list[tuple[float | None, bool | None]]:
        until = START + 10**12
        found = standing(database, "p", "bot", goals, sample_percent=percent, since=START, until=until)
        return [(each.value, each.met) for each in found]

    mean = (0.75 * (len(sampled) - 1) + 0.5) / len(sampled)
    assert measured(50) == [(pytest.approx(mean), True), (60.0, True)]
    assert measured(0)[0] == (None, None), "without a sample there is nothing to tell of all calls"
