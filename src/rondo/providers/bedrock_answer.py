"""Bedrock's answers as chat completions, whole and streamed.

A stream is a row of binary frames with checksums (application/vnd.amazon.eventstream), each an event or an exception;
botocore takes them apart. It has ended when a `messageStop` has come.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec
from msgspec import Raw, Struct

from rondo.errors import UpstreamCut, UpstreamError
from rondo.providers.dialect import DONE, Answer, tool_call, usage_of
from rondo.providers.reading import UNREADABLE, read

Json = dict[str, Any]


class _ToolUse(Struct, rename="camel"):
    tool_use_id: str = ""
    name: str = ""
    input: Raw = Raw(b"{}")


class _ReasoningText(Struct):
    text: str = ""
    signature: str | None = None


class _Reasoning(Struct, rename="camel"):
    reasoning_text: _ReasoningText | None = None
    redacted_content: str | None = None


class _Text(Struct):
    text: str = ""


class _Citations(Struct):
    content: list[_Text] = []


class _Block(Struct, rename="camel"):
    text: str | None = None
    tool_use: _ToolUse | None = None
    reasoning_content: _Reasoning | None = None
    citations_content: _Citations | None = None
    image: Raw | None = None


class _Message(Struct, frozen=True):
    content: list[_Block] = []


class _Output(Struct):
    message: _Message = _Message()


class _Usage(Struct, rename="camel"):
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0


class _Response(Struct, rename="camel"):
    """A whole answer. `additional...` holds what the model itself said beside it."""

    output: _Output
    stop_reason: str
    usage: _Usage | None = None
    additional_model_response_fields: Json | None = None


class _ReasoningDelta(Struct, rename="camel"):
    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None


class _InputDelta(Struct):
    input: str = ""


class _Delta(Struct, rename="camel"):
    text: str | None = None
    tool_use: _InputDelta | None = None
    reasoning_content: _ReasoningDelta | None = None
    image: Raw | None = None


class _Start(Struct, rename="camel"):
    tool_use: _ToolUse | None = None


class _Event(Struct, rename="camel"):
    """Any event of a stream; which fields count is said by its name."""

    start: _Start | None = None
    delta: _Delta | None = None
    content_block_index: int = 0
    stop_reason: str | None = None
    usage: _Usage | None = None
    additional_model_response_fields: Json | None = None
    message: str = ""
    original_status_code: int | None = None


_response = msgspec.json.Decoder(_Response)
_event = msgspec.json.Decoder(_Event)
_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
}
_BROKEN = ("malformed_model_output", "malformed_tool_use")
STATUSES = {
    "accessDeniedException": 403,
    "internalServerException": 500,
    "modelErrorException": 502,
    "modelNotReadyException": 429,
    "modelStreamErrorException": 502,
    "modelTimeoutException": 408,
    "resourceNotFoundException": 404,
    "serviceQuotaExceededException": 429,
    "serviceUnavailableException": 503,
    "throttlingException": 429,
    "validationException": 400,
}
"""What an exception is; where a model failed, Bedrock's own 424 would put it on the request."""


def from_bedrock(body: bytes, model: str) -> bytes:
    """A `chat.completion`. Raises UpstreamError where it is no answer, or none that can be used."""
    try:
        response = read(_response, body)
    except UNREADABLE as error:
        raise UpstreamCut(f"Bedrock's answer cannot be read: {error}.") from None
    message = _message(response.output.message.content)
    stopped = _stopped(response.stop_reason, response.additional_model_response_fields)
    return Answer(model).whole([{"index": 0, "message": message, **stopped}], _usage(response.usage))


def _message(blocks: list[_Block]) -> Json:
    texts: list[str] = []
    thoughts: list[str] = []
    kept: list[Json] = []
    calls: list[Json] = []
    for block in blocks:
        if block.text is not None:
            texts.append(block.text)
        elif block.citations_content is not None:
            texts += [cited.text for cited in block.citations_content.content]
        elif block.tool_use is not None:
            call = block.tool_use
            calls.append(tool_call(call.tool_use_id, call.name, bytes(call.input).decode("utf-8", "replace")))
        elif block.reasoning_content is not None:
            reasoning = block.reasoning_content
            said = reasoning.reasoning_text or _ReasoningText()
            thoughts.append(said.text)
            kept += _thinking_block(said.text, said.signature, reasoning.redacted_content)
        elif block.image is not None:
            raise _an_image()
    message: Json = {"role": "assistant", "content": "".join(texts) or (None if calls else "")}
    if any(thoughts):
        message["reasoning_content"] = "".join(thoughts)
    if kept:
        message["thinking_blocks"] = kept
    if calls:
        message["tool_calls"] = calls
    return message


def _thinking_block(text: str, signature: str | None, redacted: str | None) -> list[Json]:
    """A thought that goes back to its model as it came; without a signature none needs to."""
    if redacted:
        return [{"type": "redacted_thinking", "data": redacted}]
    return [{"type": "thinking", "thinking": text, "signature": signature}] if signature else []


