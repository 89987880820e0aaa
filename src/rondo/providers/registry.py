"""Every provider there is, by name, and how one is made from a model's specification."""

from __future__ import annotations

from collections.abc import Callable

from rondo.errors import SettingsError
from rondo.providers import anthropic, azure, bedrock, gemini
from rondo.providers.base import ModelSpec, Provider
from rondo.providers.extractive import Extractive
from rondo.providers.openai import PRESETS, OpenAICompatible
from rondo.providers.scripted import Scripted
from rondo.providers.upstream import Upstream
from rondo.settings.environment import environment
from rondo.settings.table import nearest

LOCAL: dict[str, str] = {
    "extractive": "No LLM: quotes the best sentences of the passages, or hands over to a person.",
    "scripted": "Says what its script tells it to; for tests.",
}

SUMMARIES: dict[str, str] = {
    **{name: preset.summary for name, preset in PRESETS.items()},
    "anthropic": anthropic.SUMMARY,
    "azure": azure.SUMMARY,
    "bedrock": bedrock.SUMMARY,
    "gemini": gemini.SUMMARY,
    **LOCAL,
}

_KEYS: dict[str, str | None] = {
    **{name: preset.api_key_env for name, preset in PRESETS.items()},
    "anthropic": anthropic.KEY,
    "azure": azure.KEY,
    "bedrock": bedrock.BEARER,
    "gemini": gemini.KEY,
}

HOMELESS = ("azure",)
"""Providers whose address is the user's own resource: `base_url` must name it."""

_MAKERS: dict[str, Callable[[ModelSpec, Upstream, Callable[[str], str | None]], Provider]] = {
    **dict.fromkeys(PRESETS, OpenAICompatible),
    "anthropic": anthropic.Anthropic,
    "azure": azure.Azure,
    "bedrock": bedrock.Bedrock,
    "gemini": gemini.Gemini,
}


class Providers:
    """Makes providers that share one pool of connections."""

    def __init__(self, upstream: Upstream, *, secret: Callable[[str], str | None] = environment) -> None:
        self._upstream = upstream
        self._secret = secret

    def make(self, spec: ModelSpec) -> Provider:
        """Raises SettingsError where there is no such provider or its settings are wrong."""
        if spec.provider == "extractive":
            return Extractive()
        if spec.provider == "scripted":
            return Scripted(spec)
        made = _MAKERS.get(spec.provider)
        if made is not None:
            return made(spec, self._upstream, self._secret)
        raise SettingsError(
            f"there is no provider called {spec.provider!r}.{nearest(spec.provider, SUMMARIES)}",
            file="rondo.toml",
            param=f"models.{spec.name}.provider",
        )


def is_direct(provider: str) -> bool:
    """Whether `provider/model` may be called without being set up: it has an address of its own."""
    return provider == "scripted" or (provider in _MAKERS and provider not in HOMELESS)


def key_variable(provider: str, *, base_url: str | None, api_key_env: str | None) -> str | None:
    """The variable that holds a model's key; None where it needs none."""
    own_host = base_url is None or provider in (*HOMELESS, "bedrock")
    return api_key_env or (_KEYS.get(provider) if own_host else None)


def key_names(provider: str, variable: str) -> str:
    """The variable as people read it, beside what may stand in its place."""
    pair = f" (or {bedrock.KEY_ID} with {bedrock.SECRET_KEY})"
    return variable + (pair if provider == "bedrock" and variable == bedrock.BEARER else "")


def has_key(provider: str, variable: str, secret: Callable[[str], str | None]) -> bool:
    """Whether the key is there; `bedrock` takes a pair of AWS keys in place of its own."""
    if secret(variable) is not None:
        return True
    pair = (bedrock.KEY_ID, bedrock.SECRET_KEY)
    return provider == "bedrock" and variable == bedrock.BEARER and all(secret(name) is not None for name in pair)
