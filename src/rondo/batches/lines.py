"""The lines of an input file: read as a stream, each no longer than it may be, and checked before any is asked.

Whatever is wrong with the file as a whole, or with a line so that its answer could not be found again, fails the
batch and names the line. What is wrong with the request inside is for the gateway to say, in the line's own result.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import msgspec
from msgspec import Raw, Struct

from rondo.batches.model import Problem
from rondo.gateway.reading import UNREADABLE, read

MOST_PROBLEMS = 100
"""More are not told."""

_LONGEST_ID = 512
_GROUP_LINES = 200
_GROUP_BYTES = 1 << 20
_ENVELOPE = 4_096
"""Bytes of a line around its body."""


class Request(Struct, frozen=True):
    """One line: `number` counts from 1; `body` is JSON. `streams`: it asks for a stream, which a batch has not."""

    number: int
    custom_id: str
    body: bytes
    streams: bool


class Checked(Struct, frozen=True):
    """What a file holds: so many requests in lines up to `last`, or problems."""

    requests: int
    problems: list[Problem]


class Unfit(Exception):
    """A line that fails its batch."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


class _Line(Struct):
    custom_id: str
    method: str
    url: str
    body: dict[str, Raw]


_fields = msgspec.json.Decoder(dict[str, Raw])
_line = msgspec.json.Decoder(_Line)
_any = msgspec.json.Decoder(Any)
_encode = msgspec.json.Encoder().encode


def parse_line(data: bytes, number: int, endpoint: str) -> Request:
    """Raises Unfit."""
    try:
        str(data, "utf-8")
    except UnicodeDecodeError:
        raise Unfit("invalid_encoding", "The line is not UTF-8.") from None
    try:
        fields = read(_fields, data)
    except UNREADABLE as error:
        raise Unfit("invalid_json_line", f"The line is not a JSON object: {error}.") from None
    for name in ("custom_id", "method", "url", "body"):
        if name not in fields:
            raise Unfit("missing_required_parameter", f"`{name}` is missing.", name)
    try:
        line = read(_line, data)
    except UNREADABLE as error:
        raise Unfit("invalid_line", f"The line cannot be read: {error}.") from None
    if not 0 < len(line.custom_id) <= _LONGEST_ID:
        raise Unfit("invalid_custom_id", f"`custom_id` must have 1 to {_LONGEST_ID} characters.", "custom_id")
    if line.method != "POST":
        raise Unfit("invalid_method", f"`method` must be POST, not {line.method!r:.20}.", "method")
    if line.url != endpoint:
        raise Unfit("invalid_url", f"`url` must be the batch's endpoint {endpoint}, not {line.url!r:.100}.", "url")
    return Request(number, line.custom_id, _encode(line.body), _checked(line.body))


def _checked(body: dict[str, Raw]) -> bool:
    """Whether the body asks for a stream. Raises Unfit where it names no model."""
    model, stream = (_value(body.get(name)) for name in ("model", "stream"))
    if "model" not in body and _value(body.get("models")):
        model = "models"  # tried in turn; the gateway looks at them
    if not isinstance(model, str) or not model:
        raise Unfit("missing_required_parameter", "`body.model` is missing, or no name.", "body.model")
    return stream is True


def _value(raw: Raw | None) -> Any:
    try:
        return None if raw is None else read(_any, raw)
    except UNREADABLE as error:
        raise Unfit("invalid_line", f"The line cannot be read: {error}.") from None


def check(path: Path, endpoint: str, *, most_requests: int, max_body_bytes: int) -> Checked:
    """Read a whole file without keeping it. Raises OSError."""
    seen: set[int] = set()
    problems: list[Problem] = []
    count = 0
    with path.open("rb") as file:
        for number, data in _lines(file, max_body_bytes + _ENVELOPE):
            count += 1
            if count > most_requests:
                problems.append(_problem("too_many_requests", f"There are more than {most_requests:,}.", number))
                break
            try:
                if data is None:
                    raise Unfit("line_too_long", f"The line is longer than {(max_body_bytes >> 20)} MB.")
                custom_id = parse_line(data, number, endpoint).custom_id
                if hash(custom_id) in seen:
                    raise Unfit("duplicate_custom_id", f"{custom_id!r:.100} stands in an earlier line.", "custom_id")
                seen.add(hash(custom_id))
            except Unfit as unfit:
                problems.append(_problem(unfit.code, unfit.message, number, unfit.param))
                if len(problems) >= MOST_PROBLEMS:
                    break
    if not count:
        problems.append(_problem("empty_file", "The input file has no requests."))
    return Checked(count, problems)


class Requests:
    """The requests of a file that has been checked, in groups."""

    def __init__(self, path: Path, endpoint: str, *, max_body_bytes: int) -> None:
        self._file = path.open("rb")
        self._lines = _lines(self._file, max_body_bytes + _ENVELOPE)
        self._endpoint = endpoint

    def next_group(self) -> list[Request]:
        """The next few; none at the end. Raises Unfit where the file is not what was checked."""
        group: list[Request] = []
        size = 0
        for number, data in islice(self._lines, _GROUP_LINES):
            group.append(parse_line(data or b"", number, self._endpoint))
            size += len(data or b"")
            if size > _GROUP_BYTES:
                break
        return group

    def close(self) -> None:
        self._file.close()


def _lines(file: IO[bytes], longest: int) -> Iterator[tuple[int, bytes | None]]:
    """Every line that is not blank, with its number; None in place of one that is too long."""
    number = 0
    while data := file.readline(longest + 1):
        number += 1
        if len(data) > longest and not data.endswith(b"\n"):
            while (rest := file.readline(longest)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        elif data.strip():
            yield number, data


def _problem(code: str, message: str, line: int | None = None, param: str | None = None) -> Problem:
    return Problem(code=code, message=message, line=line, param=param)
