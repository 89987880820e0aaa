"""Every provider there is, by name, and how one is made from a model's specification."""

from __future__ import annotations

from collections.abc import Callable

from rondo.errors import SettingsError
from rondo.providers.base import ModelSpec, Provider
from rondo.providers.extractive import Extractive
from rondo.providers.openai import PRESETS, OpenAICompatible
from rondo.providers.scripted import Scripted
from rondo.providers.upstream import Upstream
from rondo.settings.environment import environment
from rondo.settings.tables import nearest

LOCAL: dict[str, str] = {
    "extractive": "No LLM: quotes the best sentences of the passages, or hands over to a person.",
    "scripted": "Says what its script tells it to; for tests.",
}

SUMMARIES: dict[str, str] = {**{name: preset.summary for name, preset in PRESETS.items()}, **LOCAL}


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
        if spec.provider in PRESETS:
            return OpenAICompatible(spec, self._upstream, self._secret)
        raise SettingsError(
            f"there is no provider called {spec.provider!r}.{nearest(spec.provider, SUMMARIES)}",
            file="rondo.toml",
            param=f"models.{spec.name}.provider",
        )


def is_direct(provider: str) -> bool:
    """Whether `provider/model` may be called without being set up: it has an address of its own."""
    preset = PRESETS.get(provider)
    return provider == "scripted" or (preset is not None and preset.base_url is not None)
