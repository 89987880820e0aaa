"""A provider for the clients' tests: answers chats, tools, structured outputs and embeddings as OpenAI would, each by
the name of its model."""

from __future__ import annotations

import json
from typing import Any

from rondo.providers.dialect import completion_events
from scripted_upstream import Play, Talk, events, stall, whole

HEAD = {"id": "chatcmpl-9", "object": "chat.completion", "created": 1_700_000_000, "model": "gpt-fake-2026"}
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}


def message(**fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **fields}, "logprobs": None}
    return {
        **HEAD,
        "choices": [{**choice, "finish_reason": "tool_calls" if "tool_calls" in fields else "stop"}],
        "usage": USAGE,
    }


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    event = {**HEAD, "object": "chat.completion.chunk", "choices": [choice]}
    return b"data: " + json.dumps(event).encode() + b"\n\n"


async def chat(talk: Talk) -> None:
    """The last message backwards, whole or as a stream."""
    said = str(talk.heard.json["messages"][-1]["content"])[::-1]
    if talk.heard.json.get("stream"):
        pieces = [said[at : at + 2] for at in range(0, len(said), 2)]
        await events(completion_events(pieces, model="gpt-fake-2026", prompt_tokens=9))(talk)
    else:
        await whole(message(content=said))(talk)


async def tools(talk: Talk) -> None:
    """A call of the first tool it is offered; when it has the result, the result."""
    last = talk.heard.json["messages"][-1]
    if last["role"] == "tool":
        await whole(message(content=f"It is {last['content']}."))(talk)
    elif talk.heard.json.get("stream"):
        fragments = [
            chunk({"role": "assistant", "content": None, "tool_calls": [{**_part(TOOL_CALL, ""), "index": 0}]}),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]}),
            chunk({"tool_calls": [{"index": 0, "function": {"arguments": '"Oslo"}'}}]}),
            chunk({}, "tool_calls"),
            b"data: [DONE]\n\n",
        ]
        await events(fragments)(talk)
    else:
        await whole(message(tool_calls=[TOOL_CALL]))(talk)


def _part(call: dict[str, Any], arguments: str) -> dict[str, Any]:
    return {**call, "function": {**call["function"], "arguments": arguments}}


async def structured(talk: Talk) -> None:
    """What the schema asks for, if there is one."""
    assert talk.heard.json["response_format"]["type"] == "json_schema"
    await whole(message(content='{"city":"Oslo","degrees":7}', refusal=None))(talk)


async def embed(talk: Talk) -> None:
    texts = talk.heard.json["input"]
    texts = [texts] if isinstance(texts, str) else texts
    data: list[dict[str, Any]] = []
    for index, text in enumerate(texts):
        vector: Any = [float(len(text)), 0.5]
        if talk.heard.json.get("encoding_format") == "base64":
            import base64
            import struct

            vector = base64.b64encode(struct.pack("<2f", *vector)).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    reply = {"object": "list", "data": data, "model": "embed-fake", "usage": {"prompt_tokens": 2, "total_tokens": 2}}
    await whole(reply)(talk)


PLAYS: dict[str, Play] = {
    "gpt-chat": chat,
    "gpt-tools": tools,
    "gpt-structured": structured,
    "gpt-embed": embed,
    "gpt-busy": whole({"error": {"message": "slow down", "type": "rate_limit"}}, 429),
    "gpt-strict": whole({"error": {"message": "bad temperature"}}, 400),
    "gpt-down": whole(b"oops", 500),
    "gpt-silent": stall,
    "gpt-cut": events([chunk({"role": "assistant", "content": "Hel"})], then="cut"),
}
