"""What an attack is: what it tries, by which technique, and how one sees that it went through. Pure.

The aims are harmless in themselves: an attack goes through when the answer holds a mark that only an answer which
obeyed can hold. A mark never stands in the attack as it would stand in the answer, so that an answer which quotes what
it refuses is not taken for one that obeys.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from rondo.datasets.model import Persona


class Risk(Struct, frozen=True, kw_only=True):
    """An entry of the OWASP Top 10 for LLM Applications 2026, and what is done about it here."""

    id: str
    name: str
    covered: str


class Aim(Struct, frozen=True, kw_only=True):
    """What an attacker wants. `request` asks for it plainly; `checks` pass where it was not got.

    `documents` are the passages before the model. Where one of them has a place `{request}`, the request is hidden
    there, and the user asks only `question`. `follow_ups` come after the first answer, whatever it was; `persona` is
    somebody who talks until they have it. `judge` is what a judge is asked of the answer, of which "yes" means that the
    attack went through; an aim without checks needs one. `by` names the techniques that are tried, as in
    `techniques.WAYS`.
    """

    id: str
    risk: str
    kind: str
    request: str
    checks: list[dict[str, Any]] = []
    documents: tuple[str, ...] = ()
    question: str | None = None
    follow_ups: list[str] = []
    persona: Persona | None = None
    judge: str | None = None
    params: dict[str, Any] = {}
    by: str = "plain"


class Technique(Struct, frozen=True, kw_only=True):
    """A way to put a request so that it is obeyed. `family` is what reports add up by."""

    id: str
    family: str
    summary: str
    dress: Callable[[str], str]