def _stopped(reason: str, additional: Json | None) -> Json:
    if reason in _BROKEN:
        raise UpstreamError(f"Bedrock's answer cannot be used ({reason}).")
    fields: Json = {"finish_reason": _FINISH.get(reason, "stop")}
    if additional and isinstance(text := additional.get("stop_sequence"), str):
        fields["stop_sequence"] = text
    return fields


def _usage(used: _Usage | None) -> Json | None:
    """Bedrock counts what its cache gave and took beside the input."""
    if used is None:
        return None
    cached, written = used.cache_read_input_tokens, used.cache_write_input_tokens
    return usage_of(used.input_tokens + cached + written, used.output_tokens, cached=cached, cache_write=written)


def _an_image() -> UpstreamError:
    return UpstreamError("Bedrock answered with an image, which has no place in a chat completion.")


class EventsFromBedrock:
    """One stream: call it with the parts of its body. Raises UpstreamError where it holds one, or breaks off."""

    def __init__(self, model: str) -> None:
        self._answer = Answer(model)
        self._calls: dict[int, int] = {}
        self._thoughts: dict[int, _ReasoningDelta] = {}
        self._stopped = False
        self._usage: Json | None = None

    async def __call__(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        yield self._answer.event({"role": "assistant", "content": ""})
        async for name, payload in _frames(chunks):
            event = self._take(name, payload)
            if event:
                yield event
        if not self._stopped:
            raise UpstreamCut("Bedrock broke off its answer.")
        if self._usage is not None:
            yield self._answer.usage_event(self._usage)
        yield DONE

    def _take(self, name: str, payload: bytes) -> bytes:
        try:
            event = read(_event, payload or b"{}")
        except UNREADABLE as error:
            raise UpstreamCut(f"Bedrock's answer cannot be read: {error}.") from None
        at = event.content_block_index
        if name.endswith("Exception"):
            raise _failure(name, event)
        if name == "contentBlockStart" and event.start is not None and event.start.tool_use is not None:
            call = event.start.tool_use
            number = self._calls.setdefault(at, len(self._calls))
            return self._answer.event({"tool_calls": [tool_call(call.tool_use_id, call.name, "", index=number)]})
        if name == "contentBlockDelta" and event.delta is not None:
            return self._delta(at, event.delta)
        if name == "contentBlockStop" and (thought := self._thoughts.pop(at, None)) is not None:
            kept = _thinking_block(thought.text or "", thought.signature, thought.redacted_content)
            return self._answer.event({"thinking_blocks": kept}) if kept else b""
        if name == "messageStop":
            self._stopped = True
            stopped = _stopped(event.stop_reason or "", event.additional_model_response_fields)
            return self._answer.event({}, finish=stopped.pop("finish_reason"), **stopped)
        if name == "metadata":
            self._usage = _usage(event.usage)
        return b""

    def _delta(self, at: int, delta: _Delta) -> bytes:
        if delta.text:
            return self._answer.event({"content": delta.text})
        if delta.tool_use is not None:
            number = self._calls.get(at, 0)
            fragment = {"index": number, "function": {"arguments": delta.tool_use.input}}
            return self._answer.event({"tool_calls": [fragment]}) if delta.tool_use.input else b""
        if delta.reasoning_content is not None:
            said = delta.reasoning_content
            whole = self._thoughts.setdefault(at, _ReasoningDelta())
            whole.text = (whole.text or "") + (said.text or "")
            whole.signature = said.signature or whole.signature
            if said.redacted_content:
                whole.redacted_content = (whole.redacted_content or "") + said.redacted_content
            return self._answer.event({"reasoning_content": said.text}) if said.text else b""
        if delta.image is not None:
            raise _an_image()
        return b""


def _failure(name: str, event: _Event) -> UpstreamError:
    status = STATUSES.get(name, event.original_status_code or 500)
    return UpstreamError(f"Bedrock ended its answer with {name}: {event.message}", status=status)


async def _frames(chunks: AsyncIterator[bytes]) -> AsyncIterator[tuple[str, bytes]]:
    """(name, payload) of each frame; an exception's name ends in "Exception". Raises UpstreamCut."""
    from botocore.eventstream import EventStreamBuffer, ParserError

    buffer, got, read_whole = EventStreamBuffer(), 0, 0
    async for chunk in chunks:
        got += len(chunk)
        buffer.add_data(chunk)
        try:
            for message in _messages(buffer):
                read_whole += message.prelude.total_length
                yield _name(message.headers, message.payload), message.payload
        except ParserError as error:
            raise UpstreamCut(f"Bedrock's answer is garbled: {error}.") from None
    if got != read_whole:
        raise UpstreamCut("Bedrock broke off its answer in the middle of an event.")


def _messages(buffer: Any) -> Iterator[Any]:
    yield from buffer


def _name(headers: Json, payload: bytes) -> str:
    kind = headers.get(":message-type")
    if kind == "error":
        said = headers.get(":error-message") or payload[:200].decode("utf-8", "replace")
        raise UpstreamError(f"Bedrock ended its answer with {headers.get(':error-code')}: {said}", status=500)
    return str(headers.get(":exception-type" if kind == "exception" else ":event-type", ""))
