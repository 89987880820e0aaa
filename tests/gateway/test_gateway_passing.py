"""What goes through: requests and answers of OpenAI's dialect, byte for byte, plain and streamed."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway_house import HELLO, KEY, House, Visitor
from rondo.providers.dialect import completion_events
from scripted_upstream import COMPLETION, events, whole

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": {"type": "object"}}}
USAGE_EVENT = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m-2026","choices":[],'
    b'"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}\n\n'
)


async def test_a_plain_answer_is_the_providers_bytes(house: House) -> None:
    response = await house.chat("echo")
    assert response.status_code == 200
    assert response.content == COMPLETION
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": TOOLS, "tool_choice": "auto", "parallel_tool_calls": False},
        {"response_format": FORMAT},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "what?"}, IMAGE]}]},
        {"n": 2, "logprobs": True, "top_logprobs": 3, "seed": 12345678901234567890},
        {"x_of_tomorrow": {"deep": [1.0, None, "ä\u2028"]}, "temperature": 0.0},
        {
            "messages": [
                {"role": "developer", "content": "Be brief.", "name": "boss"},
                *HELLO,
                {"role": "assistant", "content": None, "tool_calls": [{"id": "c1", "type": "function"}]},
                {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
            ]
        },
    ],
)
async def test_every_field_reaches_the_provider_as_it_was(house: House, fields: dict[str, Any]) -> None:
    assert (await house.chat("echo", **fields)).status_code == 200
    sent = msgspec.json.decode(house.upstream.last.body, type=dict[str, msgspec.Raw])
    for name, value in fields.items():
        assert bytes(sent[name]) == msgspec.json.encode(value)


async def test_own_fields_and_own_keys_do_not_reach_the_provider(house: House) -> None:
    await house.chat("echo", session="s", inputs={"a": 1}, user="u", metadata={"k": "v"})
    heard = house.upstream.last
    assert "session" not in heard.json
    assert "inputs" not in heard.json
    assert heard.json["user"] == "u"
    assert KEY not in str(heard.headers)
    assert "authorization" not in heard.headers  # an address of one's own gets no standard key
    assert (house.call.user, house.call.session, house.call.tags) == ("u", "s", {"k": "v"})


async def test_a_models_own_key_goes_to_its_host(house: House) -> None:
    house.model("other", api_key_env="OTHER_KEY", headers={"x-team": "blue"}, query={"api-version": "1"})
    await house.chat("other")
    assert house.upstream.last.headers["authorization"] == "Bearer sk-other"
    assert house.upstream.last.headers["x-team"] == "blue"
    assert house.upstream.last.path == "/v1/chat/completions?api-version=1"
    assert "sk-other" not in house.call.params


async def test_a_plain_answer_is_recorded_with_its_tokens_and_its_cost(house: House) -> None:
    response = await house.chat("echo", temperature=0.5)
    call = house.call
    assert call.trace_id == response.headers["x-rondo-trace-id"]
    assert (call.status, call.answer, call.finish_reason) == (200, "Hello ä👋", "stop")
    assert (call.input_tokens, call.output_tokens) == (11, 7)
    assert call.cost_usd == pytest.approx((11 * 1.0 + 7 * 2.0) / 1e6)
    assert response.headers["x-rondo-cost-usd"] == f"{call.cost_usd:.8f}"
    assert (call.price_version, call.model, call.provider, call.served_model) == (
        "prices-1",
        "echo",
        "openai",
        "upstream-2026",
    )
    assert json.loads(call.params) == {"temperature": 0.5}
    assert json.loads(call.input) == HELLO
    assert json.loads(call.output)["content"] == "Hello ä👋"


async def test_an_unknown_price_is_unknown_and_never_zero(house: House) -> None:
    house.model("rare", price=None)
    response = await house.chat("rare")
    assert "x-rondo-cost-usd" not in response.headers
    assert house.call.cost_usd is None
    assert house.call.input_tokens == 11


async def test_an_answer_without_usage_costs_an_unknown_sum(house: House) -> None:
    house.upstream.plays["echo"] = whole({"choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}}]})
    response = await house.chat("echo")
    assert "x-rondo-cost-usd" not in response.headers
    assert (house.call.cost_usd, house.call.input_tokens) == (None, None)


async def test_several_choices_are_recorded_as_several_messages(house: House) -> None:
    choices = [{"index": n, "message": {"role": "assistant", "content": f"c{n}"}} for n in range(2)]
    house.upstream.plays["echo"] = whole({"choices": choices})
    await house.chat("echo", n=2)
    assert [message["content"] for message in json.loads(house.call.output)] == ["c0", "c1"]
    assert house.call.answer == "c0"


# --- streams


def odd_stream() -> list[bytes]:
    """Events with comments, spaces, unknown fields, CRLF: all that a re-encoding would lose."""
    return [
        b": keep-alive\n\n",
        b'data: { "id":"c","choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"obfuscation":"x1"}\n\n',
        b'event: message\nid: 7\ndata:{"choices":[{"index":0,"delta":{"content":"Hel","reasoning_content":"hm"}}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":"lo"},"logprobs":{"content":[]}}]}\r\n\r\n',
        b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    ]


async def test_a_stream_is_the_providers_bytes(house: House) -> None:
    house.upstream.plays["echo"] = events([*odd_stream(), b"data: [DONE]\n\n"])
    response = await house.chat("echo", stream=True)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.content == b"".join(odd_stream()) + b"data: [DONE]\n\n"
    assert response.headers["x-rondo-trace-id"] == house.call.trace_id
    assert house.call.answer == "Hello"
    assert house.call.first_token_ms is not None


async def test_usage_is_asked_for_and_kept_from_clients_who_did_not_ask(house: House) -> None:
    house.upstream.plays["echo"] = events([*odd_stream(), USAGE_EVENT, b"data: [DONE]\n\n"])
    response = await house.chat("echo", stream=True)
    assert house.upstream.last.json["stream_options"] == {"include_usage": True}
    assert b"usage" not in response.content
    assert (house.call.input_tokens, house.call.output_tokens, house.call.served_model) == (11, 7, "m-2026")
    assert house.call.cost_usd == pytest.approx(25e-6)


async def test_usage_goes_to_clients_who_ask(house: House) -> None:
    house.upstream.plays["echo"] = events([*odd_stream(), USAGE_EVENT, b"data: [DONE]\n\n"])
    options = {"include_usage": True, "include_obfuscation": False}
    response = await house.chat("echo", stream=True, stream_options=options)
    assert house.upstream.last.json["stream_options"] == options
    assert USAGE_EVENT in response.content


async def test_other_stream_options_are_kept_when_usage_is_added(house: House) -> None:
    house.upstream.plays["echo"] = events([*odd_stream(), b"data: [DONE]\n\n"])
    await house.chat("echo", stream=True, stream_options={"include_obfuscation": False})
    assert house.upstream.last.json["stream_options"] == {"include_obfuscation": False, "include_usage": True}


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}]}\n\n',
        b'data: {"choices":[{"index":0,"finish_reason":null,"content_filter_offsets":{}}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[]}]}}]}\n\n',
        b'data: {"choices":[{"index":0,"delta":null}]}\n\n',
        b'data: {"choices":null,"ping":1}\n\n',
        b'data: {"type":"ping"}\n\n',
        b"event: ping\n\n",
        b'data: {"choices":[{"index":0,"delta":{"audio":{"id":"a"}}}],"service_tier":"x"}\n\n',
    ],
)
async def test_events_of_other_dialects_go_through_unharmed(house: House, event: bytes) -> None:
    parts = [*odd_stream()[:2], event, *odd_stream()[2:], b"data: [DONE]\n\n"]
    house.upstream.plays["echo"] = events(parts)
    response = await house.chat("echo", stream=True)
    assert response.content == b"".join(parts)
    assert (house.call.status, house.call.answer) == (200, "Hello")


async def test_a_stream_of_tool_calls_goes_through_and_is_recorded(house: House) -> None:
    delta = {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
    parts = [
        b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() + b"\n\n",
        b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}\n\n',
        b"data: [DONE]\n\n",
    ]
    house.upstream.plays["echo"] = events(parts)
    response = await house.chat("echo", stream=True, tools=TOOLS)
    assert response.content == b"".join(parts)
    assert json.loads(house.call.output)["tool_calls"][0]["function"]["name"] == "f"
    assert house.call.first_token_ms is not None


async def test_parts_are_passed_on_as_they_come(house: House) -> None:
    house.upstream.plays["echo"] = events(odd_stream()[:3], then="stall")
    body = json.dumps({"model": "echo", "stream": True, "messages": HELLO}).encode()
    visitor = Visitor(house, "/v1/chat/completions", body)
    await visitor.until(b"Hel")  # while the provider still owes the rest
    visitor.leave()
    await visitor.task


async def test_streams_of_the_same_model_do_not_mix(house: House) -> None:
    import asyncio

    house.upstream.plays["echo"] = events(completion_events(["a", "b", "c"], model="m"), pause_s=0.002)
    replies = await asyncio.gather(*(house.chat("echo", stream=True) for _ in range(8)))
    assert len({reply.headers["x-rondo-trace-id"] for reply in replies}) == 8
    assert {call.answer for call in house.calls} == {"abc"}
    assert len(house.calls) == 8
