"""Providers that speak OpenAI's dialect: bytes go through unchanged, only the address and the key are ours.

OpenAI, OpenRouter, Ollama, vLLM, llama.cpp and any other server with `/chat/completions`. A request whose messages hold
words of the dialect inside is the exception: it is sent without what the provider does not know.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any
from urllib.parse import urlencode, urlsplit

from msgspec import Struct

from rondo.providers.access import Access, Secret, access, targets
from rondo.providers.base import ModelSpec, Path, ProviderRequest, Reply
from rondo.providers.openai_extended import plain
from rondo.providers.upstream import Target, Upstream


class Preset(Struct, frozen=True):
    """Where a provider lives, which variable holds its key (None where it needs none), and what it is.

    `keeps` are the words of the dialect inside that it knows, of `openai_extended.FIELDS`.
    """

    base_url: str
    api_key_env: str | None
    summary: str
    keeps: frozenset[str] = frozenset()


PATHS: tuple[Path, ...] = ("/chat/completions", "/embeddings", "/moderations")
_THOUGHTS = frozenset({"reasoning_content"})

PRESETS: dict[str, Preset] = {
    "openai": Preset("https://api.openai.com/v1", "OPENAI_API_KEY", "OpenAI, or any compatible `base_url`."),
    "openrouter": Preset(
        "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", "OpenRouter.", _THOUGHTS | {"cache_control", "top_k"}
    ),
    "mistral": Preset("https://api.mistral.ai/v1", "MISTRAL_API_KEY", "Mistral."),
    "groq": Preset("https://api.groq.com/openai/v1", "GROQ_API_KEY", "Groq."),
    "deepseek": Preset("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", "DeepSeek.", _THOUGHTS | {"thinking"}),
    "together": Preset("https://api.together.xyz/v1", "TOGETHER_API_KEY", "Together.", frozenset({"top_k"})),
    "ollama": Preset("http://127.0.0.1:11434/v1", None, "Ollama on this machine."),
    "vllm": Preset("http://127.0.0.1:8000/v1", None, "vLLM on this machine.", _THOUGHTS | {"top_k"}),
    "llamacpp": Preset("http://127.0.0.1:8080/v1", None, "llama.cpp's server on this machine.", _THOUGHTS | {"top_k"}),
}


OWN_HOSTS: dict[str, tuple[str, ...]] = {
    preset.api_key_env: (urlsplit(preset.base_url).hostname or "",) for preset in PRESETS.values() if preset.api_key_env
}
"""The hosts that each provider's own variable may go to."""


class OpenAIWire:
    """One model behind OpenAI's dialect, wherever it is."""

    def __init__(self, name: str, gate: Access, places: Sequence[Target], keeps: frozenset[str] = frozenset()) -> None:
        """`places` are where requests for each of PATHS go."""
        self.missing_key = gate.missing_key
        self._name = name
        self._access = gate
        self._targets: dict[Path, Target] = dict(zip(PATHS, places, strict=True))
        self._keeps = keeps

    def send(self, request: ProviderRequest) -> Coroutine[Any, Any, Reply]:
        self._access.require_key(self._name)
        body = plain(request.body, self._keeps) if request.extended else request.body
        return self._targets[request.path].post(body)


class OpenAICompatible(OpenAIWire):
    """One model of a provider that has a preset."""

    def __init__(self, spec: ModelSpec, upstream: Upstream, secret: Secret) -> None:
        """Raises SettingsError where the address is none, or where the key may not be sent there."""
        preset = PRESETS[spec.provider]
        base_url = spec.base_url or preset.base_url
        variable = spec.api_key_env or (preset.api_key_env if spec.base_url is None else None)
        gate = access(spec, base_url, variable, own=OWN_HOSTS, secret=secret)
        urls = (_join(base_url, path, spec.query) for path in PATHS)
        super().__init__(spec.name, gate, targets(upstream, spec, gate.headers, *urls), preset.keeps)


def _join(base_url: str, path: str, query: dict[str, str]) -> str:
    return base_url.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
