"""The queue on both databases: pages, filters, what waits for whom, who sees what."""

from __future__ import annotations

import pytest

from record_makers import make_call
from review_makers import RUBRIC, declare, get, keep, make_item, person, queue_up, words
from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.errors import Conflict, Forbidden, InvalidRequest, NotFound
from rondo.evals.judges.rubric import DEFAULT
from rondo.governance import audit
from rondo.governance.model import Role
from rondo.reviews import answering, queue, store
from rondo.reviews.model import Item
from rondo.reviews.queue import parse_filter
from rondo.reviews.store import ItemFilter
from rondo.store.duckdb import DuckDBStore


@pytest.fixture
def house(catalog: Catalog) -> Catalog:
    declare(catalog)
    declare(catalog, "shop", reviewers=1)
    declare(catalog, project="q")
    return catalog


def listed(catalog: Catalog, records: DuckDBStore, reader: str = "anna", **given: str) -> list[Item]:
    page = queue.page(catalog, records, "p", parse_filter(given, reader), reader=reader)
    return [row.item for row in page.items]


def test_pages_hold_every_item_once_in_both_directions(house: Catalog, database: DuckDBStore) -> None:
    items = [make_item(created_at=10 + number // 3) for number in range(10)]  # with equal times among them
    queue_up(house, *items)
    for given, newest_first in (({"status": "open"}, False), ({}, True)):
        seen, after = [], None
        while True:
            page = queue.page(house, database, "p", parse_filter(given, "anna"), reader="anna", limit=3, after=after)
            seen += [row.item.id for row in page.items]
            after = page.after
            if after is None:
                break
        order = sorted(items, key=lambda each: (each.created_at, each.id), reverse=newest_first)
        assert seen == [each.id for each in order]


def test_filters(house: Catalog, database: DuckDBStore) -> None:
    one = make_item(source="asked")
    two = make_item(app="shop", status="done")
    three = make_item(app=None, source="thumbs_down", status="disputed")
    foreign = make_item(project="q", trace_id=one.trace_id)
    queue_up(house, one, two, three, foreign)
    assert listed(house, database) == [three, two, one]
    assert listed(house, database, app="shop") == [two]
    assert listed(house, database, source="thumbs_down") == [three]
    assert listed(house, database, status="open") == [one]
    assert listed(house, database, status="open,disputed") == [one, three]
    assert listed(house, database, trace_id=one.trace_id) == [one]
    assert listed(house, database, since=clock.iso(two.created_at), until=clock.iso(three.created_at)) == [two]
    assert listed(house, database, waiting="true") == [one]
    answering.answer(house, "p", one.id, "anna", words())
    assert listed(house, database, waiting="true") == []
    assert listed(house, database, "ben", waiting="true") == [get(house, one)]
    assert queue.totals(house, "p", app=None, reader="ben") == {
        "open": 1,
        "disputed": 1,
        "done": 1,
        "dismissed": 0,
        "waiting": 1,
    }
    assert queue.totals(house, "p", app="shop", reader="ben")["open"] == 0


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"source": "hearsay"}, "source"),
        ({"status": "open,lost"}, "status"),
        ({"waiting": "maybe"}, "waiting"),
        ({"trace_id": "../x"}, "trace_id"),
        ({"since": "yesterday"}, "since"),
        ({"colour": "red"}, "colour"),
        ({"app": "a\x00b"}, "app"),
        ({"app": "a" * 2_000}, "app"),
    ],
)
def test_a_filter_that_cannot_be_used_is_refused_by_name(given: dict[str, str], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_filter(given, "anna")
    assert refused.value.param == param


@pytest.mark.parametrize("after", ["x", "1", "1.", ".a", "-1.a", "9" * 30 + ".a"])
def test_a_place_that_no_page_gave_is_refused(house: Catalog, database: DuckDBStore, after: str) -> None:
    with pytest.raises(InvalidRequest):
        queue.page(house, database, "p", ItemFilter(), reader="anna", after=after)
    for limit in (0, 1_001):
        with pytest.raises(InvalidRequest):
            queue.page(house, database, "p", ItemFilter(), reader="anna", limit=limit)


def test_a_list_has_the_texts_of_the_calls(house: Catalog, database: DuckDBStore) -> None:
    call = make_call(app="bot", release=3, question="q" * 300, answer="yes")
    keep(database, call, make_call(trace_id=call.trace_id, question="the second of its trace"))
    queue_up(house, make_item(trace_id=call.trace_id), make_item())
    missing, there = queue.page(house, database, "p", ItemFilter(), reader="anna").items
    assert (there.question, there.answer, there.release) == ("q" * 200, "yes", 3)
    assert (missing.question, missing.answer, missing.release) == (None, None, None)


def test_others_are_seen_once_all_have_answered(house: Catalog) -> None:
    item = make_item()
    queue_up(house, item)
    answering.answer(house, "p", item.id, "anna", words(5, expected="More."))
    for reader in (person("ben"), person("vera", Role.VIEWER), person("ada", Role.ADMIN)):
        shown = queue.show(house, reader, item.id)
        assert (shown.answers, shown.answered, shown.gaps, shown.final, shown.expected) == ([], 1, {}, {}, None)
        assert shown.blind
    own = queue.show(house, person("anna"), item.id)
    assert [each.reviewer for each in own.answers] == ["anna"]
    assert not own.blind
    assert own.may_answer

    answering.answer(house, "p", item.id, "ben", words(1))
    shown = queue.show(house, person("vera", Role.VIEWER), item.id)
    assert [each.reviewer for each in shown.answers] == ["anna", "ben"]
    assert shown.gaps == {"accuracy": 1.0, "tone": 0.0}
    assert shown.final == {}, "nothing stands while there is a dispute"
    answering.adjudicate(house, "p", item.id, "cleo", words(2))
    assert queue.show(house, person("anna"), item.id).final == {"accuracy": 2.0, "tone": 1.0}


def test_who_may_do_what(house: Catalog) -> None:
    item, disputed = make_item(), make_item()
    queue_up(house, item, disputed)
    answering.answer(house, "p", disputed.id, "anna", words(5))
    answering.answer(house, "p", disputed.id, "ben", words(1))

    def may(reader: str, role: Role | None, which: Item) -> tuple[bool, bool, bool]:
        shown = queue.show(house, person(reader, role), which.id)
        return shown.may_answer, shown.may_adjudicate, shown.may_dismiss

    assert may("vera", Role.VIEWER, item) == (False, False, False)
    assert may("nora", None, item) == (False, False, False)
    assert may("dora", Role.DEVELOPER, item) == (True, False, True)
    assert may("dora", Role.DEVELOPER, disputed) == (False, False, False)
    assert may("cleo", Role.APPROVER, disputed) == (False, True, True)
    assert may("anna", Role.APPROVER, disputed) == (False, False, True), "no party to it may settle it"


def test_a_call_is_added_once(house: Catalog, database: DuckDBStore) -> None:
    call = make_call(app="shop")
    keep(database, call)
    item, created = queue.add(house, database, "p", call.trace_id, note="odd", actor="anna")
    assert created
    assert (item.source, item.note, item.created_by, item.reviewers, item.rubric) == ("asked", "odd", "anna", 1, RUBRIC)
    again, created = queue.add(house, database, "p", call.trace_id, note="again", actor="ben")
    assert (again, created) == (item, False)
    with house.read() as connection:
        assert [each.action for each in audit.entries(connection, "p")].count("review.add") == 1
    by_name = make_call()
    keep(database, by_name)
    assert queue.add(house, database, "p", by_name.trace_id, actor="anna")[0].rubric == list(DEFAULT)
    with pytest.raises(NotFound):
        queue.add(house, database, "q", call.trace_id, actor="anna")
    with pytest.raises(NotFound):
        queue.add(house, database, "p", make_call().trace_id, actor="anna")
    with pytest.raises(InvalidRequest):
        queue.add(house, database, "p", "no trace", actor="anna")
    with pytest.raises(InvalidRequest):
        queue.add(house, database, "p", call.trace_id, note="n" * 3_000, actor="anna")


def test_dismissing(house: Catalog) -> None:
    item, disputed = make_item(), make_item(status="disputed")
    queue_up(house, item, disputed)
    with pytest.raises(InvalidRequest):
        queue.dismiss(house, person("dora"), item.id, reason=" ")
    assert queue.dismiss(house, person("dora"), item.id, reason="spam").status == "dismissed"
    assert get(house, item).ended_at is not None
    with pytest.raises(Conflict):
        queue.dismiss(house, person("dora"), item.id, reason="spam")
    with pytest.raises(Forbidden):
        queue.dismiss(house, person("dora"), disputed.id, reason="spam")
    queue.dismiss(house, person("cleo", Role.APPROVER), disputed.id, reason="spam")
    with pytest.raises(NotFound):
        queue.dismiss(house, person("dora", project="q"), item.id, reason="spam")
    with pytest.raises(Conflict):
        answering.answer(house, "p", item.id, "anna", words())


def test_the_next_one_for_a_person(house: Catalog) -> None:
    items = [make_item(source="asked" if number % 2 else "sampled") for number in range(4)]
    queue_up(house, *items)
    answering.answer(house, "p", items[1].id, "anna", words())
    anna = ItemFilter(waits_for="anna")
    assert queue.neighbour(house, "p", anna) == items[0]
    assert queue.neighbour(house, "p", anna, beyond=items[0]) == items[2]
    assert queue.neighbour(house, "p", anna, beyond=items[2], backwards=True) == items[0]
    assert queue.neighbour(house, "p", anna, beyond=items[3]) is None
    assert queue.neighbour(house, "p", anna, beyond=items[0], backwards=True) is None
    assert queue.neighbour(house, "p", ItemFilter(source="asked", waits_for="anna")) == items[3]
    newest_first = ItemFilter()
    assert queue.neighbour(house, "p", newest_first, beyond=items[2]) == items[1]
    assert queue.neighbour(house, "p", newest_first, beyond=items[2], backwards=True) == items[3]


def test_rubrics_are_kept_once(house: Catalog) -> None:
    changed = [*RUBRIC[:1]]
    queue_up(house, make_item(), make_item(), make_item(rubric=changed))
    with house.read() as connection:
        kept = store.rubrics_in_use(connection, "p", ItemFilter())
        assert sorted(kept, key=len) == [changed, RUBRIC]
        assert store.count_items(connection, "p", ItemFilter(rubric=store.rubric_hash(changed))) == 1
