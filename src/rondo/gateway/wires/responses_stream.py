"""A streamed chat completion as the events of a response.

Each output item is opened when its first piece comes. Thinking is closed as soon as something else begins; the message
and the calls stay open until the end, because providers mix the pieces of several calls, and nobody says beforehand
that no more text follows.
"""

from __future__ import annotations

from typing import Any

import msgspec

from rondo.errors import InvalidRequest, RateLimited, RondoError, UpstreamError
from rondo.gateway.wire import error_body
from rondo.gateway.wires import thinking
from rondo.gateway.wires.inside import Choice, Said, ToolCall, event_of
from rondo.gateway.wires.responses_output import (
    INCOMPLETE,
    Frame,
    Item,
    call_item,
    closed,
    message_item,
    reasoning_item,
    refusal_part,
    text_part,
)

_encode = msgspec.json.Encoder().encode
_error = msgspec.json.Decoder(dict[str, dict[str, Any]])


class _Thought:
    """A reasoning item under way."""

    def __init__(self, item_id: str, at: int) -> None:
        self.id, self.at = item_id, at
        self.texts: list[str] = []
        self.blocks: list[dict[str, str]] = []
        self.open = True

    def item(self, status: str) -> Item:
        texts = ["".join(self.texts)] if self.texts else []
        return reasoning_item(self.id, texts, thinking.wrap(self.blocks), status)


class _Message:
    """The message under way: its parts, each a kind and its pieces."""

    def __init__(self, trace_id: str, at: int) -> None:
        self.id, self.at = f"msg_{trace_id}", at
        self.parts: list[tuple[str, list[str]]] = []
        self.tokens: list[dict[str, Any]] = []
        self._trace_id = trace_id

    def part(self, place: int) -> dict[str, Any]:
        kind, pieces = self.parts[place]
        text = "".join(pieces)
        return text_part(text, self.tokens) if kind == "text" else refusal_part(text)

    def item(self, status: str) -> Item:
        return message_item(self._trace_id, [self.part(place) for place in range(len(self.parts))], status)


class _Call:
    """A tool call under way. `at` is None until it has been announced."""

    def __init__(self, trace_id: str, index: int) -> None:
        self.known = ToolCall(index=index, id="", name="", arguments="")
        self.id = f"fc_{trace_id}_{index}"
        self.at: int | None = None
        self._trace_id = trace_id

    def take(self, fragment: ToolCall) -> None:
        known = self.known
        if self.at is None:  # what has been announced stays
            known.id = fragment.id or known.id
            known.name += fragment.name
        if fragment.extra_content is not None:
            known.extra_content = fragment.extra_content
        known.arguments += fragment.arguments

    def item(self, custom: frozenset[str], status: str) -> Item:
        return call_item(self._trace_id, self.known, custom, status)


