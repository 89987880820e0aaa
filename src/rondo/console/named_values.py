"""JSON that programs sent, as names and values to be read: each value a text with its own lines, nothing escaped twice.

What is very long is cut.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from rondo.console.formats import pretty

_LONGEST = 20_000
"""Characters of all the values of a list that are shown; the API has the rest."""

_CUT = "… (cut; the API has it whole)"


class NamedValues(NamedTuple):
    """A titled list of (name, value)."""

    title: str
    pairs: list[tuple[str, str]]


def named_values(text: str, title: str) -> list[NamedValues]:
    """The members of a JSON object; whatever else it is, as one value. Nothing where there is nothing."""
    found = _read(text)
    if not isinstance(found, dict):
        found = {"": found} if found not in (None, "", []) else {}
    return _listed(title, found)


def events(text: str) -> list[NamedValues]:
    """Events of a span, each under its name: an exception with its stack trace in lines."""
    found = _read(text)
    if not isinstance(found, list):
        return named_values(text, "event")
    lists: list[NamedValues] = []
    for event in found:
        about = event if isinstance(event, dict) else {"": event}
        attributes = about.get("attributes")
        values = attributes if isinstance(attributes, dict) else about
        lists += _listed(f"event {about.get('name', '')}".strip(), values) or [
            NamedValues(f"event {about.get('name', '')}", [])
        ]
    return lists


def params(text: str) -> list[NamedValues]:
    """A call's parameters; of a traced call, what else its span said besides."""
    found = _read(text)
    if not isinstance(found, dict) or not isinstance(found.get("otlp"), dict):
        return named_values(text, "Params")
    told = found.pop("otlp")
    lists = _listed("Params", found)
    for name in ("attributes", "resource"):
        if isinstance(told.get(name), dict):
            lists += _listed(name.capitalize(), told[name])
    return lists + events(json.dumps(told.get("events") or []))


def _listed(title: str, values: dict[str, Any]) -> list[NamedValues]:
    left, pairs = _LONGEST, list[tuple[str, str]]()
    for name, value in values.items():
        if left <= 0:
            pairs.append(("…", _CUT))
            break
        text = value if isinstance(value, str) else pretty(value)
        pairs.append((str(name), text if len(text) <= left else f"{text[:left]}\n{_CUT}"))
        left -= len(text)
    return [NamedValues(title, pairs)] if pairs else []


def _read(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return text
