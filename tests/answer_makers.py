"""Answers for tests of the cache."""

from __future__ import annotations

import json
from typing import Any

from rondo.cache.model import Asked, Kept


def completion(content: str | None = "Hello there.", *, finish: str | None = "stop", **message: Any) -> bytes:
    """A chat.completion with one choice."""
    said = {"role": "assistant", "content": content, **message}
    choice = {"index": 0, "message": said, "finish_reason": finish}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    whole = {
        "id": "c-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m-1",
        "choices": [choice],
        "usage": usage,
    }
    return json.dumps(whole).encode()


def kept(content: str = "Hello there.", **fields: Any) -> Kept:
    usual: dict[str, Any] = {
        "completion": completion(content),
        "model": "main",
        "provider": "openai",
        "cost_usd": 0.25,
        "trace_id": "t1",
        "made_at": 1_763_700_000_000_000,
    }
    return Kept(**{**usual, **fields})


def asked(name: str, *, group: str | None = None, question: str = "") -> Asked:
    """A request of this name."""
    return Asked(key=name.encode().ljust(32), group=None if group is None else group.encode(), question=question)
