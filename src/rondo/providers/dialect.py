"""Answers in OpenAI's shape, for providers that make them themselves. Tokens are counted as words."""

from __future__ import annotations

from typing import Any

import msgspec

from rondo import clock


def completion(text: str, *, model: str, prompt_tokens: int) -> bytes:
    """A `chat.completion`, as JSON; tokens are counted as words."""
    used = {"prompt_tokens": prompt_tokens, "completion_tokens": len(text.split())}
    message = {"role": "assistant", "content": text}
    return msgspec.json.encode(
        {
            **_head("chat.completion", model),
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {**used, "total_tokens": sum(used.values())},
        }
    )


def completion_events(pieces: list[str], *, model: str, prompt_tokens: int = 0) -> list[bytes]:
    """The same as server-sent events, one for each piece, with a usage event at the end."""
    head = _head("chat.completion.chunk", model)
    used = {"prompt_tokens": prompt_tokens, "completion_tokens": sum(len(piece.split()) for piece in pieces)}

    def event(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    events: list[dict[str, Any]] = [event({"role": "assistant", "content": ""})]
    events += [event({"content": piece}) for piece in pieces]
    events.append(event({}, "stop"))
    events.append({**head, "choices": [], "usage": {**used, "total_tokens": sum(used.values())}})
    return [b"data: " + msgspec.json.encode(one) + b"\n\n" for one in events] + [b"data: [DONE]\n\n"]


def _head(kind: str, model: str) -> dict[str, Any]:
    now = clock.now_us()
    return {"id": f"chatcmpl-{now:x}", "object": kind, "created": now // 1_000_000, "model": model}
