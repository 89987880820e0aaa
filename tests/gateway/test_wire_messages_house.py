"""Anthropic's wire through the whole gateway: answered, recorded, and refused in its own form."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from gateway_house import HELLO, KEY, House, Visitor
from providers import anthropic_wire as wire
from scripted_upstream import ScriptedUpstream, events, whole

PATH = "/v1/messages"
CLAUDE = "claude-opus-5-5"


async def asked(house: House, model: str, **fields: Any) -> httpx2.Response:
    return await house.post(PATH, {"model": model, "max_tokens": 50, "messages": HELLO, **fields})


async def test_a_model_of_openais(house: House, upstream: ScriptedUpstream) -> None:
    reply = await asked(
        house, "echo", system="Be kind.", metadata={"user_id": "u", "channel": "web"}, session="s", top_k=3
    )
    assert reply.status_code == 200, reply.text
    answer = reply.json()
    assert answer["content"] == [{"type": "text", "text": "Hello ä👋"}]
    assert answer["id"] == f"msg_{reply.headers['x-rondo-trace-id']}"
    sent = upstream.last.json
    assert sent["messages"] == [{"role": "system", "content": "Be kind."}, *HELLO]
    assert "top_k" not in sent
    call = house.call
    assert (call.wire, call.user, call.session, call.tags) == ("messages", "u", "s", {"channel": "web"})
    assert (call.question, call.answer, call.status) == ("hello", "Hello ä👋", 200)
    assert (call.input_tokens, call.output_tokens) == (11, 7)


async def test_a_model_of_anthropics(house: House, upstream: ScriptedUpstream) -> None:
    house.model(CLAUDE, provider="anthropic")
    upstream.plays[CLAUDE] = whole(wire.message(wire.text("Hi"), wire.call("toolu_1", "f", a=1), reason="tool_use"))
    answer = (await asked(house, CLAUDE)).json()
    assert [block["type"] for block in answer["content"]] == ["text", "tool_use"]
    assert answer["stop_reason"] == "tool_use"
    assert upstream.last.path == "/v1/messages"
    call = house.call
    assert (call.provider, call.served_model, call.finish_reason) == ("anthropic", CLAUDE, "tool_calls")
    tokens = (call.input_tokens, call.cache_read_tokens, call.cache_write_tokens, call.output_tokens)
    assert tokens == (12, 5, 3, 9)


async def test_an_app_at_anthropic(house: House, upstream: ScriptedUpstream) -> None:
    upstream.plays[CLAUDE] = whole(wire.message(wire.text("Hi")))
    house.app("claudia", house.model(CLAUDE, provider="anthropic"))
    assert (await asked(house, "claudia")).headers["x-rondo-release"] == "claudia#1"
    assert upstream.last.json["system"] == "Be kind."
    assert upstream.last.json["messages"] == [{"role": "user", "content": "Q: hello"}]


async def test_a_stream_is_recorded_before_its_end(house: House, upstream: ScriptedUpstream) -> None:
    house.model(CLAUDE, provider="anthropic")
    upstream.plays[CLAUDE] = events([wire.start(), wire.PING, *wire.text_block(0, "Hel", "lo"), *wire.end()])
    reply = await asked(house, CLAUDE, stream=True)
    names = [line.removeprefix("event: ") for line in reply.text.split("\n") if line.startswith("event: ")]
    assert [name for name in names if name != "ping"] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert "[DONE]" not in reply.text
    assert '"input_tokens":25' in reply.text
    call = house.call
    assert (call.wire, call.stream, call.answer, call.input_tokens, call.output_tokens) == (
        "messages",
        True,
        "Hello",
        25,
        15,
    )


async def test_an_early_error_goes_on_to_the_next_model(house: House, upstream: ScriptedUpstream) -> None:
    overloaded = wire.event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    upstream.plays[CLAUDE] = events([wire.start(), overloaded])
    upstream.plays["other"] = events([wire.start(), *wire.text_block(0, "Hi"), *wire.end()])
    first = house.model(CLAUDE, provider="anthropic")
    house.app("claudia", first, house.model("other", provider="anthropic"))
    reply = await asked(house, "claudia", stream=True)
    assert '"text":"Hi"' in reply.text
    assert house.call.attempts == 2


async def test_a_client_that_leaves(house: House, upstream: ScriptedUpstream) -> None:
    house.model(CLAUDE, provider="anthropic")
    upstream.plays[CLAUDE] = events([wire.start(), *wire.text_block(0, "Hel", "lo")], then="stall")
    body = {"model": CLAUDE, "max_tokens": 5, "messages": HELLO, "stream": True}
    visitor = Visitor(house, PATH, json.dumps(body).encode())
    await visitor.until(b'"text":"lo"')
    visitor.leave()
    await visitor.task
    assert (house.call.status, house.call.answer) == (499, "Hello")


@pytest.mark.parametrize(
    ("body", "key", "status", "kind"),
    [
        ({"model": "echo", "max_tokens": 5, "messages": HELLO}, None, 401, "authentication_error"),
        ({"model": "nobody", "max_tokens": 5, "messages": HELLO}, KEY, 404, "not_found_error"),
        ({"model": "echo", "messages": HELLO}, KEY, 400, "invalid_request_error"),
        (b"oops", KEY, 400, "invalid_request_error"),
        (b" " * (1 << 21), KEY, 413, "request_too_large"),
        ({"model": "down", "max_tokens": 5, "messages": HELLO}, KEY, 502, "api_error"),
        ({"model": "busy", "max_tokens": 5, "messages": HELLO}, KEY, 429, "rate_limit_error"),
    ],
)
async def test_errors_in_their_form(
    house: House, upstream: ScriptedUpstream, body: Any, key: str | None, status: int, kind: str
) -> None:
    upstream.plays["down"] = whole(b"oops", 500)
    upstream.plays["busy"] = whole({"error": {"message": "slow down"}}, 429)
    house.model("down")
    house.model("busy")
    reply = await house.post(PATH, body, key=key)
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/json"
    answer = reply.json()
    assert (answer["type"], answer["error"]["type"]) == ("error", kind)
    assert answer["request_id"] == reply.headers.get("x-rondo-trace-id")


async def test_openais_clients_at_anthropic(house: House, upstream: ScriptedUpstream) -> None:
    """The other way round: a chat completion that Claude answers."""
    house.model(CLAUDE, provider="anthropic")
    upstream.plays[CLAUDE] = events(
        [wire.start(), *wire.thinking_block(0, "sig", "Hm."), *wire.text_block(1, "Hi"), *wire.end()]
    )
    reply = await house.chat(CLAUDE, stream=True, stream_options={"include_usage": True})
    assert reply.text.rstrip().endswith("data: [DONE]")
    assert '"reasoning_content":"Hm."' in reply.text
    assert '"prompt_tokens":25' in reply.text
    refused = await house.chat(CLAUDE, n=2)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "n")
