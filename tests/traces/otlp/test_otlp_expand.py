"""From the journal to the store: a request becomes rows, the same each time; one that cannot be read is put aside."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from otlp_makers import NOW, TRACE, as_json, as_protobuf, span
from record_stores import behind
from rondo.errors import RondoError
from rondo.records import Entry, Kind, Position
from rondo.store.base import RecordStore
from rondo.store.duckdb import DuckDBStore
from rondo.traces.otlp.expand import Encoding, Expander, SentRequest, pack
from rondo.traces.tree import tree

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "input.value": "hello?"}
HOUR_NS = 3_600_000_000_000


def entry(body: bytes, *, encoding: Encoding = "protobuf", project: str = "p", accepted_at: int = NOW) -> Entry:
    return Entry(Kind.OTLP, accepted_at, pack(SentRequest(project, "key_1", (), encoding, body)))


@pytest.fixture
def expanding(store: RecordStore) -> RecordStore:
    database: DuckDBStore = behind(store)
    database._expand = Expander()
    database._part_bytes = 64 << 20
    return store


def put(store: RecordStore, segment: int, *entries: Entry) -> None:
    store.insert("w", list(entries), Position(segment, 100, segment * 10 + len(entries)))


def test_requests_become_rows_once(expanding: RecordStore) -> None:
    sent = [span("turn", span_id=b"rootroot"), *(span(f"s{n}", attributes=CHAT, parent=b"rootroot") for n in range(3))]
    put(expanding, 1, entry(as_protobuf(*sent)), entry(as_json(*sent), encoding="json"))
    put(expanding, 2, entry(as_protobuf(*sent, span("later"))), entry(as_protobuf(*sent), project="other"))
    for project, spans in (("p", 5), ("other", 4)):
        found = tree(expanding, project, TRACE.hex())
        assert (found.spans, found.calls) == (spans, 3)
    assert expanding.holdings().quarantined == 0
    assert expanding.positions()["w"].segment == 2


def test_the_same_entry_makes_the_same_records() -> None:
    odd = span(start=0, end=0, attributes=CHAT)  # its time is the journal's
    body = entry(as_protobuf(odd))
    once, again = list(Expander()(body)), list(Expander()(body))
    assert once == again
    assert msgspec.json.decode(once[0].payload)["started_at"] == NOW


def test_what_cannot_be_read_is_put_aside_and_holds_up_nothing(expanding: RecordStore) -> None:
    bad = [Entry(Kind.OTLP, NOW, b"no msgpack"), entry(b"\x0a\xff")]
    put(expanding, 1, bad[0], entry(as_protobuf(span(attributes=CHAT), span(trace_id=b"short"))), bad[1])
    assert expanding.holdings().quarantined == 2
    assert tree(expanding, "p", TRACE.hex()).spans == 1


@pytest.mark.parametrize(("hours", "spans"), [(0, 1), (3, 1)])
def test_duplicates_are_looked_for_around_their_own_time(expanding: RecordStore, hours: int, spans: int) -> None:
    one: dict[str, Any] = span(attributes=CHAT)
    other = span("other", start=one["start"] - hours * HOUR_NS, end=one["end"])
    put(expanding, 1, entry(as_protobuf(one, other)))
    put(expanding, 2, entry(as_protobuf(one)))
    assert tree(expanding, "p", TRACE.hex()).spans == spans + 1


class Dies(Exception):
    """The process is gone."""


def test_what_a_request_makes_may_be_more_than_one_part(
    expanding: RecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between two parts leaves nothing out, and doubles nothing, quarantine included."""
    database: DuckDBStore = behind(expanding)
    monkeypatch.setattr(database, "_part_bytes", 2_000)
    scored = {**CHAT, "eval.0.evaluation.name": "good", "eval.0.evaluation.score": 1.0}
    sent = [span(f"s{n}", attributes=scored if n % 2 else CHAT) for n in range(20)]
    batch = [entry(as_protobuf(*sent)), entry(b"\x0a\xff"), entry(as_protobuf(span("last")))]
    stored, kept = DuckDBStore._store, 0

    def dying(self: DuckDBStore, *args: Any) -> Any:
        nonlocal kept
        kept += 1
        if kept == 4:
            raise Dies
        return stored(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(DuckDBStore, "_store", dying)
        with pytest.raises((Dies, RondoError)):
            put(expanding, 1, *batch)
    assert 0 < tree(expanding, "p", TRACE.hex()).spans < 20
    assert expanding.positions() == {}
    put(expanding, 1, *batch)
    assert tree(expanding, "p", TRACE.hex()).spans == 21
    assert expanding.holdings().quarantined == 1
    arrived = database.query("calls_tail", {"project": "p", "after": 0, "limit": 100})
    assert len({row["arrival"] for row in arrived}) == len(arrived) == 20


def test_a_fault_of_ours_holds_up_nothing_either(expanding: RecordStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **more: Any) -> Any:
        raise AttributeError

    with monkeypatch.context() as patched:
        patched.setattr(Expander, "add", broken)
        put(expanding, 1, entry(as_protobuf(span())))
    put(expanding, 2, entry(as_protobuf(span(attributes=CHAT))))
    assert expanding.holdings().quarantined == 1
    assert tree(expanding, "p", TRACE.hex()).spans == 1


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
def test_a_sender_that_is_described_at_length_is_not_copied_to_every_span(encoding: Encoding) -> None:
    resource = {
        "service.name": "bot",
        "x": "y" * 100_000,
        **{f"k{n}": ["z"] * 500 for n in range(20)},
        "rondo.app": "a",
    }
    make = as_protobuf if encoding == "protobuf" else as_json
    sent = list(
        Expander()(entry(make(*(span(attributes=CHAT) for _ in range(50)), resource=resource), encoding=encoding))
    )
    call = msgspec.json.decode(sent[-1].payload)
    assert len(sent) == 50
    assert len(call["params"]) < 20_000
    assert call["app"] == "a"
    assert "rondo.dropped_attributes" in call["params"]
