"""The words of a condition: names, text in quotes, numbers and signs, each with its place. Pure."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

MOST_CHARACTERS = 4_000

_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*)
    |(?P<number>-?\d{1,15}(?:\.\d{1,15})?(?![\w.]))
    |(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<sign>==|!=|<=|>=|[<>()\[\],])
    """,
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_ESCAPED = re.compile(r"\\([\\\"'])")


class ParseError(Exception):
    """A condition that cannot be read; `at` is the place, counted from 0. Who knows the file makes a SettingsError."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


class Token(NamedTuple):
    """`value` is what a text or a number stands for."""

    kind: Literal["word", "number", "text", "sign", "end"]
    text: str
    at: int
    value: str | int | float | None = None

    @property
    def shown(self) -> str:
        return "the end" if self.kind == "end" else f"`{self.text:.40}`"


def tokens(text: str) -> list[Token]:
    """The words of `text`, the last one its end. Raises ParseError."""
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unreadable(text, at)
        written = match.group()
        if match.lastgroup == "word":
            found.append(Token("word", written, at))
        elif match.lastgroup == "sign":
            found.append(Token("sign", written, at))
        elif match.lastgroup == "number":
            found.append(Token("number", written, at, float(written) if "." in written else int(written)))
        elif match.lastgroup == "text":
            found.append(Token("text", written, at, _unescaped(written)))
        at = match.end()
    found.append(Token("end", "", len(text)))
    return found


def _unescaped(written: str) -> str:
    r"""Only quotes and backslashes are escaped, so that `\d` in a pattern stays what it is."""
    return _ESCAPED.sub(r"\1", written[1:-1])


def _unreadable(text: str, at: int) -> ParseError:
    sign = text[at]
    if sign in "\"'":
        return ParseError("this text has no closing quote", at)
    if sign == "=":
        return ParseError("`=` compares nothing: write `==`", at)
    if text.startswith(("&&", "||", "!"), at):
        return ParseError("write `and`, `or`, `not`", at)
    if sign.isdigit() or sign in "-.":
        return ParseError("this is no number that can be read; numbers look like 20 or 0.95", at)
    return ParseError(f"{sign!r} means nothing here", at)
