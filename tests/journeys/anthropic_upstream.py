"""Providers for the tests of Anthropic's clients: one speaks Anthropic's wire, one OpenAI's.

Both are at one address, whose path tells which wire is meant. Both answer alike, each by the name of its model, so
that a client can be shown to notice no difference.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from journeys.clients import server_on
from journeys.openai_upstream import PLAYS as OPENAI_PLAYS
from journeys.openai_upstream import TOOL_CALL, chunk, message
from journeys.running import Running
from providers import anthropic_wire as wire
from scripted_upstream import Play, Talk, events, whole

CALLS = [("toolu_1", {"city": "Oslo"}), ("toolu_2", {"city": "Rome"})]
SIGNATURE = "EqQBCgIYAhIM"


async def _say(talk: Talk, *blocks: dict[str, Any], reason: str = "end_turn") -> None:
    """The blocks as a Message, or as its events with every text and argument in two pieces."""
    if not talk.heard.json.get("stream"):
        await whole(wire.message(*blocks, reason=reason))(talk)
        return
    parts = [wire.start(cache_read_input_tokens=5, cache_creation_input_tokens=3), wire.PING]
    for index, block in enumerate(blocks):
        if block["type"] == "text":
            half = len(block["text"]) // 2
            parts += wire.text_block(index, block["text"][:half], block["text"][half:])
        elif block["type"] == "thinking":
            parts += wire.thinking_block(index, block["signature"], block["thinking"])
        else:
            given = json.dumps(block["input"])
            parts += wire.call_block(index, block["id"], block["name"], given[:4], given[4:])
    await events([*parts, *wire.end(reason)])(talk)


def _last(talk: Talk) -> Any:
    return talk.heard.json["messages"][-1]["content"]


async def chat(talk: Talk) -> None:
    """The last message backwards."""
    await _say(talk, wire.text(_last(talk)[::-1]))


async def tools(talk: Talk) -> None:
    """Two calls at once of the first tool; when it has the results, the results."""
    if isinstance(_last(talk), list):
        results = [block for block in _last(talk) if block["type"] == "tool_result"]
        assert [block["tool_use_id"] for block in results] == [call for call, _ in CALLS]
        await _say(talk, wire.text("; ".join(block["content"] for block in results)))
    else:
        name = talk.heard.json["tools"][0]["name"]
        await _say(talk, *(wire.call(call, name, **given) for call, given in CALLS), reason="tool_use")


async def think(talk: Talk) -> None:
    """A thought and a text; the thought is wanted back as it was."""
    assert talk.heard.json["thinking"]["type"] == "adaptive"
    for turn in talk.heard.json["messages"]:
        if turn["role"] == "assistant":
            assert turn["content"][0] == {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE}
    await _say(talk, {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE}, wire.text("Yes."))


async def look(talk: Talk) -> None:
    """What it was shown: the media type of an image, the title of a document."""
    image, document = _last(talk)[:2]
    await _say(talk, wire.text(f"{image['source']['media_type']} {document['title']}"))


async def structured(talk: Talk) -> None:
    assert talk.heard.json["output_config"]["format"]["type"] == "json_schema"
    await _say(talk, wire.text('{"city":"Oslo","degrees":7}'))


async def gpt_parallel(talk: Talk) -> None:
    """As `tools`, from a server that streams both calls at the same time."""
    said = [one for one in talk.heard.json["messages"] if one["role"] == "tool"]
    if said:
        assert [one["tool_call_id"] for one in said] == [call for call, _ in CALLS]
        await whole(message(content="; ".join(one["content"] for one in said)))(talk)
        return
    calls = [
        {**TOOL_CALL, "id": call, "function": {"name": "weather", "arguments": json.dumps(given)}}
        for call, given in CALLS
    ]
    if not talk.heard.json.get("stream"):
        await whole(message(tool_calls=calls))(talk)
        return
    heads = [{**one, "index": n, "function": {"name": "weather", "arguments": ""}} for n, one in enumerate(calls)]
    parts = [chunk({"role": "assistant", "content": None, "tool_calls": heads})]
    for at in (0, 9):
        for number, (_, given) in enumerate(CALLS):
            piece = json.dumps(given)[at : at + 9 if at == 0 else None]
            parts.append(chunk({"tool_calls": [{"index": number, "function": {"arguments": piece}}]}))
    await events([*parts, chunk({}, "tool_calls"), b"data: [DONE]\n\n"])(talk)


async def gpt_look(talk: Talk) -> None:
    image, document = talk.heard.json["messages"][-1]["content"][:2]
    kind = image["image_url"]["url"].removeprefix("data:").split(";")[0]
    await whole(message(content=f"{kind} {document['file']['filename']}"))(talk)


PLAYS: dict[str, Play] = {
    "claude-chat": chat,
    "claude-tools": tools,
    "claude-thinking-5": think,
    "claude-look": look,
    "claude-structured": structured,
    "claude-busy": whole(wire.error("rate_limit_error", "slow down"), 429, retry_after="1"),
    "claude-strict": whole(wire.error("invalid_request_error", "bad temperature"), 400),
    "claude-down": whole(wire.error("api_error", "oops"), 500),
    "claude-cut": events([wire.start(), *wire.text_block(0, "Hel")], then="cut"),
    "claude-overloaded": events(
        [
            wire.start(),
            *wire.text_block(0, "Hel"),
            wire.event("error", error={"type": "overloaded_error", "message": "x"}),
        ]
    ),
    "gpt-parallel": gpt_parallel,
    "gpt-look": gpt_look,
    **{
        name: OPENAI_PLAYS[name]
        for name in ("gpt-chat", "gpt-structured", "gpt-busy", "gpt-strict", "gpt-down", "gpt-cut")
    },
}


@pytest.fixture(scope="module")
def messages_served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The models, each by its own name."""
    with server_on(PLAYS, tmp_path_factory.mktemp("messages")) as server:
        yield server
