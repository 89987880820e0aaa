"""What templates can do with values: look-ups, comparisons, filters, printing, all within a budget. Pure."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable
from typing import Any

from rondo.errors import InvalidRequest

MAX_OUTPUT_CHARS = 4_000_000  # of a whole rendering; the longest contexts of models hold about that much text
MAX_TURNS = 100_000  # of all loops together
MAX_WORK_CHARS = 32_000_000  # touched by joining, comparing and filters together

Arity = tuple[int, int]


class Budget:
    """What one rendering may still use up. Each method raises InvalidRequest when it is spent."""

    __slots__ = ("output", "turns", "work_left")

    def __init__(self) -> None:
        self.output = MAX_OUTPUT_CHARS
        self.turns = MAX_TURNS
        self.work_left = MAX_WORK_CHARS

    def write(self, characters: int) -> None:
        self.output -= characters
        if self.output < 0:
            raise _too_much(f"makes more than {MAX_OUTPUT_CHARS:,} characters")

    def turn(self, count: int, weight: int) -> None:
        """`count` loop turns are ahead, each of which costs `weight` work."""
        self.work(count * weight)
        self.turns -= count
        if self.turns < 0:
            raise _too_much(f"takes more than {MAX_TURNS:,} loop turns")

    def work(self, amount: int) -> None:
        self.work_left -= amount + 1
        if self.work_left < 0:
            raise _too_much("does too much work")


class Missing:
    """A key that is not there. It is false, has no keys, and cannot be printed."""

    __slots__ = ("path",)

    def __init__(self, path: str = "") -> None:
        self.path = path


MISSING = Missing()


def look_up(whole: Any, key: Any, path: str) -> Any:
    """The value of `key` in an object, or at a position in a list. Never an attribute of anything."""
    if isinstance(whole, dict) and isinstance(key, str):
        found = whole.get(key, MISSING)
        return Missing(f"{path}.{key}") if found is MISSING else found
    if isinstance(whole, list) and isinstance(key, int) and not isinstance(key, bool):
        return whole[key] if 0 <= key < len(whole) else Missing(f"{path}[{key}]")
    return Missing(f"{path}.{key}")


def truth(value: Any) -> bool:
    return bool(value) and not isinstance(value, Missing)


def text_of(value: Any, budget: Budget) -> str:
    """Text as it is, everything else as JSON. Raises InvalidRequest for a missing key."""
    if type(value) is str:
        return value
    if isinstance(value, Missing):
        raise InvalidRequest(
            f"The prompt uses `{value.path}`, which is not there.",
            param=_param(value.path),
            remedy="Send it, or give the template a `default(...)`.",
        )
    if type(value) is int:
        return str(value) if -(10**18) < value < 10**18 else _json(value, budget)
    return _json(value, budget)


def _json(value: Any, budget: Budget) -> str:
    charge(value, budget)
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        raise InvalidRequest("A value that the prompt prints cannot be written as JSON.", param="inputs") from None


def charge(value: Any, budget: Budget) -> None:
    """Charge about as much work as walking through `value` takes."""
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, str):
            budget.work(len(each))
        elif isinstance(each, list):
            budget.work(len(each))
            stack.extend(each)
        elif isinstance(each, dict):
            budget.work(len(each))
            stack.extend(each)
            stack.extend(each.values())
        else:
            budget.work(8)


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
    "in": lambda member, whole: member in whole,
    "notin": lambda member, whole: member not in whole,
}


def compare(name: str, left: Any, right: Any, budget: Budget) -> bool:
    if type(left) is str and type(right) is str:
        budget.work(len(right) if name in ("in", "notin") else min(len(left), len(right)))
    else:
        charge(left, budget)
        charge(right, budget)
    if name in ("in", "notin") and (right is None or isinstance(right, Missing)):
        return name == "notin"
    try:
        return COMPARISONS[name](left, right)
    except (TypeError, RecursionError):
        raise InvalidRequest(
            f"The prompt compares values that cannot be compared: {_kind(left)} and {_kind(right)}."
        ) from None


def _default(value: Any, arguments: list[Any], _: Budget) -> Any:
    empty_too = len(arguments) > 1 and truth(arguments[1])
    absent = value is None or isinstance(value, Missing) or (empty_too and not truth(value))
    return arguments[0] if absent else value


def _join(value: Any, arguments: list[Any], budget: Budget) -> str:
    if not isinstance(value, list):
        raise _wrong("join", "a list", value)
    glue = text_of(arguments[0], budget) if arguments else ""
    texts: list[str] = []
    for each in value:
        texts.append(text := text_of(each, budget))
        budget.work(len(text) + len(glue))
    return glue.join(texts)


def _length(value: Any, _: list[Any], __: Budget) -> int:
    if not isinstance(value, str | list | dict):
        raise _wrong("length", "text, a list or an object", value)
    return len(value)


def _letters(name: str, change: Callable[[str], str]) -> Callable[[Any, list[Any], Budget], str]:
    def apply(value: Any, _: list[Any], budget: Budget) -> str:
        if not isinstance(value, str):
            raise _wrong(name, "text", value)
        budget.work(len(value))
        return change(value)

    return apply


def _tojson(value: Any, _: list[Any], budget: Budget) -> str:
    if isinstance(value, Missing):
        return text_of(value, budget)
    return _json(value, budget)


def _end(name: str, position: int) -> Callable[[Any, list[Any], Budget], Any]:
    def apply(value: Any, _: list[Any], __: Budget) -> Any:
        if isinstance(value, Missing):
            return value
        if not isinstance(value, list | str):
            raise _wrong(name, "a list or text", value)
        return value[position] if value else Missing(f"the {name} of an empty list")

    return apply


def _round(value: Any, arguments: list[Any], _: Budget) -> int | float:
    places = arguments[0] if arguments else 0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong("round", "a number", value)
    if isinstance(places, bool) or not isinstance(places, int) or not 0 <= places <= 15:
        raise _wrong("round", "0 to 15 places", places)
    return round(value, places) if places else round(value)


Apply = Callable[[Any, list[Any], Budget], Any]

FILTERS: dict[str, tuple[Apply, Arity]] = {
    "default": (_default, (1, 2)),
    "first": (_end("first", 0), (0, 0)),
    "join": (_join, (0, 1)),
    "last": (_end("last", -1), (0, 0)),
    "length": (_length, (0, 0)),
    "lower": (_letters("lower", str.lower), (0, 0)),
    "round": (_round, (0, 1)),
    "tojson": (_tojson, (0, 0)),
    "trim": (_letters("trim", str.strip), (0, 0)),
    "upper": (_letters("upper", str.upper), (0, 0)),
}


def _wrong(name: str, wants: str, value: Any) -> InvalidRequest:
    if isinstance(value, Missing):
        return InvalidRequest(f"The prompt uses `{value.path}`, which is not there.", param=_param(value.path))
    return InvalidRequest(f"The prompt's filter `{name}` needs {wants}, not {_kind(value)}.")


def _kind(value: Any) -> str:
    names = {str: "text", bool: "a boolean", list: "a list", dict: "an object", Missing: "nothing", type(None): "null"}
    return names.get(type(value), "a number")


def _param(path: str) -> str:
    return path if path.split(".", maxsplit=1)[0] in ("inputs", "context", "history", "question") else f"inputs.{path}"


def _too_much(what: str) -> InvalidRequest:
    return InvalidRequest(
        f"The prompt's template {what}.", param="inputs", remedy="Send less, or make the template simpler."
    )
