"""The texts of calls in the DuckDB store: how they are searched, how they are packed, and a store of version 1."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from record_makers import after, entry, make_call
from rondo.store.base import RecordStore
from rondo.store.duckdb import DuckDBStore

TEXTS = [
    "Where is my parcel?",
    "WHERE IS MY INVOICE",
    "İSTANBUL, or istanbul",
    "Die Straße ist gesperrt",
    "DIE STRAẞE IST GESPERRT",
    "300 Kelvin",  # with the Kelvin sign
    "a loſt parcel",
    "ΌΛΟΣ και όλος",
    "Ärger mit dem Käse",
    "a+b (c) [d-f] \\Q 100% $1 ^.*$ {3,}",
    "line one\nline two\ttab",
    "a\x00b",
    "ok",
    "",
]
NEEDLES = [
    *TEXTS,
    *(text.swapcase() for text in TEXTS),
    *("parcel", "pArCeL?", "is", "i", "istanbul", "straße", "STRASSE", "kelvin", "lost", "ärger", "KÄSE", "λοσ", "λος"),
    *(
        "[d-f]",
        "(?i)parcel",
        ".*",
        "100%",
        "_",
        "\\",
        "one\nline",
        "\x00",
        "e t",
        "   ",
        "parcels",
        "xylophone",
        "iİ" * 500,
        "ß" * 1000,
    ),
]


def ask(store: DuckDBStore, sql: str) -> list[tuple[Any, ...]]:
    """Rows of any SQL, for looking behind the named queries."""
    with store._cursor() as cursor:
        return cursor.execute(sql).fetchall()


def found(store: RecordStore, text: str) -> set[str]:
    return {row["trace_id"] for row in store.query("calls_list", {"project": "p", "limit": 99}, {"text": text})}


@pytest.mark.parametrize("side", ["question", "answer"])
def test_a_search_finds_what_has_the_text_in_any_case(database: DuckDBStore, side: str) -> None:
    calls = [make_call(**{side: text}) for text in TEXTS]
    database.insert("w", [entry(call) for call in calls], after(len(calls)))
    for needle in NEEDLES:
        expected = {call.trace_id for call, text in zip(calls, TEXTS, strict=True) if folded(needle) in folded(text)}
        assert found(database, needle) == expected, needle


def folded(text: str) -> str:
    """Letter by letter, as a database does: Python makes two letters of İ and of ß."""
    letters = ("i" if letter == "İ" else letter.lower() for letter in text)
    return "".join(letter.casefold() if len(letter.casefold()) == 1 else letter for letter in letters)


def test_the_long_texts_are_packed(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path / "records.duckdb")
    long = [make_call(input=f"[{number}]" * 99, output="{}" * number, question=f"{number}") for number in range(99)]
    store.insert("w", [entry(call) for call in long], after(len(long)))
    store.close()
    store = DuckDBStore(tmp_path / "records.duckdb")
    packed = ask(store, "SELECT DISTINCT column_name FROM pragma_storage_info('calls') WHERE compression = 'ZSTD'")
    assert {column for (column,) in packed} == {"input", "output", "rendered", "chunks"}
    stored = ask(store, "SELECT input, output FROM calls ORDER BY arrival")
    assert stored == [(call.input, call.output) for call in long]
    store.close()


def test_a_store_of_version_1_loses_its_second_copy_of_the_texts(tmp_path: Path) -> None:
    store = DuckDBStore(tmp_path / "records.duckdb")
    first = make_call(question="Where is my Parcel?", answer="At the door", output="{}", status=500)
    store.insert("w", [entry(first)], after(1))
    ask(store, "ALTER TABLE calls ADD COLUMN search_text VARCHAR")
    ask(store, "UPDATE calls SET search_text = lower(concat_ws(chr(10), question, answer))")
    ask(store, "ALTER TABLE calls ALTER search_text SET NOT NULL")
    ask(store, "UPDATE schema_version SET version = 1")
    store.close()

    for _ in range(2):
        store = DuckDBStore(tmp_path / "records.duckdb")
        assert ask(store, "SELECT version FROM schema_version") == [(2,)]
        assert not ask(store, "SELECT 1 FROM duckdb_columns() WHERE column_name = 'search_text'")
        assert ask(store, "SELECT question, output, failed FROM calls WHERE arrival = 1") == [
            ("Where is my Parcel?", "{}", True)
        ]
        assert found(store, "PARCEL") == found(store, "the door") == {first.trace_id}
        store.close()
    store = DuckDBStore(tmp_path / "records.duckdb")
    store.insert("w", [entry(make_call(question="another parcel"))], after(2))
    assert len(found(store, "parcel")) == 2
    store.close()
