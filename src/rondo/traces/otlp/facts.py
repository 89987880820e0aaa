"""Reading single facts from a span's attributes, of whatever type they were sent. Pure.

A value of the wrong kind is as if it were not there: the next name of the fact is asked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import msgspec

from rondo.records import json_line
from rondo.traces.otlp.model import Attributes

_encode = msgspec.json.Encoder().encode
_SENSELESS = 10**15
MAX_WORD = 512


def word(attributes: Attributes, names: Iterable[str]) -> str | None:
    """The first that is a text, or a number, as a short text."""
    for name in names:
        value = attributes.get(name)
        if isinstance(value, str) and value:
            return value[:MAX_WORD]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
    return None


def whole(attributes: Attributes, names: Iterable[str]) -> int | None:
    """The first that counts something: a whole number from 0 on, also as a text."""
    for name in names:
        number = amount(attributes, (name,))
        if number is not None and number.is_integer():
            return int(number)
    return None


def amount(attributes: Attributes, names: Iterable[str]) -> float | None:
    """The first that is a number from 0 on, also as a text."""
    for name in names:
        value = attributes.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            continue
        try:
            number = float(value)
        except (ValueError, OverflowError):
            continue
        if math.isfinite(number) and 0 <= number < _SENSELESS:
            return number
    return None


def loaded(value: Any) -> Any:
    """A value that may be JSON as text; the text itself where it is none."""
    if not isinstance(value, str) or value[:1] not in ("[", "{", '"'):
        return value
    try:
        return read_json(value)
    except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
        return value


def read_json(data: str | bytes) -> Any:
    """JSON, where it need be also with halves of surrogate pairs. Raises ValueError, RecursionError."""
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError as error:
        if "surrogate" not in str(error):
            raise
        return msgspec.json.decode(json_line(json.loads(data)))


def text(value: Any) -> str:
    """A value as a text: what is one already stays as it is, the rest becomes JSON."""
    return value if isinstance(value, str) else as_json(value)


def as_json(value: Any) -> str:
    """Plain values as JSON, with lone surrogates replaced."""
    try:
        return _encode(value).decode()
    except UnicodeEncodeError:
        return json_line(value).decode()
