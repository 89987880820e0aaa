"""Patterns among calls that went wrong: planted ones are found with their sizes, the same again, and become tests."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from drift_makers import TOPICS, question
from record_makers import START, after, entry, make_call, make_score
from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.datasets.failures import Expectation
from rondo.errors import Conflict, InvalidRequest, NotFound
from rondo.governance import projects
from rondo.improve import reading
from rondo.improve import store as runs
from rondo.improve.model import Found
from rondo.improve.patterns import Patterns, Wanted
from rondo.improve.turning import add
from rondo.monitoring.drift import clusters_at_hand
from rondo.monitoring.drift.asking import Faulty, Means, Models
from rondo.monitoring.drift.look import WORDS
from rondo.records import Call, Score
from rondo.releases import store as releases
from rondo.store.base import RecordStore

HOUR = 3_600_000_000
NOW = START + 100 * HOUR
SINCE = NOW - 10 * HOUR


once = pytest.mark.parametrize(("database_kind", "store"), [("sqlite", "here")], indirect=True)
"""For what does not depend on the kind of catalog and store."""

each_kind = pytest.mark.parametrize(
    ("database_kind", "store"), [("sqlite", "here"), ("postgres", "remote")], indirect=True
)
"""Each kind of both, not each pair."""


@pytest.fixture
def house(catalog: Catalog, store: RecordStore) -> Patterns:
    projects.create(catalog, "p", actor="anna")
    with catalog.begin() as connection:
        releases.save_app(connection, "p", "bot", {}, START)
    return Patterns(catalog, store, Means(None, None))  # type: ignore[arg-type]


def asked(topic: str, count: int, *, at: int, seed: int = 0, **fields: Any) -> list[Call]:
    random = np.random.default_rng([seed, *topic.encode()])
    return [
        make_call(
            app="bot",
            release=fields.pop("release", None) or 1 + turn % 2,
            model="small",
            question=question(random, TOPICS[topic]),
            answer="no",
            user=f"{topic}-{turn % 8}",
            started_at=at + turn * 1_000_000,
            **fields,
        )
        for turn in range(count)
    ]


def planted(store: RecordStore) -> list[Call]:
    """In the window: 12 time-outs, thumbs down on 20 refunds and 10 invoices, 60 good calls; before: 2 refunds."""
    down = [*asked("refund", 20, at=SINCE), *asked("invoice", 10, at=SINCE + HOUR)]
    earlier = asked("refund", 2, at=SINCE - HOUR, seed=1)
    errors = asked("parcel", 12, at=SINCE + 2 * HOUR, status=504, error_code="upstream_timeout")
    good = [*asked("login", 60, at=SINCE + 3 * HOUR), *asked("login", 60, at=SINCE - 2 * HOUR)]
    scores = [make_score(call, value=0.0) for call in (*down, *earlier)]
    scores.append(make_score(good[0], name="faithful", kind="judge", data_type="number", value=0.2))
    records: list[Call | Score] = [*down, *earlier, *errors, *good, *scores]
    store.insert("w", [entry(each) for each in records], after(len(records)))
    return [*down, *errors]


def wanted(**more: Any) -> Wanted:
    return Wanted(**{"project": "p", "app": "bot", "since": SINCE, "until": NOW, **more})


@each_kind
async def test_planted_patterns_are_found_with_their_sizes(house: Patterns, store: RecordStore) -> None:
    planted(store)
    with clock.at(NOW):
        found = await house.find(wanted(), actor="anna")
    assert (found.calls, found.wrong, found.drawn) == (102, 42, 42)
    errors = [each for each in found.patterns if each.kind == "error"]
    assert [(each.error_code, each.calls, each.trend) for each in errors] == [("upstream_timeout", 12, "new")]
    assert errors[0].name.startswith("upstream_timeout")
    assert errors[0].whys == {"failing": 12}
    topics = [each for each in found.patterns if each.kind == "topic"]
    assert sum(each.calls for each in topics) + found.alone == 30
    for word, size in (("refund", 20), ("invoice", 10)):
        ours = [each for each in topics if word in each.name]
        assert ours, [each.name for each in topics]
        assert 0.75 * size <= sum(each.calls for each in ours) <= size
        assert all(each.whys == {"disliked": each.calls} for each in ours)
        assert sum(each.calls for each in ours) == sum(len(each.traces) for each in ours)
    largest = found.patterns[0]
    assert largest.share == pytest.approx(largest.calls / 42)
    assert largest.low <= largest.change <= largest.high
    assert set(largest.releases) <= {"bot#1", "bot#2"}
    assert largest.examples[0].trace_id in largest.traces
    assert [each.number for each in found.patterns] == list(range(1, len(found.patterns) + 1))


@each_kind
async def test_the_same_calls_give_the_same_patterns(house: Patterns, store: RecordStore) -> None:
    planted(store)

    async def once() -> Found:
        with clock.at(NOW):
            return await house.find(wanted(), actor="anna")

    first, second = await once(), await once()
    assert first.patterns == second.patterns
    assert first.id != second.id
    with house._catalog.read() as connection:
        assert [each.id for each in runs.listed(connection, "p", limit=5)] in (
            [second.id, first.id],
            [first.id, second.id],
        )
        assert runs.get(connection, "p", first.id) == first
        with pytest.raises(NotFound):
            runs.get(connection, "other", first.id)
        with pytest.raises(NotFound, match="no pattern 99"):
            runs.pattern(first, 99)


@each_kind
async def test_a_pattern_that_goes_on_is_known_since_it_was_first_seen(house: Patterns, store: RecordStore) -> None:
    planted(store)
    with clock.at(NOW) as advance:
        before = await house.find(wanted(), actor="anna")
        calls = asked("parcel", 9, at=NOW + 15 * HOUR, seed=5, status=504, error_code="upstream_timeout")
        store.insert("later", [entry(each) for each in calls], after(9))
        advance(20 * HOUR)
        now = await house.find(wanted(since=NOW + 10 * HOUR, until=NOW + 20 * HOUR), actor="anna")
    (old,) = [each for each in before.patterns if each.kind == "error"]
    (new,) = now.patterns
    assert (new.calls, new.first_seen) == (9, old.first_seen)
    assert new.last_seen > old.last_seen


@each_kind
async def test_low_scores_and_hand_overs_are_looked_at_where_asked_for(house: Patterns, store: RecordStore) -> None:
    planted(store)
    store.insert("h", [entry(each) for each in asked("login", 6, at=SINCE, seed=9, handed_over=True)], after(6))
    with clock.at(NOW):
        low = await house.find(wanted(whys=("low",), score="faithful", below=0.5), actor="anna")
        handed = await house.find(wanted(whys=("handed_over",), app=None), actor="anna")
    assert (low.wrong, low.patterns, low.alone) == (1, [], 1)
    assert handed.wrong == 6
    assert sum(each.whys["handed_over"] for each in handed.patterns) + handed.alone == 6


@once
@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"since": NOW}, "until"),
        ({"since": NOW - 401 * 24 * HOUR}, "since"),
        ({"whys": ()}, "why"),
        ({"score": "x"}, "below"),
        ({"score": "x", "below": 0.5, "whys": ("failing",)}, "why"),
    ],
)
async def test_what_makes_no_sense_is_refused(house: Patterns, changes: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await house.find(wanted(**changes), actor="anna")
    assert refused.value.param == param


@once
async def test_nothing_and_too_much_and_nobody(
    house: Patterns, store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = await house.find(wanted(), actor="anna")
    assert (empty.calls, empty.wrong, empty.patterns) == (0, 0, [])
    with pytest.raises(NotFound):
        await house.find(wanted(app="nobody"), actor="anna")
    planted(store)
    monkeypatch.setattr(reading, "MOST_EACH", 21)
    drawn = await house.find(wanted(), actor="anna")
    assert (drawn.wrong, drawn.drawn) == (42, 21)
    assert "21 of 42" in " ".join(drawn.notes)
    assert sum(each.calls for each in drawn.patterns) + 2 * drawn.alone == 42
    monkeypatch.setitem(sys.modules, "sklearn", None)
    monkeypatch.setattr(clusters_at_hand, "find_spec", lambda name: None)
    with pytest.raises(Conflict, match="scikit-learn") as missing:
        await house.find(wanted(), actor="anna")
    assert "rondo[analysis]" in (missing.value.remedy or "")


@once
async def test_a_model_names_and_embeds_where_the_app_says_so(
    house: Patterns, store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    with house._catalog.begin() as connection:
        releases.save_app(connection, "p", "bot", {"drift": {"model": "embedder", "names_model": "namer"}}, START)
    planted(store)

    async def vectors(self: Models, model: str, texts: list[str]) -> Any:
        return np.array([[1, 0] if "refund" in text.lower() else [0, 1] for text in texts], dtype=np.float32)

    async def names(self: Models, model: str, groups: list[Any]) -> list[str]:
        assert all(group.questions and group.terms for group in groups)
        return [f"Group {number}" for number, _ in enumerate(groups)]

    monkeypatch.setattr(Models, "vectors", vectors)
    monkeypatch.setattr(Models, "names", names)
    found = await house.find(wanted(), actor="anna")
    assert found.vectors == "embedder"
    assert {each.name: each.calls for each in found.patterns if each.kind == "topic"} == {"Group 0": 20, "Group 1": 10}

    async def away(self: Models, *asked: object) -> Any:
        raise Faulty("It is away.")

    monkeypatch.setattr(Models, "vectors", away)
    monkeypatch.setattr(Models, "names", away)
    found = await house.find(wanted(), actor="anna")
    assert found.vectors == WORDS
    assert len([note for note in found.notes if "It is away." in note]) == 2


@each_kind
async def test_examples_become_tests_that_must_pass(house: Patterns, catalog: Catalog, store: RecordStore) -> None:
    planted(store)
    with clock.at(NOW):
        found = await house.find(wanted(), actor="anna")
    pattern = found.patterns[0]
    given: dict[str, Any] = {"pattern": pattern, "expectation": Expectation(contains=["30 days"]), "actor": "anna"}
    made = add(catalog, store, "p", "failures", traces=[], **given)
    assert set(made.tests) == {example.trace_id for example in pattern.examples}
    assert made.left_out == {}
    one = add(catalog, store, "p", "failures", traces=pattern.traces[:1], **given)
    assert set(one.tests) == {pattern.traces[0]}
    with pytest.raises(InvalidRequest, match="no call of this pattern"):
        add(catalog, store, "p", "failures", traces=["0" * 32], **given)


@once
async def test_one_user_alone_is_no_trend(house: Patterns, store: RecordStore) -> None:
    """Thirty thumbs down of one user are one opinion; of thirty users, thirty."""
    good = [*asked("login", 60, at=SINCE + 3 * HOUR), *asked("login", 60, at=SINCE - 2 * HOUR)]
    down = [
        *(structs.replace(call, user="loud") for call in asked("refund", 30, at=SINCE)),
        *(structs.replace(call, user=f"user-{at}") for at, call in enumerate(asked("invoice", 30, at=SINCE + HOUR))),
    ]
    scores = [make_score(call, value=0.0) for call in down]
    records: list[Call | Score] = [*good, *down, *scores]
    store.insert("w", [entry(each) for each in records], after(len(records)))
    found = await house.find(wanted(), actor="anna")
    loud = [each for each in found.patterns if each.users == 1 and each.calls >= 8]
    assert loud
    assert {each.trend for each in loud} == {"not_enough"}
    assert all(each.low < 0 < each.high for each in loud)
    assert {each.trend for each in found.patterns if each.users >= 8} == {"new"}


@once
@pytest.mark.parametrize(
    ("before", "now", "trend"),
    [
        ((0, 20), (8, 20), "new"),
        ((0, 2), (8, 400), "not_enough"),
        ((0, 200), (4, 200), "not_enough"),
        ((300, 2_000), (310, 2_000), "steady"),
    ],
)
async def test_a_trend_is_told_only_where_the_interval_tells_it(
    house: Patterns, store: RecordStore, before: tuple[int, int], now: tuple[int, int], trend: str
) -> None:
    """Wrong calls, of all: eight now and none before read "steady" where few were before, and nobody knows."""
    wrong: dict[str, Any] = {"status": 504, "error_code": "upstream_timeout"}
    records = [
        *asked("parcel", now[0], at=SINCE + HOUR, **wrong),
        *asked("parcel", before[0], at=SINCE - 2 * HOUR, **wrong),
        *asked("login", now[1] - now[0], at=SINCE + 2 * HOUR),
        *asked("login", before[1] - before[0], at=SINCE - HOUR),
    ]
    store.insert("w", [entry(each) for each in records], after(len(records)))
    found = await house.find(wanted(), actor="anna")
    assert [(each.calls, each.before, each.trend) for each in found.patterns] == [(now[0], before[0], trend)]
