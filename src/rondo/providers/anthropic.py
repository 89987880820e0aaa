"""Anthropic's Messages API as a provider: chat completions in, Messages out, and back.

Also any other server that speaks this wire, at a `base_url` of its own. Which `anthropic-version` is asked for decides
what is refused; the older one is asked for, since it still lets older models sample (docs/wires.md).
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode, urlsplit

import msgspec

from rondo.errors import InvalidRequest, SettingsError, UpstreamUnreachable
from rondo.providers import key_hosts
from rondo.providers.anthropic_answer import chunks_of, completion_of
from rondo.providers.anthropic_request import count_request, messages_request
from rondo.providers.base import ModelSpec, ProviderRequest, Reply
from rondo.providers.http.address import BadHeader
from rondo.providers.translated import TranslatedReply
from rondo.providers.upstream import Target, Upstream

BASE_URL = "https://api.anthropic.com"
KEY = "ANTHROPIC_API_KEY"
SUMMARY = "Anthropic's Claude on its own API, or any server with `/v1/messages`."
VERSION = "2023-06-01"
_HOSTS = {KEY: (urlsplit(BASE_URL).hostname or "",)}


class Anthropic:
    """One model behind Anthropic's wire."""

    def __init__(self, spec: ModelSpec, upstream: Upstream, secret: Callable[[str], str | None]) -> None:
        """`secret` reads an environment variable.

        Raises SettingsError where the address is none, or where the key may not be sent there.
        """
        base_url = spec.base_url or BASE_URL
        headers = {"anthropic-version": VERSION, **spec.headers}
        self.missing_key: str | None = None
        # With an address of its own, a model has a key only if it names one.
        variable = spec.api_key_env or (KEY if spec.base_url is None else None)
        if variable is not None:
            allowed = secret(key_hosts.VARIABLE) or ""
            key_hosts.require(variable, base_url, own=_HOSTS, allowed=allowed, model=spec.name)
            key = secret(variable)
            if key is None:
                self.missing_key = variable
            else:
                default = spec.api_key_header.lower() == "authorization"
                headers["x-api-key" if default else spec.api_key_header] = key
        self._name = spec.name
        self._longest = spec.max_output_tokens
        address = base_url.rstrip("/").removesuffix("/v1") + "/v1/messages"
        query = f"?{urlencode(spec.query)}" if spec.query else ""
        try:
            self._messages = upstream.target(address + query, headers, timeout_s=spec.timeout_s)
            self._count = upstream.target(f"{address}/count_tokens{query}", headers, timeout_s=spec.timeout_s)
        except BadHeader as error:
            raise SettingsError(f"{error}.", file="rondo.toml", param=f"models.{spec.name}.headers") from None
        except ValueError as error:  # the address itself is not repeated: it may hold a password
            raise SettingsError(
                f"this is no address: {error}.", file="rondo.toml", param=f"models.{spec.name}.base_url"
            ) from None

    async def send(self, request: ProviderRequest) -> Reply:
        if request.path != "/chat/completions":
            raise InvalidRequest("Anthropic has no embeddings.", remedy="Ask another model for them.", param="model")
        fields = messages_request(request.body, longest=self._longest)
        reply = await self._post(self._messages, msgspec.json.encode(fields))
        if reply.status != 200:
            return reply
        return TranslatedReply(reply, whole=completion_of, stream=chunks_of, streamed=request.stream)

    async def count_tokens(self, body: bytes) -> Reply:
        """How many tokens the messages of a chat completion are, counted by Anthropic: `{"input_tokens": 12}`."""
        return await self._post(self._count, msgspec.json.encode(count_request(body)))

    async def _post(self, target: Target, body: bytes) -> Reply:
        if self.missing_key is not None:
            raise UpstreamUnreachable(
                f"The model {self._name!r} has no key.",
                remedy=f"Set {self.missing_key} in the server's environment and restart it.",
            )
        return await target.post(body)
