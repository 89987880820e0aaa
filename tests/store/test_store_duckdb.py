"""The DuckDB store: each batch whole and once, whatever happens, and no payload that stops it or is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from record_makers import START, after, entry, make_call, make_score
from record_stores import behind
from rondo.errors import CorruptData, InvalidRequest, NotFound, Unavailable
from rondo.records import Chunk, Entry, Kind, Position, WrittenCall, to_json
from rondo.store import duckdb_schema, staging
from rondo.store.base import Holdings, RecordStore
from rondo.store.duckdb import DuckDBStore


def ask(store: RecordStore, sql: str) -> list[tuple[Any, ...]]:
    """Rows of any SQL, for looking behind the named queries."""
    with behind(store)._cursor() as cursor:
        return cursor.execute(sql).fetchall()


def count(store: RecordStore, table: str) -> int:
    return int(ask(store, f"SELECT count(*) FROM {table}")[0][0])


def test_every_field_comes_back(store: RecordStore) -> None:
    call = make_call(
        app="bot",
        release=3,
        tags={"channel": "web", "käse": "ja"},
        chunks=[Chunk(number=1, id="c", source="s", title="t", heading="h", text="x\x00y", score=0.5)],
        handed_over=False,
        cost_usd=0.25,
        input_tokens=5,
        stream=True,
    )
    store.insert("w", [entry(call)], after(1))
    (row,) = store.query("calls_by_trace", {"project": "p", "trace_id": call.trace_id})
    expected = msgspec.to_builtins(structs.asdict(call))
    spans = expected.pop("spans")
    row["chunks"], row["guards"] = json.loads(row["chunks"]), json.loads(row["guards"])
    assert row == expected
    stored = store.query("spans_by_trace", {"project": "p", "trace_id": call.trace_id})
    assert stored == [{**spans[0], "call_span_id": call.span_id}]


def test_what_a_record_leaves_out_comes_back_as_its_default(store: RecordStore) -> None:
    call = WrittenCall(**structs.asdict(make_call()))
    said = json.loads(to_json(call))
    assert not {"error_code", "stream", "tags", "params", "guards", "arm"} & said.keys()
    spelled = msgspec.json.encode({**structs.asdict(call), "span_id": "spelled"})  # as journals had it before
    store.insert("w", [entry(call), Entry(Kind.CALL, START, spelled)], after(2))
    bare, whole = store.query("calls_by_trace", {"project": "p", "trace_id": call.trace_id})
    assert {**bare, "span_id": ""} == {**whole, "span_id": ""}
    assert bare["stream"] is False
    assert (bare["arm"], bare["params"], bare["tags"], bare["error_code"]) == ("live", "{}", {}, None)


@pytest.mark.parametrize("fails", [False, True])
def test_a_large_batch_leaves_queries_their_threads(
    database: DuckDBStore, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    during = []
    real = staging._load

    def load(cursor: Any, *rest: Any) -> None:
        during.append(cursor.execute("SELECT current_setting('threads')").fetchall()[0][0])
        if fails:
            raise duckdb.IOException("the disk is full")
        real(cursor, *rest)

    monkeypatch.setattr(staging, "_load", load)
    batch = [entry(make_call()) for _ in range(500)]
    if fails:
        with pytest.raises(Unavailable):
            database.insert("w", batch, after(500))
    else:
        database.insert("w", batch, after(500))
    assert during == [1]
    assert ask(database, "SELECT current_setting('threads')") == [(2,)]


def test_a_batch_counts_once_however_often_it_comes(store: RecordStore) -> None:
    batch = [entry(make_call()) for _ in range(5)]
    for _ in range(3):
        store.insert("w", batch, after(5))
    store.insert("other", batch[:2], after(2))
    assert count(store, "calls") == 7
    assert store.positions() == {"w": after(5), "other": after(2)}
    assert [row[0] for row in ask(store, "SELECT arrival FROM calls ORDER BY arrival")] == list(range(1, 8))


def test_a_batch_that_overlaps_counts_once(store: RecordStore) -> None:
    batch = [entry(make_call()) for _ in range(5)]
    store.insert("w", batch[:3], after(3))
    store.insert("w", batch, after(5))
    assert count(store, "calls") == 5
    assert store.holdings() == Holdings({"w": after(5)}, 0, 0)


def test_entries_that_were_gone_before_they_came_are_counted(store: RecordStore) -> None:
    store.insert("w", [entry(make_call())], after(1))
    store.insert("w", [entry(make_call())], after(5, segment=2))
    held = store.holdings()
    assert held.missing == 3
    assert held.positions["w"].sequence == 5


def test_a_journal_that_began_anew_is_stored_too(store: RecordStore) -> None:
    store.insert("w", [entry(make_call()) for _ in range(3)], after(3))
    store.insert("w", [entry(make_call())], after(1, segment=9))
    assert count(store, "calls") == 4
    assert store.holdings().missing == 0


def test_a_failed_commit_leaves_nothing_and_heals(store: RecordStore, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = [entry(make_call()), entry(make_score(make_call()))]
    with monkeypatch.context() as patched:
        patched.setattr(duckdb_schema, "FIRST_POSITION", "SELECT error('the disk is full')")
        with pytest.raises(Unavailable, match="journal keeps them"):
            store.insert("w", batch, after(2))
    assert (count(store, "calls"), count(store, "spans"), count(store, "scores")) == (0, 0, 0)
    assert store.positions() == {}
    store.insert("w", batch, after(2))
    assert (count(store, "calls"), count(store, "spans"), count(store, "scores")) == (1, 1, 1)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_death_around_the_commit_loses_and_doubles_nothing(tmp_path: Path, moment: str) -> None:
    """The process ends at once, right before or right after the commit of its second batch."""
    program = textwrap.dedent(
        """
        import os, sys
        from pathlib import Path
        from record_makers import after, entry, make_call
        from rondo.store import duckdb as module, duckdb_schema

        class Connection:
            def __init__(self, real): self.real = real
            def __getattr__(self, name): return getattr(self.real, name)
            def execute(self, sql, *rest):
                result = self.real.execute(sql, *rest)
                if sql == duckdb_schema.MOVE_POSITION and rest[0][2] == 4:
                    if sys.argv[2] == "after": self.real.commit()
                    os._exit(9)
                return result

        class Store(module.DuckDBStore):
            def _open(self):
                database = super()._open()
                class Database:
                    def cursor(self): return Connection(database.cursor())
                return Database()

        store = Store(Path(sys.argv[1]))
        store.insert("w", [entry(make_call()) for _ in range(2)], after(2))
        store.insert("w", [entry(make_call()) for _ in range(2)], after(4))
        """
    )
    path = tmp_path / "records.duckdb"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parents[1])])}
    ended = subprocess.run([sys.executable, "-c", program, str(path), moment], env=environment, check=False)
    assert ended.returncode == 9
    store = DuckDBStore(path)
    stored = 2 if moment == "before" else 4
    assert store.positions() == {"w": after(stored)}
    assert (count(store, "calls"), count(store, "spans")) == (stored, stored)
    store.insert("w", [entry(make_call()) for _ in range(2)], after(4))
    assert count(store, "calls") == 4
    store.close()


def test_a_score_posted_twice_is_one_and_the_last_stands(store: RecordStore) -> None:
    call = make_call()
    first = make_score(call, id="s", value=1.0)
    later = make_score(call, id="s", value=0.0, created_at=first.created_at + 5)
    latest = make_score(call, id="s", value=1.0, comment="sure", created_at=first.created_at + 9)
    same_time = make_score(call, id="s", value=0.0, comment="no", created_at=first.created_at + 9)
    query = {"project": "p", "trace_id": call.trace_id}
    store.insert("w", [entry(first), entry(first)], after(2))
    assert [row["value"] for row in store.query("scores_by_trace", query)] == [1.0]
    store.insert("w", [entry(later), entry(first)], after(4))
    assert [row["value"] for row in store.query("scores_by_trace", query)] == [0.0]
    store.insert("w", [entry(latest)], after(5))
    store.insert("v", [entry(later)], after(1))  # another writer's journal, drained late
    assert [row["comment"] for row in store.query("scores_by_trace", query)] == ["sure"]
    store.insert("w", [entry(latest), entry(same_time)], after(7))
    assert [row["comment"] for row in store.query("scores_by_trace", query)] == ["no"]
    other = make_score(make_call(project="q"), id="s")
    store.insert("w", [entry(other)], after(8))
    assert count(store, "scores") == 2


def test_odd_texts_survive(store: RecordStore) -> None:
    texts = [
        "nul \x00 inside",
        "emoji 🎉👩‍👩‍👧",
        "quotes \" \\ ' ; --",
        "line\nbreak\r\n",
        "\u2028",
        "x" * 5_000_000,
        "",
    ]
    calls = [make_call(question=text, answer=text, input=json.dumps(text)) for text in texts]
    store.insert("w", [entry(call) for call in calls], after(len(calls)))
    assert store.holdings().quarantined == 0
    for call in calls:
        (row,) = store.query("calls_by_trace", {"project": "p", "trace_id": call.trace_id})
        assert (row["question"], row["answer"], row["input"]) == (call.question, call.answer, call.input)


def test_lone_surrogates_cost_themselves_only(store: RecordStore) -> None:
    made = make_call(question="half \ud83d a pair 🎉", tags={"\udc00": "x"})
    escaped = to_json(make_call(question="?")).replace(
        b'"question":"?"', b'"question":"half \\ud83d a pair \\ud83c\\udf89"'
    )
    raw = to_json(make_call(question="?")).replace(b'"question":"?"', b'"question":"half \xed\xa0\xbd a pair"')
    spread = to_json(make_call(question="twice")).replace(b'"project":', b'\n"project":')
    doubled = to_json(make_call()).replace(b'"project":', b'"project":"other","project":')
    plain = to_json(make_call(question="plain"))
    store.insert("w", [entry(made), *map(entry, [escaped, raw, spread, doubled, plain])], after(6))
    assert store.holdings().quarantined == 0
    questions = [row[0] for row in ask(store, "SELECT question FROM calls ORDER BY arrival")]
    assert questions == ["half \ufffd a pair 🎉"] * 2 + ["half \ufffd\ufffd\ufffd a pair", "twice", "", "plain"]


def test_poison_is_kept_whole_and_holds_up_none(store: RecordStore) -> None:
    poison = [
        b"",
        b" ",
        b"not json",
        b'{"trace_id":',
        b"null",
        b"[1]",
        b'{"a":1}\n{"b":2}',
        b"\x00\x01\xff",
        b"[" * 100_000,
        to_json(make_call()).replace(b'"status":200', b'"status":"many"'),
        to_json(make_call()).replace(b'"status":200', b'"status":1e30'),
        to_json(make_call()).replace(b'"project":"p"', b'"project":null'),
    ]
    good = [make_call() for _ in range(40)]
    batch = [entry(call) for call in good]
    for number, payload in enumerate(poison):
        batch.insert(number * 3, entry(payload))
    batch.append(entry(b"{}", kind=7))
    batch.append(entry(b'{"id":1}', kind=Kind.SCORE))
    store.insert("w", batch, after(len(batch)))
    stored = [row[0] for row in ask(store, "SELECT trace_id FROM calls ORDER BY arrival")]
    assert stored == [call.trace_id for call in good]
    kept = ask(store, "SELECT sequence, payload, reason, kind FROM quarantine ORDER BY sequence")
    assert {row[1] for row in kept} == {*poison, b"{}", b'{"id":1}'}
    assert all(batch[row[0]].payload == row[1] and row[2] for row in kept)
    assert store.holdings().quarantined == len(poison) + 2
    assert store.positions()["w"] == after(len(batch))


def test_what_only_the_database_refuses_is_found_by_halving(
    database: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = staging._load
    loads = []

    def picky(cursor: Any, target: Any, payloads: list[bytes], scratch: Path) -> None:
        loads.append(len(payloads))
        if b"poison" in b"".join(payloads):
            raise duckdb.ConversionException("it does not taste")
        real(cursor, target, payloads, scratch)

    monkeypatch.setattr(staging, "_load", picky)
    calls = [make_call(question="poison" if number in (3, 11) else "fine") for number in range(16)]
    database.insert("w", [entry(call) for call in calls], after(16))
    assert count(database, "calls") == 14
    kept = ask(database, "SELECT sequence, reason FROM quarantine ORDER BY 1")
    assert kept == [(3, "it does not taste"), (11, "it does not taste")]
    assert [row[0] for row in ask(database, "SELECT trace_id FROM calls ORDER BY arrival")] == [
        call.trace_id for number, call in enumerate(calls) if number not in (3, 11)
    ]
    assert len(loads) < 20


def test_poison_that_the_database_quotes_half_a_letter_of_is_kept(store: RecordStore) -> None:
    sound = make_call()
    for lead in range(4):  # wherever it cuts
        odd = to_json(make_call()).replace(
            b'"status":200', b'"status":"%s%s"' % (b"x" * lead, "\N{GRINNING FACE}".encode() * 40)
        )
        store.insert("w", [Entry(Kind.CALL, START, odd), entry(sound)], after(2 * lead + 2))
    assert store.holdings().quarantined == 4
    assert count(store, "calls") == 4


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)
fields = st.sampled_from(["tags", "chunks", "spans", "question", "status", "release", "stream", "cost_usd", "more"])
spans = st.lists(st.dictionaries(st.sampled_from(["span_id", "name", "started_at", "x"]), json_values), max_size=2)


@st.composite
def hostile(draw: st.DrawFn) -> Entry:
    """A call with a few fields replaced by whatever JSON, or bytes that are none."""
    if draw(st.integers(0, 9)) == 0:
        return Entry(draw(st.sampled_from([1, 2])), START, draw(st.binary(max_size=20)))
    value = msgspec.to_builtins(make_call())
    for name in draw(st.lists(fields, max_size=3)):
        value[name] = draw(spans if name == "spans" else json_values)
    return Entry(Kind.CALL, START, json.dumps(value).encode())


@given(st.lists(hostile(), min_size=1, max_size=6))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_entry_is_stored_or_kept(database: DuckDBStore, batch: list[Entry]) -> None:
    before = count(database, "calls") + count(database, "scores") + database.holdings().quarantined
    known = database.positions().get("w", Position(1, 0, 0))
    database.insert("w", batch, Position(1, known.offset + 1, known.sequence + len(batch)))
    now = count(database, "calls") + count(database, "scores") + database.holdings().quarantined
    assert now - before == len(batch)


def test_a_folder_with_odd_characters(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path / "da[t]a *'{x}" / "records.duckdb")
    store.insert("w", [entry(make_call())], after(1))
    target = tmp_path / "it's; DROP TABLE calls --.jsonl"
    assert store.export("export_calls", {"project": "p"}, {}, format="jsonl", target=target) == 1
    assert count(store, "calls") == 1
    store.close()
    with pytest.raises(Unavailable, match="question mark"):
        DuckDBStore(tmp_path / "why?" / "records.duckdb").positions()
    assert not list((tmp_path / "da[t]a *'{x}").glob("*.batch"))


def test_a_store_that_another_process_holds_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "records.duckdb"
    program = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        store = DuckDBStore(path)
        with pytest.raises(Unavailable, match="tried again"):
            store.insert("w", [entry(make_call())], after(1))
        with pytest.raises(Unavailable):
            store.positions()
        holder.communicate()
    store.insert("w", [entry(make_call())], after(1))
    assert count(store, "calls") == 1
    store.close()


def test_after_a_fatal_error_the_file_is_opened_anew(database: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    database.insert("w", [entry(make_call())], after(1))
    first = database._database
    with pytest.raises(Unavailable), database._cursor():
        raise duckdb.FatalException("database has been invalidated")
    database.insert("w", [entry(make_call())], after(2))
    assert database._database is not first
    assert [row[0] for row in ask(database, "SELECT arrival FROM calls ORDER BY 1")] == [1, 2]


def test_a_scratch_file_that_cannot_be_written_is_tried_again(store: RecordStore) -> None:
    store.positions()
    behind(store)._scratch.mkdir()
    with pytest.raises(Unavailable):
        store.insert("w", [entry(make_call())], after(1))
    behind(store)._scratch.rmdir()
    store.insert("w", [entry(make_call())], after(1))
    assert count(store, "calls") == 1


def test_a_newer_store_is_told(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path / "records.duckdb")
    ask(store, "UPDATE schema_version SET version = 99")
    store.close()
    with pytest.raises(CorruptData, match="newer Rondo"):
        DuckDBStore(tmp_path / "records.duckdb").positions()


def test_a_new_field_becomes_a_column(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path / "records.duckdb")
    store.insert("w", [entry(make_call())], after(1))
    ask(store, "ALTER TABLE calls DROP COLUMN rendered")
    store.close()
    store = DuckDBStore(tmp_path / "records.duckdb")
    store.insert("w", [entry(make_call(rendered="[]"))], after(2))
    assert ask(store, "SELECT rendered FROM calls ORDER BY arrival") == [(None,), ("[]",)]
    store.close()


def test_a_file_that_is_no_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "records.duckdb"
    path.write_bytes(b"precious" * 1000)
    store = DuckDBStore(path)
    with pytest.raises(Unavailable):
        store.positions()
    store.close()
    assert path.read_bytes() == b"precious" * 1000


def test_a_closed_store_stays_closed(database: DuckDBStore) -> None:
    database.insert("w", [entry(make_call())], after(1))
    database.close()
    database.close()
    with pytest.raises(Unavailable, match="closed"):
        database.positions()


def test_a_close_stops_who_still_reads(database: DuckDBStore) -> None:
    database.insert("w", [entry(make_call())], after(1))
    began = threading.Event()

    def read() -> None:
        with database._cursor() as cursor:
            began.set()
            cursor.execute("SELECT count(*) FROM range(1000000000000) WHERE range % 7 = 3")

    with ThreadPoolExecutor() as pool:
        reading = pool.submit(read)
        began.wait()
        database.close()
        with pytest.raises(Unavailable):
            reading.result(20)
    again = DuckDBStore(database.path)
    assert count(again, "calls") == 1
    again.close()


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_exports_hold_all_columns_of_the_chosen_calls(
    store: RecordStore,
    tmp_path: Path,
    format: Any,
) -> None:
    calls = [make_call(app="a", tags={"k": "v"}), make_call(app="b"), make_call(app="a", project="other")]
    score = make_score(calls[0])
    store.insert("w", [*map(entry, calls), entry(score)], after(4))
    target = tmp_path / "out"
    rows = store.export("export_calls", {"project": "p"}, {"app": "a"}, format=format, target=target)
    assert rows == 1
    reader = "read_json" if format == "jsonl" else "read_parquet"
    read = f"SELECT * FROM {reader}('{target}')"
    columns = [row[0] for row in duckdb.execute(f"DESCRIBE {read}").fetchall()]
    assert columns == [name for name in msgspec.structs.asdict(calls[0]) if name != "spans"]
    assert [row[0] for row in duckdb.execute(read).fetchall()] == [calls[0].trace_id]
    assert store.export("export_spans", {"project": "p"}, {"app": "a"}, format=format, target=target) == 1
    assert store.export("export_scores", {"project": "p"}, {}, format=format, target=target) == 1
    assert not list(tmp_path.glob("*.partial"))


def test_exports_that_cannot_be_made_leave_nothing(store: RecordStore, tmp_path: Path) -> None:
    store.insert("w", [entry(make_call())], after(1))
    odd: Any = "csv"
    with pytest.raises(InvalidRequest) as wrong:
        store.export("export_calls", {"project": "p"}, {}, format=odd, target=tmp_path / "x")
    assert wrong.value.param == "format"
    with pytest.raises(NotFound):
        store.export("export_calls", {"project": "p"}, {}, format="jsonl", target=tmp_path / "no" / "x")
    with pytest.raises(InvalidRequest):
        store.export("export_calls", {"project": "p"}, {"release": "many"}, format="jsonl", target=tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_readers_and_the_writer_work_at_once(store: RecordStore) -> None:
    def read(number: int) -> int:
        rows = store.query("calls_list", {"project": "p", "limit": 1000})
        assert len(rows) % 5 == 0  # whole batches only
        return len(rows)

    with ThreadPoolExecutor(4) as pool:
        reads = [pool.submit(read, number) for number in range(40)]
        for batch in range(1, 9):
            store.insert("w", [entry(make_call()) for _ in range(5)], after(batch * 5))
        assert max(each.result() for each in reads) <= 40
    assert read(0) == 40


@pytest.mark.parametrize("most", [1, 1_000, 1 << 30], ids=["byte by byte", "in part", "at once"])
def test_lines_are_written_over_those_of_the_batch_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """However much of them the system takes at a time."""
    real = os.write
    monkeypatch.setattr(os, "writev", lambda to, parts: real(to, b"".join(parts)[:most]))
    monkeypatch.setattr(os, "write", lambda to, data: real(to, data[:most]))
    for count_ in (700, 3, 600):
        payloads = [b"%d" % number * (number % 5 + 1) for number in range(count_)]
        staging._write_lines(tmp_path / "lines", payloads)
        assert (tmp_path / "lines").read_bytes().splitlines() == payloads
