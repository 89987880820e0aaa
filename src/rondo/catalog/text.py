"""What may be written to the catalog as text: names, free text and canonical JSON.

Both databases take the same values, so what one of them cannot keep (a NUL character, half a surrogate pair) is
refused here, with the name of the field, before any statement runs. Pure.
"""

from __future__ import annotations

import json
import re
from typing import Any

from rondo.errors import InvalidRequest

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def canonical_json(value: Any) -> str:
    """The one JSON text of a value: keys sorted, no spaces, UTF-8. ValueError or TypeError where JSON has none."""
    return _canonical(value)


def check_name(value: str, *, param: str) -> str:
    """A name as `rondo.toml` has them. Raises InvalidRequest."""
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise InvalidRequest(
            f"{param} is not a valid name: {value!r:.80}.",
            remedy="Names have 1 to 64 characters of a-z, 0-9, '.', '_' and '-', and begin with a letter or digit.",
            param=param,
        )
    return value


def check_text(value: str, *, param: str, longest: int, required: bool = False) -> str:
    """Free text of at most `longest` characters. Raises InvalidRequest."""
    if not isinstance(value, str):
        raise InvalidRequest(f"{param} must be text.", remedy="Send a string.", param=param)
    if required and not value.strip():
        raise InvalidRequest(f"{param} is empty.", remedy="Write at least one character.", param=param)
    if len(value) > longest:
        raise InvalidRequest(
            f"{param} has {len(value):,} characters.", remedy=f"Shorten it to {longest:,}.", param=param
        )
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidRequest(
            f"{param} has a character that cannot be stored.", remedy="Send valid UTF-8 without NUL.", param=param
        )
    return value
