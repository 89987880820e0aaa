"""One answer, whole or as a stream: events of a `chat.completion.chunk` from a `chat.completion`, and back. Pure.

What was kept from a plain request can be streamed, and the other way round. Every field survives: text, tool calls,
refusals, thinking, log-probabilities and whatever else a provider sends. An answer that cannot be put together without
loss is not kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

MOST_BYTES = 16_000_000
"""Bytes of events that are collected at most; a chunk's frame is many times its text."""

_PIECE = re.compile(r"\S+\s*|\s+")
_LONGEST_PIECE = 24
_JOINED = ("content", "refusal", "reasoning_content", "reasoning")
_READ = (msgspec.DecodeError, UnicodeError, RecursionError)
_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, Any])


def events(completion: bytes) -> Iterator[bytes]:
    """The answer as the events of a stream, the usage event last; `[DONE]` is the caller's to send."""
    whole = _object.decode(completion)
    frame = {name: value for name, value in whole.items() if name not in ("object", "choices", "usage")}
    frame = {**frame, "object": "chat.completion.chunk"}
    for choice in whole.get("choices") or ():
        index = choice.get("index", 0)
        for delta, more in _deltas(choice):
            yield _event({**frame, "choices": [{"index": index, "delta": delta, "finish_reason": None, **more}]})
        rest = {name: value for name, value in choice.items() if name not in ("message", "index", "logprobs")}
        yield _event({**frame, "choices": [{**rest, "index": index, "delta": {}}]})
    if whole.get("usage") is not None:
        yield _event({**frame, "choices": [], "usage": whole["usage"]})


def _deltas(choice: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The steps in which a message comes: who speaks, thinking, text, tool calls."""
    message = choice.get("message") or {}
    pieces = ("tool_calls", "thinking_blocks", *_JOINED)
    rest = {name: value for name, value in message.items() if name not in pieces}
    content, calls, logprobs = message.get("content"), message.get("tool_calls"), choice.get("logprobs")
    nothing = {"content": None} if content is None else {} if content else {"content": content}
    yield {"role": "assistant", **rest, **nothing}, {}
    for name in _JOINED[1:]:
        for piece in _pieces(message.get(name)):
            yield {name: piece}, {}
    if message.get("thinking_blocks"):
        yield {"thinking_blocks": message["thinking_blocks"]}, {}
    if logprobs is not None:
        # Each token has its own: they come with the text as a whole.
        yield {"content": content}, {"logprobs": logprobs}
    else:
        for piece in _pieces(content):
            yield {"content": piece}, {}
    for position, call in enumerate(calls or ()):
        yield {"tool_calls": [{"index": position, **call}]}, {}


def _pieces(text: Any) -> Iterator[Any]:
    """A few words at a time."""
    if not isinstance(text, str):
        if text is not None:
            yield text
        return
    piece = ""
    for found in _PIECE.finditer(text):
        piece += found.group()
        if len(piece) >= _LONGEST_PIECE:
            yield piece
            piece = ""
    if piece:
        yield piece


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + _encode(value) + b"\n\n"


class Collector:
    """Takes the events of a stream as they pass; what they amount to is worked out once, at the end."""

    def __init__(self) -> None:
        self._events: list[bytes] = []
        self._bytes = 0

    def add(self, event: bytes) -> None:
        """Take one whole event. Cheap: nothing is read here."""
        self._bytes += len(event)
        if self._bytes <= MOST_BYTES:
            self._events.append(event)
        else:
            self._events.clear()

    def completion(self) -> bytes | None:
        """The events as one `chat.completion`; None where they are too many, or are no whole answer."""
        if self._bytes > MOST_BYTES:
            return None
        try:
            return _completion(self._events)
        except (*_READ, TypeError, AttributeError, KeyError, ValueError):
            return None


def _completion(collected: list[bytes]) -> bytes | None:
    top: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for event in collected:
        for chunk in _chunks_in(event):
            for each in chunk.pop("choices", None) or ():
                _take_choice(choices.setdefault(each.pop("index", 0), {"message": {}}), each)
            top |= {name: value for name, value in chunk.items() if value is not None}
    if not choices or any(choice.get("finish_reason") is None for choice in choices.values()):
        return None
    for choice in choices.values():
        _finish(choice["message"])
    listed = [{"index": index, **choices[index]} for index in sorted(choices)]
    return _encode({**top, "object": "chat.completion", "choices": listed})


def _chunks_in(event: bytes) -> Iterator[dict[str, Any]]:
    lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    data = b"\n".join(lines)
    if data and data != b"[DONE]":
        yield _object.decode(data)


def _take_choice(choice: dict[str, Any], given: dict[str, Any]) -> None:
    message: dict[str, Any] = choice["message"]
    for name, value in (given.pop("delta", None) or {}).items():
        if name == "tool_calls":
            for fragment in value or ():
                _take_call(message.setdefault("tool_calls", {}), fragment)
        else:
            _join(message, name, value)
    logprobs = given.pop("logprobs", None)
    if logprobs is not None:
        kept = choice.setdefault("logprobs", {})
        for name, value in logprobs.items():
            _join(kept, name, value)
    choice |= {name: value for name, value in given.items() if value is not None}


def _take_call(calls: dict[int, dict[str, Any]], fragment: dict[str, Any]) -> None:
    call = calls.setdefault(fragment.pop("index", 0), {})
    function = fragment.pop("function", None)
    call |= {name: value for name, value in fragment.items() if value is not None}
    for name, value in (function or {}).items():
        known = call.setdefault("function", {})
        known[name] = known[name] + value if isinstance(known.get(name), str) and isinstance(value, str) else value


def _join(into: dict[str, Any], name: str, value: Any) -> None:
    """Text is added to text where it streams, a list to a list; anything else replaces what was there."""
    known = into.get(name)
    as_text = name in _JOINED and isinstance(value, str) and isinstance(known, str)
    if as_text or (isinstance(value, list) and isinstance(known, list)):
        into[name] = known + value
    elif value is not None or name not in into:
        into[name] = value


def _finish(message: dict[str, Any]) -> None:
    """Role and content as a plain answer has them; tool calls in their order."""
    calls = message.pop("tool_calls", None)
    content = message.pop("content", None)
    rest = {name: value for name, value in message.items() if name != "role" and value is not None}
    message.clear()
    message |= {"role": "assistant", "content": content or (None if calls else ""), **rest}
    if calls:
        message["tool_calls"] = [{"type": "function", **calls[index]} for index in sorted(calls)]
