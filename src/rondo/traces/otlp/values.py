"""Values from outside, made harmless: bounded in length, number and depth, and without NUL characters. Pure.

What is cut says so, and how much it was. Names stay as they are sent: to us they are keys of a dictionary, no more.
"""

from __future__ import annotations

import math
from base64 import b64encode
from typing import Any

MAX_TEXT = 256 << 10
"""Characters of one value."""

MAX_NAME = 512
_MARK = 64
"""So much more may a text have that was cut before, with the mark that it got."""

MAX_ATTRIBUTES = 1_000
MAX_ITEMS = 10_000
MAX_EVENTS = 1_000
MAX_DEPTH = 16
MAX_SHARED = 8 << 10
_MAX_SHARED_TEXT = 1 << 10
TOO_DEEP = "[nested too deeply]"
DROPPED = "rondo.dropped_attributes"


def clean_text(text: str, most: int = MAX_TEXT) -> str:
    """The text, cut to `most` characters with a mark, NUL characters replaced."""
    if len(text) > most + _MARK:
        text = f"{text[:most]}… [cut: {len(text):,} characters]"
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}") if "\0" in text else text


def shared(attributes: dict[str, Any]) -> dict[str, Any]:
    """What every span of a group keeps a copy of: no more than about MAX_SHARED characters of it.

    Else a request of a megabyte that names its sender at length could make gigabytes of records.
    """
    kept: dict[str, Any] = {}
    size = 0
    for name, value in attributes.items():
        short = clean_text(value, _MAX_SHARED_TEXT) if isinstance(value, str) else value
        length = len(name) + len(short if isinstance(short, str) else str(short))
        if size + length <= MAX_SHARED:
            kept[name] = short
            size += length
    if len(kept) < len(attributes):
        kept[DROPPED] = len(attributes) - len(kept)
    return kept


def clean_bytes(data: bytes) -> str:
    """Bytes as Base64, which is how OTLP's JSON has them."""
    return clean_text(b64encode(data[: MAX_TEXT + 1]).decode())


def clean_number(value: float) -> int | float | str:
    """A number that JSON can hold, whole ones within 64 bits; any other as text."""
    if isinstance(value, int):
        return value if -(1 << 63) <= value < 1 << 63 else clean_text(str(value)[:100])
    return value if math.isfinite(value) else str(value)


def plain(value: Any, depth: int = 0) -> Any:  # noqa: PLR0911
    """A value as JSON gave it, made harmless."""
    if isinstance(value, str):
        return clean_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return clean_number(value)
    if depth >= MAX_DEPTH:
        return TOO_DEEP
    if isinstance(value, dict):
        items = list(value.items())[:MAX_ITEMS]
        return {clean_text(str(name), MAX_NAME): plain(each, depth + 1) for name, each in items}
    if isinstance(value, list):
        return [plain(each, depth + 1) for each in value[:MAX_ITEMS]]
    return clean_text(str(value))
