"""Messages that come apart from their call, by log records: they find it, in whatever order both come."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import duckdb
import msgspec
import pytest
from msgspec import structs

from otlp_makers import GRANT, NOW, TRACE, as_protobuf, logs_as_json, logs_as_protobuf, span
from record_makers import entry as entry_of
from record_makers import make_call
from record_stores import behind
from rondo.errors import RondoError
from rondo.governance.model import Grant
from rondo.records import Call, Entry, Kind, Position
from rondo.store import call_messages
from rondo.store.base import RecordStore
from rondo.store.duckdb import DuckDBStore
from rondo.traces.filter import CallFilter
from rondo.traces.otlp import in_json, protobuf
from rondo.traces.otlp.expand import Expander, Records, SentRequest, pack
from rondo.traces.otlp.logs import log_records
from rondo.traces.search import get_calls, list_calls

SPAN = b"12345678"
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.system": "openai"}
HOUR = 3_600_000_000
DAY = 24 * HOUR
EVENTS: list[dict[str, Any]] = [
    {"name": "gen_ai.system.message", "body": {"content": "Be nice."}},
    {"name": "gen_ai.user.message", "body": {"content": "Where is A1?"}},
    {
        "name": "gen_ai.assistant.message",
        "body": {"tool_calls": [{"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}]},
    },
    {"name": "gen_ai.tool.message", "body": {"id": "c1", "content": '{"state": "shipped"}'}},
    {
        "name": "gen_ai.choice",
        "body": {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Shipped."}},
    },
]
EVENTS = [{**each, "at": NOW * 1_000 + place * 5_000} for place, each in enumerate(EVENTS)]
SAID = [
    {"role": "system", "content": "Be nice."},
    {"role": "user", "content": "Where is A1?"},
    {"role": "assistant", "content": None, "tool_calls": EVENTS[2]["body"]["tool_calls"]},
    {"role": "tool", "content": '{"state": "shipped"}', "tool_call_id": "c1"},
]
ANSWER = {"role": "assistant", "content": "Shipped."}
DETAILS = [
    ("gen_ai.input.messages", "gen_ai.output.messages"),
    ("input.value", "output.value"),
    ("gen_ai.prompt", "gen_ai.completion"),
]
"""Attributes by which an event of details tells what was given and what was said."""


def read(*logs: dict[str, Any], grant: Grant = GRANT, now: int = NOW) -> Records:
    return log_records(protobuf.read_logs(logs_as_protobuf(*logs)), grant, now)


def entries(*logs: dict[str, Any], grant: Grant = GRANT, now: int = NOW) -> list[Entry]:
    records = read(*logs, grant=grant, now=now)
    assert records.rejected == 0, records.reason
    return [Entry(kind, now, payload) for kind, payload in records.entries]


def call_entry(key_id: str = "key_1", **fields: Any) -> Entry:
    begun = NOW * 1_000
    sent = span(**{"span_id": SPAN, "start": begun, "end": begun + 10**9, "attributes": CHAT, **fields})
    return Entry(Kind.OTLP, NOW, pack(SentRequest("p", key_id, (), "protobuf", as_protobuf(sent))))


@pytest.fixture
def put(store: RecordStore) -> Callable[..., None]:
    """Store entries as a batch."""
    database: DuckDBStore = behind(store)
    database._expand = Expander()
    segments = itertools.count(1)

    def put(*batch: Entry) -> None:
        segment = next(segments)
        store.insert("w", list(batch), Position(segment, 100, segment * 100 + len(batch)))
        assert store.holdings().quarantined == 0

    return put


def the_call(store: RecordStore) -> Call:
    (call,) = get_calls(store, "p", TRACE.hex())
    return call


def texts(call: Call) -> tuple[Any, Any, str, str]:
    given, said = (msgspec.json.decode(each) if each else None for each in (call.input, call.output))
    return given, said, call.question, call.answer


def waiting(store: RecordStore) -> int:
    with behind(store)._cursor() as cursor:
        return int(cursor.execute("SELECT count(*) FROM call_messages").fetchall()[0][0])


@pytest.mark.parametrize("order", range(7), ids=lambda order: f"call after {order}" if order < 6 else "all at once")
def test_messages_and_their_call_come_in_any_order(store: RecordStore, put: Callable[..., None], order: int) -> None:
    told = entries(*EVENTS)
    if order == 6:
        put(*told, call_entry(), *told)
    else:
        for place, batch in enumerate([*([each] for each in told)]):
            if place == order:
                put(call_entry())
            put(*batch)
        if order == 5:
            put(call_entry())
    assert texts(the_call(store)) == (SAID, ANSWER, "Where is A1?", "Shipped.")
    found = list_calls(store, "p", CallFilter(text="shipped")).items
    assert [row.answer for row in found] == ["Shipped."]


def test_sent_again_changes_nothing(store: RecordStore, put: Callable[..., None]) -> None:
    put(*entries(*EVENTS), call_entry())
    put(*entries(*EVENTS, now=NOW + 60_000_000))
    put(call_entry(), *entries(*EVENTS))
    assert texts(the_call(store)) == (SAID, ANSWER, "Where is A1?", "Shipped.")
    assert waiting(store) == len(EVENTS)


def test_both_encodings_tell_the_same() -> None:
    of_json = log_records(in_json.read_logs(logs_as_json(*EVENTS)), GRANT, NOW)
    assert of_json.entries == read(*EVENTS).entries
    assert len(of_json.entries) == len(EVENTS)


def test_what_was_not_put_into_its_call_for_a_crash_is_so_later(
    store: RecordStore, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise duckdb.IOException("no room")

    put(*entries(*EVENTS))
    with monkeypatch.context() as patch:
        patch.setattr(call_messages, "_tell", crash)
        with pytest.raises(RondoError):
            put(call_entry())
    assert texts(the_call(store)) == (None, None, "", "")
    put(call_entry(span_id=b"87654321", trace_id=b"another trace id"))
    assert texts(the_call(store)) == (SAID, ANSWER, "Where is A1?", "Shipped.")


class Gap:
    """A cursor in whose place another thread works before each of its transactions begins."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, meanwhile: Callable[[], object]) -> None:
        self._cursor, self._meanwhile = cursor, meanwhile

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def begin(self) -> None:
        self._meanwhile()
        self._cursor.begin()


