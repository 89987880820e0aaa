"""The words of this room: what a release says of a guard, what a check finds, and what a model is asked.

A check looks at texts and says what it found; a guard is a check with an action. Findings have places and kinds; a
verdict, which is recorded, has only counts: what was found is never written down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

from rondo.providers.base import Path

Action = Literal["flag", "redact", "route", "block"]
Stage = Literal["input", "output"]
Role = Literal["system", "user", "tool", "assistant", "inputs", "context", "reasoning", "arguments"]

Ask = Callable[[str, Path, dict[str, Any]], Awaitable[bytes]]
"""Asks a model by its name: the path, and the request without `model`. Gives the body of a good answer; raises
UpstreamError, or whatever else keeps the model from being asked."""

FOREIGN: frozenset[Role] = frozenset(("user", "tool", "inputs", "context"))
"""Where text comes from that neither the developer nor the model wrote."""


class GuardSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A guard as a release freezes it; the fields are those of `[[guards]]`, with `words_file` read into `words`."""

    check: str
    on: tuple[Stage, ...] = ("input",)
    action: Action = "flag"
    answer: str | None = None
    use: tuple[str, ...] = ()
    kinds: tuple[str, ...] | None = None
    pseudonyms: bool = False
    words: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    max_chars: int | None = None
    json_schema: dict[str, Any] | None = None
    repair: bool = True
    model: str | None = None
    question: str | None = None
    classifier: str | None = None
    labels: tuple[str, ...] = ()
    at_least: float = 0.5


class Finding(Struct, frozen=True):
    """Something found in a text: characters `start` to `end`."""

    kind: str
    start: int
    end: int


class Text(Struct, frozen=True):
    """One piece of a request or an answer, and whose it is."""

    role: Role
    value: str


class Looked(Struct):
    """What a check says: counts by kind, and a note that tells how sure it is, or what is wrong.

    `places` has the findings of each text, for checks that know where they are; `complaint` tells a model what to mend.
    """

    found: dict[str, int]
    places: Sequence[list[Finding]] = ()
    note: str | None = None
    complaint: str | None = None


NOTHING = Looked({})


class Check(Protocol):
    """Looks at the texts of one request or answer, all at once. Made once per release, shared by all requests."""

    def look(self, texts: Sequence[Text]) -> Looked: ...


class AskingCheck(Protocol):
    """A check that takes its time: it asks a model, or works in a thread."""

    async def ask(self, texts: Sequence[Text], ask: Ask) -> Looked: ...


class PlacingCheck(Protocol):
    """What a check has besides that knows where things are: it can be redacted, and can follow a stream."""

    def settled(self, text: str) -> int:
        """How many characters at the start of `text` are settled, whatever comes behind it: nothing that is found
        begins before and ends after this place."""
        ...


def count(places: Iterable[Iterable[Finding]]) -> dict[str, int]:
    """How many of each kind."""
    return dict(Counter(finding.kind for findings in places for finding in findings))


def joined(texts: Sequence[Text], roles: frozenset[Role] = FOREIGN, *, longest: int) -> str:
    """The texts of these roles as one; where they are too long, their end."""
    whole = "\n\n".join(text.value for text in texts if text.role in roles and text.value)
    return whole[-longest:]
