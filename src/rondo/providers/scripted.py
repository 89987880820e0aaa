"""A provider that says what it is told to: for tests, simulations and demos of failure.

The script is in the model's `params`, under `script`: a list of steps, taken in turn and from the start again.
A step is the text to answer, or an object: `{"text": ..., "status": 500, "delay_s": 0.1, "cut_after": 2}`.
`{question}` in a text stands for the question that was asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
from msgspec import Struct

from rondo.errors import SettingsError, UpstreamCut
from rondo.providers.base import ModelSpec, ProviderRequest, ReadyReply, Reply
from rondo.providers.dialect import completion, completion_events


class Step(Struct, frozen=True, forbid_unknown_fields=True):
    """`delay_s` comes before the reply and before each word of a stream, which breaks off after `cut_after` words."""

    text: str = ""
    status: int = 200
    delay_s: float = 0.0
    cut_after: int | None = None


class Scripted:
    """Plays its steps in turn."""

    def __init__(self, spec: ModelSpec) -> None:
        try:
            steps = msgspec.convert(spec.params.get("script", ["{question}"]), list[str | Step])
        except msgspec.ValidationError as error:
            raise SettingsError(
                f"not a script: {error}.", file="rondo.toml", param=f"models.{spec.name}.params.script"
            ) from None
        self._steps = [Step(text=step) if isinstance(step, str) else step for step in steps] or [Step()]
        self._turn = 0

    async def send(self, request: ProviderRequest) -> Reply:
        step = self._steps[self._turn % len(self._steps)]
        self._turn += 1
        if step.delay_s:
            await asyncio.sleep(step.delay_s)
        if step.status != 200:
            error = {"error": {"message": step.text or "scripted failure", "type": "scripted", "code": None}}
            return ReadyReply([msgspec.json.encode(error)], status=step.status)
        text = step.text.replace("{question}", request.question)
        if request.path == "/embeddings":
            return ReadyReply([msgspec.json.encode(_embeddings(text))])
        words = text.split(" ")
        if not request.stream:
            return ReadyReply([completion(text, model="scripted", prompt_tokens=len(request.question.split()))])
        return _ScriptedStream([word if i == 0 else " " + word for i, word in enumerate(words)], step)


class _ScriptedStream(ReadyReply):
    def __init__(self, pieces: list[str], step: Step) -> None:
        super().__init__(completion_events(pieces, model="scripted"), content_type="text/event-stream")
        self._step = step

    async def chunks(self) -> AsyncIterator[bytes]:
        for number, part in enumerate(self._parts):
            if self._step.cut_after is not None and number >= self._step.cut_after:
                raise UpstreamCut("The script breaks off here.")
            if self._step.delay_s and number:
                await asyncio.sleep(self._step.delay_s)
            yield part


def _embeddings(text: str) -> dict[str, Any]:
    vector = [len(text) / 100, text.count(" ") / 10, 1.0]
    return {
        "object": "list",
        "model": "scripted",
        "data": [{"object": "embedding", "index": 0, "embedding": vector}],
        "usage": {"prompt_tokens": len(text.split()), "total_tokens": len(text.split())},
    }
