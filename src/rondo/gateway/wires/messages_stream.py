"""A chat completion's events as those of Anthropic's wire: blocks that begin, grow and end, one after another.

A completion may write several tool calls at the same time, piece by piece. Here only one block is open at a time: the
others' pieces wait until it is whole.
"""

from __future__ import annotations

from typing import Any

from rondo.errors import RondoError
from rondo.gateway.wires.base import Given
from rondo.gateway.wires.inside import Choice, ToolCall, event_of
from rondo.gateway.wires.messages_answer import (
    encode,
    error_fields,
    head,
    made_id,
    stop_reason,
    thought_block,
    usage_body,
)


class _Block:
    """A block that is open or waits for its turn; `parts` is what has not been sent yet."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.id = ""
        self.name = ""
        self.parts: list[str] = []
        self.closed = False
        self._unread: list[str] = []
        self._depth = 0
        self._quoted = self._escaped = self._ended = False

    def add(self, text: str) -> None:
        self.parts.append(text)
        if self.kind == "tool_use":
            self._unread.append(text)

    @property
    def is_whole(self) -> bool:
        """Whether nothing can follow: text and thoughts end when something else comes, arguments with their object."""
        if self.kind == "tool_use":
            for text in self._unread:
                self._read(text)
            self._unread.clear()
            return self._ended
        return True

    def _read(self, text: str) -> None:
        for char in text:
            if self._escaped:
                self._escaped = False
            elif self._quoted:
                self._escaped, self._quoted = char == "\\", char != '"'
            elif char == '"':
                self._quoted = True
            elif char in "{[":
                self._depth += 1
            elif char in "}]":
                self._depth -= 1
                self._ended = self._depth <= 0


_DELTAS = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking")}


_PING = b'event: ping\ndata: {"type":"ping"}\n\n'


class MessagesStream:
    """Writes one answer."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._begun = False
        self._count = 0
        self._open: _Block | None = None
        self._waiting: list[_Block] = []
        self._calls: dict[int, _Block] = {}
        self._ids: set[str] = set()
        self._finish: str | None = None
        self._sequence: str | None = None
        self._refused = False
        self._usage: dict[str, Any] | None = None
        self._out: list[bytes] = []

    def begin(self) -> bytes:
        """Nothing yet: the first event knows which model answers."""
        return b""

    def event(self, event: bytes) -> bytes:
        parsed = event_of(event)
        if parsed is None:  # a comment, by which a provider keeps the connection open
            return _PING
        if not self._begun:
            self._begin(parsed.model)
        if parsed.usage is not None:
            self._usage = parsed.usage
        for choice in parsed.choices or ():
            if choice.index == 0:
                self._take(choice)
        return self._flush()

    def end(self) -> bytes:
        if not self._begun:
            self._begin(None)
        self._close_all()
        reason = stop_reason(self._finish, self._sequence, calls=bool(self._calls), refused=self._refused)
        delta = {"stop_reason": reason, "stop_sequence": self._sequence}
        self._send("message_delta", {"delta": delta, "usage": usage_body(self._usage)})
        self._send("message_stop", {})
        return self._flush()

    def error(self, error: RondoError) -> bytes:
        return b"event: error\ndata: " + encode(error_fields(error, self._given.trace_id)) + b"\n\n"

    def _begin(self, model: str | None) -> None:
        self._begun = True
        empty: dict[str, Any] = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage_body(None)}
        self._send("message_start", {"message": head(self._given, model) | empty})

    def _take(self, choice: Choice) -> None:
        said = choice.delta or choice.message
        if said is not None:
            if said.thinking:
                self._write("thinking", said.thinking)
            for block in said.blocks:
                self._write_thought(thought_block(block))
            if said.refused:
                self._refused = True
            if text := said.text or said.refused:
                self._write("text", text)
            for fragment in said.calls():
                self._take_call(fragment)
        if choice.finish_reason:
            self._finish = choice.finish_reason
        if choice.stopped_at is not None:
            self._sequence = choice.stopped_at

    def _take_call(self, fragment: ToolCall) -> None:
        known = self._calls.get(fragment.index)
        if known is None or (fragment.id and known.id and fragment.id != known.id):
            # Some servers number all their calls 0; a new id is a new call all the same.
            known = self._calls[fragment.index] = _Block("tool_use")
        known.id = known.id or fragment.id
        known.name = known.name or fragment.name
        self._add(known, fragment.arguments)

    def _write(self, kind: str, text: str) -> None:
        last = self._waiting[-1] if self._waiting else self._open
        self._add(last if last is not None and last.kind == kind else _Block(kind), text)

    def _write_thought(self, block: dict[str, Any]) -> None:
        """A whole thought: the end of the one whose text has come already, or one of its own."""
        if block["type"] == "thinking" and self._open is not None and self._open.kind == "thinking":
            self._delta("signature_delta", "signature", block["signature"])
            self._close()
            return
        self._close_all()
        redacted = block["type"] == "redacted_thinking"
        start = block if redacted else {"type": "thinking", "thinking": "", "signature": ""}
        self._send("content_block_start", {"index": self._count, "content_block": start})
        if not redacted:
            if block["thinking"]:
                self._delta("thinking_delta", "thinking", block["thinking"])
            self._delta("signature_delta", "signature", block["signature"])
        self._close()

    def _add(self, block: _Block, text: str) -> None:
        """More of a block: sent where it is open or can be opened, else kept."""
        if block.closed:  # white space after its end, if anything
            return
        if text:
            block.add(text)
        if block is not self._open and block not in self._waiting:
            self._waiting.append(block)
        while True:
            if self._open is None:
                if not self._waiting:
                    return
                if self._waiting[0].kind == "tool_use" and not self._waiting[0].name:
                    return
                self._start(self._waiting.pop(0))
            opened = self._open
            assert opened is not None
            self._send_parts(opened)
            if not self._waiting or not opened.is_whole:
                return
            self._close()

    def _start(self, block: _Block) -> None:
        self._open = block
        start: dict[str, Any] = {"type": block.kind}
        if block.kind == "tool_use":
            position = len(self._ids)
            call = block.id if block.id and block.id not in self._ids else made_id(self._given, position)
            self._ids.add(call)
            start |= {"id": call, "name": block.name, "input": {}}
        elif block.kind == "thinking":
            start |= {"thinking": "", "signature": ""}
        else:
            start["text"] = ""
        self._send("content_block_start", {"index": self._count, "content_block": start})

    def _send_parts(self, block: _Block) -> None:
        if not block.parts:
            return
        text = "".join(block.parts)
        block.parts.clear()
        kind, field = _DELTAS.get(block.kind, ("input_json_delta", "partial_json"))
        self._delta(kind, field, text)

    def _delta(self, kind: str, field: str, text: str) -> None:
        self._send("content_block_delta", {"index": self._count, "delta": {"type": kind, field: text}})

    def _close(self) -> None:
        self._send("content_block_stop", {"index": self._count})
        self._count += 1
        if self._open is not None:
            self._open.closed = True
        self._open = None

    def _close_all(self) -> None:
        if self._open is not None:
            self._close()
        while self._waiting:
            block = self._waiting.pop(0)
            self._start(block)
            self._send_parts(block)
            self._close()

    def _send(self, name: str, fields: dict[str, Any]) -> None:
        data = encode({"type": name, **fields})
        self._out.append(b"event: " + name.encode() + b"\ndata: " + data + b"\n\n")

    def _flush(self) -> bytes:
        out = b"".join(self._out)
        self._out.clear()
        return out
