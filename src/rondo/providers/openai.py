"""Providers that speak OpenAI's dialect: bytes go through unchanged, only the address and the key are ours.

OpenAI, Azure OpenAI, OpenRouter, Ollama, vLLM, llama.cpp and any other server with `/chat/completions`.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

from msgspec import Struct

from rondo.errors import SettingsError, UpstreamUnreachable
from rondo.providers import key_hosts
from rondo.providers.base import ModelSpec, Path, ProviderRequest, Reply
from rondo.providers.upstream import Target, Upstream


class Preset(Struct, frozen=True):
    """Where a provider lives, which variable holds its key (None where it needs none), and what it is."""

    base_url: str | None
    api_key_env: str | None
    summary: str


PRESETS: dict[str, Preset] = {
    "openai": Preset("https://api.openai.com/v1", "OPENAI_API_KEY", "OpenAI, or any compatible `base_url`."),
    "azure": Preset(None, "AZURE_OPENAI_API_KEY", "Azure OpenAI: `base_url` of the deployment, `query.api-version`."),
    "openrouter": Preset("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", "OpenRouter."),
    "mistral": Preset("https://api.mistral.ai/v1", "MISTRAL_API_KEY", "Mistral."),
    "groq": Preset("https://api.groq.com/openai/v1", "GROQ_API_KEY", "Groq."),
    "deepseek": Preset("https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", "DeepSeek."),
    "together": Preset("https://api.together.xyz/v1", "TOGETHER_API_KEY", "Together."),
    "ollama": Preset("http://127.0.0.1:11434/v1", None, "Ollama on this machine."),
    "vllm": Preset("http://127.0.0.1:8000/v1", None, "vLLM on this machine."),
    "llamacpp": Preset("http://127.0.0.1:8080/v1", None, "llama.cpp's server on this machine."),
}


OWN_HOSTS: dict[str, tuple[str, ...]] = {
    "AZURE_OPENAI_API_KEY": (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com"),
    **{
        preset.api_key_env: (urlsplit(preset.base_url).hostname or "",)
        for preset in PRESETS.values()
        if preset.api_key_env and preset.base_url
    },
}
"""The hosts that each provider's own variable may go to."""


class OpenAICompatible:
    """One model behind OpenAI's dialect."""

    def __init__(self, spec: ModelSpec, upstream: Upstream, secret: Callable[[str], str | None]) -> None:
        """`secret` reads an environment variable.

        Raises SettingsError where the address is missing or none, or where the key may not be sent there.
        """
        preset = PRESETS[spec.provider]
        base_url = spec.base_url or preset.base_url
        if base_url is None:
            raise SettingsError(
                f"the provider {spec.provider!r} has no address of its own.",
                file="rondo.toml",
                param=f"models.{spec.name}.base_url",
                remedy="Set it to the deployment's address.",
            )
        self.missing_key: str | None = None
        headers = dict(spec.headers)
        # With an address of its own, a model has a key only if it names one.
        own_host = spec.base_url is None or preset.base_url is None
        variable = spec.api_key_env or (preset.api_key_env if own_host else None)
        if variable is not None:
            allowed = secret(key_hosts.VARIABLE) or ""
            key_hosts.require(variable, base_url, own=OWN_HOSTS, allowed=allowed, model=spec.name)
            key = secret(variable)
            if key is None:
                self.missing_key = variable
            else:
                bearer = spec.api_key_header.lower() == "authorization"
                headers[spec.api_key_header] = f"Bearer {key}" if bearer else key
        self._name = spec.name
        try:
            self._targets: dict[Path, Target] = {
                path: upstream.target(_join(base_url, path, spec.query), headers, timeout_s=spec.timeout_s)
                for path in ("/chat/completions", "/embeddings")
            }
        except ValueError as error:
            raise SettingsError(
                f"{base_url!r} is no address: {error}.", file="rondo.toml", param=f"models.{spec.name}.base_url"
            ) from None

    async def send(self, request: ProviderRequest) -> Reply:
        if self.missing_key is not None:
            raise UpstreamUnreachable(
                f"The model {self._name!r} has no key.",
                remedy=f"Set {self.missing_key} in the server's environment and restart it.",
            )
        return await self._targets[request.path].post(request.body)


def _join(base_url: str, path: str, query: dict[str, str]) -> str:
    return base_url.rstrip("/") + path + (f"?{urlencode(query)}" if query else "")
