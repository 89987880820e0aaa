"""What each provider would say on its own wire, whole and streamed: one answer, told in five languages.

Shapes are those of the vendors' documentation. `Said` is the answer in no language; a `Vendor` tells it.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from scripted_upstream import Play, Talk, whole

Json = dict[str, Any]

SECRETS = {
    "OPENAI_API_KEY": "sk-openai",
    "AZURE_OPENAI_API_KEY": "azure-secret",
    "ANTHROPIC_API_KEY": "anthropic-secret",
    "GEMINI_API_KEY": "gemini-secret",
    "AWS_BEARER_TOKEN_BEDROCK": "bedrock-secret",
    "RONDO_KEY_HOSTS": "OPENAI_API_KEY=127.0.0.1 AZURE_OPENAI_API_KEY=127.0.0.1 ANTHROPIC_API_KEY=127.0.0.1 "
    "GEMINI_API_KEY=127.0.0.1 AWS_BEARER_TOKEN_BEDROCK=127.0.0.1 AWS_ACCESS_KEY_ID=127.0.0.1",
}


class Said(NamedTuple):
    """An answer. `calls` are (id, name, arguments); `stop` is stop, length, tool_calls, filter or a stop text."""

    text: str = ""
    thinking: str = ""
    signature: str = ""
    calls: tuple[tuple[str, str, Json], ...] = ()
    stop: str = "stop"
    fresh: int = 7
    cached: int = 0
    written: int = 0
    output: int = 5
    reasoning: int = 0


class Vendor(NamedTuple):
    """A provider: how a model of it is set up, and how it says something."""

    name: str
    spec: dict[str, Any]
    whole: Callable[[Said], Play]
    stream: Callable[[Said], Play]
    counts_reasoning: bool = True
    counts_writing: bool = True
    signs: bool = True
    tells_thoughts: bool = True
    tells_stop_text: bool = False


def streamed(data: bytes, content_type: str = "text/event-stream", *, size: int = 0, then: str = "end") -> Play:
    """A body in parts of `size` bytes; `then` is "end" or "cut"."""

    async def play(talk: Talk) -> None:
        await talk.head(200, content_type, length=None)
        step = size or len(data) or 1
        for start in range(0, len(data), step):
            await talk.chunk(data[start : start + step])
        if then == "cut":
            talk.writer.close()
            return
        talk.writer.write(b"0\r\n\r\n")
        await talk.writer.drain()

    return play


def sse(*events: object, done: bool = False, names: bool = False) -> bytes:
    parts = []
    for event in events:
        name = f"event: {event['type']}\n" if names and isinstance(event, dict) else ""
        parts.append(f"{name}data: {json.dumps(event)}\n\n".encode())
    return b"".join(parts) + (b"data: [DONE]\n\n" if done else b"")


def pieces(text: str) -> list[str]:
    """A text as a provider streams it: in two or three parts."""
    third = max(1, len(text) // 3)
    return [text[at : at + third] for at in range(0, len(text), third)]


# OpenAI


def openai_usage(said: Said) -> Json:
    prompt = said.fresh + said.cached + said.written
    return {
        "prompt_tokens": prompt,
        "completion_tokens": said.output,
        "total_tokens": prompt + said.output,
        "prompt_tokens_details": {"cached_tokens": said.cached},
        "completion_tokens_details": {"reasoning_tokens": said.reasoning},
    }


def _openai_finish(said: Said) -> str:
    return {"filter": "content_filter", "length": "length", "tool_calls": "tool_calls"}.get(said.stop, "stop")


def _openai_call(position: int, call: tuple[str, str, Json], arguments: str | None = None) -> Json:
    function = {"name": call[1], "arguments": json.dumps(call[2]) if arguments is None else arguments}
    return {"index": position, "id": call[0], "type": "function", "function": function}


def openai_whole(said: Said) -> Play:
    message: Json = {"role": "assistant", "content": said.text or None}
    if said.calls:
        message["tool_calls"] = [_openai_call(at, call) for at, call in enumerate(said.calls)]
        for call in message["tool_calls"]:
            del call["index"]
    if said.thinking:
        message["reasoning_content"] = said.thinking
    choice = {"index": 0, "message": message, "finish_reason": _openai_finish(said), "logprobs": None}
    return whole({**_OPENAI, "object": "chat.completion", "choices": [choice], "usage": openai_usage(said)})


_OPENAI = {"id": "chatcmpl-9", "created": 1, "model": "gpt-4o-2024-08-06"}


def openai_stream(said: Said, *, azure: bool = False) -> Play:
    head = {**_OPENAI, "object": "chat.completion.chunk"}
    events: list[Json] = []

    def add(delta: Json, finish: str | None = None) -> None:
        choice: Json = {"index": 0, "delta": delta, "finish_reason": finish}
        if azure:
            choice["content_filter_results"] = {"hate": {"filtered": False, "severity": "safe"}}
        events.append({**head, "choices": [choice]})

    if azure:
        filters = [{"prompt_index": 0, "content_filter_results": {"jailbreak": {"filtered": False}}}]
        events.append({**head, "model": "", "id": "", "choices": [], "prompt_filter_results": filters})
    add({"role": "assistant", "content": ""})
    for piece in pieces(said.thinking):
        add({"reasoning_content": piece})
    for piece in pieces(said.text):
        add({"content": piece})
    for at, call in enumerate(said.calls):
        add({"tool_calls": [_openai_call(at, call, "")]})
        for piece in pieces(json.dumps(call[2])):
            add({"tool_calls": [{"index": at, "function": {"arguments": piece}}]})
    add({}, _openai_finish(said))
    events.append({**head, "choices": [], "usage": openai_usage(said)})
    return streamed(sse(*events, done=True))


# Anthropic


def _anthropic_usage(said: Said) -> Json:
    return {
        "input_tokens": said.fresh,
        "cache_read_input_tokens": said.cached,
        "cache_creation_input_tokens": said.written,
        "output_tokens": said.output,
    }


def _anthropic_stop(said: Said) -> tuple[str, str | None]:
    reasons = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "filter": "refusal"}
    return (reasons[said.stop], None) if said.stop in reasons else ("stop_sequence", said.stop)


def _anthropic_blocks(said: Said) -> list[Json]:
    blocks: list[Json] = []
    if said.thinking:
        blocks.append({"type": "thinking", "thinking": said.thinking, "signature": said.signature})
    if said.text:
        blocks.append({"type": "text", "text": said.text})
    blocks += [{"type": "tool_use", "id": call[0], "name": call[1], "input": call[2]} for call in said.calls]
    return blocks


def anthropic_whole(said: Said) -> Play:
    reason, text = _anthropic_stop(said)
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5"}
    rest = {"stop_reason": reason, "stop_sequence": text, "usage": _anthropic_usage(said)}
    return whole({**head, "content": _anthropic_blocks(said), **rest})


_EMPTY: dict[str, Json] = {
    "thinking": {"thinking": "", "signature": ""},
    "text": {"text": ""},
    "tool_use": {"input": {}},
}


def anthropic_stream(said: Said) -> Play:
    reason, text = _anthropic_stop(said)
    usage = _anthropic_usage(said)
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5", "content": []}
    events: list[Json] = [{"type": "message_start", "message": {**message, "usage": {**usage, "output_tokens": 1}}}]
    events.append({"type": "ping"})
    for at, block in enumerate(_anthropic_blocks(said)):
        kind = block["type"]
        empty = _EMPTY[kind]
        events.append({"type": "content_block_start", "index": at, "content_block": {**block, **empty}})
        deltas: list[Json] = []
        if kind == "tool_use":
            parts = pieces(json.dumps(block["input"]))
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in parts]
        else:
            deltas = [{"type": f"{kind}_delta", kind: piece} for piece in pieces(block[kind])]
        if kind == "thinking":
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        events += [{"type": "content_block_delta", "index": at, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": at})
    stop = {"stop_reason": reason, "stop_sequence": text}
    events.append({"type": "message_delta", "delta": stop, "usage": {"output_tokens": said.output}})
    events.append({"type": "message_stop"})
    return streamed(sse(*events, names=True))


# Gemini


def _gemini_usage(said: Said) -> Json:
    return {
        "promptTokenCount": said.fresh + said.cached + said.written,
        "cachedContentTokenCount": said.cached,
        "candidatesTokenCount": said.output - said.reasoning,
        "thoughtsTokenCount": said.reasoning,
        "totalTokenCount": said.fresh + said.cached + said.written + said.output,
    }


def _gemini_finish(said: Said) -> str:
    return {"length": "MAX_TOKENS", "filter": "SAFETY"}.get(said.stop, "STOP")


def _gemini_calls(said: Said) -> list[Json]:
    calls: list[Json] = [{"functionCall": {"id": c[0], "name": c[1], "args": c[2]}} for c in said.calls]
    if calls and said.signature:
        calls[0]["thoughtSignature"] = said.signature
    return calls


def _gemini(said: Said, parts: list[Json], finish: str | None, usage: bool = True) -> Json:
    candidate: Json = {"content": {"parts": parts, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    made: Json = {"candidates": [candidate], "modelVersion": "gemini-3.5-flash", "responseId": "r-1"}
    return {**made, "usageMetadata": _gemini_usage(said)} if usage else made


def gemini_whole(said: Said) -> Play:
    parts: list[Json] = [{"text": said.thinking, "thought": True}] if said.thinking else []
    parts += [{"text": said.text}] if said.text else []
    return whole(_gemini(said, parts + _gemini_calls(said), _gemini_finish(said)))


def gemini_stream_bytes(said: Said) -> bytes:
    steps = [[{"text": piece, "thought": True}] for piece in pieces(said.thinking)]
    steps += [[{"text": piece}] for piece in pieces(said.text)]
    steps += [[call] for call in _gemini_calls(said)]
    events = [_gemini(said, parts, None, usage=False) for parts in steps]
    return sse(*events, _gemini(said, [{"text": ""}], _gemini_finish(said)))


def gemini_stream(said: Said) -> Play:
    return streamed(gemini_stream_bytes(said))


# Bedrock


def _bedrock_usage(said: Said) -> Json:
    return {
        "inputTokens": said.fresh,
        "outputTokens": said.output,
        "totalTokens": said.fresh + said.cached + said.written + said.output,
        "cacheReadInputTokens": said.cached,
        "cacheWriteInputTokens": said.written,
    }


def _bedrock_stop(said: Said) -> Json:
    reasons = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "filter": "content_filtered"}
    if said.stop in reasons:
        return {"stopReason": reasons[said.stop]}
    return {"stopReason": "stop_sequence", "additionalModelResponseFields": {"stop_sequence": said.stop}}


def bedrock_whole(said: Said) -> Play:
    blocks: list[Json] = []
    if said.thinking:
        reasoning = {"text": said.thinking, **({"signature": said.signature} if said.signature else {})}
        blocks.append({"reasoningContent": {"reasoningText": reasoning}})
    if said.text:
        blocks.append({"text": said.text})
    blocks += [{"toolUse": {"toolUseId": c[0], "name": c[1], "input": c[2]}} for c in said.calls]
    message = {"role": "assistant", "content": blocks}
    rest = {"usage": _bedrock_usage(said), "metrics": {"latencyMs": 12}}
    return whole({"output": {"message": message}, **_bedrock_stop(said), **rest})


def frame(name: str, payload: object, *, kind: str = "event") -> bytes:
    """A frame of application/vnd.amazon.eventstream."""
    body = json.dumps(payload).encode()
    key = {"exception": ":exception-type", "error": ":error-code"}.get(kind, ":event-type")
    headers = b"".join(
        bytes([len(header)]) + header.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for header, value in ((key, name), (":content-type", "application/json"), (":message-type", kind))
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    head = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + body
    return head + struct.pack(">I", zlib.crc32(head))


def bedrock_stream_bytes(said: Said) -> bytes:
    frames = [frame("messageStart", {"role": "assistant", "p": "abcdefgh"})]
    at = 0

    def block(deltas: list[Json], start: Json | None = None) -> None:
        nonlocal at
        if start is not None:
            frames.append(frame("contentBlockStart", {"start": start, "contentBlockIndex": at}))
        frames.extend(
            frame("contentBlockDelta", {"delta": delta, "contentBlockIndex": at, "p": "abc"}) for delta in deltas
        )
        frames.append(frame("contentBlockStop", {"contentBlockIndex": at}))
        at += 1

    if said.thinking:
        deltas: list[Json] = [{"reasoningContent": {"text": piece}} for piece in pieces(said.thinking)]
        block(deltas + ([{"reasoningContent": {"signature": said.signature}}] if said.signature else []))
    if said.text:
        block([{"text": piece} for piece in pieces(said.text)])
    for call in said.calls:
        parts = [{"toolUse": {"input": piece}} for piece in pieces(json.dumps(call[2]))]
        block(parts, {"toolUse": {"toolUseId": call[0], "name": call[1]}})
    frames.append(frame("messageStop", _bedrock_stop(said)))
    frames.append(frame("metadata", {"usage": _bedrock_usage(said), "metrics": {"latencyMs": 9}}))
    return b"".join(frames)


def bedrock_stream(said: Said) -> Play:
    return streamed(bedrock_stream_bytes(said), "application/vnd.amazon.eventstream")


def _azure_stream(said: Said) -> Play:
    return openai_stream(said, azure=True)


_HAIKU = "anthropic.claude-haiku-4-5-20251001-v1:0"

VENDORS = {
    vendor.name: vendor
    for vendor in (
        Vendor(
            "openai",
            {"model": "gpt-4o", "api_key_env": "OPENAI_API_KEY"},
            openai_whole,
            openai_stream,
            counts_writing=False,
            signs=False,
        ),
        Vendor("azure", {"model": "dep"}, openai_whole, _azure_stream, counts_writing=False, signs=False),
        Vendor(
            "anthropic",
            {"model": "claude-haiku-4-5", "api_key_env": "ANTHROPIC_API_KEY"},
            anthropic_whole,
            anthropic_stream,
            counts_reasoning=False,
            tells_stop_text=True,
        ),
        Vendor(
            "gemini",
            {"model": "gemini-3.5-flash", "api_key_env": "GEMINI_API_KEY"},
            gemini_whole,
            gemini_stream,
            counts_writing=False,
            signs=False,
        ),
        Vendor(
            "bedrock",
            {"model": _HAIKU, "region": "us-east-1"},
            bedrock_whole,
            bedrock_stream,
            counts_reasoning=False,
            tells_stop_text=True,
        ),
    )
}