class ResponsesStream:
    """Writes one response as events."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._custom = frame.custom()
        self._sequence = 0
        self._order: list[_Thought | _Message | _Call] = []
        self._thought: _Thought | None = None
        self._message: _Message | None = None
        self._calls: dict[int, _Call] = {}
        self._finish_reason: str | None = None
        self._usage: dict[str, Any] | None = None

    def begin(self) -> bytes:
        response = self._frame.response("in_progress")
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def event(self, event: bytes) -> bytes:
        completion = event_of(event)
        if completion is None:
            return event if event.startswith(b":") else b""
        self._frame.heard(completion)
        if completion.usage is not None:
            self._usage = completion.usage
        out: list[bytes] = []
        for choice in completion.choices or ():
            if choice.index == 0:
                self._take(choice, out)
        return b"".join(out)

    def end(self) -> bytes:
        out: list[bytes] = []
        self._close_thought(out)
        self._announce(out, all_of_them=True)
        if not self._order:
            self._say("text", "", (), out)
        items = closed(self._frame.trace_id, self._items("completed"), self._finish_reason, self._known_calls())
        for one, item in zip(self._order, items, strict=False):
            self._close(one, item, out)
        if len(items) > len(self._order):  # the calls' signatures
            at = len(self._order)
            out.append(self._event("response.output_item.added", output_index=at, item=items[at]))
            out.append(self._event("response.output_item.done", output_index=at, item=items[at]))
        kind = "response.incomplete" if self._finish_reason in INCOMPLETE else "response.completed"
        out.append(self._event(kind, response=self._frame.finished(items, self._finish_reason, self._usage)))
        return b"".join(out)

    def error(self, error: RondoError) -> bytes:
        """OpenAI sends both: SDKs raise at the first, other clients end at the second."""
        told = _error.decode(error_body(error))["error"]
        failure = {"code": _failure(error), "message": told["message"]}
        response = self._frame.response("failed", self._items("incomplete"), usage=self._usage, error=failure)
        flat = {name: told[name] for name in ("code", "message", "param")}
        return self._event("error", **flat, error=told) + self._event("response.failed", response=response)

    def _take(self, choice: Choice, out: list[bytes]) -> None:
        said = choice.delta
        if said is not None:
            self._think(said, out)
            if text := said.text:
                self._say("text", text, choice.tokens, out)
            if refusal := said.refused:
                self._say("refusal", refusal, (), out)
            for fragment in said.calls():
                self._call(fragment, out)
        if choice.finish_reason:
            self._finish_reason = choice.finish_reason

    def _think(self, said: Said, out: list[bytes]) -> None:
        text, blocks = said.thinking, said.blocks
        if not text and not blocks:
            return
        thought = self._thought
        if thought is None:
            earlier = sum(isinstance(one, _Thought) for one in self._order)
            item_id = f"rs_{self._frame.trace_id}" + (f"_{earlier}" if earlier else "")
            thought = self._thought = _Thought(item_id, len(self._order))
            self._order.append(thought)
            out.append(self._added(thought.at, thought.item("in_progress")))
        thought.blocks.extend(blocks)
        if text:
            place = {"item_id": thought.id, "output_index": thought.at, "summary_index": 0}
            if not thought.texts:
                part = {"type": "summary_text", "text": ""}
                out.append(self._event("response.reasoning_summary_part.added", **place, part=part))
            thought.texts.append(text)
            out.append(self._event("response.reasoning_summary_text.delta", **place, delta=text))

    def _close_thought(self, out: list[bytes]) -> None:
        thought, self._thought = self._thought, None
        if thought is None:
            return
        thought.open = False
        last = len(self._order) == 1 and self._finish_reason in INCOMPLETE
        item = thought.item("incomplete" if last else "completed")
        if thought.texts:
            place = {"item_id": thought.id, "output_index": thought.at, "summary_index": 0}
            part = item["summary"][0]
            out.append(self._event("response.reasoning_summary_text.done", **place, text=part["text"]))
            out.append(self._event("response.reasoning_summary_part.done", **place, part=part))
        out.append(self._event("response.output_item.done", output_index=thought.at, item=item))

    def _say(self, kind: str, text: str, tokens: Any, out: list[bytes]) -> None:
        self._close_thought(out)
        message = self._message
        if message is None:
            message = self._message = _Message(self._frame.trace_id, len(self._order))
            self._order.append(message)
            out.append(self._added(message.at, message.item("in_progress")))
        parts = message.parts
        place = next((at for at, (known, _) in enumerate(parts) if known == kind), len(parts))
        where = {"item_id": message.id, "output_index": message.at, "content_index": place}
        if place == len(parts):
            parts.append((kind, []))
            part = text_part("") if kind == "text" else refusal_part("")
            out.append(self._event("response.content_part.added", **where, part=part))
        if not text:
            return
        parts[place][1].append(text)
        if kind == "refusal":
            out.append(self._event("response.refusal.delta", **where, delta=text))
            return
        logprobs = text_part("", tokens)["logprobs"] if tokens else []
        message.tokens.extend(tokens)
        out.append(self._event("response.output_text.delta", **where, delta=text, logprobs=logprobs))

    def _call(self, fragment: ToolCall, out: list[bytes]) -> None:
        self._close_thought(out)
        call = self._calls.get(fragment.index)
        if call is None:
            call = self._calls[fragment.index] = _Call(self._frame.trace_id, fragment.index)
        call.take(fragment)
        if call.at is not None:
            self._add_arguments(call, fragment.arguments, out)
        else:
            self._announce(out)

    def _announce(self, out: list[bytes], *, all_of_them: bool = False) -> None:
        """Open the calls whose name is whole: their arguments have begun. In the order in which they came."""
        for call in self._calls.values():
            if call.at is not None:
                continue
            if not call.known.arguments and not all_of_them:
                return
            arguments, call.known.arguments = call.known.arguments, ""
            call.at = len(self._order)
            self._order.append(call)
            out.append(self._added(call.at, call.item(self._custom, "in_progress")))
            call.known.arguments = arguments
            self._add_arguments(call, arguments, out)

    def _add_arguments(self, call: _Call, arguments: str, out: list[bytes]) -> None:
        if arguments and call.known.name not in self._custom:  # a custom tool's input is known when it is whole
            kind = "response.function_call_arguments.delta"
            out.append(self._event(kind, item_id=call.id, output_index=call.at, delta=arguments))

    def _close(self, one: _Thought | _Message | _Call, item: Item, out: list[bytes]) -> None:
        """What ends an item; a thought has been closed before."""
        if isinstance(one, _Thought):
            return
        if isinstance(one, _Message):
            self._close_parts(one, out)
        else:
            self._close_call(one, item, out)
        out.append(self._event("response.output_item.done", output_index=one.at, item=item))

    def _close_parts(self, message: _Message, out: list[bytes]) -> None:
        for place, (kind, _) in enumerate(message.parts):
            where = {"item_id": message.id, "output_index": message.at, "content_index": place}
            part = message.part(place)
            if kind == "text":
                done = {"text": part["text"], "logprobs": part["logprobs"]}
                out.append(self._event("response.output_text.done", **where, **done))
            else:
                out.append(self._event("response.refusal.done", **where, refusal=part["refusal"]))
            out.append(self._event("response.content_part.done", **where, part=part))

    def _close_call(self, call: _Call, item: Item, out: list[bytes]) -> None:
        where = {"item_id": call.id, "output_index": call.at}
        if item["type"] == "custom_tool_call":
            text = item["input"]
            out.append(self._event("response.custom_tool_call_input.delta", **where, delta=text))
            out.append(self._event("response.custom_tool_call_input.done", **where, input=text))
        else:
            arguments = item["arguments"]
            kind = "response.function_call_arguments.done"
            out.append(self._event(kind, **where, name=item["name"], arguments=arguments))

    def _items(self, status: str) -> list[Item]:
        """What has been opened so far, in order."""
        items: list[Item] = []
        for one in self._order:
            if isinstance(one, _Thought):
                items.append(one.item(status if one.open else "completed"))
            elif isinstance(one, _Message):
                items.append(one.item(status))
            else:
                items.append(one.item(self._custom, status))
        return items

    def _known_calls(self) -> list[ToolCall]:
        return [call.known for call in self._calls.values()]

    def _added(self, at: int, item: Item) -> bytes:
        return self._event("response.output_item.added", output_index=at, item=item)

    def _event(self, kind: str, **fields: Any) -> bytes:
        body = _encode({"type": kind, "sequence_number": self._sequence, **fields})
        self._sequence += 1
        return b"event: " + kind.encode() + b"\ndata: " + body + b"\n\n"


def _failure(error: RondoError) -> str:
    """The error's code among those that a response may have."""
    if isinstance(error, RateLimited) or (isinstance(error, UpstreamError) and error.status == 429):
        return "rate_limit_exceeded"
    return "invalid_prompt" if isinstance(error, InvalidRequest) else "server_error"
