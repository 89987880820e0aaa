"""Rows of a file, one at a time: JSON lines, a JSON list, CSV. What cannot be read is a Problem in the row's place.

A problem names the line and, where it can be told, the column. Nothing here knows what a row means.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec
from msgspec import Struct

from rondo.errors import InvalidRequest, TooLarge

LONGEST_LINE = 16 << 20
"""Bytes of a line, and of a CSV field."""

LARGEST_DOCUMENT = 64 << 20
"""Bytes of a JSON or YAML document that has to be read as a whole."""

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_DELIMITERS = ",;\t|"
_COLUMN_AT = "(byte "
_decode = msgspec.json.Decoder().decode


class Problem(Struct, frozen=True):
    """Why a row cannot be taken. Lines and columns count from 1; `param` is the field."""

    message: str
    line: int | None = None
    column: int | None = None
    param: str | None = None

    def __str__(self) -> str:
        where = [f"{name} {number}" for name, number in (("line", self.line), ("column", self.column)) if number]
        return f"{', '.join(where)}: {self.message}" if where else self.message


class Row(Struct, frozen=True):
    """One row: its line in the file (its number, in files without lines), and its fields."""

    line: int
    fields: dict[str, Any]


Rows = Iterator[Row | Problem]


def json_lines(path: Path) -> Rows:
    """A JSON object a line; blank lines are passed over."""
    with path.open("rb") as file:
        for number, line in _lines(file):
            if line is None:
                yield Problem(f"The line is longer than {LONGEST_LINE >> 20} MB.", line=number)
                continue
            yield _object(line, number)


def json_list(data: Any, *, first: int = 1) -> Rows:
    """The objects of a list that has been read already; their numbers stand for lines."""
    for number, value in enumerate(data, first):
        if isinstance(value, dict):
            yield Row(number, value)
        else:
            yield Problem(f"Item {number} is no JSON object.", line=None)


def read_document(path: Path) -> Any:
    """A JSON document as a whole. Raises InvalidRequest with line and column, TooLarge."""
    data = document_bytes(path)
    try:
        return _decode(data)
    except UNREADABLE as error:
        line, column = _place(data, _byte_of(error))
        raise InvalidRequest(
            f"line {line}, column {column}: This is not JSON: {_reason(data, error)}.", param="file"
        ) from None


def document_bytes(path: Path) -> bytes:
    """A file that has to be read as a whole. Raises TooLarge."""
    if path.stat().st_size > LARGEST_DOCUMENT:
        raise TooLarge(
            f"The document is larger than {LARGEST_DOCUMENT >> 20} MB.",
            remedy="Send JSON lines (one object a line), CSV or Parquet, which are read row by row.",
            param="file",
        )
    return path.read_bytes().removeprefix(b"\xef\xbb\xbf")


def delimited(path: Path) -> Rows:
    """CSV with a line of names (RFC 4180), separated by whatever the first line is: `,`, `;`, `|` or tabs.

    An empty field is None.
    """
    csv.field_size_limit(LONGEST_LINE)
    with path.open("r", encoding="utf-8-sig", newline="") as file:
        try:
            yield from _delimited(file)
        except UnicodeDecodeError as error:
            line = path.read_bytes()[: _bad_byte(path, error)].count(b"\n") + 1
            yield Problem("The file is not UTF-8.", line=line)


def header_of(path: Path) -> list[str]:
    """The names in a CSV's first line; none where it cannot be read."""
    csv.field_size_limit(LONGEST_LINE)
    with path.open("r", encoding="utf-8-sig", newline="", errors="replace") as file:
        try:
            return next(_reader(file), [])
        except csv.Error:
            return []


def _delimited(file: io.TextIOWrapper) -> Rows:
    reader = _reader(file)
    before = 0
    names: list[str] | None = None
    while True:
        line = before + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Problem(f"This is not CSV: {error}. A quote may be open that begins here.", line=line)
            return
        finally:
            before = reader.line_num
        if names is None:
            names = [name.strip() for name in cells]
            problem = _names_problem(names)
            if problem is not None:
                yield Problem(problem, line=line)
                return
        elif len(cells) != len(names):
            if cells:
                yield Problem(f"The row has {len(cells)} fields, the first line names {len(names)}.", line=line)
        else:
            yield Row(line, {name: cell or None for name, cell in zip(names, cells, strict=True)})


def _names_problem(names: list[str]) -> str | None:
    for place, name in enumerate(names, 1):
        if not name:
            return f"Column {place} has no name."
        if name in names[: place - 1]:
            return f"Two columns are called {name!r:.80}."
    return None


def _reader(file: io.TextIOWrapper) -> Any:
    first = file.readline(LONGEST_LINE)
    file.seek(0)
    outside = "".join(first.split('"')[::2])  # what is not within quotes
    delimiter = max(_DELIMITERS, key=outside.count)
    return csv.reader(file, delimiter=delimiter, strict=True)


def _bad_byte(path: Path, error: UnicodeDecodeError) -> int:
    """Where the file's first byte is that is not UTF-8; a decoder knows only its own piece."""
    data = path.read_bytes()
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as whole:
        return whole.start
    return error.start


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """Every line that is not blank, with its number; None in place of one that is too long."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        if len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            while (rest := file.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        elif line.strip():
            yield number, line


def _object(line: bytes, number: int) -> Row | Problem:
    try:
        value = _decode(line)
    except UNREADABLE as error:
        column = _place(line, _byte_of(error))[1] if _byte_of(error) is not None else None
        return Problem(f"This is not JSON: {_reason(line, error)}.", line=number, column=column)
    if not isinstance(value, dict):
        return Problem("This is no JSON object.", line=number)
    return Row(number, value)


def _byte_of(error: BaseException) -> int | None:
    if isinstance(error, UnicodeDecodeError):
        return error.start
    _, found, rest = str(error).rpartition(_COLUMN_AT)
    digits = rest.partition(")")[0]
    return int(digits) if found and digits.isdigit() else None


def _reason(data: bytes, error: BaseException) -> str:
    at = _byte_of(error) or 0
    for word in (b"NaN", b"Infinity"):  # Python writes them
        if data.startswith(word, at):
            return f"{word.decode()} is no number"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return str(error).rpartition(f" {_COLUMN_AT}")[0].removeprefix("JSON is malformed: ") or str(error)


def _place(data: bytes, byte: int | None) -> tuple[int, int]:
    """Line and column of a byte; the end where it is not known."""
    before = data[: len(data) if byte is None else byte]
    start = before.rfind(b"\n") + 1
    return before.count(b"\n") + 1, len(before[start:].decode("utf-8", "replace")) + 1
