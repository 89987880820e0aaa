"""Parquet files, read and written row by row through DuckDB: a database of its own for each file, in memory.

Files come from outside: the database reads the one file that it was opened for, and no other.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb

from rondo.errors import InvalidRequest

_AT_ONCE = 1_000
_MEMORY = "256MB"
_LINES = "format = 'newline_delimited', maximum_object_size = 67108864"


class Unstorable(Exception):
    """A value that JSON has not; `column` holds it."""

    def __init__(self, message: str, column: str) -> None:
        super().__init__(message)
        self.column = column


def parquet_columns(path: Path) -> list[str]:
    """The names of a Parquet file's columns. Raises InvalidRequest."""
    with _opened(path) as database, _explained():
        return [
            column[0]
            for column in database.execute("SELECT * FROM read_parquet(?) LIMIT 0", [str(path)]).description or ()
        ]


def read_parquet(path: Path) -> Iterator[dict[str, Any] | Unstorable]:
    """The rows of a Parquet file, with what JSON has: times become text, decimals numbers.

    A row with anything else (bytes, NaN, infinity) is given as Unstorable. Raises InvalidRequest.
    """
    with _opened(path) as database, _explained():
        result = database.execute("SELECT * FROM read_parquet(?)", [str(path)])
        names = [column[0] for column in result.description or ()]
        while rows := result.fetchmany(_AT_ONCE):
            for row in rows:
                yield _as_json(names, row)


def write_parquet(source: Path, target: Path, columns: dict[str, str]) -> int:
    """Write JSON lines as Parquet; `columns` are names and SQL types. The number of rows."""
    with _opened(source, target) as database:
        kinds = ", ".join(f"{_quoted(name)}: {_quoted(kind)}" for name, kind in columns.items())
        database.execute(
            f"CREATE VIEW written AS FROM read_json({_quoted(str(source))}, {_LINES}, columns = {{{kinds}}})"
        )
        done = database.execute(
            f"COPY written TO {_quoted(str(target))} (FORMAT PARQUET, COMPRESSION ZSTD, USE_TMP_FILE FALSE)"
        )
        rows: int = done.fetchall()[0][0]
        return rows


@contextlib.contextmanager
def _opened(*paths: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    database = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": _MEMORY,
            "threads": 1,
            "autoinstall_known_extensions": False,  # never fetch code
            "autoload_known_extensions": False,
            "python_enable_replacements": False,
        },
    )
    try:
        database.execute(f"SET allowed_paths = [{', '.join(_quoted(str(path)) for path in paths)}]")
        database.execute("SET enable_external_access = false")
        database.execute("SET lock_configuration = true")
        yield database
    finally:
        database.close()


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """What DuckDB cannot read in a file is the file's fault."""
    try:
        yield
    except (duckdb.Error, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0].partition("Error: ")[2] or type(error).__name__
        raise InvalidRequest(f"The Parquet file cannot be read: {reason:.200}.", param="file") from None


def _as_json(names: list[str], row: tuple[Any, ...]) -> dict[str, Any] | Unstorable:
    fields: dict[str, Any] = {}
    for name, value in zip(names, row, strict=True):
        try:
            fields[name] = plain_value(value)
        except ValueError as error:
            return Unstorable(f"{name!r:.80} holds {error}.", name)
    return fields


def plain_value(value: Any) -> Any:
    """A value of a table as JSON has it. Raises ValueError, which names what JSON has not."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float | Decimal):
        number = float(value)
        if not math.isfinite(number):
            raise ValueError("a number that is not finite")
        return int(value) if isinstance(value, Decimal) and value == int(value) else number
    if isinstance(value, dict):
        return {str(name): plain_value(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(each) for each in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, UUID | timedelta):
        return str(value)
    raise ValueError("bytes" if isinstance(value, bytes) else f"a value of the kind {type(value).__name__}")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