def test_rows_that_move_before_a_call_is_replaced_lose_no_other(
    store: RecordStore, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def move_rows() -> None:
        with behind(store)._cursor() as other:
            other.execute("CREATE TEMP TABLE moved AS SELECT * EXCLUDE (failed, tokens) FROM calls")
            other.execute("DELETE FROM calls")
            other.execute("INSERT INTO calls BY NAME SELECT * FROM moved ORDER BY arrival DESC")
            other.execute("CHECKPOINT")

    def tell(cursor: duckdb.DuckDBPyConnection, taken: Any) -> None:
        _tell(Gap(cursor, move_rows), taken)  # type: ignore[arg-type]

    _tell = call_messages._tell
    put(call_entry(), call_entry(span_id=b"87654321", trace_id=b"another trace id"))
    monkeypatch.setattr(call_messages, "_tell", tell)
    put(*entries(*EVENTS))
    assert texts(the_call(store)) == (SAID, ANSWER, "Where is A1?", "Shipped.")
    assert len(list_calls(store, "p", CallFilter()).items) == 2


@pytest.mark.parametrize("call_first", [True, False])
def test_only_messages_within_an_hour_are_of_a_call(
    store: RecordStore, put: Callable[..., None], call_first: bool
) -> None:
    far = {"name": "gen_ai.user.message", "at": (NOW - 2 * HOUR) * 1_000, "body": {"content": "far"}}
    near = {**EVENTS[1], "at": (NOW - HOUR // 2) * 1_000}
    batches = [[call_entry()], entries(far), entries(near)]
    for batch in batches if call_first else reversed(batches):
        put(*batch)
    assert texts(the_call(store))[0] == [SAID[1]]


def test_no_batch_reads_all_messages_that_wait(
    store: RecordStore, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its work must not grow with the day: each look at what waits is bounded by times, and none is for nothing."""
    looks = list[str]()

    class Watched(Gap):
        def execute(self, sql: str, bound: Any = None) -> Any:
            looks.append(sql) if "call_messages" in sql else None
            return self._cursor.execute(sql, bound)

    def watch(name: str) -> None:
        step = getattr(call_messages, name)
        monkeypatch.setattr(call_messages, name, lambda cursor: step(Watched(cursor, lambda: None)))

    for name in ("list_new_calls", "tell"):
        watch(name)
    put(entry_of(make_call(project="p", started_at=NOW)))
    assert looks == []
    put(*entries(*EVENTS), call_entry())
    assert looks
    assert all("told_at BETWEEN $since AND $until" in each for each in looks)


def test_an_event_of_details_tells_all_at_once(store: RecordStore, put: Callable[..., None]) -> None:
    attributes = {
        "gen_ai.system_instructions": [{"type": "text", "content": "Be nice."}],
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "Where is A1?"}]}],
        "gen_ai.output.messages": [
            {"role": "assistant", "parts": [{"type": "text", "content": "Shipped."}], "finish_reason": "stop"}
        ],
    }
    put(call_entry())
    put(*entries({"name": "gen_ai.client.inference.operation.details", "attributes": attributes}))
    assert texts(the_call(store)) == (SAID[:2], ANSWER, "Where is A1?", "Shipped.")


def test_several_choices_are_a_list_and_the_first_is_the_answer(store: RecordStore, put: Callable[..., None]) -> None:
    choices = [
        {"name": "gen_ai.choice", "at": NOW * 1_000 + each, "body": {"index": each, "message": {"content": f"n{each}"}}}
        for each in range(2)
    ]
    put(*entries(*choices), call_entry())
    call = the_call(store)
    assert [each["content"] for each in msgspec.json.decode(call.output)] == ["n0", "n1"]
    assert (call.question, call.answer, call.input) == ("", "n0", "")


def test_what_the_span_said_stands_where_no_message_came(store: RecordStore, put: Callable[..., None]) -> None:
    put(call_entry(attributes={**CHAT, "input.value": "of the span", "output.value": "also"}))
    put(*entries(EVENTS[4]))
    call = the_call(store)
    assert (call.question, call.answer) == ("of the span", "Shipped.")


def test_messages_without_content_are_none_and_no_fault(store: RecordStore, put: Callable[..., None]) -> None:
    silent: list[dict[str, Any]] = [
        {"name": "gen_ai.user.message"},
        {"name": "gen_ai.choice", "body": {"index": 0, "finish_reason": "stop", "message": {"role": "assistant"}}},
    ]
    assert read(*silent) == Records()
    put(call_entry(attributes={**CHAT, "input.value": "of the span"}), *entries(*silent))
    assert the_call(store).question == "of the span"


@pytest.mark.parametrize(
    "grant",
    [structs.replace(GRANT, key_id="key_2"), structs.replace(GRANT, project="other")],
    ids=["key", "project"],
)
def test_another_key_and_another_project_change_no_call(
    store: RecordStore, put: Callable[..., None], grant: Grant
) -> None:
    put(*entries(*EVENTS, grant=grant), call_entry())
    put(*entries({**EVENTS[1], "body": {"content": "forged"}}, grant=grant))
    assert texts(the_call(store)) == (None, None, "", "")


def test_what_the_gateway_recorded_stays_as_it_is(store: RecordStore, put: Callable[..., None]) -> None:
    call = make_call(project="p", key_id="key_1", trace_id=TRACE.hex(), span_id=SPAN.hex(), started_at=NOW)
    put(*entries(*EVENTS), entry_of(call))
    put(*entries({**EVENTS[1], "body": {"content": "forged"}}))
    assert structs.replace(the_call(store), spans=call.spans) == call


def test_messages_are_forgotten_after_a_day(store: RecordStore, put: Callable[..., None]) -> None:
    put(*entries(*EVENTS), call_entry())
    tomorrow = {**EVENTS[1], "span_id": b"tomorrow", "at": (NOW + 2 * DAY) * 1_000}
    put(*entries(tomorrow, now=NOW + 2 * DAY))
    assert waiting(store) == 1
    assert the_call(store).question == "Where is A1?"


def test_a_call_told_of_without_end_is_cut(
    store: RecordStore, put: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    words: list[dict[str, Any]] = [
        {"name": "gen_ai.user.message", "at": (NOW + place) * 1_000, "body": {"content": f"{place}" * (200 << 10)}}
        for place in range(5)
    ]
    for _ in range(20):
        words = [{**each, "at": each["at"] + 10_000} for each in words]
        put(*entries(*words))
    put(call_entry())
    assert 3 << 20 < len(the_call(store).input) <= 4 << 20


@pytest.mark.parametrize(
    "body",
    [
        None,
        "",
        7,
        True,
        [],
        {},
        [1, 2],
        [None, {"content": "x"}],
        [{"content": "x"}],
        [{"role": None, "content": "x"}],
        [{"role": {"a": 1}, "content": "x"}],
        {"content": {"deep": [1, None]}},
        {"content": "x", "role": 5},
        {"content": "\0\ud800"[:1]},
    ],
)
@pytest.mark.parametrize("name", ["gen_ai.user.message", "gen_ai.choice", "gen_ai.client.inference.operation.details"])
def test_bodies_of_any_kind_become_sound_records(
    store: RecordStore, put: Callable[..., None], name: str, body: Any
) -> None:
    for given, said in DETAILS if "details" in name else [("", "")]:
        for hostile in (body, json.dumps(body)):
            put(*entries({"name": name, "body": body, "attributes": {given: hostile, said: hostile}}), call_entry())
    put(*entries({"name": name, "body": {"message": body}}), call_entry())
    call = the_call(store)
    for field in (call.input, call.output):
        assert field == "" or isinstance(msgspec.json.decode(field), list | dict)


@pytest.mark.parametrize("odd", ["[1,2]", '[{"content":"x"}]', '[null,"a"]'])
def test_a_list_of_no_messages_is_one_message(store: RecordStore, put: Callable[..., None], odd: str) -> None:
    details = {"name": "gen_ai.client.inference.operation.details", "attributes": {"input.value": odd}}
    put(*entries(details, EVENTS[4]), call_entry())
    assert texts(the_call(store)) == ([{"role": "user", "content": odd}], ANSWER, odd, "Shipped.")


def test_a_message_with_no_span_and_a_log_of_another_kind_are_counted() -> None:
    records = read({**EVENTS[1], "span_id": b""}, {"name": "app.started", "body": {"content": "x"}}, EVENTS[0])
    assert (records.rejected, len(records.entries)) == (2, 1)
    assert "span id" in records.reason


def test_texts_that_came_late_are_found_by_a_search(store: RecordStore, put: Callable[..., None]) -> None:
    put(call_entry())
    assert not found(store, "where is a1")
    put(*entries(*EVENTS))
    assert found(store, "where is a1")
    assert not found(store, "where is a2")


def found(store: RecordStore, text: str) -> list[Any]:
    return list(store.query("calls_list", {"project": "p", "limit": 9}, {"text": text}))
