"""`POST /v1/apps/{app}/answer`: a question in, an answer with its sources out. Pure.

An answer cites passages as [1], [2], ...: the numbers under which the prompt showed them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from rondo.records import Call, Chunk

_MARK = re.compile(r"\[(\d{1,3})\]")


def passages(context: str | Sequence[str]) -> list[Chunk]:
    """The caller's own context, as numbered passages."""
    texts = [context] if isinstance(context, str) else context
    return [
        Chunk(number=number, id=f"context-{number}", source="request", title="", heading="", text=text, score=0.0)
        for number, text in enumerate(texts, 1)
    ]


def cited(answer: str, chunks: Sequence[Chunk]) -> list[Chunk]:
    """The passages that the answer names, in the order it names them."""
    by_number = {chunk.number: chunk for chunk in chunks}
    numbers = dict.fromkeys(int(mark) for mark in _MARK.findall(answer))
    return [by_number[number] for number in numbers if number in by_number]


def answer_body(call: Call, answer: str) -> bytes:
    """The reply. Tokens and cost are null where they are unknown. `answer` is the client's copy of it."""
    return msgspec.json.encode(
        {
            "answer": answer,
            "citations": cited(answer, call.chunks),
            "handed_over": call.handed_over,
            "app": call.app,
            "release": call.release,
            "release_hash": call.release_hash,
            "model": call.model,
            "trace_id": call.trace_id,
            "tokens": {
                "input": call.input_tokens,
                "cache_read": call.cache_read_tokens,
                "cache_write": call.cache_write_tokens,
                "output": call.output_tokens,
                "reasoning": call.reasoning_tokens,
            },
            "cost_usd": call.cost_usd,
            "duration_ms": round(call.duration_ms, 3),
        }
    )
