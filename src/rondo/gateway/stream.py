"""Server-sent events of a chat completion: split into whole events, read along the way, and passed on unchanged.

`[DONE]`, which ends the answer, is held back until the record has been written.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
from msgspec import Struct

from rondo.errors import UpstreamCut
from rondo.gateway.completion import Said
from rondo.gateway.reading import UNREADABLE, read
from rondo.gateway.request import text_of

DONE = b"data: [DONE]\n\n"
_MAX_EVENT = 32 * 1024 * 1024
_ENDS = re.compile(rb"\n\n|\r\n\r\n")


class _Delta(Struct):
    content: Any = None
    tool_calls: list[dict[str, Any]] | None = None
    refusal: str | None = None
    reasoning_content: Any = None
    reasoning: Any = None
    thinking_blocks: Any = None


class _Choice(Struct):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Event(Struct):
    model: str | None = None
    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


_event = msgspec.json.Decoder(_Event)


class StreamedAnswer:
    """What a stream amounts to so far."""

    def __init__(self, choices: int = 1) -> None:
        """`choices` is how many the client asked for."""
        self._choices = choices
        self.served_model: str | None = None
        self.finish_reason: str | None = None
        self.usage: dict[str, Any] | None = None
        self.done = False
        self.begun = False
        """Whether anything has been said: text, a refusal, a tool call."""
        self._unfinished: dict[int, bool] = {}
        self._texts: dict[int, list[str]] = {}
        self._refusals: list[str] = []
        self._thoughts: dict[int, list[str]] = {}
        self._blocks: dict[int, list[Any]] = {}
        self._tool_calls: dict[tuple[int, int], dict[str, Any]] = {}

    @property
    def ended(self) -> bool:
        """Whether the provider said that it is done, or finished every choice that was asked for."""
        return self.done or (len(self._unfinished) >= self._choices and not any(self._unfinished.values()))

    @property
    def text(self) -> str:
        """The first choice's text."""
        return "".join(self._texts.get(0, ()))

    def said(self) -> Said:
        """What it says so far, as a plain completion would have said it."""
        return Said(
            text=self.text,
            output=self.output(),
            served_model=self.served_model,
            finish_reason=self.finish_reason,
            usage=self.usage,
        )

    def output(self) -> bytes:
        """The messages as a plain completion would have had them: one object, or a list where there are several."""
        choices = sorted({*self._texts, *(choice for choice, _ in self._tool_calls)} or {0})
        messages = [self._message(choice) for choice in choices]
        return msgspec.json.encode(messages[0] if len(messages) == 1 else messages)

    def _message(self, choice: int) -> dict[str, Any]:
        text = "".join(self._texts.get(choice, ()))
        calls = [call for (at, _), call in sorted(self._tool_calls.items()) if at == choice]
        message: dict[str, Any] = {"role": "assistant", "content": text or (None if calls else "")}
        if calls:
            message["tool_calls"] = calls
        if self._refusals and choice == 0:
            message["refusal"] = "".join(self._refusals)
        if choice in self._thoughts:
            message["reasoning_content"] = "".join(self._thoughts[choice])
        if choice in self._blocks:
            message["thinking_blocks"] = self._blocks[choice]
        return message

    def read(self, event: bytes) -> bool:
        """Take one whole event in; True where it carries usage only. Raises UpstreamCut for an error event."""
        data = data_of(event)
        if data is None:
            return False
        if data == b"[DONE]":
            self.done = True
            return False
        try:
            parsed = read(_event, data)
        except UNREADABLE:
            raise UpstreamCut("The provider sent an event that is no part of a completion.") from None
        if parsed.error is not None:
            raise UpstreamCut(f"The provider ended its stream with an error: {parsed.error}.")
        if parsed.model:
            self.served_model = parsed.model
        if parsed.usage is not None:
            self.usage = parsed.usage
        for choice in parsed.choices or ():
            self._take(choice)
        return not parsed.choices and parsed.usage is not None

    def _take(self, choice: _Choice) -> None:
        if choice.delta is not None:
            self._take_delta(choice.index, choice.delta)
        if choice.finish_reason:
            self._unfinished[choice.index] = False
            self.finish_reason = choice.finish_reason
        elif choice.index not in self._unfinished:
            self._unfinished[choice.index] = True

    def _take_delta(self, choice: int, delta: _Delta) -> None:
        text = delta.content if isinstance(delta.content, str) else text_of(delta.content)
        if text:
            self._texts.setdefault(choice, []).append(text)
        if delta.refusal:
            self._refusals.append(delta.refusal)
        thought = delta.reasoning_content or delta.reasoning  # vLLM and OpenRouter have the shorter name
        if thought and isinstance(thought, str):
            self._thoughts.setdefault(choice, []).append(thought)
        if isinstance(delta.thinking_blocks, list):
            self._blocks.setdefault(choice, []).extend(delta.thinking_blocks)
        for fragment in delta.tool_calls or ():
            add_fragment(self._tool_calls, choice, fragment)
        if text or delta.refusal or delta.tool_calls:
            self.begun = True


