"""The check `moderation`: an outside service, asked on OpenAI's moderation wire (`POST .../moderations`)."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from rondo.errors import UpstreamCut
from rondo.guards.model import FOREIGN, NOTHING, Ask, Looked, Role, Text, joined

_LONGEST = 20_000
_ROLES: frozenset[Role] = FOREIGN | {"assistant"}


class _Result(Struct):
    flagged: bool = False
    categories: dict[str, bool | None] = {}
    category_scores: dict[str, float | None] = {}


class _Moderation(Struct):
    results: list[_Result]


_moderation = msgspec.json.Decoder(_Moderation)


class Moderation:
    """A category counts from the score `at_least`; of services that give no scores, what they flag counts."""

    def __init__(self, model: str, at_least: float) -> None:
        self._model = model
        self._at_least = at_least

    async def ask(self, texts: Sequence[Text], ask: Ask) -> Looked:
        text = joined(texts, _ROLES, longest=_LONGEST)
        if not text:
            return NOTHING
        body = await ask(self._model, "/moderations", {"input": text})
        try:
            results = _moderation.decode(body).results
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            raise UpstreamCut("The moderation service's answer cannot be read.") from None
        if not results:
            raise UpstreamCut("The moderation service's answer has no results.")
        found = {category: 1 for result in results for category in self._found(result)}
        highest = max((score or 0.0 for result in results for score in result.category_scores.values()), default=None)
        return Looked(found, note=None if highest is None else f"highest score {highest:.2f}")

    def _found(self, result: _Result) -> list[str]:
        scored = {category: score for category, score in result.category_scores.items() if score is not None}
        if scored:
            return [category for category, score in scored.items() if score >= self._at_least]
        flagged = [category for category, holds in result.categories.items() if holds]
        return flagged or (["flagged"] if result.flagged else [])
