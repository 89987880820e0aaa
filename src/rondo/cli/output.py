"""What commands print: aligned tables, times, money. Text that came from outside can do nothing to the terminal.

On a terminal, columns of free text are cut to its width, with `…` where something is missing. Into a file or a pipe
everything is written in full.
"""

from __future__ import annotations

import json
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import click

from rondo import clock
from rondo.settings.environment import environment

Row = Mapping[str, Any]
Colour = Literal["green", "red", "yellow", "cyan", "bright_black"]
UNKNOWN = "unknown"
_GAP = "  "
_NARROWEST = 8


class Column(NamedTuple):
    """A column of a table: `value` is a key of the row, or makes the text of it."""

    title: str
    value: str | Callable[[Row], object]
    right: bool = False
    free: bool = False
    """Free text: may be cut on a terminal."""

    def text(self, row: Row) -> str:
        value = row.get(self.value) if isinstance(self.value, str) else self.value(row)
        return one_line("-" if value is None or value == "" else str(value))


def table(rows: Iterable[Row], columns: Sequence[Column], *, none: str, indent: int = 0) -> None:
    """Print rows under titles; `none` is the sentence for when there are none."""
    cells = [[column.text(row) for column in columns] for row in rows]
    if not cells:
        click.echo(" " * indent + none)
        return
    widths = [
        max([len(column.title), *(width(row[position]) for row in cells)]) for position, column in enumerate(columns)
    ]
    if sys.stdout.isatty():
        _shrink(widths, columns, shutil.get_terminal_size((100, 24)).columns - indent)
    margin = " " * indent
    click.echo(margin + paint(_line([column.title for column in columns], widths, columns), "bright_black"))
    for row in cells:
        click.echo(margin + _line(row, widths, columns))


def facts(pairs: Iterable[tuple[str, object]], *, indent: int = 0) -> None:
    """Print names and values, one pair a line, values aligned. None is printed as `-`."""
    kept = [(name, "-" if value is None or value == "" else one_line(str(value))) for name, value in pairs]
    longest = max((len(name) for name, _ in kept), default=0)
    for name, value in kept:
        click.echo(" " * indent + paint(name.ljust(longest), "bright_black") + _GAP + value)


def block(text: str, *, indent: int = 2) -> None:
    """Print text of several lines, indented."""
    for line in plain(text).splitlines() or [""]:
        click.echo((" " * indent + line).rstrip())


def unified_diff(text: str) -> None:
    """Print a unified diff, in colour on a terminal."""
    for line in plain(text).splitlines():
        is_title = line.startswith(("--- ", "+++ "))
        if line[:1] in ("+", "-") and not is_title:
            click.echo(paint(line, "green" if line[0] == "+" else "red"))
        else:
            click.echo(line)


def heading(text: str) -> None:
    click.echo()
    click.echo(paint(text, "cyan"))


def as_json(value: object) -> None:
    """Print a JSON value, indented."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def pretty(value: object) -> str:
    """A JSON value as indented text; text as it is."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def json_line(value: object) -> None:
    """Print a JSON value on one line."""
    click.echo(json.dumps(value, ensure_ascii=False))


def paint(text: str, colour: Colour) -> str:
    """`text` in a colour, on a terminal and unless NO_COLOR is set."""
    return click.style(text, fg=colour) if sys.stdout.isatty() and environment("NO_COLOR") is None else text


def plain(text: str) -> str:
    """`text` without the characters that drive a terminal; line breaks and tabs stay."""
    return "".join(
        character
        if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else f"\\x{ord(character):02x}"
        for character in text
    )


def one_line(text: str) -> str:
    """`text` on one line, safe to print."""
    return " ".join(plain(text).split())


def when(moment: int | str | None) -> str:
    """`2026-11-21T10:22:31Z`, from microseconds since the epoch or an ISO time."""
    if moment is None:
        return "-"
    us = clock.parse_iso(moment) if isinstance(moment, str) else moment
    return clock.iso(us)[:19] + "Z"


def money(usd: float | None) -> str:
    """US dollars; what is not known is said to be."""
    return UNKNOWN if usd is None else f"{'-' if usd < 0 else ''}${abs(usd):.6f}"


def milliseconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value / 1000:.2f} s" if value >= 10_000 else f"{value:.0f} ms" if value >= 10 else f"{value:.2f} ms"


def percent(value: float) -> str:
    """`12.5%`; none at all is `-`."""
    return f"{value:g}%" if value else "-"


def count(number: int | None) -> str:
    return UNKNOWN if number is None else f"{number:,}"


def short(hash_: str | None) -> str:
    """The first twelve digits of a hash, as every list shows it; commands take them in place of the whole."""
    return "-" if not hash_ else hash_[:12]


def width(text: str) -> int:
    """Columns that `text` takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(_cells(character) for character in text)


def cut(text: str, columns: int) -> str:
    """`text` in at most `columns` columns, ending in `…` where something is missing."""
    if width(text) <= columns:
        return text
    taken, used = [], 0
    for character in text:
        used += _cells(character)
        if used > columns - 1:
            break
        taken.append(character)
    return "".join(taken) + "…"


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def _shrink(widths: list[int], columns: Sequence[Column], room: int) -> None:
    """Take from the widest column of free text until the line fits, or nothing more can be taken."""
    free = [position for position, column in enumerate(columns) if column.free]
    while free and sum(widths) + len(_GAP) * (len(widths) - 1) > room:
        widest = max(free, key=lambda position: widths[position])
        if widths[widest] <= _NARROWEST:
            return
        widths[widest] -= 1


def _line(cells: Sequence[str], widths: Sequence[int], columns: Sequence[Column]) -> str:
    padded = []
    for text, columns_wide, column in zip(cells, widths, columns, strict=True):
        shown = cut(text, columns_wide) if column.free else text
        gap = " " * (columns_wide - width(shown))
        padded.append(gap + shown if column.right else shown + gap)
    return _GAP.join(padded).rstrip()
