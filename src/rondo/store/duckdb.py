"""The record store in one file of this machine: DuckDB, owned by one process.

The file is opened when it is first needed and again after a fatal error, so that a store which is locked, full or
broken for a while heals by itself; until then every method raises Unavailable and the journal keeps the records.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from rondo import clock
from rondo.errors import InvalidRequest, NotFound, Unavailable
from rondo.records import Entry, Position
from rondo.store import duckdb_schema as schema
from rondo.store.base import NO_FILTERS, ExportFormat, Holdings
from rondo.store.staging import DATA_ERRORS, Rejected, stage
from rondo.store.statements import compose

_BROKEN = (duckdb.FatalException, duckdb.InternalException, duckdb.ConnectionException)
_LARGE = 500  # records in a batch
_CLOSE_S = 5.0
_FORMATS: dict[ExportFormat, str] = {"jsonl": "JSON", "parquet": "PARQUET"}


class DuckDBStore:
    """A RecordStore. `memory_limit` is in DuckDB's spelling; what does not fit spills into the data folder."""

    def __init__(self, path: Path, *, memory_limit: str = "512MB", threads: int = 2) -> None:
        self.path = path
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory_limit,
            "threads": threads,
            "block_allocator_memory": "64MB",  # kept for the next batch; given back, it has to be cleared anew
            "temp_directory": str(path) + ".tmp",
            "checkpoint_threshold": "256MB",
            "autoinstall_known_extensions": False,  # never fetch code
            "autoload_known_extensions": False,
            "python_enable_replacements": False,  # SQL never reads Python variables
        }
        self._scratch = path.with_name(path.name + ".batch")
        self._opening = threading.Lock()
        self._inserting = threading.Lock()
        self._database: duckdb.DuckDBPyConnection | None = None
        self._cursors: set[duckdb.DuckDBPyConnection] = set()  # at work now
        self._arrivals: int | None = None  # the highest `arrival` in calls, where it is known
        self._closed = False

    def insert(self, writer: str, batch: Sequence[Entry], position: Position) -> None:
        with self._inserting, self._cursor() as cursor, self._one_thread(cursor, len(batch)):
            stored = schema.positions(cursor).get(writer)
            if stored and (stored.segment, stored.offset) >= (position.segment, position.offset):
                return
            start = position.sequence - len(batch)
            if stored and stored.segment == position.segment and stored.sequence > start:
                batch = batch[stored.sequence - start :]
                start = stored.sequence
            staged = stage(cursor, batch, self._scratch)
            missing = max(0, start - stored.sequence) if stored else 0
            arrivals = schema.arrivals(cursor) if self._arrivals is None else self._arrivals
            self._arrivals = None  # a commit that fails may yet have been one
            cursor.begin()
            try:
                if staged.calls:
                    cursor.execute(schema.INSERT_CALLS, {"before": arrivals})
                    cursor.execute(schema.INSERT_SPANS)
                if staged.scores:
                    cursor.execute(schema.UPSERT_SCORES)
                for rejected in staged.rejected:
                    _quarantine(cursor, writer, start, rejected)
                move = schema.MOVE_POSITION if stored else schema.FIRST_POSITION
                cursor.execute(move, [*_numbers(position), missing, writer])
                cursor.commit()
            except BaseException:
                with contextlib.suppress(duckdb.Error):
                    cursor.rollback()
                raise
            self._arrivals = arrivals + staged.calls

    def holdings(self) -> Holdings:
        with self._cursor() as cursor:
            return schema.holdings(cursor)

    def positions(self) -> dict[str, Position]:
        with self._cursor() as cursor:
            return schema.positions(cursor)

    def query(
        self, name: str, params: Mapping[str, object], filters: Mapping[str, object] = NO_FILTERS
    ) -> list[dict[str, Any]]:
        sql, bound = compose(name, params, filters)
        with self._cursor() as cursor, _reading(name):
            cursor.execute(sql, bound)
            columns = [column[0] for column in cursor.description or ()]
            return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]

    def export(
        self,
        name: str,
        params: Mapping[str, object],
        filters: Mapping[str, object],
        *,
        format: ExportFormat,
        target: Path,
    ) -> int:
        if format not in _FORMATS:
            raise InvalidRequest(f"There is no export format {format!r}.", remedy="jsonl or parquet.", param="format")
        if not target.parent.is_dir():
            raise NotFound(f"There is no folder {str(target.parent)!r} to export to.", remedy="Create it first.")
        sql, bound = compose(name, params, filters)
        partial = target.with_name(target.name + ".partial")
        try:
            with self._cursor() as cursor, _reading(name):
                copy = f"COPY ({sql}) TO $partial (FORMAT {_FORMATS[format]})"
                rows: int = cursor.execute(copy, {**bound, "partial": str(partial)}).fetchall()[0][0]
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
        return rows

    def close(self) -> None:
        """Write everything into the one file and let go of it."""
        with self._inserting, self._opening:
            self._closed = True
            database, self._database = self._database, None
            if database is not None:
                with contextlib.suppress(duckdb.Error):  # readers may be at work; the log is replayed on opening
                    database.execute("CHECKPOINT")
                self._end(database)
            with contextlib.suppress(OSError):
                self._scratch.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _one_thread(self, cursor: duckdb.DuckDBPyConnection, rows: int) -> Iterator[None]:
        """One thread for a large batch: with more, it is hardly sooner done and takes a quarter more CPU time.

        The setting is the whole database's, so a query that runs meanwhile has one thread too.
        """
        if rows < _LARGE or self._config["threads"] == 1:
            yield
            return
        cursor.execute("SET threads = 1")
        try:
            yield
        finally:
            with contextlib.suppress(duckdb.Error):  # what ends a database says so by itself
                cursor.execute(f"SET threads = {self._config['threads']}")

    @contextlib.contextmanager
    def _cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for one piece of work. What fails in it, unless it is the data, is Unavailable."""
        cursor: duckdb.DuckDBPyConnection | None = None
        try:
            with self._opening:
                if self._closed:
                    raise Unavailable("The record store is closed.", remedy="The server is shutting down.")
                if self._database is None:
                    self._database = self._open()
                cursor = self._database.cursor()
                self._cursors.add(cursor)
            yield cursor
        except (duckdb.Error, OSError) as error:
            if isinstance(error, _BROKEN):
                self._forget()
            raise Unavailable(
                f"The record store cannot be used: {str(error).strip()}",
                remedy="It is tried again by itself; no record is lost meanwhile, the journal keeps them.",
            ) from error
        finally:
            if cursor is not None:
                self._cursors.discard(cursor)
                with contextlib.suppress(duckdb.Error):
                    cursor.close()

    def _open(self) -> duckdb.DuckDBPyConnection:
        if "?" in str(self.path):  # DuckDB takes the rest for options
            raise Unavailable(
                f"The record store cannot be in {str(self.path.parent)!r}: its path has a question mark.",
                remedy="Choose another data folder (RONDO_DATA).",
            )
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        database = duckdb.connect(str(self.path), config=self._config)
        try:
            self.path.chmod(0o600)
            schema.prepare(database)
        except BaseException:
            database.close()
            raise
        return database

    def _end(self, database: duckdb.DuckDBPyConnection) -> None:
        """Close it, and stop whoever still reads: DuckDB closes nothing that is at work."""
        patient_until = clock.monotonic() + _CLOSE_S
        while True:
            for cursor in list(self._cursors):
                with contextlib.suppress(duckdb.Error):
                    cursor.interrupt()
            try:
                database.close()
            except duckdb.Error:
                if clock.monotonic() < patient_until:
                    time.sleep(0.01)
                    continue
            return

    def _forget(self) -> None:
        """Open the file anew next time: DuckDB refuses all work after a fatal error."""
        with self._opening:
            database, self._database = self._database, None
            if database is not None:
                with contextlib.suppress(duckdb.Error):
                    database.close()


@contextlib.contextmanager
def _reading(name: str) -> Iterator[None]:
    """A parameter of a kind that the query cannot use is the caller's mistake, not the store's."""
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except (*DATA_ERRORS, UnicodeEncodeError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidRequest(f"The query {name!r} cannot use its parameters: {reason}", param="filter") from error


def _quarantine(cursor: duckdb.DuckDBPyConnection, writer: str, start: int, rejected: Rejected) -> None:
    entry = rejected.entry
    values = [writer, start + rejected.place, entry.kind, entry.accepted_at, rejected.reason, entry.payload]
    cursor.execute(schema.QUARANTINE, [*values, clock.now_us()])


def _numbers(position: Position) -> tuple[int, int, int]:
    return position.segment, position.offset, position.sequence
