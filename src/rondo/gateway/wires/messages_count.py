"""`POST /v1/messages/count_tokens`: counted by Anthropic, for models of Anthropic's. Nobody else is asked to guess.

Counting costs nothing, so there is no record of it.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from rondo.errors import InvalidRequest, UpstreamError
from rondo.gateway import request_body
from rondo.gateway.choose import choose
from rondo.gateway.plan import Plan, ServedRelease
from rondo.gateway.wires.messages_request import parse_messages
from rondo.governance.model import Grant
from rondo.providers.base import Reply


@runtime_checkable
class CountsTokens(Protocol):
    """A provider that counts the tokens of a chat completion's messages as its own wire has them."""

    async def count_tokens(self, body: bytes) -> Reply: ...


async def count_tokens(plan: Plan, grant: Grant, body: bytes) -> bytes:
    """`{"input_tokens": 12}`. Raises InvalidRequest where nobody can count, UpstreamError where Anthropic does not."""
    request = parse_messages(body, counting=True)
    chosen = choose(plan, grant, request, "")
    if isinstance(chosen, ServedRelease):
        raise InvalidRequest(
            f"{request.model!r} is an app, which puts its own messages together.",
            remedy="Name a model of Anthropic's, or read `usage` of an answer.",
            param="model",
        )
    model = chosen.deployments[0] if chosen.deployments else chosen
    if not isinstance(model.provider, CountsTokens):
        raise InvalidRequest(
            f"Tokens for {request.model!r} cannot be counted beforehand: only Anthropic offers it.",
            remedy="Name a model of Anthropic's, or read `usage` of an answer.",
            param="model",
        )
    reply = await model.provider.count_tokens(request_body.for_model(request.fields, model.spec))
    try:
        counted = await reply.read()
    finally:
        reply.close()
    if reply.status != 200:
        raise UpstreamError(f"The provider answered {reply.status} and counted nothing.", status=reply.status)
    return counted
