"""Calls from production: as examples, and as tests that name what broke them and what mended them."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from msgspec import structs

from dataset_files import example
from record_makers import after, entry, make_call, make_score
from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.datasets import calls, failures, regressions, store
from rondo.datasets.failures import Expectation
from rondo.datasets.importing import Imported, ImportOptions
from rondo.datasets.model import Example
from rondo.errors import InvalidRequest, NotFound
from rondo.governance import projects
from rondo.records import Call
from rondo.store.duckdb import DuckDBStore
from rondo.traces.filter import CallFilter

AT = 1_763_700_000_000_000


def asked(question: str, **fields: Any) -> Call:
    """A recorded chat call."""
    given: dict[str, Any] = {
        "app": "bot",
        "release": 3,
        "release_hash": "abc",
        "question": question,
        "answer": "No.",
        "input": json.dumps([{"role": "user", "content": question}]),
        **fields,
    }
    return make_call(**given)


def put(records: DuckDBStore, *found: Any) -> None:
    known = records.positions().get("w")
    records.insert("w", [entry(each) for each in found], after((known.sequence if known else 0) + len(found)))


def imported(
    shelf: Catalog,
    records: DuckDBStore,
    chosen: CallFilter | None = None,
    *,
    limit: int = 100,
    right: bool = False,
    **options: Any,
) -> Imported:
    return calls.import_calls(
        shelf,
        records,
        "p",
        "asked",
        chosen=chosen or CallFilter(),
        options=ImportOptions(**{"scrub": True, "deduplicate": "same", **options}),
        actor="test",
        limit=limit,
        answers_are_right=right,
    )


def all_of(shelf: Catalog, done: Imported) -> list[Example]:
    with shelf.read() as connection:
        return store.examples_of(connection, "p", "asked", done.version.hash)


def add(shelf: Catalog, records: DuckDBStore, call: Call, dataset: str = "failures", **said: Any) -> failures.Added:
    return failures.add_call(
        shelf, records, "p", dataset, trace_id=call.trace_id, expectation=Expectation(**said), actor="anna"
    )


def test_calls_become_examples(shelf: Catalog, database: DuckDBStore) -> None:
    put(
        database,
        asked("Where is my order? I am zoe@example.com", session="s", tags={"team": "a"}),
        asked("where is my order?? I am zoe@example.com"),
        asked("And this?", arm="shadow"),
        asked("And that?", arm="eval"),
        asked("x", wire="embeddings", input='"x"'),
        asked("", input="{"),
        asked("Tools?", inputs='{"name": "Zoe"}', params='{"tools": [{"type": "function"}], "temperature": 1}'),
        make_call(project="q", question="Not ours", input="[]"),
    )
    done = imported(shelf, database)
    found = all_of(shelf, done)
    assert len(found) == 2, found
    first, tools = found
    assert first.question == "Where is my order? I am [EMAIL]"
    assert (first.expected, first.group, first.tags, tools.inputs) == (None, "s", {"team": "a"}, {"name": "Zoe"})
    assert first.metadata == {"answered": "No."}
    assert (first.provenance.kind, first.provenance.source) == ("call", "bot#3")
    assert first.provenance.trace_id
    assert tools.params == {"tools": [{"type": "function"}]}
    source = done.version.report["source"]
    assert (source["format"], source["rows"], source["left_out"]) == ("calls", 5, {"without_a_question": 2})
    assert done.version.report["duplicates"]["dropped"] == 1
    assert done.version.report["personal"]["replaced"] is True


def test_answers_that_are_right(shelf: Catalog, database: DuckDBStore) -> None:
    good, bad = asked("a", answer="Yes."), asked("b")
    put(database, good, bad, make_score(good), make_score(bad, value=0.0), asked("c", status=500, answer=""))
    done = imported(shelf, database, CallFilter(negative=False), right=True)
    assert [(each.question, each.expected, each.metadata) for each in all_of(shelf, done)] == [("a", "Yes.", {})]
    everything = imported(shelf, database, right=True)
    assert everything.version.report["source"]["left_out"] == {"without_an_answer": 1}


def test_the_newest_calls_up_to_a_limit(shelf: Catalog, database: DuckDBStore) -> None:
    put(database, *(asked(f"Question {number} of many") for number in range(5)))
    done = imported(shelf, database, limit=2)
    assert [each.question for each in all_of(shelf, done)] == ["Question 3 of many", "Question 4 of many"]
    assert done.version.report["source"]["left_out"] == {"older_than_the_limit": 3}
    with pytest.raises(InvalidRequest, match="limit"):
        imported(shelf, database, limit=0)


def test_no_call_matches(shelf: Catalog, database: DuckDBStore) -> None:
    with pytest.raises(InvalidRequest, match="No call matches"):
        imported(shelf, database, CallFilter(app="nobody"))


def test_a_failure_becomes_a_test(shelf: Catalog, database: DuckDBStore) -> None:
    call = asked("Do you take back bikes? Write to zoe@example.com", session="s")
    put(database, call)
    said: dict[str, Any] = {
        "expected": "In 14 days; write to help@shop.example.",
        "contains": ["14 days"],
        "lacks": ["never"],
    }
    added = add(shelf, database, call, **said)
    test = added.example
    assert test.question == "Do you take back bikes? Write to [EMAIL]"
    assert test.expected == "In 14 days; write to help@shop.example."
    assert test.expect == [
        {"kind": "contains", "value": "14 days"},
        {"kind": "contains", "value": "never", "how": "none"},
    ]
    assert test.must_pass
    assert (test.provenance.broke, test.provenance.source, test.provenance.trace_id) == ("bot#3", "anna", call.trace_id)
    assert (added.created, added.version.label, added.version.report["must_pass"]) == (True, "failures@1", 1)
    with shelf.read() as connection:
        (kept,) = store.examples_of(connection, "p", "failures", added.version.hash)
        (broken,) = regressions.list_regressions(connection, "p")
    assert kept == test
    assert (broken.example, broken.app, broken.broke, broken.broke_hash, broken.fixed) == (
        test.id,
        "bot",
        3,
        "abc",
        None,
    )
    again = add(shelf, database, call, **said)
    assert (again.created, again.version.hash) == (False, added.version.hash)
    more = add(shelf, database, call, hand_over=True)
    assert (more.version.number, more.version.examples) == (2, 2)


def test_a_test_may_fail_and_a_bare_model_breaks_nothing(shelf: Catalog, database: DuckDBStore) -> None:
    call, bare = asked("a"), asked("b", app=None, release=None, release_hash=None)
    put(database, call, bare)
    assert not add(shelf, database, call, hand_over=False, must_pass=False).example.must_pass
    assert add(shelf, database, bare, hand_over=True).example.provenance.broke is None
    with shelf.read() as connection:
        assert regressions.list_regressions(connection, "p") == []


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "not said"),
        ({"expected": ""}, "not said"),
        ({"contains": [" "]}, "`?contains`? is empty"),
        ({"contains": ["x"] * 21}, "more than 20"),
        ({"expected": "x" * 30_000}, "expected has 30,000"),
        ({"expected": "a\0"}, "cannot be stored"),
        ({"expect": [{"value": 1}]}, "names no scorer"),
    ],
)
def test_an_expectation_that_says_nothing_is_refused(
    shelf: Catalog, database: DuckDBStore, said: dict[str, Any], words: str
) -> None:
    call = asked("a")
    put(database, call)
    with pytest.raises(InvalidRequest, match=words):
        add(shelf, database, call, **said)
    with shelf.read() as connection:
        assert store.list_datasets(connection, "p") == []


def test_a_call_that_asks_nothing_is_no_test(shelf: Catalog, database: DuckDBStore) -> None:
    call = asked("", wire="embeddings", input='"x"')
    put(database, call)
    with pytest.raises(InvalidRequest, match="asks nothing"):
        add(shelf, database, call, expected="x")
    with pytest.raises(NotFound):
        add(shelf, database, make_call(), expected="x")


def test_tests_that_are_added_at_once_are_all_kept(shelf: Catalog) -> None:
    examples = [example(f"{word} question", must_pass=True) for word in ("first", "second", "third")]
    errors: list[BaseException] = []

    def run(each: Example) -> None:
        try:
            failures.add_example(shelf, "p", "d", each, actor="test")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(each,)) for each in examples]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with shelf.read() as connection:
        version = store.get_version(connection, "p", "d")
        kept = store.examples_of(connection, "p", "d", version.hash)
    assert not errors
    assert {each.id for each in kept} == {each.id for each in examples}


def test_the_release_that_fixed_it(catalog: Catalog) -> None:
    projects.create(catalog, "p", actor="test")
    projects.create(catalog, "q", actor="test")
    one, two = example("a"), example("b")
    call = asked("a")
    with catalog.begin() as connection:
        assert regressions.note_broken(connection, "p", one.id, "d", call, actor="anna", at=AT)
        assert not regressions.note_broken(connection, "p", one.id, "d", call, actor="anna", at=AT)
        assert regressions.note_broken(connection, "p", two.id, "e", call, actor="anna", at=AT + 1)
        assert not regressions.note_fixed(connection, "p", "bot", one.id, 3, "abc", AT + 2)  # the one that broke it
        assert not regressions.note_fixed(connection, "p", "bot", one.id, 2, "old", AT + 2)  # one before it
        assert not regressions.note_fixed(connection, "q", "bot", one.id, 4, "def", AT + 2)
        assert not regressions.note_fixed(connection, "p", "other", one.id, 9, "xyz", AT + 2)  # another app's
        assert regressions.note_fixed(connection, "p", "bot", one.id, 4, "def", AT + 3)
        assert not regressions.note_fixed(connection, "p", "bot", one.id, 5, "ghi", AT + 4)
        assert not regressions.note_fixed(connection, "p", "bot", "unknown", 5, "ghi", AT + 4)
    with catalog.read() as connection:
        found = regressions.list_regressions(connection, "p")
        assert [(each.example, each.fixed, each.fixed_hash, each.fixed_at) for each in found] == [
            (two.id, None, None, None),
            (one.id, 4, "def", AT + 3),
        ]
        assert [each.example for each in regressions.list_regressions(connection, "p", open_only=True)] == [two.id]
        assert [each.example for each in regressions.list_regressions(connection, "p", dataset="d")] == [one.id]
        assert regressions.list_regressions(connection, "p", app="other") == []
        assert regressions.list_regressions(connection, "q") == []
    assert clock.now_us()


def test_one_example_may_be_broken_by_two_apps(catalog: Catalog) -> None:
    projects.create(catalog, "p", actor="test")
    test, call = example("a"), asked("a")
    other = structs.replace(call, app="shop-bot", release=9, release_hash="shop")
    with catalog.begin() as connection:
        assert regressions.note_broken(connection, "p", test.id, "d", call, actor="anna", at=AT)
        assert regressions.note_broken(connection, "p", test.id, "d", other, actor="anna", at=AT + 1)
        assert not regressions.note_broken(connection, "p", test.id, "d", other, actor="anna", at=AT + 2)
        assert regressions.note_fixed(connection, "p", "bot", test.id, 10, "fix", AT + 3)
    with catalog.read() as connection:
        found = regressions.list_regressions(connection, "p")
    assert [(each.app, each.broke, each.fixed) for each in found] == [("shop-bot", 9, None), ("bot", 3, 10)]
