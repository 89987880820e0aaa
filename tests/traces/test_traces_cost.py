"""Tokens in disjoint buckets, each paid once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.providers.prices import FREE, Price
from rondo.records import Usage
from rondo.traces.cost import cost_usd, usage_from


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}, Usage(input=100, output=20)),
        (
            {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 80}},
            Usage(input=20, cache_read=80, output=20),
        ),
        (  # counted beside the prompt: nothing is taken out
            {"prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 800}},
            Usage(input=100, cache_read=800, output=20),
        ),
        (
            {"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 50, "cache_write_tokens": 30}},
            Usage(input=20, cache_read=50, cache_write=30),
        ),
        (
            {"completion_tokens": 50, "completion_tokens_details": {"reasoning_tokens": 30}},
            Usage(output=20, reasoning=30),
        ),
        (  # the total shows that the reasoning is counted beside
            {
                "prompt_tokens": 10,
                "completion_tokens": 50,
                "total_tokens": 90,
                "completion_tokens_details": {"reasoning_tokens": 30},
            },
            Usage(input=10, output=50, reasoning=30),
        ),
        (
            {"completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 30}},
            Usage(output=5, reasoning=30),
        ),
        ({"prompt_tokens": 100, "prompt_cache_hit_tokens": 60}, Usage(input=40, cache_read=60)),
        ({"prompt_tokens": 12, "total_tokens": 12}, Usage(input=12)),
        ({}, Usage()),
        ({"prompt_tokens": None, "completion_tokens": "9", "prompt_tokens_details": None}, Usage()),
        ({"prompt_tokens": True, "completion_tokens": -3, "completion_tokens_details": [1]}, Usage()),
        ({"prompt_tokens": 3.0, "completion_tokens": 2.5, "total_tokens": float("nan")}, Usage(input=3)),
        ({"prompt_tokens": 1e300, "completion_tokens": float("inf")}, Usage()),
    ],
)
def test_usage_from(usage: dict[str, Any], expected: Usage) -> None:
    assert usage_from(usage) == expected


def test_cost() -> None:
    usage = Usage(input=1_000, cache_read=2_000, cache_write=500, output=300, reasoning=200)
    own = Price(input=2, output=10, cache_read=0.5, cache_write=3)
    assert cost_usd(usage, own) == pytest.approx((2_000 + 1_000 + 1_500 + 5_000) / 1e6)
    assert cost_usd(usage, Price(input=2, output=10)) == pytest.approx((3_500 * 2 + 500 * 10) / 1e6)
    assert cost_usd(usage, FREE) == 0


counts = st.integers(0, 10**9)
prices = st.floats(0, 1000)


@given(prompt=counts, cached=counts, written=counts, completion=counts, reasoning=counts)
def test_no_token_is_lost_or_counted_twice(
    prompt: int, cached: int, written: int, completion: int, reasoning: int
) -> None:
    usage = usage_from(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        }
    )
    assert min(usage.input, usage.output) >= 0
    assert (usage.cache_read, usage.cache_write, usage.reasoning) == (cached, written, reasoning)
    if cached + written <= prompt:
        assert usage.input + usage.cache_read + usage.cache_write == prompt
    if cached > prompt and written > prompt:
        assert usage.input == prompt
    assert usage.output + usage.reasoning in (completion, completion + reasoning)
    if reasoning <= completion:
        assert usage.output + usage.reasoning == completion or (reasoning and completion + reasoning + prompt == 0)


@given(usage=st.builds(Usage, input=counts, cache_read=counts, output=counts), price=prices, more=prices)
def test_more_costs_no_less(usage: Usage, price: float, more: float) -> None:
    cheap = Price(input=price, output=price)
    dear = Price(input=price + more, output=price + more)
    assert 0 <= cost_usd(usage, cheap) <= cost_usd(usage, dear)
    tokens = usage.input + usage.cache_read + usage.output
    assert cost_usd(usage, cheap) == pytest.approx(tokens * price / 1e6)
