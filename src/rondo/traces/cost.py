"""Tokens and money of one call. Pure.

Providers count the same token in several places; here every token is in exactly one bucket, and is paid once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rondo.providers.prices import Price
from rondo.records import Usage

_TOTALS = ("prompt_tokens", "completion_tokens", "total_tokens")
_NUMBERS = (int, float)
_SENSELESS = 10**15


def usage_from(openai_usage: Mapping[str, Any]) -> Usage:
    """Disjoint buckets from the `usage` object of an OpenAI-style response.

    `prompt_tokens` holds what was read from and written to the cache, `completion_tokens` the reasoning; each part is
    taken out of the whole, unless it is larger than the whole: then the provider counts it beside, and nothing is taken
    out. Where `total_tokens` shows that reasoning is counted beside, it stays there. Numbers that make no sense are 0.
    """
    prompt, completion = _count(openai_usage, "prompt_tokens"), _count(openai_usage, "completion_tokens")
    read = write = reasoning = 0
    if parts := _part(openai_usage, "prompt_tokens_details"):
        read = _count(parts, "cached_tokens")
        write = _count(parts, "cache_write_tokens") or _count(parts, "cache_creation_tokens")
    read = read or _count(openai_usage, "prompt_cache_hit_tokens")
    if parts := _part(openai_usage, "completion_tokens_details"):
        reasoning = _count(parts, "reasoning_tokens")
    if not (read or write or reasoning):
        return Usage(input=prompt, output=completion)
    total = _count(openai_usage, "total_tokens")
    beside = reasoning > 0 and total == prompt + completion + reasoning
    rest = prompt - read if read <= prompt else prompt
    return Usage(
        input=rest - write if write <= rest else rest,
        cache_read=read,
        cache_write=write,
        output=completion if beside or reasoning > completion else completion - reasoning,
        reasoning=reasoning,
    )


def is_counted(openai_usage: Mapping[str, Any]) -> bool:
    """Whether a `usage` object counts anything. An empty one, or one of nulls, leaves the tokens unknown, not zero."""
    for name in _TOTALS:  # noqa: SIM110 - this is on the way of every call, and a generator costs thrice as much
        if isinstance(openai_usage.get(name), _NUMBERS):
            return True
    return False


def cost_usd(usage: Usage, price: Price) -> float:
    """What the tokens cost, in US dollars. Tokens of the cache cost what input costs, where they have no own price."""
    cache_read = price.input if price.cache_read is None else price.cache_read
    cache_write = price.input if price.cache_write is None else price.cache_write
    per_million = (
        usage.input * price.input
        + usage.cache_read * cache_read
        + usage.cache_write * cache_write
        + (usage.output + usage.reasoning) * price.output
    )
    return per_million / 1_000_000


def _part(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = values.get(name)
    return part if isinstance(part, dict) else {}


def _count(values: Mapping[str, Any], name: str) -> int:
    value = values.get(name)
    if type(value) is int:  # nearly always; and never a bool
        return value if 0 < value < _SENSELESS else 0
    if isinstance(value, float) and 0 < value < _SENSELESS and value.is_integer():
        return int(value)
    return 0
