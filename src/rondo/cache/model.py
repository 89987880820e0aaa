"""The words of the cache: what a release says of it, what is asked, and what was kept. No I/O."""

from __future__ import annotations

import math
from typing import Literal

import msgspec
from msgspec import Struct

MOST_BYTES_EACH = 2_000_000
"""Longer answers are not kept."""


class SemanticPolicy(Struct, frozen=True, kw_only=True):
    """Answers of questions that mean the same: by which model, from which cosine similarity on."""

    model: str
    at_least: float
    across_users: bool = False


class CachePolicy(Struct, frozen=True, kw_only=True):
    """`[cache]` as a release freezes it."""

    ttl_s: float
    across_users: bool = True
    semantic: SemanticPolicy | None = None


class Asked(Struct, frozen=True, kw_only=True):
    """A request, as the cache knows it: `key` is the digest of everything that changes its answer.

    `group` is the digest of all of that but the wording of the last question; requests of one group differ in
    nothing else. None where the request cannot be found by its meaning.
    """

    key: bytes
    group: bytes | None = None
    question: str = ""


class Kept(Struct, frozen=True, kw_only=True):
    """A good answer: the `chat.completion` as it came, and what it cost whom.

    `trace_id` is the call that it was made for, `made_at` when, in microseconds.
    """

    completion: bytes
    model: str
    provider: str
    cost_usd: float | None
    trace_id: str
    made_at: int

    @property
    def size(self) -> int:
        """Bytes of memory, about."""
        return len(self.completion) + 600


class Hit(Struct, frozen=True, kw_only=True):
    """An answer that was found, by what, and how near the two questions are where it was by meaning."""

    kept: Kept
    found_by: Literal["exact", "semantic"] = "exact"
    similarity: float | None = None


class _Choice(Struct):
    finish_reason: str
    message: msgspec.Raw


class _Completion(Struct):
    choices: list[_Choice]


class _Said(Struct):
    content: object = None
    tool_calls: list[object] | None = None
    refusal: str | None = None


_completion = msgspec.json.Decoder(_Completion)
_said = msgspec.json.Decoder(_Said)
_WHOLE = frozenset(("stop", "tool_calls", "function_call"))


def may_be_kept(completion: bytes) -> bool:
    """Whether an answer is whole and says something: not cut off, not filtered, not empty, not too long."""
    if len(completion) > MOST_BYTES_EACH:
        return False
    try:
        choices = _completion.decode(completion).choices
        said = [_said.decode(choice.message) for choice in choices]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return (
        bool(choices)
        and all(choice.finish_reason in _WHOLE for choice in choices)
        and all(each.content or each.tool_calls or each.refusal for each in said)
    )


def is_sound(kept: Kept) -> bool:
    """Whether an answer from outside of this process can be what we once kept."""
    cost = kept.cost_usd
    return (cost is None or (math.isfinite(cost) and cost >= 0)) and may_be_kept(kept.completion)
