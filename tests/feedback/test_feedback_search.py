"""Lists of scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from record_makers import after, entry, make_call, make_score
from rondo import clock
from rondo.errors import InvalidRequest
from rondo.feedback.search import ScoreFilter, export_scores, list_scores, parse_filter
from rondo.records import Call, Score
from rondo.store.duckdb import DuckDBStore


@pytest.fixture
def scores(store: DuckDBStore) -> list[Score]:
    calls: list[Call] = [make_call(app="ab"[number % 2], release=number % 3, question="q" * 300) for number in range(6)]
    made = [
        make_score(calls[0]),
        make_score(calls[1], value=0.0, comment="Too LONG"),
        make_score(calls[2], name="stars", data_type="number", value=-2.0),
        make_score(calls[3], name="tone", data_type="category", value=None, label="rude", author="bert"),
        make_score(calls[4], kind="judge", value=0.0),
        make_score(make_call(app="never stored")),
    ]
    foreign = make_score(make_call(project="q", trace_id=calls[0].trace_id))
    batch = [*map(entry, calls), *map(entry, made), entry(foreign)]
    store.insert("w", batch, after(len(batch)))
    return made


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (ScoreFilter(), [5, 4, 3, 2, 1, 0]),
        (ScoreFilter(name="stars"), [2]),
        (ScoreFilter(kind="judge"), [4]),
        (ScoreFilter(author="bert"), [3]),
        (ScoreFilter(negative=True), [4, 1]),
        (ScoreFilter(negative=False), [5, 0]),
        (ScoreFilter(app="a"), [4, 2, 0]),
        (ScoreFilter(app="a", release=2), [2]),
        (ScoreFilter(text="too long"), [1]),
    ],
)
def test_filters(store: DuckDBStore, scores: list[Score], wanted: ScoreFilter, found: list[int]) -> None:
    rows = list_scores(store, "p", wanted).items
    assert [row.id for row in rows] == [scores[number].id for number in found]


def test_rows_tell_what_is_judged(store: DuckDBStore, scores: list[Score]) -> None:
    rows = {row.id: row for row in list_scores(store, "p").items}
    first, unknown = rows[scores[0].id], rows[scores[5].id]
    assert (first.app, first.release, first.question, first.verdict) == ("a", 0, "q" * 200, 1)
    assert (unknown.app, unknown.question) == (None, None)


def test_windows_and_traces(store: DuckDBStore, scores: list[Score]) -> None:
    window = ScoreFilter(since=scores[1].created_at, until=scores[3].created_at)
    assert [row.id for row in list_scores(store, "p", window).items] == [scores[2].id, scores[1].id]
    trace = ScoreFilter(trace_id=scores[0].trace_id)
    assert [row.id for row in list_scores(store, "p", trace).items] == [scores[0].id]


def test_pages(store: DuckDBStore, scores: list[Score]) -> None:
    found, before = [], None
    for _ in range(3):
        page = list_scores(store, "p", limit=2, before=before)
        found += [row.id for row in page.items]
        before = page.before
    assert found == [score.id for score in reversed(scores)]
    assert before is None


def test_exports(store: DuckDBStore, scores: list[Score], tmp_path: Path) -> None:
    target = tmp_path / "scores.jsonl"
    assert export_scores(store, "p", ScoreFilter(name="tone"), "jsonl", target) == 1
    assert json.loads(target.read_text())["label"] == "rude"


def test_filters_from_words() -> None:
    read = parse_filter({"app": "a", "release": "2", "negative": "false", "since": "2026-01-01", "name": ""})
    assert read == ScoreFilter(app="a", release=2, negative=False, since=clock.parse_iso("2026-01-01"))


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("x", "y"),
        ("release", "one"),
        ("negative", "1"),
        ("since", "now"),
        ("trace_id", "t"),
        ("text", "x" * 1001),
    ],
)
def test_words_that_make_no_filter_are_named(name: str, word: str) -> None:
    with pytest.raises(InvalidRequest) as wrong:
        parse_filter({name: word})
    assert wrong.value.param == name


@pytest.mark.parametrize(("limit", "before", "named"), [(0, None, "limit"), (5, "x", "before"), (5, "1.", "before")])
def test_pages_that_cannot_be(store: DuckDBStore, limit: int, before: str | None, named: str) -> None:
    with pytest.raises(InvalidRequest) as wrong:
        list_scores(store, "p", limit=limit, before=before)
    assert wrong.value.param == named
