"""What a step of `rondo.trace` keeps of a function's arguments and of its result: plain values as JSON, bounded.

Values of JSON's kinds, dates and the like, and the fields of dataclasses are kept; of any other class its name alone,
as its `repr` may be slow, or tell what it should not. What is named like a secret is left out, at any depth. Pure.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

MAX_ITEMS = 100
"""Of a list or a mapping."""

MAX_TEXT = 16_000
"""Characters of one text among other values."""

MAX_ALL = 64_000
"""Characters of all of it."""

_DEEPEST = 8
_SECRET = re.compile(
    r"password|passwd|passphrase|secret|credential|authorization|cookie|private_?key|api_?key|access_?key"
    r"|(^|_)(token|auth|pass|pwd|jwt|bearer)(_|$)"
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|-")
_LEFT_OUT = "[left out]"
_MORE = "…"
_OURSELVES = ("self", "cls")


def arguments(function: Callable[..., Any], args: tuple[Any, ...], more: Mapping[str, Any]) -> str | None:
    """The arguments of a call by their names, as JSON; None where there are none, or they do not fit the function."""
    try:
        given = inspect.signature(function).bind(*args, **more).arguments
    except (TypeError, ValueError):  # the call itself will say so
        return None
    named = {name: value for name, value in given.items() if name not in _OURSELVES}
    return as_text(named) if named else None


def as_text(value: Any) -> str:
    """A text as it is, anything else as JSON; cut where it is long."""
    if isinstance(value, str):
        text = value if len(value) <= MAX_ALL else f"{value[:MAX_ALL]}{_MORE}"
    else:
        try:
            made = _Plain().of(value, _DEEPEST)
        except Exception:  # values of the program's own classes may raise anything, and nothing here may break it
            made = f"<{type(value).__qualname__}>"
        text = made if isinstance(made, str) else json.dumps(made, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()  # halves of surrogate pairs are what no exporter can send


class _Plain:
    """Makes values plain, until so many characters are used up."""

    def __init__(self) -> None:
        self._left = MAX_ALL

    def of(self, value: Any, deep: int) -> Any:
        """The value of JSON's own kinds alone."""
        if self._left <= 0:
            return _MORE
        made = self._single(value)
        if made is None and value is not None:
            return self._members(value, deep)
        self._left -= 4 + (len(made) if isinstance(made, str) else 0)
        return made

    def _single(self, value: Any) -> str | int | float | bool | None:  # noqa: PLR0911
        """None for what has members, too."""
        if isinstance(value, enum.Enum):
            return self._single(value._value_)
        if isinstance(value, bool):
            return value
        if isinstance(value, int):
            return int(value) if value.bit_length() <= 64 else f"<int of {value.bit_length()} bits>"
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else repr(float(value))
        if isinstance(value, str):
            return value[:MAX_TEXT] + (_MORE if len(value) > MAX_TEXT else "")
        if isinstance(value, bytes | bytearray | memoryview):
            return f"<{len(value):,} bytes>"
        if type(value).__module__ in ("datetime", "decimal", "uuid", "pathlib"):
            return str(value)
        return None

    def _members(self, value: Any, deep: int) -> Any:
        if isinstance(value, list | tuple | set | frozenset):
            return self._items(iter(value), len(value), deep - 1) if deep else _MORE
        if isinstance(value, dict):
            return self._mapping(value.items(), len(value), deep - 1) if deep else _MORE
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = [(field.name, getattr(value, field.name, None)) for field in dataclasses.fields(value)]
            return self._mapping(fields, len(fields), deep - 1) if deep else _MORE
        return f"<{type(value).__qualname__}>"

    def _items(self, values: Iterable[Any], number: int, deep: int) -> list[Any]:
        made: list[Any] = []
        for value in itertools.islice(values, MAX_ITEMS):
            made.append(self.of(value, deep))
            if self._left <= 0:
                break
        return made if len(made) == number else [*made, f"{_MORE} of {number:,}"]

    def _mapping(self, items: Iterable[tuple[Any, Any]], number: int, deep: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in itertools.islice(items, MAX_ITEMS):
            name = str(self.of(key, 0))
            made[name] = _LEFT_OUT if _SECRET.search(_HUMP.sub("_", name).lower()) else self.of(value, deep)
            if self._left <= 0:
                break
        return made if len(made) == number else made | {_MORE: f"of {number:,}"}
