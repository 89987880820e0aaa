"""Tokens are counted where Anthropic does it, and nobody guesses elsewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway_house import KEY, House
from rondo.errors import InvalidRequest, NotFound, UpstreamError
from rondo.gateway.wires.messages_count import count_tokens
from rondo.governance.admit import digest
from scripted_upstream import ScriptedUpstream, whole


async def counted(house: House, model: str, **fields: Any) -> bytes:
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}], **fields}
    plan = house.gateway.plan
    return await count_tokens(plan, plan.grants[digest(KEY)], json.dumps(body).encode())


async def test_anthropic_counts(house: House, upstream: ScriptedUpstream) -> None:
    upstream.plays["claude-opus-5-5"] = whole({"input_tokens": 8})
    house.model("claude-opus-5-5", provider="anthropic")
    assert json.loads(await counted(house, "claude-opus-5-5", system="Be kind.")) == {"input_tokens": 8}
    assert upstream.last.path == "/v1/messages/count_tokens"
    assert upstream.last.json == {
        "model": "claude-opus-5-5",
        "system": "Be kind.",
        "messages": [{"role": "user", "content": "Hello"}],
    }


async def test_nobody_else_does(house: House) -> None:
    with pytest.raises(InvalidRequest, match="only Anthropic"):
        await counted(house, "echo")
    with pytest.raises(InvalidRequest, match="is an app"):
        await counted(house, "bot")
    with pytest.raises(NotFound):
        await counted(house, "nobody")


async def test_anthropic_refuses(house: House, upstream: ScriptedUpstream) -> None:
    upstream.plays["claude-opus-5-5"] = whole({"error": {"message": "sk-secret"}}, 401)
    house.model("claude-opus-5-5", provider="anthropic")
    with pytest.raises(UpstreamError, match="answered 401") as caught:
        await counted(house, "claude-opus-5-5")
    assert "sk-secret" not in str(caught.value)
