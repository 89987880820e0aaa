"""A key goes to its own host, or where the server's operator has allowed it, and nowhere else."""

from typing import Any

import pytest

from rondo.errors import SettingsError
from rondo.providers.base import ModelSpec
from rondo.providers.openai import PRESETS
from rondo.providers.registry import Providers
from rondo.providers.upstream import Upstream

SECRETS = {"OPENAI_API_KEY": "sk-1", "RONDO_ADMIN_KEY": "admin", "VLLM_API_KEY": "v", "AZURE_OPENAI_API_KEY": "a"}


def make(allowed: str = "", **model: str) -> None:
    fields: dict[str, Any] = {"name": "m", "provider": "openai", "model": "x", **model}
    spec = ModelSpec(**fields)
    Providers(Upstream(), secret={**SECRETS, "RONDO_KEY_HOSTS": allowed}.get).make(spec)


@pytest.mark.parametrize("provider", [name for name, preset in PRESETS.items() if preset.base_url])
def test_every_provider_may_have_its_own_key_at_its_own_host(provider: str) -> None:
    make(provider=provider)


@pytest.mark.parametrize(
    ("allowed", "model"),
    [
        ("", {"base_url": "https://api.openai.com/v1", "api_key_env": "OPENAI_API_KEY"}),
        ("", {"provider": "azure", "base_url": "https://us.openai.azure.com/openai/deployments/x"}),
        ("", {"base_url": "http://127.0.0.1:9/v1"}),
        ("VLLM_API_KEY=llm.example.com", {"base_url": "https://LLM.example.com/v1", "api_key_env": "VLLM_API_KEY"}),
        ("X=y, VLLM_API_KEY=.example.com", {"base_url": "https://a.example.com", "api_key_env": "VLLM_API_KEY"}),
        ("VLLM_API_KEY=h:8443", {"base_url": "https://h:8443/v1", "api_key_env": "VLLM_API_KEY"}),
        ("OPENAI_API_KEY=proxy", {"base_url": "http://proxy/v1", "api_key_env": "OPENAI_API_KEY"}),
    ],
)
def test_allowed(allowed: str, model: dict[str, str]) -> None:
    make(allowed, **model)


@pytest.mark.parametrize(
    ("allowed", "model"),
    [
        ("", {"base_url": "https://evil.example", "api_key_env": "OPENAI_API_KEY"}),
        ("", {"base_url": "https://api.openai.com.evil.example", "api_key_env": "OPENAI_API_KEY"}),
        ("", {"base_url": "https://api.openai.com@evil.example", "api_key_env": "OPENAI_API_KEY"}),
        ("", {"base_url": "https://evilopenai.azure.com", "api_key_env": "AZURE_OPENAI_API_KEY"}),
        ("", {"base_url": "https://api.openai.com/v1", "api_key_env": "HOME"}),
        ("VLLM_API_KEY=h:8443", {"base_url": "https://h/v1", "api_key_env": "VLLM_API_KEY"}),
        ("VLLM_API_KEY=h", {"base_url": "https://h.evil.example/v1", "api_key_env": "VLLM_API_KEY"}),
        ("RONDO_ADMIN_KEY=h", {"base_url": "https://h/v1", "api_key_env": "RONDO_ADMIN_KEY"}),
        ("", {"provider": "azure", "base_url": "https://evil.example"}),
    ],
)
def test_refused(allowed: str, model: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="may not be sent to") as caught:
        make(allowed, **model)
    assert caught.value.param == "models.m.api_key_env"
    assert "RONDO_KEY_HOSTS" in str(caught.value)
