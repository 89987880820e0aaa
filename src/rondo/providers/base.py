"""What a provider is: something that answers requests in OpenAI's dialect.

A provider takes the bytes of a request and gives back a reply whose body is the bytes of a response, whole or as
server-sent events. Providers that speak another dialect translate; those without any model (`extractive`,
`scripted`) make the bytes themselves. Nothing here knows of keys, releases or records.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct

from rondo.records import Chunk

Path = Literal["/chat/completions", "/embeddings", "/moderations"]


class Deployment(Struct, frozen=True, kw_only=True):
    """One address of a model that has several; None is what the model itself has. `weight` is its share of calls."""

    base_url: str | None = None
    model: str | None = None
    api_key_env: str | None = None
    region: str | None = None
    weight: float = 1.0


_PLACE = ("base_url", "model", "api_key_env", "region")


class ModelSpec(Struct, frozen=True, kw_only=True):
    """A model as a release freezes it. No secret is in it: `api_key_env` only names one."""

    name: str
    provider: str
    model: str = ""
    base_url: str | None = None
    api_key_env: str | None = None
    api_key_header: str = "authorization"
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    params: dict[str, Any] = {}
    timeout_s: float = 120.0
    region: str | None = None
    first_token_timeout_s: float | None = None
    try_timeout_s: float | None = None
    retries: int = 1
    max_concurrent: int | None = None
    queue: int = 100
    queue_timeout_s: float = 10.0
    hedge_after_s: float | None = None
    balance: Literal["weighted", "least_busy"] = "weighted"
    deployments: tuple[Deployment, ...] = ()
    max_output_tokens: int | None = None

    def at(self, deployment: Deployment) -> ModelSpec:
        """This model at one of its addresses."""
        changes = {name: value for name in _PLACE if (value := getattr(deployment, name)) is not None}
        return msgspec.structs.replace(self, deployments=(), **changes)


class ProviderRequest(Struct, frozen=True, kw_only=True):
    """`body` is the whole JSON request for `path`, with the provider's own model id in it.

    `extended`: the messages may hold what only some providers know (see docs/design.md, "The dialect inside").
    The fields from `question` on are what a provider without a model needs to answer.
    """

    path: Path
    body: bytes
    stream: bool = False
    extended: bool = False
    question: str = ""
    chunks: tuple[Chunk, ...] = ()
    hand_over: str = ""


class Reply(Protocol):
    """An answer under way. Exactly one of `read` and `chunks` is used, then `close`."""

    status: int
    headers: Mapping[str, str]

    async def read(self) -> bytes:
        """The whole body. Raises UpstreamError."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises UpstreamCut where it breaks off."""
        ...

    def close(self) -> None:
        """Let go of it; where the body has not been read to its end, this cancels it upstream."""
        ...


class Provider(Protocol):
    """One configured model. Raises UpstreamError (never retries; that is the gateway's)."""

    async def send(self, request: ProviderRequest) -> Reply: ...


class ReadyReply:
    """A reply that is known whole from the start: what providers without a network give back."""

    def __init__(self, parts: list[bytes], *, status: int = 200, content_type: str = "application/json") -> None:
        self.status = status
        self.headers: Mapping[str, str] = {"content-type": content_type}
        self._parts = parts

    async def read(self) -> bytes:
        return b"".join(self._parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part

    def close(self) -> None:
        pass
