"""The functions of conditions. Pure; patterns are RE2's, which take time in proportion to the text, whatever they are.

A function looks into a text; its other arguments are written out, so that patterns are compiled once, when a release
is made. What is no text contains nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

Value = bool | int | float | str | list["Value"] | None
Compiled = Callable[[Value], Value]

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MOST_MEMORY = 8 << 20
_SPACE = re.compile(r"\s+")


class Function(NamedTuple):
    """`bind` takes the written-out arguments, and raises ValueError for what it cannot use.

    `takes_text`: its first argument is a text; without it, the function looks at the time.
    """

    bind: Callable[[list[str]], Compiled]
    gives: str
    takes_text: bool
    about: str


def is_true(value: Value) -> bool:
    """Null, false, 0, empty text and empty lists are not."""
    return bool(value)


def _contains(words: list[str]) -> Compiled:
    _some(words, "a text to look for")
    wanted = [word.casefold() for word in words]

    def found(text: Value) -> bool:
        if not isinstance(text, str):
            return False
        folded = text.casefold()
        return any(word in folded for word in wanted)

    return found


def _mentions(words: list[str]) -> Compiled:
    """Whole words: each is quoted, spaces in it stand for any space."""
    _some(words, "a word to look for")
    quoted = "|".join(_SPACE.sub(r"\\s+", re.escape(word.strip()).replace("\\ ", " ")) for word in words)
    # RE2's \b knows ASCII letters only, and cannot look around: the neighbours are matched instead.
    return _search(rf"(?i)(?:^|[^\pL\pN_])(?:{quoted})(?:[^\pL\pN_]|$)")


def _matches(words: list[str]) -> Compiled:
    if len(words) != 1:
        raise ValueError("takes a text and one pattern")
    return _search(words[0])


def _search(pattern: str) -> Compiled:
    import re2

    options = re2.Options()
    options.max_mem = _MOST_MEMORY
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        raise ValueError(f"RE2 cannot read this pattern: {_told(error)}") from None

    def found(text: Value) -> bool:
        return isinstance(text, str) and compiled.search(text.encode("utf-8", "replace")) is not None

    return found


def _told(error: Exception) -> str:
    first = error.args[0] if error.args else error
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)


def _hour(words: list[str]) -> Compiled:
    zone = _zone(words)
    return lambda now: _local(now, zone).hour if isinstance(now, int) else None


def _weekday(words: list[str]) -> Compiled:
    zone = _zone(words)
    return lambda now: WEEKDAYS[_local(now, zone).weekday()] if isinstance(now, int) else None


def _date(words: list[str]) -> Compiled:
    zone = _zone(words)
    return lambda now: _local(now, zone).date().isoformat() if isinstance(now, int) else None


def _local(now_us: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(now_us / 1_000_000, UTC).astimezone(zone)


def _zone(words: list[str]) -> ZoneInfo:
    if len(words) != 1:
        raise ValueError('takes one time zone, e.g. "Europe/Berlin"')
    try:
        return ZoneInfo(words[0])
    except (OSError, ValueError, KeyError):
        raise ValueError(f"there is no time zone {words[0]!r:.60}; they look like Europe/Berlin") from None


def _some(words: list[str], what: str) -> None:
    if not words or not all(word.strip() for word in words):
        raise ValueError(f"takes a text and {what}")


FUNCTIONS: dict[str, Function] = {
    "contains": Function(_contains, "truth", True, "whether any of these stands in the text, upper or lower case"),
    "mentions": Function(_mentions, "truth", True, "the same, for whole words"),
    "matches": Function(_matches, "truth", True, "whether the pattern (RE2) is found in the text"),
    "hour": Function(_hour, "number", False, "the hour of the day, 0 to 23, in a time zone"),
    "weekday": Function(_weekday, "text", False, "the day of the week, `mon` to `sun`, in a time zone"),
    "date": Function(_date, "text", False, "the date, `2026-12-24`, in a time zone"),
}
