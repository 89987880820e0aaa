"""The record store in one file of this machine: DuckDB, owned by one process.

The file is opened when it is first needed and again after a fatal error, so that a store which is locked, full or
broken for a while heals by itself; until then every method raises Unavailable and the journal keeps the records.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from rondo import clock
from rondo.errors import InvalidRequest, NotFound, Unavailable
from rondo.records import Entry, Kind, Position
from rondo.store import call_messages, rollups
from rondo.store import duckdb_schema as schema
from rondo.store.base import NO_FILTERS, ExportFormat, Holdings
from rondo.store.headroom import LITTLE, Headroom
from rondo.store.staging import DATA_ERRORS, Rejected, is_small, stage
from rondo.store.statements import compose

_BROKEN = (duckdb.FatalException, duckdb.InternalException, duckdb.ConnectionException)
_LARGE = 500  # records in a batch
_CLOSE_S = 5.0
_Part = tuple[Sequence[Entry], Sequence[int]]
"""Entries, and which of the batch each was made of."""

_FORMATS: dict[ExportFormat, str] = {"jsonl": "JSON", "parquet": "PARQUET"}


class DuckDBStore:
    """A RecordStore. `memory_limit` is in DuckDB's spelling; what does not fit spills into the data folder.
    `at_rest` is the limit while nobody reads; None for no other.

    `expand` makes the entries that are stored of one that the journal has; by default they are the same. What is made
    is stored in parts of about `part_bytes`, so that a request of very many spans takes no more memory than others.
    """

    def __init__(
        self,
        path: Path,
        *,
        memory_limit: str = "512MB",
        at_rest: str | None = LITTLE,
        threads: int = 2,
        expand: Callable[[Entry], Iterable[Entry]] | None = None,
        part_bytes: int = 64 << 20,
    ) -> None:
        self.path = path
        self._expand = expand
        self._part_bytes = part_bytes
        self._headroom = Headroom(memory_limit, at_rest)
        self._spilled = path.with_name(path.name + ".tmp")
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory_limit,
            "threads": threads,
            "block_allocator_memory": "64MB",  # kept for the next batch; given back, it has to be cleared anew
            "temp_directory": str(self._spilled),
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
            missing = max(0, start - stored.sequence) if stored else 0
            parts, rejected = self._parts(batch), list[tuple[int, Rejected]]()
            part = next(parts)
            for following in parts:
                rejected += self._store(cursor, part, lambda _: None)
                part = following

            def finish(last: Sequence[tuple[int, Rejected]]) -> None:
                for place, each in (*rejected, *last):
                    _quarantine(cursor, writer, start + place, each)
                move = schema.MOVE_POSITION if stored else schema.FIRST_POSITION
                cursor.execute(move, [*_numbers(position), missing, writer])

            self._store(cursor, part, finish)

    def _store(
        self, cursor: duckdb.DuckDBPyConnection, part: _Part, finish: Callable[[Sequence[tuple[int, Rejected]]], None]
    ) -> list[tuple[int, Rejected]]:
        """Store a part, and `finish` with what cannot be stored, in one transaction. Returns the latter."""
        entries, places = part
        with self._headroom.for_batch(cursor, small=is_small(entries)):
            staged = stage(cursor, entries, self._scratch)
            rejected = [(places[each.place], each) for each in staged.rejected]
            arrivals = schema.arrivals(cursor) if self._arrivals is None else self._arrivals
            self._arrivals = None  # a commit that fails may yet have been one
            calls = staged.calls - (schema.forget_known_calls(cursor) if staged.calls else 0)
            cursor.begin()
            try:
                if staged.messages:
                    call_messages.keep(cursor)
                if calls:
                    cursor.execute(schema.INSERT_CALLS, {"before": arrivals})
                    cursor.execute(schema.INSERT_SPANS)
                    call_messages.list_new_calls(cursor)
                if staged.scores:
                    cursor.execute(schema.UPSERT_SCORES)
                if staged.trace_spans:
                    schema.insert_trace_spans(cursor)
                finish(rejected)
                cursor.commit()
            except BaseException:
                with contextlib.suppress(duckdb.Error):
                    cursor.rollback()
                raise
            self._arrivals = arrivals + calls
            if calls or staged.messages:
                call_messages.tell(cursor)
            return rejected

    def _parts(self, batch: Sequence[Entry]) -> Iterator[_Part]:
        """The entries to store, nearly always at once.

        A small entry may make very many: then all but the last part hold only what was made, which is known again by
        its ids when a crash in between has it come twice.
        """
        if self._expand is None or not any(entry.kind == Kind.OTLP for entry in batch):
            yield batch, range(len(batch))
            return
        entries = [entry for entry in batch if entry.kind != Kind.OTLP]
        places = [place for place, entry in enumerate(batch) if entry.kind != Kind.OTLP]
        plain, size = len(entries), 0
        for place, whole in enumerate(batch):
            for entry in self._expand(whole) if whole.kind == Kind.OTLP else ():
                if size >= self._part_bytes:
                    yield entries[plain:], places[plain:]
                    del entries[plain:], places[plain:]
                    size = 0
                entries.append(entry)
                places.append(place)
                size += len(entry.payload)
        yield entries, places

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
        with (
            self._cursor() as cursor,
            self._headroom.whole(cursor),
            _reading(name),
            rollups.as_of_now(cursor, sql, bound),
        ):
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
            with self._cursor() as cursor, self._headroom.whole(cursor), _reading(name):
                copy = f"COPY ({sql}) TO $partial (FORMAT {_FORMATS[format]})"
                rows: int = cursor.execute(copy, {**bound, "partial": str(partial)}).fetchall()[0][0]
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
        return rows

    def fold(self) -> int:
        """Count what has come since into the rollups, a slice of it at most; how much that was."""
        with self._cursor() as cursor:
            return self._headroom.sparing(cursor, lambda: rollups.fold(cursor))

    def compact(self) -> bool:
        """Make one part of the rollups smaller; whether one was worth it."""
        with self._cursor() as cursor:
            return self._headroom.sparing(cursor, lambda: rollups.compact(cursor))

    def forget_rollups(self) -> None:
        """Have the rollups counted anew: after calls or scores were taken out of the store."""
        with self._cursor() as cursor:
            rollups.clear(cursor)

    def close(self) -> None:
        """Write everything into the one file and let go of it."""
        with self._inserting, self._opening:
            self._closed = True
            database, self._database = self._database, None
            if database is not None:
                # Readers may be at work, and then it cannot: the log is replayed on opening.
                with contextlib.suppress(duckdb.Error):
                    self._headroom.sparing(database, lambda: database.execute("CHECKPOINT"))
                self._end(database)
                shutil.rmtree(self._spilled, ignore_errors=True)
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
        self._headroom.opened_anew()
        try:
            self.path.chmod(0o600)
            shutil.rmtree(self._spilled, ignore_errors=True)  # what a process that was killed has left
            self._spilled.mkdir(mode=0o700)
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


def _quarantine(cursor: duckdb.DuckDBPyConnection, writer: str, sequence: int, rejected: Rejected) -> None:
    entry = rejected.entry
    values = [writer, sequence, entry.kind, entry.accepted_at, rejected.reason, entry.payload]
    cursor.execute(schema.QUARANTINE, [*values, clock.now_us()])


def _numbers(position: Position) -> tuple[int, int, int]:
    return position.segment, position.offset, position.sequence
