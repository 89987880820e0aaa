"""What wires read of the dialect inside: a chat completion, whole or as events. Pure.

Providers differ in the corners. What nobody has checked before is `Any` here, and an odd corner costs itself, never the
answer.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from rondo.errors import UpstreamCut
from rondo.gateway.reading import UNREADABLE, read
from rondo.gateway.request import text_of
from rondo.gateway.stream import data_of


class ToolCall(Struct):
    """A call of a tool, or in a stream a fragment of one; `index` tells which."""

    index: int
    id: str
    name: str
    arguments: str
    extra_content: Any = None


class Said(Struct):
    """An assistant's message, or in a stream what is added to it."""

    content: Any = None
    refusal: Any = None
    reasoning_content: Any = None
    reasoning: Any = None
    thinking_blocks: Any = None
    tool_calls: Any = None

    @property
    def text(self) -> str:
        return self.content if isinstance(self.content, str) else text_of(self.content)

    @property
    def refused(self) -> str:
        return _text(self.refusal)

    @property
    def thinking(self) -> str:
        """The text of the thinking; vLLM and OpenRouter call it `reasoning`."""
        return _text(self.reasoning_content) or _text(self.reasoning)

    @property
    def blocks(self) -> list[dict[str, str]]:
        """Whole thinking blocks, their texts only."""
        if not isinstance(self.thinking_blocks, list):
            return []
        return [
            {name: value for name, value in block.items() if isinstance(value, str)}
            for block in self.thinking_blocks
            if isinstance(block, dict)
        ]

    def calls(self) -> list[ToolCall]:
        """Its tool calls. Where they have no `index`, it is their place in the list."""
        if not isinstance(self.tool_calls, list):
            return []
        return [_tool_call(call, place) for place, call in enumerate(self.tool_calls) if isinstance(call, dict)]


class Choice(Struct):
    index: int = 0
    message: Said | None = None
    delta: Said | None = None
    finish_reason: str | None = None
    stop_sequence: Any = None
    logprobs: Any = None

    @property
    def stopped_at(self) -> str | None:
        """The text that ended it, where the request named it and the provider says so."""
        return self.stop_sequence if isinstance(self.stop_sequence, str) else None

    @property
    def tokens(self) -> list[dict[str, Any]]:
        """The log probabilities of its tokens, where the provider gave any."""
        content = self.logprobs.get("content") if isinstance(self.logprobs, dict) else None
        return [token for token in content if isinstance(token, dict)] if isinstance(content, list) else []


class Completion(Struct):
    """A whole completion, or one event of a streamed one."""

    model: str | None = None
    choices: list[Choice] | None = None
    usage: dict[str, Any] | None = None
    service_tier: Any = None


_completion = msgspec.json.Decoder(Completion)
_said = msgspec.json.Decoder(Said)


def completion_of(data: bytes) -> Completion:
    """A `chat.completion`, or the data of one of its events. Raises UpstreamCut where it is none."""
    try:
        return read(_completion, data)
    except UNREADABLE as error:
        raise UpstreamCut(f"The provider's answer cannot be read: {error}.") from None


def said_of(message: str) -> Said:
    """An assistant's message as it was recorded; an empty one where it is unreadable."""
    try:
        return read(_said, message.encode())
    except UNREADABLE:
        return Said()


def event_of(event: bytes) -> Completion | None:
    """What a whole server-sent event says; None where it has no data. Raises UpstreamCut."""
    data = data_of(event)
    return None if data is None else completion_of(data)


def _tool_call(call: dict[str, Any], place: int) -> ToolCall:
    index, function = call.get("index"), call.get("function")
    function = function if isinstance(function, dict) else {}
    arguments = function.get("arguments")
    if arguments is not None and not isinstance(arguments, str):  # some hosts send the object itself
        arguments = msgspec.json.encode(arguments).decode()
    return ToolCall(
        index=index if isinstance(index, int) else place,
        id=_text(call.get("id")),
        name=_text(function.get("name")),
        arguments=arguments or "",
        extra_content=call.get("extra_content"),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
