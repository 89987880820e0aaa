"""Finds and takes out personal data and secrets in examples, by the patterns of the guards. Pure.

What is found is replaced as guards do it, `[EMAIL]`, so that a scrubbed example reads like a redacted call. Names and
places have no form and are not found.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
from msgspec import Struct

from rondo.datasets.model import Example
from rondo.errors import InvalidRequest
from rondo.guards import personal, secrets
from rondo.guards.model import Finding, Role
from rondo.guards.patterns import Patterns
from rondo.guards.texts import Slots, TooDeep

_ROLES: dict[str, Role] = {"user": "user", "system": "system", "developer": "system", "tool": "tool"}
_FIELDS = ("expected", "expect", "context", "inputs", "metadata", "persona", "params", "follow_ups")


class Looked(Struct, frozen=True):
    """An example, cleaned where that was asked for, and how much of each kind was found in it."""

    example: Example
    found: dict[str, int]


def look(example: Example, *, clean: bool) -> Looked:
    """What is in the example; `clean` takes it out.

    Its tags and its group are looked at too; the documents that it names are not. Raises InvalidRequest where it is
    nested too deep.
    """
    slots = Slots()
    body = _opened(example, slots)
    texts = [text.value for text in slots.texts]
    found: Counter[str] = Counter()
    cleaned = list(texts)
    for patterns in _patterns():
        for place, findings in enumerate(patterns.find_all(cleaned)):
            if findings:
                found.update(finding.kind for finding in findings)
                cleaned[place] = blotted(cleaned[place], findings)
    if not found or not clean:
        return Looked(example, dict(found))
    slots.put(cleaned, keep_thoughts=True)
    return Looked(msgspec.convert(body, Example), dict(found))


def blotted(text: str, findings: list[Finding]) -> str:
    """The text with `[KIND]` in the place of each finding."""
    parts, done = [], 0
    for finding in findings:
        parts += [text[done : finding.start], f"[{finding.kind.upper()}]"]
        done = finding.end
    return "".join((*parts, text[done:]))


def _opened(example: Example, slots: Slots) -> dict[str, Any]:
    body: dict[str, Any] = msgspec.to_builtins(example)
    try:
        for message in body["messages"]:
            role = _ROLES.get(str(message.get("role")), "assistant")
            slots.add_message(message, role, others=role)
        for name in (*_FIELDS, "tags", "group"):
            if name in body:
                slots.add(body, name, "inputs")
        for call in body.get("tool_calls") or []:
            slots.add(call, "arguments", "arguments") if "arguments" in call else None
    except TooDeep:
        raise InvalidRequest("The example is nested too deep.", param="messages") from None
    return body


def _patterns() -> tuple[Patterns, Patterns]:
    """Secrets come first: parts of a key can look like a number of a person."""
    return secrets.compiled(), personal.compiled()
