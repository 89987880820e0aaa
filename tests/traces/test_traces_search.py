"""Finding calls: every filter, paging without gaps or doubles, the tail, whole calls, and only of one's project."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from record_makers import START, after, entry, make_call, make_score
from rondo import clock
from rondo.errors import CorruptData, InvalidRequest, NotFound
from rondo.records import Call, Chunk
from rondo.store.duckdb import DuckDBStore
from rondo.traces.filter import FIELDS, CallFilter, parse_filter
from rondo.traces.search import export_calls, export_spans, get_calls, list_calls, tail

CHUNK = Chunk(number=1, id="c", source="s.md", title="t", heading="h", text="x", score=1.5)


def put(store: DuckDBStore, *records: Any) -> None:
    known = store.positions().get("w")
    store.insert("w", [entry(record) for record in records], after((known.sequence if known else 0) + len(records)))


FILTERS: list[tuple[CallFilter, Callable[[Call], bool]]] = [
    (CallFilter(app="a"), lambda call: call.app == "a"),
    (CallFilter(app="a", release=2), lambda call: call.app == "a" and call.release == 2),
    (CallFilter(model="served"), lambda call: call.served_model == "served"),
    (CallFilter(model="bot"), lambda call: True),
    (CallFilter(user="u1"), lambda call: call.user == "u1"),
    (CallFilter(tag=("k", None)), lambda call: "k" in call.tags),
    (CallFilter(tag=("k", "v")), lambda call: call.tags.get("k") == "v"),
    (CallFilter(tag=("k", "")), lambda call: call.tags.get("k") == ""),
    (CallFilter(failed=True), lambda call: call.status >= 400 or call.error_code is not None),
    (CallFilter(failed=False), lambda call: call.status < 400 and call.error_code is None),
    (CallFilter(status=429), lambda call: call.status == 429),
    (CallFilter(error_code="cut"), lambda call: call.error_code == "cut"),
    (CallFilter(min_cost=0.5), lambda call: call.cost_usd is not None and call.cost_usd >= 0.5),
    (CallFilter(max_cost=0.5), lambda call: call.cost_usd is not None and call.cost_usd <= 0.5),
    (CallFilter(min_ms=20, max_ms=30), lambda call: 20 <= call.duration_ms <= 30),
    (CallFilter(handed_over=True), lambda call: call.handed_over is True),
    (CallFilter(text="REFUND 100%"), lambda call: "refund 100%" in (call.question + call.answer).lower()),
    (CallFilter(text="ÄRGER"), lambda call: "ärger" in call.answer),
    (CallFilter(text="%"), lambda call: "%" in call.question),
]


@pytest.fixture
def calls(store: DuckDBStore) -> list[Call]:
    made = [
        make_call(
            app="ab"[number % 2],
            release=number % 3,
            served_model="served" if number % 4 == 0 else None,
            user=f"u{number % 5}",
            tags=[{}, {"k": "v"}, {"k": ""}, {"j": "v"}][number % 4],
            status=[200, 200, 429][number % 3],
            error_code="cut" if number % 7 == 0 else None,
            cost_usd=None if number % 3 == 0 else number / 30,
            duration_ms=float(number),
            handed_over=[None, True, False][number % 3],
            question="A Refund 100% please" if number % 6 == 0 else "other",
            answer="so viel ärger" if number % 9 == 0 else "",
        )
        for number in range(36)
    ]
    put(store, *made, make_call(project="other", app="a"))
    return made


def test_filters(store: DuckDBStore, calls: list[Call]) -> None:
    for filtered, wanted in FILTERS:
        found = [row.trace_id for row in list_calls(store, "p", filtered).items]
        expected = [call.trace_id for call in reversed(calls) if wanted(call)]
        assert found == expected, filtered
        assert expected, filtered


def test_windows_are_half_open(store: DuckDBStore, calls: list[Call]) -> None:
    filtered = CallFilter(since=calls[3].started_at, until=calls[6].started_at)
    assert [row.trace_id for row in list_calls(store, "p", filtered).items] == [call.trace_id for call in calls[5:2:-1]]


def test_feedback(store: DuckDBStore, calls: list[Call]) -> None:
    put(
        store,
        make_score(calls[0]),
        make_score(calls[1], value=0.0),
        make_score(calls[1], value=0.0, name="stars"),
        make_score(calls[2], name="stars", data_type="number", value=-1.0),
        make_score(calls[3], name="tone", data_type="category", value=None, label="rude"),
        make_score(calls[4], kind="judge", name="correct", value=0.0),
        make_score(make_call(project="other", trace_id=calls[5].trace_id), value=0.0),
    )

    def found(filtered: CallFilter) -> list[int]:
        traces = [call.trace_id for call in calls]
        return sorted(traces.index(row.trace_id) for row in list_calls(store, "p", filtered).items)

    assert found(CallFilter(negative=True)) == [1]
    assert found(CallFilter(negative=False)) == [0]
    assert found(CallFilter(feedback="stars")) == [1, 2]
    assert found(CallFilter(feedback="thumbs", negative=True)) == [1]
    assert found(CallFilter(feedback="correct", negative=True)) == [4]
    assert found(CallFilter(feedback="nothing")) == []
    rows = {row.trace_id: row for row in list_calls(store, "p").items}
    assert (rows[calls[1].trace_id].feedback, rows[calls[1].trace_id].negative_feedback) == (2, 2)
    assert (rows[calls[4].trace_id].feedback, rows[calls[5].trace_id].feedback) == (0, 0)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=25), st.integers(1, 7))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pages_have_every_call_once(store: DuckDBStore, times: list[int], limit: int) -> None:
    """Also where many calls began at the same moment."""
    project = f"p{store.positions().get('w', after(0)).sequence}"
    made = [make_call(project=project, started_at=START + at) for at in times]
    put(store, *made)
    found, before = [], None
    while True:
        page = list_calls(store, project, limit=limit, before=before)
        assert len(page.items) <= limit
        found += page.items
        before = page.before
        if before is None:
            break
    assert sorted(row.span_id for row in found) == sorted(call.span_id for call in made)
    keys = [(row.started_at, row.trace_id, row.span_id) for row in found]
    assert keys == sorted(keys, reverse=True)


def test_lists_cut_texts(store: DuckDBStore) -> None:
    put(store, make_call(question="🎉" * 500, answer="y" * 500))
    (row,) = list_calls(store, "p").items
    assert (row.question, row.answer) == ("🎉" * 200, "y" * 200)


def test_the_tail_follows_storing_not_starting(store: DuckDBStore) -> None:
    late = make_call()
    early = [make_call(app="a") for _ in range(5)]
    put(store, *early)
    first = tail(store, "p", limit=3)
    assert [row.trace_id for row in first.items] == [call.trace_id for call in early[2:]]
    assert tail(store, "p", after=first.after).items == []
    assert tail(store, "p", after=first.after).after == first.after
    put(store, late)  # began before the others
    then = tail(store, "p", after=first.after)
    assert [row.trace_id for row in then.items] == [late.trace_id]
    assert tail(store, "p", CallFilter(app="a"), after=first.after).items == []
    assert tail(store, "other").after == 0


def test_whole_calls(store: DuckDBStore) -> None:
    call = make_call(app="a", tags={"k": "v"}, chunks=[CHUNK], answer="y" * 500, stream=True)
    second = make_call(trace_id=call.trace_id, spans=[])
    put(store, second, call, make_call(project="other", trace_id=call.trace_id))
    assert get_calls(store, "p", call.trace_id) == [call, second]
    assert get_calls(store, "p", call.trace_id)[0] == call


def test_only_of_ones_own_project(store: DuckDBStore, calls: list[Call]) -> None:
    for project in ("nobody", "", "p' OR project <> '"):
        with pytest.raises(NotFound):
            get_calls(store, project, calls[0].trace_id)
        assert list_calls(store, project).items == []
        assert tail(store, project).items == []


def test_a_call_that_a_newer_rondo_wrote_is_told(store: DuckDBStore) -> None:
    call = make_call()
    odd = {"wire": "telepathy"}
    payload = json.dumps({**json.loads(entry(call).payload), **odd}).encode()
    put(store, payload)
    with pytest.raises(CorruptData, match="newer Rondo"):
        get_calls(store, "p", call.trace_id)


@pytest.mark.parametrize("trace_id", ["", "x", "'; --", "A" * 32, "0" * 33])
def test_what_is_no_trace_id_is_told(store: DuckDBStore, trace_id: str) -> None:
    with pytest.raises(InvalidRequest) as wrong:
        get_calls(store, "p", trace_id)
    assert wrong.value.param == "trace_id"


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_limits(store: DuckDBStore, limit: int) -> None:
    for search in (list_calls, tail):
        with pytest.raises(InvalidRequest) as wrong:
            search(store, "p", limit=limit)
        assert wrong.value.param == "limit"


@pytest.mark.parametrize("before", ["", "x", "1", "1.2", "x.y.z", "-1.a.b", "9" * 30 + ".a.b"])
def test_places_that_no_page_gave(store: DuckDBStore, before: str) -> None:
    with pytest.raises(InvalidRequest) as wrong:
        list_calls(store, "p", before=before)
    assert wrong.value.param == "before"


def test_exports(store: DuckDBStore, calls: list[Call], tmp_path: Path) -> None:
    target = tmp_path / "calls.jsonl"
    assert export_calls(store, "p", CallFilter(app="a"), "jsonl", target) == 18
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert {line["app"] for line in lines} == {"a"}
    assert export_spans(store, "p", CallFilter(), "parquet", tmp_path / "spans.parquet") == 36


def test_filters_from_words() -> None:
    read = parse_filter(
        {
            "app": "a",
            "release": "7",
            "status": "error",
            "tag": "k=v=w",
            "min_cost": "0.5",
            "since": "2026-01-01T00:00:00Z",
            "negative": "true",
            "user": "",
        }
    )
    assert read == CallFilter(
        app="a",
        release=7,
        failed=True,
        tag=("k", "v=w"),
        min_cost=0.5,
        since=clock.parse_iso("2026-01-01"),
        negative=True,
    )
    assert parse_filter({"status": "404", "tag": "k"}) == CallFilter(status=404, tag=("k", None))
    assert set(FIELDS) | {"failed"} == set(CallFilter.__struct_fields__)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("nothing", "x"),
        ("release", "-1"),
        ("release", "²"),
        ("release", "9" * 30),
        ("status", "bad"),
        ("min_cost", "nan"),
        ("min_ms", "-1"),
        ("max_ms", "inf"),
        ("since", "yesterday"),
        ("until", "9999999"),
        ("handed_over", "yes"),
        ("trace_id", "x"),
        ("text", "x" * 1001),
    ],
)
def test_words_that_make_no_filter_are_named(name: str, word: str) -> None:
    with pytest.raises(InvalidRequest) as wrong:
        parse_filter({name: word})
    assert wrong.value.param == name
