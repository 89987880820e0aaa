"""Words of the dialect inside that OpenAI's wire lacks: taken out for who refuses them, kept for who knows them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.asking import Asker
from providers.vendors import Json, Said, openai_whole
from rondo.errors import InvalidRequest
from rondo.providers.openai import PRESETS
from rondo.providers.openai_extended import FIELDS, plain

CACHE = {"cache_control": {"type": "ephemeral"}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
SAID = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{**CALL, "extra_content": {"google": {"thought_signature": "x"}}}],
    "reasoning_content": "Hm.",
    "thinking_blocks": [{"type": "redacted_thinking", "data": "x"}],
}
REQUEST: Json = {
    "model": "m",
    "messages": [
        {"role": "system", "content": [{"type": "text", "text": "Be kind.", **CACHE}]},
        {"role": "user", "content": "hello", "name": "Ann"},
        SAID,
        {"role": "tool", "tool_call_id": "c1", "content": "no", "is_error": True, **CACHE},
    ],
    "tools": [{"type": "function", "function": {"name": "f"}, **CACHE}],
    "thinking": {"type": "enabled", "budget_tokens": 2048},
    "top_k": 3,
    "temperature": 0.5,
    "x_unknown": [1.0],
}


def made(request: Json, *keeps: str) -> Json:
    found = json.loads(plain(json.dumps(request).encode(), frozenset(keeps)))
    assert isinstance(found, dict)
    return found


def test_what_openai_does_not_know_is_taken_out_and_nothing_else() -> None:
    assert made(REQUEST) == {
        "model": "m",
        "messages": [
            {"role": "system", "content": [{"type": "text", "text": "Be kind."}]},
            {"role": "user", "content": "hello", "name": "Ann"},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "no"},
        ],
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "temperature": 0.5,
        "x_unknown": [1.0],
    }


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_each_word_can_be_kept(name: str) -> None:
    found = json.dumps(made(REQUEST, name))
    assert {word for word in FIELDS if f'"{word}":' in found} == {name}
    assert made(REQUEST, *FIELDS) == REQUEST


def test_a_tools_images_follow_all_results_of_the_turn() -> None:
    def result(call: str, content: Any) -> Json:
        return {"role": "tool", "tool_call_id": call, "content": content}

    messages = [
        {**SAID, "tool_calls": [CALL, {**CALL, "id": "c2"}]},
        result("c1", [{"type": "text", "text": "a"}, IMAGE, {"type": "text", "text": "b"}]),
        result("c2", [IMAGE]),
        {"role": "user", "content": "Well?"},
        result("c3", [{"type": "text", "text": "only text"}]),
        result("c4", [IMAGE]),
    ]
    found = made({"messages": messages})["messages"][1:]
    assert found == [
        result("c1", "a\nb"),
        result("c2", "The images follow in the next message."),
        {"role": "user", "content": [IMAGE, IMAGE]},
        {"role": "user", "content": "Well?"},
        result("c3", "only text"),
        result("c4", "The images follow in the next message."),
        {"role": "user", "content": [IMAGE]},
    ]


@pytest.mark.parametrize("provider", [name for name in PRESETS if PRESETS[name].keeps])
def test_presets_keep_words_that_there_are(provider: str) -> None:
    assert PRESETS[provider].keeps <= FIELDS


@pytest.mark.parametrize(
    ("provider", "kept"),
    [
        ("openai", set()),
        ("openrouter", {"cache_control", "reasoning_content", "top_k"}),
        ("deepseek", {"reasoning_content", "thinking"}),
        ("vllm", {"reasoning_content", "top_k"}),
    ],
)
async def test_each_provider_gets_what_it_knows(asker: Asker, provider: str, kept: set[str]) -> None:
    body = json.dumps(REQUEST).encode()
    await _send(asker, provider, body, extended=True)
    heard = asker.upstream.last.body.decode()
    assert {name for name in FIELDS if f'"{name}"' in heard} == kept


async def test_what_is_not_extended_goes_through_byte_for_byte(asker: Asker) -> None:
    body = b'{ "messages":[ {"role":"user","content":"\\u00e4", "thinking_blocks": []}],"top_k" : 1e0, "model":"m" }'
    await _send(asker, "openai", body, extended=False)
    assert asker.upstream.last.body == body


async def _send(asker: Asker, provider: str, body: bytes, *, extended: bool) -> None:
    from rondo.providers.base import ModelSpec, ProviderRequest
    from rondo.providers.registry import Providers

    spec = ModelSpec(name="m", provider=provider, model="m", base_url=asker.upstream.url)
    asker.upstream.plays = {"m": openai_whole(Said("x"))}
    made_ = Providers(asker.connections, secret=lambda name: None).make(spec)
    reply = await made_.send(ProviderRequest(path="/chat/completions", body=body, extended=extended))
    await reply.read()
    reply.close()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"messages":3}', b'{"messages":[' + b"[" * 100_000, b'{"messages":["x"]}']
)
def test_what_cannot_be_read(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        plain(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system"]), "content": JSON},
    optional=dict.fromkeys(("reasoning_content", "thinking_blocks", "is_error", "tool_calls", "name"), JSON),
)


@given(st.lists(MESSAGE, max_size=4))
def test_whatever_comes_is_cut_once_and_keeps_the_rest(messages: list[Json]) -> None:
    once = made({"messages": messages, "model": "m"})
    assert made(once) == once
    assert len(once["messages"]) == len(messages)
    for before, after in zip(messages, once["messages"], strict=True):
        assert after.keys() == before.keys() - FIELDS
        if not isinstance(before["content"], list):
            assert after["content"] == before["content"]
