"""When two requests are the same: the digest of everything that changes an answer. Pure.

In it are project, app, the release's hash (a new release never gives an old one's answers), the models that would be
tried, the messages as they go to the model, and every field of the request but those that change no answer. Spacing,
the order of keys and the spelling of numbers make no difference. A request that could be read in two ways (a key that
stands twice) has no digest: nobody may have an answer kept under another's request.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NoReturn

import msgspec
from msgspec import Raw

from rondo.cache.model import Asked, CachePolicy

CHANGES_NO_ANSWER = frozenset(
    "model messages stream stream_options user metadata session inputs store safety_identifier prompt_cache_key "
    "prompt_cache_retention service_tier models route responses".split()
)
"""Fields that are no part of the digest; what `model`, `messages` and `inputs` mean comes in by other ways."""

_LONGEST_QUESTION = 8_000
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError, ValueError)
_encode = msgspec.json.Encoder(order="sorted").encode


def asked(
    policy: CachePolicy,
    *,
    place: Sequence[str],
    messages: bytes,
    fields: Mapping[str, Raw],
    frozen: Collection[str] = (),
    question: str = "",
    passages: Sequence[str] = (),
    given: Sequence[str] | None = None,
    inputs: Mapping[str, Any] | None = None,
    who: str | None = None,
) -> Asked | None:
    """The request as the cache knows it; None where it must not be cached.

    `place` is project, app, release hash and models; `messages` the JSON that the model gets; `fields` the client's,
    of which `frozen` ones are overruled by the release; `passages` what the question is answered from, `given` those
    of them that the client sent itself; `who` the user, else the session.
    """
    if not policy.across_users and who is None:
        return None  # whoever cannot be told from others gets nobody's answer, and leaves none
    try:
        settings = {
            name: _value(raw) for name, raw in fields.items() if name not in CHANGES_NO_ANSWER and name not in frozen
        }
        base = {"place": list(place), "fields": settings}
        exact = {**base, "messages": _plain(msgspec.json.decode(messages)), "passages": list(passages)}
        key = _digest({**exact, "question": question, "who": None if policy.across_users else who})
        group = None
        semantic = policy.semantic
        across = policy.across_users and semantic is not None and semantic.across_users
        if semantic is not None and (across or who is not None) and _is_short(question):
            rest = {**base, "given": None if given is None else list(given), "inputs": _plain(dict(inputs or {}))}
            group = _group(fields.get("messages"), {**rest, "who": None if across else who})
    except _UNREADABLE:
        return None
    return Asked(key=key, group=group, question=question)


def _group(raw: Raw | None, rest: dict[str, Any]) -> bytes | None:
    """The digest of the conversation and of the `rest`, but without the last question; None where it ends otherwise."""
    conversation = None if raw is None else _value(raw)
    if not isinstance(conversation, list) or not conversation or not isinstance(conversation[-1], dict):
        return None
    last = conversation[-1]
    if last.get("role") != "user":
        return None
    content = last.get("content")
    parts = content if isinstance(content, list) else []
    others = [part for part in parts if not (isinstance(part, dict) and part.get("type") == "text")]
    return _digest({**rest, "history": conversation[:-1], "last": {**last, "content": others}})


def _is_short(question: str) -> bool:
    return bool(question.strip()) and len(question) <= _LONGEST_QUESTION


def _digest(value: dict[str, Any]) -> bytes:
    return blake2b(_encode(value), digest_size=32, person=b"rondo-cache-1").digest()


def _value(raw: Raw) -> Any:
    """A value of the client's. Raises ValueError where it could be read in two ways."""
    data = bytes(raw)
    if data[:1] in (b"{", b"["):
        return _plain(json.loads(data, object_pairs_hook=_once, parse_constant=_refuse))
    return _plain(msgspec.json.decode(data))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _plain(value: Any) -> Any:
    """The value with whole numbers as such: 1, 1.0 and 1e0 are the same. Raises ValueError for infinity."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a number is too large")
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
