"""What a step of `rondo.trace` keeps of a function's arguments and of its result: plain values as JSON, bounded.

Values of JSON's kinds, dates and the like, and the fields of dataclasses are kept; of any other class its name alone,
as its `repr` may be slow, or tell what it should not. What is named like a secret is left out, at any depth, also where
a pair has the name and the value. Pure.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import itertools
import json
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

MAX_ITEMS = 100
"""Of a list or a mapping."""

MAX_TEXT = 16_000
"""Characters of one text among other values."""

MAX_ALL = 64_000
"""Characters of all of it."""

_DEEPEST = 8
_SECRET = re.compile(
    r"passw(or)?d|passphrase|passcode|secret|credential|authorization|cookie|(private|api|access|auth)_?key"
    r"|(token|auth|(?<!by)(?<!com)pass|pwd|jwt|bearer)[0-9]*(_|$)|(api|auth|access|refresh)_?tokens"
)
_BETWEEN_WORDS = re.compile(r"[\W_]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NO_WORD = re.compile(r"[\W_]+")
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
    if isinstance(value, Yielded) and value.texts:
        value = "".join(value.held)
    if isinstance(value, str):
        text = value if len(value) <= MAX_ALL else f"{value[:MAX_ALL]}{_MORE}"
    else:
        try:
            made = _Plain().of(value, _DEEPEST)
        except Exception:  # values of the program's own classes may raise anything, and nothing here may break it
            made = f"<{type(value).__qualname__}>"
        text = made if isinstance(made, str) else json.dumps(made, ensure_ascii=False)
    return text.encode("utf-8", "replace").decode()  # halves of surrogate pairs are what no exporter can send


class Yielded:
    """What a generator yields. No more of it is held than is kept: texts up to `MAX_ALL`, else `MAX_ITEMS` values."""

    def __init__(self) -> None:
        self.held: list[Any] = []
        self.number = 0
        self.texts = True  # and nothing else
        self._left = MAX_ALL

    def add(self, value: Any) -> None:
        """The next value."""
        self.number += 1
        if self._left < 0:
            return
        if isinstance(value, str):
            value = value[: self._left + 1]  # one more than is kept, which shows that there was more
            self._left -= max(1, len(value))
        else:
            self.texts = False
            del self.held[MAX_ITEMS:]
        if self.texts or len(self.held) < MAX_ITEMS:
            self.held.append(value)


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
        if isinstance(value, Yielded):
            return self._items(iter(value.held), value.number, deep - 1)
        if (named := _named(value)) is not None:
            return self._mapping(named, len(named), deep - 1) if deep else _MORE
        if isinstance(value, list | tuple) and len(value) == 2 and _is_secret_name(value[0]):
            return [self.of(value[0], deep), _LEFT_OUT]
        if isinstance(value, list | tuple | set | frozenset):
            return self._items(iter(value), len(value), deep - 1) if deep else _MORE
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
            made[name] = _LEFT_OUT if _tells_secret(key) else self.of(value, deep)
            if self._left <= 0:
                break
        return made if len(made) == number else made | {_MORE: f"of {number:,}"}


def _named(value: Any) -> Collection[tuple[Any, Any]] | None:
    """The members of what has names for them, None of anything else."""
    if isinstance(value, dict):
        return value.items()
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=True))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name, None)) for field in dataclasses.fields(value)]
    return None


def _tells_secret(name: Any) -> bool:
    """Whether it is named like a secret, in words however they are set apart, or in one."""
    if isinstance(name, enum.Enum):
        name = name._value_
    if isinstance(name, bytes | bytearray):  # of a header, say
        name = name.decode("latin-1")
    if not isinstance(name, str):
        return False
    return any(_SECRET.search(between.sub("_", name).lower()) for between in (_BETWEEN_WORDS, _NO_WORD))


def _is_secret_name(value: Any) -> bool:
    """Whether the first of a pair is the name of a secret, and no sentence about one."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    return isinstance(text, str) and len(text.split()) == 1 and _tells_secret(text)
