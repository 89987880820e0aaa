"""Every provider says the same thing in its own way: one table of answers and of conversations, for all of them.

An answer that a vendor gives on its own wire must come out as the same chat completion, whole or streamed. A
conversation must reach the vendor with all that was said in it. Meaning is compared, not bytes: ids of answers, times
and the cut of a stream may differ.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from providers.asking import Asker
from providers.vendors import VENDORS, Json, Said, Vendor
from rondo.traces.cost import usage_from

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
WEATHER = ("call_1", "weather", {"city": "Zürich", "days": [1, 2], "deep": {"x": None, "y": 1.5}})
TIME: tuple[str, str, Json] = ("call_2", "time", {})

ANSWERS = {
    "text": Said("Hello, how are you?"),
    "unicode": Said('Grüezi 👋🏽 – „你好“ \u0000 " \\ end'),
    "one letter": Said("x"),
    "a tool": Said(calls=(WEATHER,), stop="tool_calls"),
    "text and a tool": Said("Let me look.", calls=(WEATHER,), stop="tool_calls"),
    "parallel tools": Said(calls=(WEATHER, TIME), stop="tool_calls"),
    "three of one tool": Said(calls=tuple((f"c{n}", "weather", {"n": n}) for n in range(3)), stop="tool_calls"),
    "too long": Said("It goes on and", stop="length"),
    "filtered": Said("I", stop="filter"),
    "stop text": Said("One, two", stop="END"),
    "cached": Said("From the cache.", fresh=3, cached=1000, written=0),
    "cache written": Said("Into the cache.", fresh=3, cached=10, written=200),
    "thinking": Said("42", thinking="Six times seven, then.", signature="c2ln", output=9, reasoning=4),
    "thinking and a tool": Said(thinking="The weather, then.", signature="c2ln", calls=(WEATHER,), stop="tool_calls"),
}


def meaning(completion: Json) -> Json:
    """What a client acts on."""
    (choice,) = completion["choices"]
    message = choice["message"]
    return {
        "text": message.get("content") or "",
        "thinking": message.get("reasoning_content", ""),
        "signed": [block.get("signature") for block in message.get("thinking_blocks", ())],
        "calls": [
            (call["id"], call["function"]["name"], json.loads(call["function"]["arguments"]))
            for call in message.get("tool_calls", ())
        ],
        "finish": choice["finish_reason"],
        "stop": choice.get("stop_sequence"),
        "usage": usage_from(completion["usage"]),
    }


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("said", ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
async def test_an_answer(asker: Asker, vendor: Vendor, said: Said, stream: bool) -> None:
    play = (vendor.stream if stream else vendor.whole)(said)
    found = meaning(await asker.ask(vendor.name, play, stream=stream))
    assert found["text"] == said.text
    assert found["thinking"] == said.thinking
    assert found["calls"] == list(said.calls)
    plain = said.stop not in ("length", "filter", "tool_calls")
    assert found["finish"] == ("stop" if plain else {"filter": "content_filter"}.get(said.stop, said.stop))
    assert found["stop"] == (said.stop if plain and said.stop != "stop" and vendor.tells_stop_text else None)
    assert found["signed"] == ([said.signature] if vendor.signs and said.thinking else [])
    usage = found["usage"]
    reasoning = said.reasoning if vendor.counts_reasoning else 0
    written = said.written if vendor.counts_writing else 0
    fresh = said.fresh + said.written - written
    assert (usage.input, usage.cache_read, usage.cache_write) == (fresh, said.cached, written)
    assert (usage.output, usage.reasoning) == (said.output - reasoning, reasoning)


def _tool(name: str) -> Json:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "description": f"The {name}.", "parameters": schema}}


def _called(*calls: tuple[str, str, str]) -> Json:
    made = [{"id": c[0], "type": "function", "function": {"name": c[1], "arguments": c[2]}} for c in calls]
    return {"role": "assistant", "content": None, "tool_calls": made}


IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
SCHEMA = {
    "type": "object",
    "properties": {"sum": {"type": "integer"}},
    "required": ["sum"],
    "additionalProperties": False,
}
USER: Json = {"role": "user", "content": "What is the weather in Zug?"}
ROUND = [
    USER,
    _called(("call_1", "weather", '{"city": "Zug"}')),
    {"role": "tool", "tool_call_id": "call_1", "content": "14 C"},
]

CONVERSATIONS: dict[str, tuple[Json, list[str]]] = {
    "system": ({"messages": [{"role": "system", "content": "Be kind."}, USER]}, ["Be kind.", "weather in Zug"]),
    "developer": ({"messages": [{"role": "developer", "content": "Be brief."}, USER]}, ["Be brief."]),
    "turns": (
        {"messages": [USER, {"role": "assistant", "content": "Rain."}, {"role": "user", "content": "And now?"}]},
        ["weather in Zug", "Rain.", "And now?"],
    ),
    "parts": (
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "First."}, {"type": "text", "text": "Second."}]}
            ]
        },
        ["First.", "Second."],
    ),
    "image": (
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "See?"}, IMAGE]}]},
        ["See?", "image/png|png", PNG],
    ),
    "tools": (
        {"messages": [USER], "tools": [_tool("weather"), _tool("time")]},
        ["The weather.", "The time.", '"required":["city"]'],
    ),
    "tool choice": ({"messages": [USER], "tools": [_tool("weather")], "tool_choice": "required"}, ["required|any|ANY"]),
    "tool result": ({"messages": ROUND, "tools": [_tool("weather")]}, ["call_1", "weather", "Zug", "14 C"]),
    "parallel results": (
        {
            "messages": [
                USER,
                _called(("call_1", "weather", '{"city": "Zug"}'), ("call_2", "time", "{}")),
                {"role": "tool", "tool_call_id": "call_1", "content": "14 C"},
                {"role": "tool", "tool_call_id": "call_2", "content": "noon"},
                {"role": "user", "content": "Well?"},
            ],
            "tools": [_tool("weather"), _tool("time")],
        },
        ["call_1", "call_2", "14 C", "noon", "Well?"],
    ),
    "schema": (
        {
            "messages": [USER],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "sum", "schema": SCHEMA, "strict": True},
            },
        },
        ["additionalProperties", "sum", "json_schema|application/json"],
    ),
    "limits": (
        {"messages": [USER], "max_tokens": 77, "temperature": 0.5, "top_p": 0.25, "stop": ["END"]},
        ["77", "0.5", "0.25", "END"],
    ),
    "failed tool": (
        {
            "messages": [*ROUND[:2], {**ROUND[2], "content": "no such city", "is_error": True}],
            "tools": [_tool("weather")],
        },
        ["no such city"],
    ),
    "tool's image": (
        {
            "messages": [*ROUND[:2], {**ROUND[2], "content": [{"type": "text", "text": "The map:"}, IMAGE]}],
            "tools": [_tool("weather")],
        },
        ["The map:", PNG],
    ),
}
EXTENDED = ("failed tool", "tool's image")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", CONVERSATIONS)
@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
async def test_a_conversation(asker: Asker, vendor: Vendor, name: str, stream: bool) -> None:
    """All that was said reaches the vendor, each thing once and in its order, and is answered."""
    request, texts = CONVERSATIONS[name]
    play = (vendor.stream if stream else vendor.whole)(Said("Good."))
    more: Json = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    answer = await asker.ask(vendor.name, play, {**request, **more}, stream=stream, extended=name in EXTENDED)
    assert answer["choices"][0]["message"]["content"] == "Good."
    heard = _flat(asker.heard)
    for text in texts:
        assert any(choice in heard for choice in text.split("|")), (text, heard)
    said = [
        text
        for text in ("weather in Zug", "Rain.", "And now?", "First.", "Second.", "14 C", "noon", "Well?")
        if text in texts
    ]
    assert [heard.count(text) for text in said] == [1] * len(said)
    assert sorted(said, key=heard.index) == said, "in their order"
    assert not any(secret in asker.upstream.last.path for secret in ("secret", "sk-openai"))


def _flat(body: Json) -> str:
    """Without the escapes of JSON in JSON, and with the conversation before everything else."""
    order = ("system", "systemInstruction", "messages", "contents")
    ordered = {name: body[name] for name in order if name in body}
    text = json.dumps({**ordered, **{k: v for k, v in body.items() if k not in ordered}}, separators=(",", ":"))
    return text.replace('\\"', '"')


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
async def test_thoughts_go_back_to_who_can_use_them(asker: Asker, vendor: Vendor) -> None:
    """A turn of an agent: what the answer says is put back into the conversation as it came."""
    said = Said(thinking="The weather, then.", signature="c2ln", calls=(WEATHER,), stop="tool_calls")
    request: dict[str, Any] = {"messages": [USER], "tools": [_tool("weather")]}
    first = await asker.ask(vendor.name, vendor.stream(said), request, stream=True)
    message = {"role": "assistant", "content": None, **first["choices"][0]["message"]}
    result = {"role": "tool", "tool_call_id": WEATHER[0], "content": "14 C"}
    request["messages"] = [USER, message, result]
    await asker.ask(vendor.name, vendor.whole(Said("14 C.")), request, stream=False, extended=True)
    heard = _flat(asker.heard)
    assert ("c2ln" in heard) == (vendor.name in ("anthropic", "bedrock", "gemini"))
    assert ("The weather, then." in heard) == (vendor.name in ("anthropic", "bedrock"))
    assert "reasoning_content" not in heard
    assert "thinking_blocks" not in heard