async def batches(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    """Whole events, blank line included, byte for byte; those that arrive together come together.

    Raises UpstreamCut where the end is not the end of an event.
    """
    parts: list[bytes] = []  # of an event that has not ended; joined once it has, or long ones would cost their square
    size, tail = 0, b""
    async for chunk in chunks:
        if parts and not _ENDS.search(tail + chunk):
            parts.append(chunk)
            size += len(chunk)
        else:
            whole, rest = split(b"".join((*parts, chunk)) if parts else chunk)
            if whole:
                yield whole
            parts, size = [rest] if rest else [], len(rest)
        tail = (tail + chunk)[-3:] if len(chunk) < 3 else chunk[-3:]
        if size > _MAX_EVENT:
            raise UpstreamCut("The provider sent an endless event.")
    rest = b"".join(parts)
    if rest.strip():
        if b"[DONE]" not in rest:
            raise UpstreamCut("The provider broke off in the middle of an event.")
        yield [rest.rstrip() + b"\n\n"]


def is_comment(event: bytes) -> bool:
    """Whether an event says nothing: providers send comments to keep a connection open."""
    return event.startswith(b":") and data_of(event) is None


def split(buffer: bytes) -> tuple[list[bytes], bytes]:
    """The whole events at the start of `buffer`, and what is left. Lines may end in LF or CRLF."""
    if b"\r" not in buffer:
        *events, rest = buffer.split(b"\n\n")
        return [event + b"\n\n" for event in events], rest
    return (whole := list(_whole_events(buffer))), buffer[sum(map(len, whole)) :]


def _whole_events(buffer: bytes) -> Iterator[bytes]:
    start = 0
    while True:
        ends = [(at, len(mark)) for mark in (b"\n\n", b"\r\n\r\n") if (at := buffer.find(mark, start)) >= 0]
        if not ends:
            return
        at, width = min(ends)
        yield buffer[start : at + width]
        start = at + width


def add_fragment(calls: dict[tuple[int, int], dict[str, Any]], choice: int, fragment: dict[str, Any]) -> None:
    """Take a piece of a tool call in; `calls` has those so far, by choice and place."""
    position = fragment.get("index")
    known = calls.setdefault((choice, position if isinstance(position, int) else 0), {"type": "function"})
    for key, value in fragment.items():
        if key == "function":
            if not isinstance(value, dict):  # nothing that could be put together
                continue
            function = known.setdefault("function", {"name": "", "arguments": ""})
            for part, text in value.items():
                before = function.get(part)
                function[part] = before + text if isinstance(before, str) and isinstance(text, str) else text
        elif key != "index":
            known[key] = value


def data_of(event: bytes) -> bytes | None:
    """The `data` of an event; None for comments and other fields."""
    if event.startswith(b"data:") and event.count(b"\n") == 2:
        return event[5:].strip()
    lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines) if lines else None
