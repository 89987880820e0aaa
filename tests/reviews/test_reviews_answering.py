"""Answers, disputes, and how the scores that stand reach the journal: once, and not before the item is done."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from msgspec import structs

from review_makers import RUBRIC, declare, get, make_item, person, queue_up, words
from rondo.catalog.engine import Catalog
from rondo.errors import Conflict, InvalidRequest, NotFound, Unavailable
from rondo.feedback.scores import parse_feedback
from rondo.governance import audit
from rondo.governance.model import Grant, Role
from rondo.records import Score, ScoreKind
from rondo.reviews import answering, store
from rondo.reviews.answering import Words
from rondo.reviews.model import Item, ReviewAnswer
from rondo.reviews.reviews import Reviews
from rondo.store.duckdb import DuckDBStore


@pytest.fixture
def house(catalog: Catalog) -> Catalog:
    declare(catalog)
    declare(catalog, project="q")
    return catalog


@pytest.fixture
def item(house: Catalog) -> Item:
    made = make_item()
    queue_up(house, made)
    return made


def answers(catalog: Catalog, item: Item) -> list[ReviewAnswer]:
    with catalog.read() as connection:
        return store.answers_of(connection, item.project, [item.id]).get(item.id, [])


def test_two_agree(house: Catalog, item: Item) -> None:
    assert answering.answer(house, "p", item.id, "anna", words(4, comment=" fine ", expected=" ")).status == "open"
    assert answering.answer(house, "p", item.id, "ben", words(5, None)).status == "done"
    one, two = answers(house, item)
    assert (one.reviewer, one.scores, one.comment, one.expected) == ("anna", {"accuracy": 4, "tone": 1}, "fine", None)
    assert two.scores == {"accuracy": 5, "tone": None}


def test_a_changed_mind_replaces_the_answer_while_the_item_is_open(house: Catalog, item: Item) -> None:
    answering.answer(house, "p", item.id, "anna", words(1))
    answering.answer(house, "p", item.id, "anna", words(4))
    assert [each.scores["accuracy"] for each in answers(house, item)] == [4]
    assert answering.answer(house, "p", item.id, "ben", words(4)).status == "done", "nobody counts twice"
    for reviewer in ("anna", "cleo"):
        with pytest.raises(Conflict):
            answering.answer(house, "p", item.id, reviewer, words(2))
    assert len(answers(house, item)) == 2


def test_a_dispute_is_settled_by_a_third(house: Catalog, item: Item) -> None:
    answering.answer(house, "p", item.id, "anna", words(5))
    with pytest.raises(Conflict):
        answering.adjudicate(house, "p", item.id, "cleo", words(3))
    assert answering.answer(house, "p", item.id, "ben", words(1)).status == "disputed"
    with pytest.raises(Conflict):
        answering.adjudicate(house, "p", item.id, "ben", words(1))
    assert answering.adjudicate(house, "p", item.id, "cleo", words(2, comment="half of it is made up")).status == "done"
    assert [each.adjudicates for each in answers(house, item)] == [False, False, True]
    with house.read() as connection:
        (entry,) = [each for each in audit.entries(connection, "p") if each.action == "review.adjudicate"]
    assert (entry.actor, entry.details["scores"]) == ("cleo", {"accuracy": 2, "tone": 1})


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        (words(9), "scores.accuracy"),
        (words(comment="c" * 5_000), "comment"),
        (words(expected="e" * 30_000), "expected"),
        (words(comment="nul\x00"), "comment"),
        (words(expected="\ud800"), "expected"),
        (Words(scores=[1]), "scores"),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_kept_changes_nothing(house: Catalog, item: Item, wrong: Words, param: str) -> None:
    answering.answer(house, "p", item.id, "anna", words(3))
    with pytest.raises(InvalidRequest) as refused:
        answering.answer(house, "p", item.id, "anna", wrong)
    assert refused.value.param == param
    assert [each.scores["accuracy"] for each in answers(house, item)] == [3]


def test_another_projects_item_is_not_there(house: Catalog, item: Item) -> None:
    with pytest.raises(NotFound):
        answering.answer(house, "q", item.id, "anna", words())
    with pytest.raises(NotFound):
        answering.adjudicate(house, "q", item.id, "anna", words())
    with pytest.raises(NotFound):
        answering.answer(house, "p", "review_none", "anna", words())


def test_ten_people_at_once_make_two_answers(house: Catalog, item: Item) -> None:
    def answer(name: str) -> bool:
        try:
            answering.answer(house, "p", item.id, name, words(4))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(10) as people:
        taken = list(people.map(answer, [f"person {number}" for number in range(10)]))
    assert sum(taken) == 2
    assert len(answers(house, item)) == 2
    assert get(house, item).status == "done"


class Journal:
    """Keeps scores as the gateway would; refuses them while it is `full`."""

    def __init__(self) -> None:
        self.scores: list[Score] = []
        self.full = False
        self.woken = 0

    async def judge(self, grant: Grant, body: bytes, *, kind: ScoreKind) -> Score:
        await asyncio.sleep(0)
        if self.full:
            raise Unavailable("The journal is full.")
        score = parse_feedback(body, grant.project, grant.key_id, kind=kind)
        self.scores.append(score)
        return score

    def wake(self) -> None:
        self.woken += 1

    def said(self) -> dict[tuple[str, str], float | None]:
        return {(score.author, score.name): score.value for score in self.scores}


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def reviews(house: Catalog, database: DuckDBStore, journal: Journal) -> Reviews:
    return Reviews(house, database, journal.judge, wake=journal.wake)


async def test_scores_are_written_once_the_item_is_done(
    reviews: Reviews, house: Catalog, item: Item, journal: Journal
) -> None:
    await reviews.answer(person("anna"), item.id, words(4, comment="fine"))
    assert journal.scores == [], "the second reviewer cannot read the first one's scores in the records"
    await reviews.answer(person("ben"), item.id, words(5, None))
    assert journal.said() == {
        ("anna", "human.accuracy"): 0.75,
        ("anna", "human.tone"): 1.0,
        ("ben", "human.accuracy"): 1.0,
    }
    first = journal.scores[0]
    assert (first.trace_id, first.kind, first.data_type, first.comment) == (
        item.trace_id,
        "human",
        "number",
        "4 of 5: fine",
    )
    assert len({score.id for score in journal.scores}) == 3
    assert get(house, item).ended_at is not None
    assert journal.woken
    await reviews.write("p")
    assert len(journal.scores) == 3


async def test_only_the_settling_scores_of_a_dispute_are_written(
    reviews: Reviews, item: Item, journal: Journal
) -> None:
    await reviews.answer(person("anna"), item.id, words(5))
    await reviews.answer(person("ben"), item.id, words(1))
    assert journal.scores == []
    await reviews.adjudicate(person("cleo", Role.APPROVER), item.id, words(2, None))
    assert journal.said() == {("cleo", "human.accuracy"): 0.25}


async def test_what_the_journal_could_not_take_is_written_later_under_the_same_ids(
    reviews: Reviews, house: Catalog, item: Item, journal: Journal
) -> None:
    journal.full = True
    await reviews.answer(person("anna"), item.id, words(4))
    done = await reviews.answer(person("ben"), item.id, words(4))
    assert done.status == "done", "the answer is kept all the same"
    assert get(house, item).ended_at is None
    journal.full = False
    await reviews.look()
    assert len(journal.scores) == 4
    assert get(house, item).ended_at is not None
    written = [score.id for score in journal.scores]
    with house.begin() as connection:  # as if the server had died before it noted that they are written
        store.update_status(connection, "p", item.id, "done")
    await reviews.look()
    assert [score.id for score in journal.scores] == [*written, *written]


async def test_nobody_can_overwrite_a_reviewers_score(
    reviews: Reviews, house: Catalog, item: Item, journal: Journal
) -> None:
    await reviews.answer(person("anna"), item.id, words(4))
    await reviews.answer(person("ben"), item.id, words(4))
    ids = {score.id for score in journal.scores}
    for forged in ({"user": "anna"}, {"user": "anna", "id": f"{item.trace_id}/accuracy/anna"}):
        body = {"trace_id": item.trace_id, "name": "human.accuracy", "value": 0, **forged}
        assert parse_feedback(msgspec.json.encode(body), "p", "key_anna").id not in ids


async def test_long_names_fit_into_the_records(reviews: Reviews, house: Catalog, journal: Journal) -> None:
    criterion = structs.replace(RUBRIC[0], name="c" * 48)
    long = make_item(rubric=[criterion], reviewers=1)
    queue_up(house, long)
    said = Words(scores={criterion.name: 3}, comment="x" * 4_000)
    await reviews.answer(person("n" * 100), long.id, said)
    assert [score.name for score in journal.scores] == ["human." + "c" * 48]


async def test_the_loop_ends_when_it_is_told_to(reviews: Reviews) -> None:
    stop = asyncio.Event()
    running = asyncio.create_task(reviews.run(stop))
    await asyncio.sleep(0)
    stop.set()
    await asyncio.wait_for(running, 5)
