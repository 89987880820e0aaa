"""Reading JSON off the wire as leniently as its senders write it. Pure.

JavaScript cuts text between UTF-16 units, and some models stream half a character at a time: JSON then holds half a
surrogate pair (`\\ud83d`), which is allowed there and in no Unicode text. An answer goes on as it is; a request, and
what we read of either, has U+FFFD instead.
"""

from __future__ import annotations

import re
from typing import TypeVar

import msgspec

T = TypeVar("T")

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What reading raises for bytes that are no JSON of the wanted shape, no UTF-8, or nested too deep."""

_HIGH = rb"\\u[dD][89abAB][0-9a-fA-F]{2}"
_LOW = rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_HALF = re.compile(rb"%b(?!%b)|(?<!%b)%b" % (_HIGH, _LOW, rb"\\u[dD][89abAB][0-9a-fA-F][0-9a-fA-F]", _LOW))


def read(decoder: msgspec.json.Decoder[T], data: bytes | msgspec.Raw) -> T:
    """`data` as the decoder's type. Raises one of UNREADABLE."""
    try:
        return decoder.decode(data)
    except msgspec.DecodeError:
        before = bytes(data)
        mended = _HALF.sub(rb"\\ufffd", before)
        if mended == before:
            raise
        return decoder.decode(mended)
