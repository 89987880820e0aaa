"""The texts of calls in the DuckDB store: how they are packed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from record_makers import after, entry, make_call
from rondo.store.duckdb import DuckDBStore


def ask(store: DuckDBStore, sql: str) -> list[tuple[Any, ...]]:
    """Rows of any SQL, for looking behind the named queries."""
    with store._cursor() as cursor:
        return cursor.execute(sql).fetchall()


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
