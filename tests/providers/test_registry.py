"""Every provider that is listed can be made, and says which key it needs."""

from __future__ import annotations

from typing import Any

import pytest

from rondo.errors import SettingsError
from rondo.providers.base import ModelSpec
from rondo.providers.registry import HOMELESS, LOCAL, SUMMARIES, Providers, has_key, is_direct, key_variable
from rondo.providers.upstream import Upstream
from rondo.settings.environment import ENVIRONMENT


@pytest.mark.parametrize("provider", sorted(SUMMARIES))
def test_each_can_be_made_without_any_key(provider: str) -> None:
    """A missing key is found when it is used: a server starts without."""
    fields: dict[str, Any] = {"name": "m", "provider": provider, "model": "x", "region": "us-east-1"}
    if provider in HOMELESS:
        fields["base_url"] = "https://x.openai.azure.com"
    variable = key_variable(provider, base_url=fields.get("base_url"), api_key_env=None)
    made = Providers(Upstream(), secret=lambda name: None).make(ModelSpec(**fields))
    assert getattr(made, "missing_key", None) == variable
    if variable is not None:
        assert variable in ENVIRONMENT
        assert not has_key(provider, variable, lambda name: None)
        assert has_key(provider, variable, {variable: "k"}.get)


def test_which_can_be_called_without_being_set_up() -> None:
    assert {name for name in SUMMARIES if not is_direct(name)} == {"azure", "extractive"}
    assert not is_direct("nobody")
    assert set(LOCAL) == {"extractive", "scripted"}


def test_an_unknown_one_gets_a_hint() -> None:
    with pytest.raises(SettingsError, match="gemini"):
        Providers(Upstream(), secret=lambda name: None).make(ModelSpec(name="m", provider="gemni"))


def test_a_pair_of_aws_keys_is_a_key_of_bedrocks() -> None:
    pair = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    assert has_key("bedrock", "AWS_BEARER_TOKEN_BEDROCK", pair.get)
    assert not has_key("bedrock", "AWS_BEARER_TOKEN_BEDROCK", {"AWS_ACCESS_KEY_ID": "a"}.get)
    assert not has_key("bedrock", "TEAM_KEY", pair.get)
    assert not has_key("openai", "OPENAI_API_KEY", pair.get)


@pytest.mark.parametrize(
    ("provider", "base_url", "named", "variable"),
    [
        ("openai", None, None, "OPENAI_API_KEY"),
        ("openai", "https://x.example", None, None),
        ("openai", "https://x.example", "MINE", "MINE"),
        ("gemini", "https://x.example", None, None),
        ("bedrock", "https://x.example", None, "AWS_BEARER_TOKEN_BEDROCK"),
        ("azure", "https://x.example", None, "AZURE_OPENAI_API_KEY"),
        ("ollama", None, None, None),
        ("extractive", None, None, None),
    ],
)
def test_which_key(provider: str, base_url: str | None, named: str | None, variable: str | None) -> None:
    assert key_variable(provider, base_url=base_url, api_key_env=named) == variable
