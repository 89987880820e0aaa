"""A batch of journal payloads as temporary DuckDB tables, and what of it cannot be one.

The payloads are JSON already, so a batch is one file of lines that DuckDB reads by itself. A payload that it
refuses is looked at alone: mended where only its spelling is wrong (lone surrogates, line breaks, a key given
twice), else rejected with the reason. The rest of the batch is found by halving, so one bad payload holds up none.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Sequence
from pathlib import Path

import duckdb
import msgspec
from msgspec import Struct

from rondo.records import Call, CallMessage, Entry, Kind, Record, Score, TraceSpan, json_line
from rondo.store.columns import CALL, MESSAGE, SCORE, TRACE_SPAN, table

# What DuckDB says about data; anything else is about the store itself, and no payload's fault.
DATA_ERRORS = (
    duckdb.ConstraintException,
    duckdb.ConversionException,
    duckdb.InvalidInputException,
    duckdb.OutOfMemoryException,
    duckdb.OutOfRangeException,
    duckdb.TypeMismatchException,
    UnicodeDecodeError,  # what it says quotes the data, and may cut a letter in two
)

_SMALL = 8 << 20  # bytes
_LEAST_BUFFER = 1 << 20
_AT_A_TIME = 512  # lines in a system call, which takes 1,024 parts


class Rejected(Struct, frozen=True):
    """An entry the store cannot read, by its place in the batch, and why."""

    place: int
    entry: Entry
    reason: str


class Staged(Struct, frozen=True):
    """How many rows `new_calls`, `new_scores`, `new_trace_spans` and `new_messages` have, and what is in none."""

    calls: int
    scores: int
    trace_spans: int
    messages: int
    rejected: list[Rejected]


class _Line(Struct, frozen=True, gc=False):
    place: int
    entry: Entry
    payload: bytes


class _Target:
    """A temporary table and the record it takes."""

    def __init__(self, name: str, record: type[Record], columns: dict[str, str]) -> None:
        self.create = table(name, record).replace("CREATE TABLE", "CREATE OR REPLACE TEMP TABLE", 1)
        spelled = ", ".join(f"'{column}': '{kind}'" for column, kind in columns.items())
        read = f"read_json($path, format = 'newline_delimited', columns = {{{spelled}}}, maximum_object_size = "
        self.load = f"INSERT INTO {name} BY NAME SELECT * FROM {read}"  # noqa: S608
        self.decoder: msgspec.json.Decoder[Record] = msgspec.json.Decoder(record)


_TARGETS = {
    Kind.CALL: _Target("new_calls", Call, CALL),
    Kind.SCORE: _Target("new_scores", Score, SCORE),
    Kind.SPAN: _Target("new_trace_spans", TraceSpan, TRACE_SPAN),
    Kind.MESSAGE: _Target("new_messages", CallMessage, MESSAGE),
}


def is_small(batch: Sequence[Entry]) -> bool:
    """Whether it needs little memory: where there is too little for it, that is not the fault of what is in it."""
    return _need_little([entry.payload for entry in batch])


def stage(cursor: duckdb.DuckDBPyConnection, batch: Sequence[Entry], scratch: Path) -> Staged:
    """Fill the temporary tables of `Staged` in the order of the batch.

    They go by way of the file `scratch`.

    A table that would be empty is not made.

    Raises duckdb.Error or OSError where the store fails, as opposed to the data.
    """
    rejected = [
        Rejected(place, entry, f"unknown kind {entry.kind}")
        for place, entry in enumerate(batch)
        if entry.kind not in _TARGETS
    ]
    rows = dict.fromkeys(_TARGETS, 0)
    for kind, target in _TARGETS.items():
        payloads = [entry.payload for entry in batch if entry.kind == kind]
        if not payloads:
            continue
        cursor.execute(target.create)
        if not _load_whole(cursor, target, payloads, scratch):
            lines = [_Line(place, entry, entry.payload) for place, entry in enumerate(batch) if entry.kind == kind]
            sound, odd = _mend(target, lines)
            odd += _halve(cursor, target, sound, scratch)
            rejected += odd
            rows[kind] -= len(odd)
        rows[kind] += len(payloads)
    return Staged(rows[Kind.CALL], rows[Kind.SCORE], rows[Kind.SPAN], rows[Kind.MESSAGE], rejected)


def _need_little(payloads: list[bytes]) -> bool:
    return sum(map(len, payloads)) <= _SMALL and max(map(len, payloads), default=0) < _LEAST_BUFFER


def _load_whole(cursor: duckdb.DuckDBPyConnection, target: _Target, payloads: list[bytes], scratch: Path) -> bool:
    """Load them as they are, which nearly always works; whether it did."""
    if any(b"\n" in payload or not payload.strip() for payload in payloads):
        return False
    try:
        _load(cursor, target, payloads, scratch)
    except DATA_ERRORS as error:
        if isinstance(error, duckdb.OutOfMemoryException) and _need_little(payloads):
            raise  # something else has the memory
        return False
    return True


def _halve(cursor: duckdb.DuckDBPyConnection, target: _Target, lines: list[_Line], scratch: Path) -> list[Rejected]:
    """Load what can be loaded, in order."""
    if not lines:
        return []
    try:
        payloads = [line.payload for line in lines]
        _load(cursor, target, payloads, scratch)
    except DATA_ERRORS as error:
        if len(lines) > 1:
            middle = len(lines) // 2
            left = _halve(cursor, target, lines[:middle], scratch)
            return left + _halve(cursor, target, lines[middle:], scratch)
        (line,) = lines
        if isinstance(error, duckdb.OutOfMemoryException) and len(line.payload) < _LEAST_BUFFER:
            raise  # something else has the memory
        spelled = _spell(target, line)
        if isinstance(spelled, _Line) and spelled.payload != line.payload:
            return _halve(cursor, target, [spelled], scratch)
        return [Rejected(line.place, line.entry, str(error).splitlines()[0])]
    return []


def _load(cursor: duckdb.DuckDBPyConnection, target: _Target, payloads: list[bytes], scratch: Path) -> None:
    """All of the payloads or none. Raises one of DATA_ERRORS where one is not a row."""
    buffer = max(_LEAST_BUFFER, max(map(len, payloads)) + 2)
    _write_lines(scratch, payloads)
    cursor.begin()
    try:
        loaded = cursor.execute(f"{target.load}{buffer:d})", {"path": glob.escape(str(scratch))}).fetchall()[0][0]
        if loaded != len(payloads):
            raise duckdb.InvalidInputException(f"{len(payloads)} payloads made {loaded} rows")
        cursor.commit()
    except BaseException:
        cursor.rollback()
        raise


def _write_lines(path: Path, payloads: list[bytes]) -> None:
    """One payload a line, over what the file had: its pages are in memory, and taking new ones is half of the work."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        size = 0
        for start in range(0, len(payloads), _AT_A_TIME):
            parts = [part for payload in payloads[start : start + _AT_A_TIME] for part in (payload, b"\n")]
            size += sum(map(len, parts))
            _write_all(descriptor, parts)
        os.ftruncate(descriptor, size)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, parts: list[bytes]) -> None:
    """Raises OSError where there is no room for all of them."""
    left = sum(map(len, parts)) - os.writev(descriptor, parts)
    if left:  # more than the system takes at once, or a full disk, which says so now
        rest = memoryview(b"".join(parts))[-left:]
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def _mend(target: _Target, lines: list[_Line]) -> tuple[list[_Line], list[Rejected]]:
    """Payloads that are records, spelled plainly where they are not read as they are; and those that are none."""
    sound: list[_Line] = []
    rejected: list[Rejected] = []
    for line in lines:
        try:
            target.decoder.decode(line.payload)
            odd = b"\n" in line.payload
        except (ValueError, RecursionError):
            odd = True
        spelled = _spell(target, line) if odd else line
        if isinstance(spelled, _Line):
            sound.append(spelled)
        else:
            rejected.append(spelled)
    return sound, rejected


def _spell(target: _Target, line: _Line) -> _Line | Rejected:
    """The same record in the plainest JSON: one line, valid UTF-8, each key once."""
    try:
        plain = json_line(json.loads(line.payload.decode("utf-8", "replace")))
        target.decoder.decode(plain)
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        return Rejected(line.place, line.entry, str(error) or type(error).__name__)
    return _Line(line.place, line.entry, plain)
