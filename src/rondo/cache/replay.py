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
from msgspec import Struct

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


class _Delta(Struct, forbid_unknown_fields=True):
    content: str


class _Choice(Struct, forbid_unknown_fields=True):
    delta: _Delta
    index: int = 0
    finish_reason: None = None
    logprobs: None = None


class _TextOnly(Struct, forbid_unknown_fields=True):
    """Nearly every event of a stream: a piece of text, in the frame that all of them have."""

    choices: list[_Choice]
    id: Any = None
    object: Any = None
    created: Any = None
    model: Any = None
    system_fingerprint: Any = None
    service_tier: Any = None
    obfuscation: Any = None
    usage: None = None


_text_only = msgspec.json.Decoder(_TextOnly)


class _Assembly:
    """A completion as it comes together."""

    def __init__(self) -> None:
        self._top: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._texts: dict[int, list[str]] = {}

    def take(self, data: bytes) -> None:
        if self._top:
            try:
                for choice in _text_only.decode(data).choices:
                    self._texts.setdefault(choice.index, []).append(choice.delta.content)
            except msgspec.ValidationError:
                pass
            else:
                return
        self._flush()
        chunk = _object.decode(data)
        for each in chunk.pop("choices", None) or ():
            _take_choice(self._choice(each.pop("index", 0)), each)
        self._top |= {name: value for name, value in chunk.items() if value is not None}

    def _choice(self, index: int) -> dict[str, Any]:
        return self._choices.setdefault(index, {"message": {}})

    def _flush(self) -> None:
        """Put the text that came in between where it belongs."""
        for index, pieces in self._texts.items():
            _join(self._choice(index)["message"], "content", "".join(pieces))
        self._texts.clear()

    def completion(self) -> bytes | None:
        self._flush()
        choices = self._choices
        if not choices or any(choice.get("finish_reason") is None for choice in choices.values()):
            return None
        for choice in choices.values():
            _finish(choice["message"])
        listed = [{"index": index, **choices[index]} for index in sorted(choices)]
        return _encode({**self._top, "object": "chat.completion", "choices": listed})


def _completion(collected: list[bytes]) -> bytes | None:
    assembly = _Assembly()
    for event in collected:
        if event.startswith(b"data:") and event.count(b"\n") == 2:
            data = event[5:].strip()
        else:
            data = b"\n".join(line[5:].strip() for line in event.splitlines() if line.startswith(b"data:"))
        if data and data != b"[DONE]":
            assembly.take(data)
    return assembly.completion()


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
