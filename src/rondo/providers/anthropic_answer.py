"""Anthropic's answers in the dialect inside: a Message as a completion, and its stream as that of a completion."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from msgspec import Struct

from rondo.errors import UpstreamCut, UpstreamError
from rondo.providers import sse
from rondo.providers.dialect import DONE, Answer, tool_call, usage_of
from rondo.providers.reading import UNREADABLE, read

_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}


class _Details(Struct):
    thinking_tokens: int | None = None


class _Usage(Struct):
    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: _Details | None = None


class _Block(Struct):
    """A content block; which field counts is said by `type`."""

    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _Message(Struct):
    content: list[_Block]
    id: str = ""
    model: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    usage: _Usage | None = None


class _Error(Struct):
    type: str = "api_error"
    message: str = ""


class _Delta(Struct):
    """Of a block, or of the message at its end."""

    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Event(Struct):
    type: str
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: _Usage | None = None
    error: _Error | None = None


_PING = b": ping\n\n"
_message = msgspec.json.Decoder(_Message)
_event = msgspec.json.Decoder(_Event)


def completion_of(body: bytes) -> bytes:
    """A Message as a `chat.completion`. Raises UpstreamCut where it is none."""
    try:
        message = read(_message, body)
    except UNREADABLE as error:
        raise UpstreamCut(f"The provider's answer cannot be read: {error}.") from None
    said = {"role": "assistant", **_said(message.content)}
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": _finish(message.stop_reason)}
    if message.stop_sequence is not None:
        choice["stop_sequence"] = message.stop_sequence
    return Answer(message.model, message.id).whole([choice], _counted(message.usage) if message.usage else None)


def _said(blocks: list[_Block]) -> dict[str, Any]:
    texts = [block.text for block in blocks if block.type == "text"]
    calls = [
        tool_call(block.id, block.name, bytes(block.input).decode("utf-8", "replace"))
        for block in blocks
        if block.type == "tool_use"
    ]
    said: dict[str, Any] = {"content": "".join(texts) if texts or not calls else None}
    if calls:
        said["tool_calls"] = calls
    thoughts = [block for block in blocks if block.type in ("thinking", "redacted_thinking")]
    if thoughts:
        if text := "\n\n".join(block.thinking for block in thoughts if block.thinking):
            said["reasoning_content"] = text
        said["thinking_blocks"] = [_thought(block) for block in thoughts]
    return said


def _thought(block: _Block) -> dict[str, str]:
    if block.type == "redacted_thinking":
        return {"type": block.type, "data": block.data}
    return {"type": block.type, "thinking": block.thinking, "signature": block.signature}


def _finish(reason: str | None) -> str:
    return _FINISH.get(reason or "", "stop")


def _counted(usage: _Usage) -> dict[str, Any]:
    read_, written = usage.cache_read_input_tokens or 0, usage.cache_creation_input_tokens or 0
    details = usage.output_tokens_details
    return usage_of(
        (usage.input_tokens or 0) + read_ + written,
        usage.output_tokens or 0,
        cached=read_,
        cache_write=written,
        reasoning=details.thinking_tokens if details else None,
    )


async def chunks_of(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Anthropic's events as those of a completion.

    Raises UpstreamError for an error among them, and UpstreamCut where they break off.
    """
    answer = _Streamed()
    async for _, data in sse.events(chunks):
        try:
            event = read(_event, data)
        except UNREADABLE as error:
            raise UpstreamCut(f"The provider sent an event that cannot be read: {error}.") from None
        for chunk in answer.take(event):
            yield chunk
        if answer.ended:
            break
    if not answer.ended:
        raise UpstreamCut("The provider's stream ended before its answer did.")
    yield DONE


