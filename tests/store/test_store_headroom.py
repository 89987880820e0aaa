"""The record store's memory: little at rest, all of it for who reads, and no record is lost for want of it."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import duckdb
import pytest

from record_makers import after, entry, make_call
from rondo import clock
from rondo.errors import Unavailable
from rondo.records import Entry
from rondo.store import headroom, rollups, staging
from rondo.store.duckdb import DuckDBStore

_WHOLE, _LITTLE = "488.2 MiB", "91.5 MiB"


def limit(database: DuckDBStore) -> str:
    with database._cursor() as cursor:
        row = cursor.execute("SELECT current_setting('memory_limit')").fetchone()
    assert row is not None
    return str(row[0])


def some(number: int, *, text: str = "") -> list[Entry]:
    return [entry(make_call(question=text)) for _ in range(number)]


def test_a_query_has_the_whole_and_the_next_batch_after_a_while_gives_it_back(
    database: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("rondo.store.headroom.clock.monotonic", lambda: now)
    assert limit(database) == _WHOLE
    database.insert("w", some(1), after(1))
    assert limit(database) == _LITTLE
    database.query("calls_list", {"project": "p", "limit": 1})
    database.insert("w", some(1), after(2))
    assert limit(database) == _WHOLE
    now = headroom._KEPT_S
    database.insert("w", some(1), after(3))
    assert limit(database) == _LITTLE


@pytest.mark.parametrize("enough", [True, False])
def test_the_rollups_make_do_with_little_where_that_is_enough(
    database: DuckDBStore, monkeypatch: pytest.MonkeyPatch, enough: bool
) -> None:
    real, limits = rollups.fold, []

    def fold(cursor: Any) -> int:
        limits.append(cursor.execute("SELECT current_setting('memory_limit')").fetchall()[0][0])
        if limits[-1] == _LITTLE and not enough:
            raise duckdb.OutOfMemoryException("too little")
        return real(cursor)

    monkeypatch.setattr(rollups, "fold", fold)
    database.insert("w", some(3), after(3))
    assert database.fold() == 3
    assert limits == ([_LITTLE] if enough else [_LITTLE, _WHOLE])
    database.insert("w", some(1), after(4))
    assert limit(database) == _LITTLE


def test_closing_takes_no_more_than_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database, limits = DuckDBStore(tmp_path / "records.duckdb"), []
    database.insert("w", some(3), after(3))
    database.query("calls_list", {"project": "p", "limit": 1})
    now = clock.monotonic() + 60
    monkeypatch.setattr("rondo.store.headroom.clock.monotonic", lambda: now)
    real = database._end

    def end(connection: Any) -> None:
        limits.append(connection.execute("SELECT current_setting('memory_limit')").fetchall()[0][0])
        real(connection)

    monkeypatch.setattr(database, "_end", end)
    database.close()
    assert limits == [_LITTLE]
    assert not (tmp_path / "records.duckdb.wal").exists()


def test_a_large_batch_has_the_whole(database: DuckDBStore) -> None:
    database.insert("w", some(1), after(1))
    database.insert("w", some(1, text="x" * staging._LEAST_BUFFER), after(2))
    assert limit(database) == _WHOLE
    assert database.holdings().quarantined == 0


def test_a_batch_that_finds_too_little_comes_again_with_the_whole(
    database: DuckDBStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, limits = staging._load, []

    def load(cursor: Any, *rest: Any) -> None:
        limits.append(cursor.execute("SELECT current_setting('memory_limit')").fetchall()[0][0])
        if limits[-1] == _LITTLE:
            raise duckdb.OutOfMemoryException("too little")
        real(cursor, *rest)

    monkeypatch.setattr(staging, "_load", load)
    batch = some(3)
    with pytest.raises(Unavailable, match="too little"):
        database.insert("w", batch, after(3))
    database.insert("w", batch, after(3))
    assert limits == [_LITTLE, _WHOLE]  # nothing was looked at alone: it is not the data's fault
    held = database.holdings()
    assert (held.quarantined, held.positions) == (0, {"w": after(3)})


def test_many_batches_are_stored_with_little(tmp_path: Path) -> None:
    database = DuckDBStore(tmp_path / "records.duckdb", threads=1, at_rest="64MB")
    try:
        for number in range(1, 13):
            database.insert("w", some(100, text=f"{number} " * 5_000), after(100 * number))
            assert limit(database) == "61.0 MiB"
        aside = tmp_path / "records.duckdb.tmp"
        assert stat.S_IMODE(aside.stat().st_mode) == 0o700
        found = database.query("totals", {"project": "p", "since": 0, "until": 1 << 62})
        assert found[0]["calls"] == 1_200
    finally:
        database.close()
    assert not aside.exists()


def test_what_a_killed_process_put_aside_is_removed(tmp_path: Path) -> None:
    aside = tmp_path / "records.duckdb.tmp"
    aside.mkdir()
    (aside / "duckdb_temp_1_0_storage_DEFAULT-0.tmp").write_bytes(b"a question")
    database = DuckDBStore(tmp_path / "records.duckdb")
    try:
        database.holdings()
        assert not list(aside.iterdir())
    finally:
        database.close()
