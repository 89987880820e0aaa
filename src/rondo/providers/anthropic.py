"""Anthropic's Messages API as a provider: chat completions in, Messages out, and back.

Also any other server that speaks this wire, at a `base_url` of its own. Which `anthropic-version` is asked for decides
what is refused; the older one is asked for, since it still lets older models sample (docs/wires.md).
"""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

import msgspec

from rondo.errors import InvalidRequest
from rondo.providers.access import Secret, access, targets
from rondo.providers.anthropic_answer import chunks_of, completion_of
from rondo.providers.anthropic_request import count_request, messages_request
from rondo.providers.base import ModelSpec, ProviderRequest, Reply
from rondo.providers.translated import TranslatedReply
from rondo.providers.upstream import Upstream

BASE_URL = "https://api.anthropic.com"
KEY = "ANTHROPIC_API_KEY"
SUMMARY = "Anthropic's Claude on its own API, or any server with `/v1/messages`."
VERSION = "2023-06-01"
_HOSTS = {KEY: (urlsplit(BASE_URL).hostname or "",)}


class Anthropic:
    """One model behind Anthropic's wire."""

    def __init__(self, spec: ModelSpec, upstream: Upstream, secret: Secret) -> None:
        """Raises SettingsError where the address is none, or where the key may not be sent there."""
        base_url = spec.base_url or BASE_URL
        variable = spec.api_key_env or (KEY if spec.base_url is None else None)
        self._name, self._longest = spec.name, spec.max_output_tokens
        self._access = access(spec, base_url, variable, own=_HOSTS, secret=secret, header="x-api-key")
        self.missing_key = self._access.missing_key
        headers = {name.lower(): value for name, value in self._access.headers.items()}
        address = base_url.rstrip("/").removesuffix("/v1") + "/v1/messages"
        query = f"?{urlencode(spec.query)}" if spec.query else ""
        urls = (address + query, f"{address}/count_tokens{query}")
        self._messages, self._count = targets(upstream, spec, {"anthropic-version": VERSION, **headers}, *urls)

    async def send(self, request: ProviderRequest) -> Reply:
        """Raises InvalidRequest for what Anthropic has no word for."""
        if request.path != "/chat/completions":
            raise InvalidRequest("Anthropic has no embeddings.", remedy="Ask another model for them.", param="model")
        self._access.require_key(self._name)
        fields = messages_request(request.body, longest=self._longest)
        reply = await self._messages.post(msgspec.json.encode(fields))
        if reply.status != 200:
            return reply
        return TranslatedReply(reply, whole=completion_of, stream=chunks_of, streamed=request.stream)

    async def count_tokens(self, body: bytes) -> Reply:
        """How many tokens the messages of a chat completion are, counted by Anthropic: `{"input_tokens": 12}`."""
        self._access.require_key(self._name)
        return await self._count.post(msgspec.json.encode(count_request(body)))
