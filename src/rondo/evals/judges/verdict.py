"""Reading what a judge replied: strictly, or not at all. Pure.

A reply is one JSON object: alone, in a code fence, or the only one in some prose. Where several could be meant, where
a key stands twice or a score is off its scale, nothing is guessed: `Unreadable` says what is wrong, for the second
try and for the report.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from rondo.errors import RondoError
from rondo.evals.judges.model import Criterion

_THOUGHT = re.compile(r"\A\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_NUMBER = re.compile(r"\s*([0-9]{1,3})\s*\.?\s*")
_MOST_OBJECTS = 50

T = TypeVar("T")


class Unreadable(RondoError):
    """The judge gave no verdict that can be read."""

    code = "unreadable_verdict"


class Ruling(Struct, frozen=True):
    """One thing that a judge said, and why."""

    value: float
    reason: str = ""


def scores(reply: str, criteria: Sequence[Criterion]) -> dict[str, Ruling]:
    """A score on its scale for every criterion. Raises Unreadable."""

    def read(found: dict[str, Any]) -> dict[str, Ruling]:
        return {each.name: _score(found.get(each.name), each) for each in criteria}

    return _only(reply, read)


def yes_or_no(reply: str) -> Ruling:
    """1 for yes, 0 for no. A bare word will do. Raises Unreadable."""
    word = without_thoughts(reply).strip().strip(".!\"'*`").lower()
    if word in ("yes", "no"):
        return Ruling(float(word == "yes"))

    def read(found: dict[str, Any]) -> Ruling:
        said = _word(found, "verdict", ("yes", "no"))
        return Ruling(float(said == "yes"), _reason(found))

    return _only(reply, read)


def better(reply: str) -> tuple[int, str]:
    """(1 or 2 for the better answer, 0 for a tie; the reason). Raises Unreadable."""

    def read(found: dict[str, Any]) -> tuple[int, str]:
        said = _word(found, "better", ("1", "2", "tie"))
        return (0 if said == "tie" else int(said)), _reason(found)

    return _only(reply, read)


def number(reply: str, criterion: Criterion) -> int:
    """A score alone. Raises Unreadable."""
    found = _NUMBER.fullmatch(without_thoughts(reply))
    if found is None or int(found[1]) not in criterion.scale:
        raise Unreadable(f"It is no whole number from {criterion.lowest} to {criterion.highest}.")
    return int(found[1])


def expected_score(
    said: int, places: Sequence[dict[str, float]], criterion: Criterion
) -> tuple[float, dict[str, float]] | None:
    """The score weighted by the probabilities of its tokens (Liu et al. 2023, equation 1), and those of each score.

    `places` are the likeliest tokens at each place with their natural logarithms. None where they do not tell: no
    place holds the score that was said, or a score of the scale is longer than one digit.
    """
    if criterion.highest > 9:
        return None
    for tokens in places:
        weights = dict.fromkeys(criterion.scale, 0.0)
        for token, logarithm in tokens.items():
            text = token.strip()
            if text.isascii() and text.isdigit() and len(text) == 1 and int(text) in weights:
                weights[int(text)] += math.exp(min(logarithm, 0.0))
        whole = sum(weights.values())
        if weights[said] > 0 and math.isfinite(whole):
            mean = sum(score * weight for score, weight in weights.items()) / whole
            return mean, {str(score): weight for score, weight in weights.items()}
    return None


def without_thoughts(reply: str) -> str:
    """The reply without what a model thought aloud before it."""
    return _THOUGHT.sub("", reply, count=1)


def _only(reply: str, read: Callable[[dict[str, Any]], T]) -> T:
    """What the one object in the reply says; objects that say nothing of the kind are passed over."""
    text = without_thoughts(reply)
    objects = _objects(text)
    if not objects:
        raise Unreadable("There is no JSON object in it." if text.strip() else "It is empty.")
    verdicts: list[T] = []
    wrong: Unreadable | None = None
    for found in objects:
        try:
            verdicts.append(read(found))
        except Unreadable as error:
            wrong = wrong or error
    if len(verdicts) > 1:
        raise Unreadable("It holds several verdicts.")
    if not verdicts:
        assert wrong is not None
        raise wrong
    return verdicts[0]


def _objects(text: str) -> list[dict[str, Any]]:
    """Every JSON object that is not inside of another."""
    found: list[dict[str, Any]] = []
    at = text.find("{")
    tried = 0
    while at != -1 and tried < _MOST_OBJECTS:
        tried += 1
        try:
            value, end = _decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            if isinstance(error, _Twice):
                raise Unreadable(str(error)) from None
            end = at + 1
        else:
            found.append(value)
        at = text.find("{", end)
    if at != -1:
        raise Unreadable("It holds too many braces to be a verdict.")
    return found


class _Twice(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _Twice(f"The key {twice!r:.40} stands twice.")
    return dict(pairs)


_decoder = json.JSONDecoder(object_pairs_hook=_unique)


def _score(said: Any, criterion: Criterion) -> Ruling:
    if not isinstance(said, dict) or "score" not in said:
        raise Unreadable(f"It has no score for `{criterion.name}`.")
    score = said["score"]
    if isinstance(score, bool) or not isinstance(score, int | float) or score not in criterion.scale:
        scale = f"{criterion.lowest} to {criterion.highest}"
        raise Unreadable(f"The score for `{criterion.name}` is no whole number from {scale}: {score!r:.40}.")
    return Ruling(float(score), _reason(said))


def _word(found: dict[str, Any], key: str, allowed: Sequence[str]) -> str:
    said = found.get(key)
    text = said.strip().lower() if isinstance(said, str) else ""
    if text not in allowed:
        raise Unreadable(f"`{key}` is not {', '.join(allowed[:-1])} or {allowed[-1]}: {said!r:.40}.")
    return text


def _reason(found: dict[str, Any]) -> str:
    reason = found.get("reason")
    return reason.strip()[:2_000] if isinstance(reason, str) else ""
