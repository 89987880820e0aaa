"""The provider `anthropic` over a real socket: where it sends what, with which key, and what it passes on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from providers.anthropic_wire import end, error, message, start, text, text_block
from rondo.errors import InvalidRequest, KeyMissing, SettingsError, UpstreamCut
from rondo.providers.anthropic import Anthropic
from rondo.providers.base import ModelSpec, ProviderRequest
from rondo.providers.prices import PriceBook
from rondo.providers.registry import Providers, is_direct
from rondo.providers.upstream import Upstream
from scripted_upstream import ScriptedUpstream, events, whole

SECRETS = {
    "ANTHROPIC_API_KEY": "sk-ant",
    "OTHER_KEY": "sk-other",
    "RONDO_KEY_HOSTS": "OTHER_KEY=127.0.0.1 ANTHROPIC_API_KEY=127.0.0.1",
}
BODY = json.dumps({"model": "claude-opus-5-5", "messages": [{"role": "user", "content": "Hi"}]}).encode()
REQUEST = ProviderRequest(path="/chat/completions", body=BODY)


@pytest.fixture
async def connections() -> AsyncIterator[Upstream]:
    opened = Upstream(connect_timeout_s=2)
    yield opened
    await opened.close()


@pytest.fixture
def provider(connections: Upstream, upstream: ScriptedUpstream) -> Anthropic:
    upstream.plays["claude-opus-5-5"] = whole(message(text("Hello")))
    return _made(connections, base_url=upstream.url, api_key_env="OTHER_KEY")


def _made(connections: Upstream, secrets: dict[str, str] = SECRETS, **spec: Any) -> Anthropic:
    made = Providers(connections, secret=secrets.get).make(
        ModelSpec(name="main", provider="anthropic", model="claude-opus-5-5", **spec)
    )
    assert isinstance(made, Anthropic)
    return made


async def test_a_whole_answer(provider: Anthropic, upstream: ScriptedUpstream) -> None:
    reply = await provider.send(REQUEST)
    assert json.loads(await reply.read())["choices"][0]["message"]["content"] == "Hello"
    reply.close()
    assert upstream.last.path == "/v1/messages"
    assert upstream.last.headers["x-api-key"] == "sk-other"
    assert upstream.last.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in upstream.last.headers
    assert upstream.last.json["messages"] == [{"role": "user", "content": "Hi"}]


async def test_a_stream(provider: Anthropic, upstream: ScriptedUpstream) -> None:
    upstream.plays["claude-opus-5-5"] = events([start(), *text_block(0, "Hel", "lo"), *end()])
    body = json.dumps({**json.loads(BODY), "stream": True}).encode()
    reply = await provider.send(ProviderRequest(path="/chat/completions", body=body, stream=True))
    said = b"".join([chunk async for chunk in reply.chunks()])
    reply.close()
    assert b'"Hel"' in said
    assert said.endswith(b"data: [DONE]\n\n")
    assert upstream.last.json["stream"] is True


async def test_a_stream_that_breaks_off(provider: Anthropic, upstream: ScriptedUpstream) -> None:
    upstream.plays["claude-opus-5-5"] = events([start(), *text_block(0, "Hel")], then="cut")
    reply = await provider.send(REQUEST)
    with pytest.raises(UpstreamCut):
        _ = [chunk async for chunk in reply.chunks()]
    reply.close()


async def test_an_error_stays_as_it_is(provider: Anthropic, upstream: ScriptedUpstream) -> None:
    said = error("overloaded_error", "Overloaded")
    upstream.plays["claude-opus-5-5"] = whole(said, 529, retry_after="7")
    reply = await provider.send(REQUEST)
    assert (reply.status, json.loads(await reply.read())) == (529, said)
    assert reply.headers["retry-after"] == "7"
    reply.close()


async def test_tokens_are_counted_there(provider: Anthropic, upstream: ScriptedUpstream) -> None:
    upstream.plays["claude-opus-5-5"] = whole({"input_tokens": 8})
    reply = await provider.count_tokens(BODY)
    assert json.loads(await reply.read()) == {"input_tokens": 8}
    reply.close()
    assert upstream.last.path == "/v1/messages/count_tokens"
    assert upstream.last.json.keys() == {"model", "messages"}


async def test_settings_reach_the_request(connections: Upstream, upstream: ScriptedUpstream) -> None:
    upstream.plays["claude-opus-5-5"] = whole(message(text("Hello")))
    made = _made(
        connections,
        base_url=upstream.url.removesuffix("/v1") + "/anthropic/",
        api_key_env="OTHER_KEY",
        api_key_header="api-key",
        headers={"anthropic-version": "2026-10-21", "anthropic-beta": "x"},
        query={"a": "b"},
        max_output_tokens=99,
    )
    (await made.send(REQUEST)).close()
    heard = upstream.last
    assert heard.path == "/anthropic/v1/messages?a=b"
    assert (heard.headers["api-key"], heard.headers["anthropic-version"]) == ("sk-other", "2026-10-21")
    assert "x-api-key" not in heard.headers
    assert heard.json["max_tokens"] == 99


async def test_the_own_key_goes_to_the_own_host_only(connections: Upstream, upstream: ScriptedUpstream) -> None:
    assert _made(connections).missing_key is None
    with pytest.raises(SettingsError, match="may not be sent to"):
        _made(
            connections, {"ANTHROPIC_API_KEY": "sk"}, base_url="https://evil.example", api_key_env="ANTHROPIC_API_KEY"
        )
    with pytest.raises(SettingsError, match="may not be sent to"):
        _made(connections, {}, api_key_env="OPENAI_API_KEY")
    upstream.plays["claude-opus-5-5"] = whole(message(text("Hello")))
    (await _made(connections, base_url=upstream.url).send(REQUEST)).close()
    assert "x-api-key" not in upstream.last.headers


async def test_no_key(connections: Upstream) -> None:
    with pytest.raises(KeyMissing, match="Set ANTHROPIC_API_KEY"):
        await _made(connections, {}).send(REQUEST)


async def test_no_embeddings(provider: Anthropic) -> None:
    with pytest.raises(InvalidRequest, match="no embeddings"):
        await provider.send(ProviderRequest(path="/embeddings", body=b"{}"))


@pytest.mark.parametrize("address", ["http://[bad", "http://host:99999", "http://host:port"])
def test_an_address_that_cannot_be_read(connections: Upstream, address: str) -> None:
    with pytest.raises(SettingsError, match=r"models\.main\.base_url"):
        _made(connections, base_url=address)


def test_it_may_be_called_by_name_and_has_prices() -> None:
    assert is_direct("anthropic")
    assert PriceBook().find("anthropic", "claude-opus-5-5") is not None
    assert PriceBook().find("anthropic", "claude-sonnet-4-5-20250929") is not None
