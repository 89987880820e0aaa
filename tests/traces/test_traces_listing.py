"""The list of traces: a row for each, whoever told of it; pages without gaps or doubles; filters; one project alone."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from record_makers import START, after, make_call
from rondo.errors import InvalidRequest
from rondo.records import Call, Entry, Kind, TraceSpan, to_json
from rondo.store.base import RecordStore
from rondo.traces import listing
from rondo.traces.filter import EVERY_TRACE, TRACE_FIELDS, TraceFilter, parse_trace_filter
from rondo.traces.listing import GAP_US, TraceRow, list_traces
from rondo.traces.tree import tree

SECOND = 1_000_000
_ids = itertools.count(1)


def trace_id(number: int) -> str:
    return f"{number:032x}"


def make_span(trace: int, at: float = 0, parent: str | None = None, **fields: Any) -> TraceSpan:
    """A span of the project `p`, begun `at` seconds after START."""
    usual = {"project": "p", "key_id": "k", "name": "step", "kind": "step", "duration_ms": 100.0}
    own = {"trace_id": trace_id(trace), "span_id": f"{next(_ids):016x}", "parent_span_id": parent}
    return TraceSpan(**{**usual, **own, "started_at": START + int(at * SECOND), **fields})


def put(store: RecordStore, *records: Call | TraceSpan) -> None:
    known = store.positions().get("w")
    kinds = {Call: Kind.CALL, TraceSpan: Kind.SPAN}
    entries = [Entry(kinds[type(record)], START, to_json(record)) for record in records]
    store.insert("w", entries, after((known.sequence if known else 0) + len(entries)))


def listed(store: RecordStore, filter: TraceFilter = EVERY_TRACE, *, limit: int = 50) -> list[str]:
    """The ids of all pages, one after the other."""
    found: list[str] = []
    before: str | None = None
    for _ in range(1_000):
        page = list_traces(store, "p", filter, limit=limit, before=before)
        assert len(page.items) <= limit
        found += [row.trace_id for row in page.items]
        before = page.before
        if before is None:
            return found
    raise AssertionError("the pages have no end")


def rows_of(store: RecordStore, project: str, limit: int, filter: TraceFilter = EVERY_TRACE) -> list[TraceRow]:
    """The rows of all pages, one after the other."""
    rows: list[TraceRow] = []
    before: str | None = None
    while True:
        page = list_traces(store, project, filter, limit=limit, before=before)
        assert len(page.items) <= limit
        rows += page.items
        before = page.before
        if before is None:
            return rows


def test_agents_chains_tools_and_calls_are_each_a_row(store: RecordStore) -> None:
    root = make_span(
        1, 10, name="answer", kind="agent", user="u1", session="s1", tags={"k": "v"}, app="shop", input="q"
    )
    child = make_span(1, 11, root.span_id, status="error", name="find", kind="tool", duration_ms=5_000.0, output="no")
    inner = make_call(
        trace_id=trace_id(1), parent_span_id=child.span_id, started_at=START + 12 * SECOND, input_tokens=5, user="u9"
    )
    alone = make_call(app="bot", requested_model="bot", question="hello?", answer="hi", cost_usd=0.5, input_tokens=3)
    put(store, child, inner, root, alone, make_span(3, 5, project="other"), make_call(project="other"))
    agent, plain = list_traces(store, "p").items
    assert (agent.trace_id, agent.name, agent.kind, agent.started_at) == (
        trace_id(1),
        "answer",
        "agent",
        root.started_at,
    )
    assert (agent.user, agent.session, agent.app, agent.tags) == ("u1", "s1", "shop", {"k": "v"})
    assert (agent.spans, agent.calls, agent.failed, agent.duration_ms) == (2, 1, 1, 6_000.0)
    assert (agent.tokens, agent.cost_usd, agent.from_outside, agent.input) == (5, None, True, "q")
    assert (plain.trace_id, plain.name, plain.kind, plain.app) == (alone.trace_id, "bot", "call", "bot")
    assert (plain.spans, plain.calls, plain.failed, plain.tokens, plain.cost_usd) == (0, 1, 0, 3, 0.5)
    assert (plain.input, plain.output, plain.from_outside, plain.tags) == ("hello?", "hi", False, {})


def test_a_call_under_another_counts_once_as_in_the_whole_trace(store: RecordStore) -> None:
    sdk = make_call(trace_id=trace_id(1), arm="traced", wire="otlp", input_tokens=10, cost_usd=1.0)
    between = make_span(1, 2, sdk.span_id)
    live = make_call(trace_id=trace_id(1), parent_span_id=between.span_id, input_tokens=10, cost_usd=0.5)
    beside = make_call(trace_id=trace_id(1), parent_span_id="gone", input_tokens=7, cost_usd=0.25)
    put(store, sdk, between, live, beside)
    (row,) = list_traces(store, "p").items
    whole = tree(store, "p", trace_id(1))
    assert (row.calls, row.tokens, row.cost_usd) == (2, 17, 0.75)
    assert (row.calls, row.tokens, row.cost_usd) == (whole.calls, whole.tokens, whole.cost_usd)


def test_circles_have_an_end(store: RecordStore) -> None:
    one = make_call(trace_id=trace_id(1), span_id="a" * 16, parent_span_id="b" * 16)
    put(store, one, make_call(trace_id=trace_id(1), span_id="b" * 16, parent_span_id="a" * 16))
    assert listed(store) == [trace_id(1)]


def test_a_trace_without_its_root_stands_where_its_first_span_does(store: RecordStore) -> None:
    early, late = make_span(1, 1, "gone", name="first"), make_span(1, 9, "gone", name="second")
    put(store, late, make_span(2, 5), early)
    rows = list_traces(store, "p").items
    assert [(row.trace_id, row.name) for row in rows] == [(trace_id(2), "step"), (trace_id(1), "first")]
    put(store, make_span(1, 2, name="root"))
    assert list_traces(store, "p").items[1].name == "root", "a child's clock may be ahead"


def test_copies_for_shadows_and_evaluations_are_no_traces(store: RecordStore) -> None:
    put(store, make_call(arm="shadow", shadow_of=trace_id(9)), make_call(arm="eval"))
    assert listed(store) == []


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    told=st.lists(st.tuples(st.integers(1, 8), st.integers(0, 20), st.booleans(), st.booleans()), max_size=30),
    limit=st.integers(1, 4),
)
def test_pages_hold_every_trace_once_by_its_first(
    store: RecordStore, told: list[tuple[int, int, bool, bool]], limit: int
) -> None:
    project = f"h{next(_ids)}"
    first: dict[str, tuple[int, str, str]] = {}
    records: list[Call | TraceSpan] = []
    for trace, at, is_call, is_root in told:
        about: dict[str, Any] = {"project": project, "parent_span_id": None if is_root else "gone"}
        span = make_span(trace, at, **{**about, "parent": about.pop("parent_span_id")})
        if is_call:
            records.append(make_call(project=project, trace_id=span.trace_id, span_id=span.span_id,
                                     started_at=span.started_at, arm="traced" if trace % 2 else "live"))  # fmt: skip
        else:
            records.append(span)
        place = (span.started_at, span.trace_id, span.span_id)
        first[span.trace_id] = min(place, first.get(span.trace_id, place))
    if records:
        put(store, *records)
    found = [row.trace_id for row in rows_of(store, project, limit)]
    assert found == [trace for trace, _ in sorted(first.items(), key=lambda each: each[1], reverse=True)]


def test_very_long_traces_are_gone_past(store: RecordStore, monkeypatch: pytest.MonkeyPatch) -> None:
    put(store, make_span(1, 0), *(make_span(2, 10 + number, "root") for number in range(3_000)), make_span(3, 5_000))
    assert listed(store, limit=2) == [trace_id(3), trace_id(2), trace_id(1)]
    monkeypatch.setattr(listing, "_FARTHEST", 500)
    page = list_traces(store, "p", limit=2)
    assert len(page.items) < 2
    assert page.before is not None, "it has not seen all there is"
    assert listed(store, limit=2) == [trace_id(3), trace_id(2), trace_id(1)]


def test_what_goes_on_after_a_silence_stands_again(store: RecordStore) -> None:
    silence = GAP_US // SECOND
    put(store, make_span(1, 0, name="first"), make_span(1, silence, name="in time"))
    assert listed(store) == [trace_id(1)]
    put(store, make_span(1, 2 * silence + 1, name="late"), make_span(2, silence))
    for limit in (1, 50):
        assert listed(store, limit=limit) == [trace_id(1), trace_id(2), trace_id(1)]


@pytest.mark.parametrize("nearest", [0, 200])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    told=st.lists(st.tuples(st.integers(1, 8), st.integers(0, 9), st.booleans(), st.booleans()), max_size=30),
    limits=st.tuples(st.integers(1, 8), st.integers(1, 50)),
)
def test_rows_do_not_depend_on_their_pages(
    store: RecordStore, nearest: int, told: list[tuple[int, int, bool, bool]], limits: tuple[int, int]
) -> None:
    project, half = f"h{next(_ids)}", GAP_US // SECOND / 2
    times: dict[tuple[str, bool], list[int]] = {}
    records: list[Call | TraceSpan] = []
    for trace, at, is_call, has_user in told:
        span = make_span(trace, at * half, project=project, user="u1" if has_user else None)
        records.append(
            make_call(project=project, trace_id=span.trace_id, started_at=span.started_at, user=span.user)
            if is_call
            else span
        )
        for of_user in {False, has_user}:
            times.setdefault((span.trace_id, of_user), []).append(span.started_at)
    if records:
        put(store, *records)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "_NEAREST", nearest)
        one, other = (rows_of(store, project, limit) for limit in limits)
        assert one == other
        users = [rows_of(store, project, limit, TraceFilter(user="u1")) for limit in limits]
        assert users[0] == users[1]
    stand = [
        (trace, at)
        for (trace, of_user_alone), all_of_it in times.items()
        if not of_user_alone
        for at in set(all_of_it)
        if not any(at - GAP_US <= each < at for each in all_of_it)
    ]
    assert sorted((row.trace_id, row.started_at) for row in one) == sorted(stand)
    for row in one:
        near = [at for at in times[row.trace_id, False] if row.started_at <= at < row.started_at + GAP_US]
        assert row.spans + row.calls == len(near)
    assert {row.trace_id for row in users[0]} == {trace for trace, of_user_alone in times if of_user_alone}


def test_traces_that_went_on_after_a_silence_push_no_other_out(
    store: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "_NEAREST", 0)
    late = 3 * GAP_US // SECOND
    put(store, *(make_span(1, late + number) for number in range(4)), make_span(1, 100))
    put(store, *(make_span(100 + number, 80 + number) for number in range(20)), make_span(200, 200))
    others = {trace_id(number) for number in (1, 200, *range(100, 120))}
    for limit in (1, 2, 3, 5, 6, 7, 50):
        found = listed(store, limit=limit)
        assert (set(found), len(found)) == (others, 23), limit
        again = [row for row in rows_of(store, "p", limit) if row.trace_id == trace_id(1)]
        assert [(row.started_at - START, row.spans) for row in again] == [(late * SECOND, 4), (100 * SECOND, 1)]


def test_what_fits_few_of_many_is_found_page_by_page(store: RecordStore, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = [make_span(number, number, user="u1", name=f"n{number % 100}") for number in range(1, 400)]
    put(store, *roots)
    wanted = [trace_id(number) for number in (300, 200, 100)]
    assert listed(store, TraceFilter(user="u1", text="n0"), limit=2) == wanted
    monkeypatch.setattr(listing, "_NEAREST", 20)
    monkeypatch.setattr(listing, "_FARTHEST_FURTHER", 30)
    page = list_traces(store, "p", TraceFilter(user="u1", text="n0"), limit=2)
    assert page.items == []
    assert page.before is not None
    assert listed(store, TraceFilter(user="u1", text="n0"), limit=2) == wanted


@pytest.fixture
def told(store: RecordStore) -> RecordStore:
    """An agent of u1 with a tool that failed, one of u1's where none did, one of u2's, and a plain call."""
    root = make_span(1, 40, name="Answer a ticket", user="u1", session="s1", tags={"team": "a"}, app="shop")
    fine = make_span(2, 30, name="answer a ticket", user="u1", app="shop")
    other = make_span(3, 20, name="plan", user="u2", tags={"team": ""}, app="desk")
    put(
        store,
        root,
        make_span(1, 41, root.span_id, name="find orders", app="tools", status="error"),
        fine,
        make_span(2, 31, fine.span_id, name="find orders", app="tools"),
        other,
        make_span(3, 21, other.span_id, name="look up", app="tools", status="error"),
        make_call(trace_id=trace_id(4), started_at=START, app="bot", user="u1", status=502, requested_model="bot"),
    )
    return store


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ({}, [1, 2, 3, 4]),
        ({"app": "shop"}, [1, 2]),
        ({"app": "tools"}, [1, 2, 3]),
        ({"user": "u1"}, [1, 2, 4]),
        ({"session": "s1"}, [1]),
        ({"tag": "team"}, [1, 3]),
        ({"tag": "team=a"}, [1]),
        ({"tag": "team="}, [3]),
        ({"status": "error"}, [1, 3, 4]),
        ({"status": "ok"}, [2]),
        ({"from_outside": "true"}, [1, 2, 3]),
        ({"from_outside": "false"}, [4]),
        ({"text": "TICKET"}, [1, 2]),
        ({"text": "bot"}, [4]),
        ({"text": "%"}, []),
        ({"user": "u1", "status": "error"}, [1, 4]),  # the root tells the user, the tool failed
        ({"user": "u1", "status": "error", "text": "find"}, [1]),
        ({"user": "u1", "status": "error", "text": "ticket"}, []),  # the ticket did not fail
        ({"user": "u1", "tag": "team"}, [1]),
        ({"user": "u2", "session": "s1"}, []),
        ({"app": "tools", "status": "error"}, [1, 3]),
        ({"app": "shop", "status": "error"}, []),
        ({"app": "shop", "status": "ok"}, [2]),
        ({"since": "2025-11-21T04:40:20Z"}, [1, 2, 3]),
        ({"since": "2025-11-21T04:40:20Z", "until": "2025-11-21T04:40:40Z"}, [2, 3]),
        ({"since": "2025-11-21T04:40:21Z", "text": "look"}, [3]),
    ],
)
def test_filters(told: RecordStore, words: dict[str, str], found: list[int]) -> None:
    for limit in (1, 50):
        assert listed(told, parse_trace_filter(words), limit=limit) == [trace_id(number) for number in found]


def test_a_wrong_filter_is_named(store: RecordStore) -> None:
    wrong = {"status": "429", "since": "soon", "typo": "1", "from_outside": "maybe", "release": "1"}
    for name, word in wrong.items():
        with pytest.raises(InvalidRequest) as error:
            parse_trace_filter({name: word})
        assert error.value.param == name
    for page in ({"limit": 0}, {"limit": 1_001}, {"before": "x"}, {"before": "1.2"}):
        with pytest.raises(InvalidRequest):
            list_traces(store, "p", **page)
    assert parse_trace_filter(dict.fromkeys(TRACE_FIELDS, "")) == EVERY_TRACE
