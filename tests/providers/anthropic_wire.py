"""Anthropic's wire as its documentation shows it: answers, whole and as events, for tests."""

from __future__ import annotations

import json
from typing import Any

MODEL = "claude-opus-5-5"


def message(*content: dict[str, Any], reason: str = "end_turn", **fields: Any) -> dict[str, Any]:
    return {
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": list(content),
        "stop_reason": reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 12,
            "cache_creation_input_tokens": 3,
            "cache_read_input_tokens": 5,
            "output_tokens": 9,
            "service_tier": "standard",
        },
        **fields,
    }


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def call(call_id: str, name: str, **arguments: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def error(kind: str, said: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": said}, "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"}


def event(name: str, **fields: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps({'type': name, **fields})}\n\n".encode()


def start(**usage: int) -> bytes:
    begun = message(stop_reason=None, usage={"input_tokens": 25, "output_tokens": 1, **usage})
    return event("message_start", message=begun)


def block(index: int, begun: dict[str, Any], *deltas: dict[str, Any]) -> list[bytes]:
    """A content block from its start to its stop."""
    return [
        event("content_block_start", index=index, content_block=begun),
        *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
        event("content_block_stop", index=index),
    ]


def text_block(index: int, *pieces: str) -> list[bytes]:
    return block(index, text(""), *({"type": "text_delta", "text": piece} for piece in pieces))


def call_block(index: int, call_id: str, name: str, *pieces: str) -> list[bytes]:
    deltas = ({"type": "input_json_delta", "partial_json": piece} for piece in pieces)
    return block(index, call(call_id, name), {"type": "input_json_delta", "partial_json": ""}, *deltas)


def thinking_block(index: int, signature: str, *pieces: str) -> list[bytes]:
    deltas: list[dict[str, Any]] = [{"type": "thinking_delta", "thinking": piece} for piece in pieces]
    empty = {"type": "thinking", "thinking": "", "signature": ""}
    return block(index, empty, *deltas, {"type": "signature_delta", "signature": signature})


def end(reason: str = "end_turn", sequence: str | None = None, **usage: Any) -> list[bytes]:
    delta = {"stop_reason": reason, "stop_sequence": sequence}
    return [event("message_delta", delta=delta, usage={"output_tokens": 15, **usage}), event("message_stop")]


PING = event("ping")
