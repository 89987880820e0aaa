"""Answers in OpenAI's shape, for providers that make them themselves and adapters that translate.

`completion` and `completion_events` count tokens as words.
"""

from __future__ import annotations

from typing import Any

import msgspec

from rondo import clock

DONE = b"data: [DONE]\n\n"
_encode = msgspec.json.Encoder().encode


class Answer:
    """Writes one answer: whole, or event by event. `answer_id` is the provider's own, where it has one."""

    def __init__(self, model: str, answer_id: str = "") -> None:
        self.model = model
        self.answer_id = answer_id
        self._created = clock.now_us()

    def whole(self, choices: list[dict[str, Any]], usage: dict[str, Any] | None) -> bytes:
        """A `chat.completion`."""
        return _encode({**self._head("chat.completion"), "choices": choices, "usage": usage})

    def event(self, delta: dict[str, Any], *, choice: int = 0, finish: str | None = None, **more: Any) -> bytes:
        """A `chat.completion.chunk`; `more` are further fields of the choice."""
        one = {"index": choice, "delta": delta, "finish_reason": finish, **more}
        return b"data: " + _encode({**self._head("chat.completion.chunk"), "choices": [one]}) + b"\n\n"

    def usage_event(self, usage: dict[str, Any]) -> bytes:
        head = self._head("chat.completion.chunk")
        return b"data: " + _encode({**head, "choices": [], "usage": usage}) + b"\n\n"

    def _head(self, kind: str) -> dict[str, Any]:
        answer_id = self.answer_id or f"{self._created:x}"
        return {
            "id": f"chatcmpl-{answer_id}",
            "object": kind,
            "created": self._created // 1_000_000,
            "model": self.model,
        }


def usage_of(
    prompt: int, completion: int, *, cached: int = 0, cache_write: int = 0, reasoning: int | None = None
) -> dict[str, Any]:
    """`prompt` holds what was read from and written to the cache, `completion` the reasoning."""
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": cache_write},
    }
    if reasoning is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return usage


def tool_call(call_id: str, name: str, arguments: str, **more: Any) -> dict[str, Any]:
    """A tool call of a message; with `index=` one of a stream."""
    return {**more, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


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
