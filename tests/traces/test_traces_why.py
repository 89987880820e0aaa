"""The story of an answer."""

from __future__ import annotations

import pytest

from record_makers import after, entry, make_call, make_score
from rondo.errors import NotFound
from rondo.records import Chunk, Span
from rondo.store.duckdb import DuckDBStore
from rondo.traces.why import ReleaseFacts, citations, story

FACTS = ReleaseFacts(
    app="bot", number=7, hash="h7", created_by="ann", created_at=1, message="shorter", promoted_by="bob", promoted_at=2
)


def chunk(number: int) -> Chunk:
    return Chunk(number=number, id=f"c{number}", source="s", title="t", heading="h", text="x", score=1.0)


def span(name: str, parent: str, at: int, kind: str = "model", **more: str) -> Span:
    return Span(span_id=name, parent_span_id=parent, name=name, kind=kind, started_at=at, duration_ms=1.0, **more)  # type: ignore[arg-type]


def facts(app: str, number: int) -> ReleaseFacts | None:
    return FACTS if (app, number) == ("bot", 7) else None


def test_the_whole_story(store: DuckDBStore) -> None:
    call = make_call(
        app="bot",
        release=7,
        release_hash="h7",
        answer="Within 14 days [1], or 30 [3, 4].",
        chunks=[chunk(1), chunk(2), chunk(3)],
        input_tokens=5,
        output_tokens=2,
        span_id="root",
        started_at=1_000_000,
        spans=[
            span("a", "root", 1_001_000, kind="retrieve"),
            span("b", "root", 1_002_000, status="error", error="timeout"),
            span("c", "b", 1_003_000),
            span("x", "y", 1_004_000),
            span("y", "x", 1_005_000),
        ],
    )
    other = make_call(trace_id=call.trace_id)
    score = make_score(call, comment="thanks")
    store.insert("w", [entry(call), entry(other), entry(score)], after(3))
    told = story(store, "p", call.trace_id, facts)
    assert told.call == call
    assert told.others == [other]
    assert told.release == FACTS
    assert told.release_intact is True
    assert [passage.cited for passage in told.passages] == [True, False, True]
    assert [(step.span.name, step.depth, step.offset_ms) for step in told.steps] == [
        ("a", 0, 1.0),
        ("b", 0, 2.0),
        ("c", 1, 3.0),
        ("x", 0, 4.0),
        ("y", 0, 5.0),
    ]
    assert [attempt.name for attempt in told.attempts] == ["b", "c", "x", "y"]
    assert told.scores == [score]
    assert (told.tokens, told.failed) == (7, False)


def test_a_release_that_was_altered_shows(store: DuckDBStore) -> None:
    call = make_call(app="bot", release=7, release_hash="another")
    store.insert("w", [entry(call)], after(1))
    assert story(store, "p", call.trace_id, facts).release_intact is False


def test_a_call_without_a_release(store: DuckDBStore) -> None:
    plain, unknown = make_call(status=502), make_call(app="bot", release=8, release_hash="h8")
    store.insert("w", [entry(plain), entry(unknown)], after(2))
    told = story(store, "p", plain.trace_id, facts)
    assert (told.release, told.release_intact, told.tokens, told.failed) == (None, None, None, True)
    assert story(store, "p", unknown.trace_id, facts).release is None


def test_another_project_has_no_such_story(store: DuckDBStore) -> None:
    call = make_call()
    store.insert("w", [entry(call)], after(1))
    with pytest.raises(NotFound):
        story(store, "q", call.trace_id, facts)


def test_citations() -> None:
    assert citations("a [1] b [2, 3][10] c [x] [99999] []") == {1, 2, 3, 10}