class _Streamed:
    """An answer under way. Nothing is said before its first word, so that an early error can still be retried."""

    def __init__(self) -> None:
        self.ended = False
        self._answer = Answer("")
        self._role: dict[str, Any] = {"role": "assistant"}
        self._usage = _Usage()
        self._block: _Block | None = None
        self._calls = 0
        self._arguments = False
        self._thinking: list[str] = []
        self._signature = ""
        self._thoughts = 0

    def take(self, event: _Event) -> list[bytes]:
        """The chunks of one event. Raises UpstreamError."""
        match event.type:
            case "content_block_delta" if event.delta is not None:
                return self._delta(event.delta)
            case "content_block_start" if event.content_block is not None:
                return self._start(event.content_block)
            case "content_block_stop":
                return self._stop()
            case "message_start" if event.message is not None:
                self._answer = Answer(event.message.model, event.message.id)
                self._count(event.message.usage)
            case "message_delta" | "message_stop":
                return self._finish(event)
            case "ping":  # it says nothing, but keeps connections open
                return [_PING]
            case "error":
                raise _failure(event.error or _Error())
        return []  # what is new to us: Anthropic may add kinds of events

    def _chunk(self, delta: dict[str, Any], **choice: Any) -> bytes:
        role, self._role = self._role, {}
        return self._answer.event({**role, **delta}, **choice)

    def _start(self, block: _Block) -> list[bytes]:
        self._block = block
        if block.type == "tool_use":
            self._calls += 1
            self._arguments = False
            return [self._chunk({"tool_calls": [tool_call(block.id, block.name, "", index=self._calls - 1)]})]
        if block.type == "text" and block.text:
            return [self._chunk({"content": block.text})]
        if block.type == "redacted_thinking":
            return [self._chunk({"thinking_blocks": [_thought(block)]})]
        if block.type == "thinking":
            self._thinking, self._signature = [block.thinking] if block.thinking else [], block.signature
            if block.thinking:
                return [self._thought(block.thinking)]
        return []

    def _delta(self, delta: _Delta) -> list[bytes]:
        if delta.type == "text_delta" and delta.text:
            return [self._chunk({"content": delta.text})]
        if delta.type == "input_json_delta" and delta.partial_json and self._block and self._block.type == "tool_use":
            self._arguments = True
            return [self._argument(delta.partial_json)]
        if delta.type == "thinking_delta" and delta.thinking:
            self._thinking.append(delta.thinking)
            return [self._thought(delta.thinking)]
        if delta.type == "signature_delta":
            self._signature += delta.signature
        return []

    def _stop(self) -> list[bytes]:
        block, self._block = self._block, None
        if block is None:
            return []
        if block.type == "tool_use" and not self._arguments:
            return [self._argument(bytes(block.input).decode("utf-8", "replace"))]
        if block.type == "thinking":
            block.thinking, block.signature = "".join(self._thinking), self._signature
            self._thoughts += 1
            return [self._chunk({"thinking_blocks": [_thought(block)]})]
        return []

    def _thought(self, text: str) -> bytes:
        # As in a whole completion, where a blank line parts one thought from the next.
        first = self._thoughts and len(self._thinking) == 1
        return self._chunk({"reasoning_content": f"\n\n{text}" if first else text})

    def _argument(self, text: str) -> bytes:
        return self._chunk({"tool_calls": [{"index": self._calls - 1, "function": {"arguments": text}}]})

    def _finish(self, event: _Event) -> list[bytes]:
        if event.type == "message_stop":
            self.ended = True
            return [self._answer.usage_event(_counted(self._usage))]
        self._count(event.usage)
        if event.delta is None or event.delta.stop_reason is None:
            return []
        stop = event.delta.stop_sequence
        more = {} if stop is None else {"stop_sequence": stop}
        return [self._chunk({}, finish=_finish(event.delta.stop_reason), **more)]

    def _count(self, usage: _Usage | None) -> None:
        """Later numbers replace earlier ones: they count from the start."""
        for name in _Usage.__struct_fields__:
            value = getattr(usage, name, None)
            if value is not None:
                setattr(self._usage, name, value)


def _failure(error: _Error) -> UpstreamError:
    return UpstreamError(
        f"The provider ended its stream with {error.type}: {error.message[:500]}", status=_STATUS.get(error.type)
    )
