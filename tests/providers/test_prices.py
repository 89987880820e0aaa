"""List prices: found exactly or not at all."""

from __future__ import annotations

import json
import re
from importlib import resources

import pytest

from rondo.providers.prices import FREE_PROVIDERS, Price, PriceBook

BOOK = PriceBook(
    json.dumps(
        {
            "version": "2026-01-01+abcdef01",
            "providers": {
                "openai": {"gpt-x": [2.5, 10, 1.25], "gpt-x-2024-05-13": [5, 15], "embed": [0.02, 0]},
                "anthropic": {"claude": [3, 15, 0.3, 3.75, 1]},
                "openrouter": {"openai/gpt-x": [2, 8]},
                "google": {"gemini-3.5-flash": [0.3, 2.5]},
                "aws": {"amazon.nova-pro-v1:0": [0.8, 3.2], "eu.amazon.nova-pro-v1:0": [0.9, 3.6]},
            },
        }
    ).encode()
)


@pytest.mark.parametrize(
    ("provider", "model", "price"),
    [
        ("openai", "gpt-x", Price(input=2.5, output=10, cache_read=1.25)),
        ("openai", "openai/gpt-x", Price(input=2.5, output=10, cache_read=1.25)),
        ("openai", "gpt-x-2024-08-06", Price(input=2.5, output=10, cache_read=1.25)),
        ("openai", "gpt-x-20240806", Price(input=2.5, output=10, cache_read=1.25)),
        ("openai", "openai/gpt-x-2024-08-06", Price(input=2.5, output=10, cache_read=1.25)),
        ("openai", "gpt-x-2024-05-13", Price(input=5, output=15)),
        ("openai", "embed", Price(input=0.02, output=0)),
        ("anthropic", "claude", Price(input=3, output=15, cache_read=0.3, cache_write=3.75, tiered=True)),
        ("openrouter", "openai/gpt-x", Price(input=2, output=8)),
        ("gemini", "gemini-3.5-flash", Price(input=0.3, output=2.5)),
        ("bedrock", "amazon.nova-pro-v1:0", Price(input=0.8, output=3.2)),
        ("bedrock", "eu.amazon.nova-pro-v1:0", Price(input=0.9, output=3.6)),
        ("bedrock", "us.amazon.nova-pro-v1:0", None),
        ("gemini", "amazon.nova-pro-v1:0", None),
        ("openai", "gpt-x-mini", None),
        ("openai", "gpt", None),
        ("openai", "GPT-X", None),
        ("openai", "gpt-x-2024", None),
        ("openai", "gpt-x-2024-08", None),
        ("openai", "gpt-x-2024-08-06-preview", None),
        ("openai", "openrouter/openai/gpt-x", None),
        ("openai", "", None),
        ("openai", "2024-08-06", None),
        ("azure", "gpt-x", None),
        ("", "gpt-x", None),
        ("openrouter", "gpt-x", None),
    ],
)
def test_find(provider: str, model: str, price: Price | None) -> None:
    assert BOOK.find(provider, model) == price


@pytest.mark.parametrize("provider", sorted(FREE_PROVIDERS))
def test_what_runs_at_home_is_known_to_be_free(provider: str) -> None:
    assert PriceBook(b"not even read").find(provider, "anything") == Price(
        input=0, output=0, cache_read=0, cache_write=0
    )


def test_the_snapshot() -> None:
    book = PriceBook()
    assert re.fullmatch(r"20\d\d-\d\d-\d\d\+[0-9a-f]{8}", book.version)
    price = book.find("openai", "gpt-4o-mini")
    assert price is not None
    assert 0 < price.input < price.output < 10
    assert price.cache_read is not None
    assert price.cache_read < price.input
    for provider in ("openai", "azure", "anthropic", "openrouter", "mistral", "groq", "deepseek", "together"):
        assert len(json.loads(_snapshot())["providers"][provider]) >= 5


def test_every_row_of_the_snapshot_makes_sense() -> None:
    data = json.loads(_snapshot())
    assert len(_snapshot()) < 600_000
    assert {source["name"] for source in data["sources"]} == {"genai-prices", "litellm"}
    assert "Permission is hereby granted" in data["licence"]
    for models in data["providers"].values():
        for row in models.values():
            assert 2 <= len(row) <= 5
            assert all(isinstance(each, int | float) and 0 <= each < 10_000 for each in row[:2])
            assert all(each is None or 0 <= each < 10_000 for each in row[2:])


def _snapshot() -> bytes:
    return (resources.files("rondo.providers") / "prices.json").read_bytes()
