"""Input items of the Responses wire as messages of a chat completion. Pure.

One turn of the assistant comes as several items (reasoning, message, function calls) and becomes one message.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from rondo.errors import InvalidRequest
from rondo.gateway.reading import UNREADABLE, read
from rondo.gateway.wires import thinking
from rondo.gateway.wires.responses_tools import custom_arguments

Item = dict[str, Any]
_SAID = ("content", "tool_calls", "refusal")


class _Text(Struct):
    text: str = ""


class InputItem(Struct):
    """An input item of any type, as far as we look into it."""

    type: str | None = None
    role: str = ""
    id: str | None = None
    content: Raw = Raw()
    call_id: str | None = None
    name: str = ""
    arguments: str = ""
    input: str = ""
    output: Raw = Raw()
    summary: list[_Text] = []
    encrypted_content: str | None = None

    @property
    def kind(self) -> str:
        return self.type or ("message" if self.role else "item_reference")


class _Part(Struct):
    type: str
    text: str = ""
    refusal: str = ""
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    input_audio: Raw = Raw()
    prompt_cache_breakpoint: Raw = Raw()


_content = msgspec.json.Decoder(str | list[_Part])
_reasoning_texts = msgspec.json.Decoder(list[_Text] | None)
_input = msgspec.json.Decoder(str | list[InputItem])
_raw_input = msgspec.json.Decoder(list[Raw])


class Conversation:
    """Messages in the making. `awaited`: the results here of calls that are not here, but in an earlier response."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.extended = False
        self.awaited: list[str] = []
        self._answering: dict[str, Any] | None = None
        self._calls: set[str] = set()

    def add(self, item: InputItem, where: str) -> None:
        """Raises InvalidRequest, naming the place."""
        write = _WRITERS.get(item.kind)
        if write is None:
            raise InvalidRequest(
                f"`{where}` is of type {item.kind!r:.50}, which has no place in a chat completion.",
                remedy="Send messages, function calls and their outputs, and reasoning that Rondo gave.",
                param=f"{where}.type",
            )
        write(self, item, where)

    def say(self, item: InputItem, where: str) -> None:
        """A message of any role."""
        if item.role == "assistant":
            self._answer(item, where)
        elif item.role in ("user", "system", "developer"):
            self._answering = None
            content = _chat_content(item.content, f"{where}.content", self)
            self.messages.append({"role": item.role, "content": content})
        else:
            raise InvalidRequest(
                f"`{where}` has the role {item.role!r:.50}.",
                remedy="Use user, assistant, system or developer.",
                param=f"{where}.role",
            )

    def _answer(self, item: InputItem, where: str) -> None:
        parts = _parts(item.content, f"{where}.content")
        wrong = next((part.type for part in parts if part.type not in ("output_text", "input_text", "refusal")), None)
        if wrong is not None:
            raise InvalidRequest(
                f"`{where}` is the assistant's, and holds a part of type {wrong!r:.50}.",
                remedy="Use output_text or refusal.",
                param=f"{where}.content",
            )
        texts = [part.text for part in parts if part.type != "refusal"]
        refusal = "".join(part.refusal for part in parts if part.type == "refusal")
        message = self._turn
        if message["content"] is not None and "tool_calls" not in message:
            self._answering = None  # two texts in a row are two messages
            message = self._turn
        before = message["content"]
        if texts:
            message["content"] = "".join(texts) if before is None else f"{before}\n{''.join(texts)}"
        if refusal:
            message["refusal"] = refusal

    def call(self, item: InputItem, where: str) -> None:
        """A function call, or one of a custom tool."""
        call_id = _call_id(item, where)
        if not item.name:
            raise InvalidRequest(f"`{where}` has no name.", remedy="Set `name`.", param=f"{where}.name")
        arguments = item.arguments if item.kind == "function_call" else custom_arguments(item.input)
        call = {"id": call_id, "type": "function", "function": {"name": item.name, "arguments": arguments}}
        self._turn.setdefault("tool_calls", []).append(call)
        self._calls.add(call_id)

    def result(self, item: InputItem, where: str) -> None:
        """What a tool gave."""
        call_id = _call_id(item, where)
        self._answering = None
        content = _chat_content(item.output, f"{where}.output", self)
        if isinstance(content, list):
            if wrong := next((part["type"] for part in content if part["type"] not in ("text", "image_url")), None):
                raise InvalidRequest(
                    f"`{where}.output` holds a {wrong} part.",
                    remedy="A tool's output may hold text and images.",
                    param=f"{where}.output",
                )
            self.extended = self.extended or any(part["type"] == "image_url" for part in content)
        if call_id not in self._calls:
            self.awaited.append(call_id)
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": content})

    def think(self, item: InputItem, where: str) -> None:
        """Reasoning of an earlier answer of Rondo's."""
        texts = item.summary or _reasoning(item.content, f"{where}.content")
        kept = thinking.unwrap(item.encrypted_content, f"{where}.encrypted_content")
        text = "".join(part.text for part in texts)
        if not (text or kept.thinking_blocks or kept.extra_content):
            return
        last = self._answering
        if last is not None and last["content"] is not None and "tool_calls" not in last:
            self._answering = None  # a thought after an answer begins the next
        message = self._turn
        if text:
            message["reasoning_content"] = message.get("reasoning_content", "") + text
        if kept.thinking_blocks:
            message["thinking_blocks"] = [*message.get("thinking_blocks", ()), *kept.thinking_blocks]
        for call in message.get("tool_calls", ()):
            if call["id"] in kept.extra_content:
                call["extra_content"] = kept.extra_content[call["id"]]
        self.extended = True

    @property
    def _turn(self) -> dict[str, Any]:
        """The assistant's message that items are being gathered in."""
        if self._answering is None:
            self._answering = {"role": "assistant", "content": None}
            self.messages.append(self._answering)
        return self._answering


_WRITERS: Mapping[str, Callable[[Conversation, InputItem, str], None]] = {
    "message": Conversation.say,
    "function_call": Conversation.call,
    "custom_tool_call": Conversation.call,
    "function_call_output": Conversation.result,
    "custom_tool_call_output": Conversation.result,
    "reasoning": Conversation.think,
}


def read_input(raw: Raw) -> list[InputItem]:
    """The items of `input`; a text is one message of the user's. Raises InvalidRequest."""
    given = _read(_input, raw, "input")
    if not given:
        raise InvalidRequest("`input` is empty.", remedy="Send a text, or a list of items.", param="input")
    if isinstance(given, str):
        return [InputItem(type="message", role="user", content=raw)]
    for place, item in enumerate(given):
        if item.kind == "item_reference" and item.id is None:
            raise InvalidRequest(
                f"`input[{place}]` has neither `type` nor `role` nor `id`.",
                remedy='Send {"role": "user", "content": "…"}, or an item as an answer had it.',
                param=f"input[{place}]",
            )
    return list(given)


def converse(items: Sequence[InputItem], known: Mapping[str, InputItem | None]) -> Conversation:
    """The items as messages. `known` are the items that references stand for; None is one that holds nothing.

    Raises InvalidRequest, naming the place.
    """
    conversation = Conversation()
    for place, item in enumerate(items):
        where = f"input[{place}]"
        if item.kind == "item_reference":
            if (item.id or "") not in known:
                raise InvalidRequest(
                    f"`{where}` refers to {item.id!r:.100}, which is no output item that this key may read.",
                    remedy="Send the item itself.",
                    param=f"{where}.id",
                )
            referred = known[item.id or ""]
            if referred is not None:
                conversation.add(referred, where)
        else:
            conversation.add(item, where)
    conversation.messages = [message for message in conversation.messages if not says_nothing(message)]
    return conversation


def as_input(item: Item) -> InputItem:
    """An output item of ours as the input item that it would be, sent back."""
    return msgspec.json.decode(msgspec.json.encode(item), type=InputItem)


def says_nothing(message: Mapping[str, Any]) -> bool:
    """Whether it is a thought of the assistant's and no more, which no provider takes without what it led to."""
    return message["role"] == "assistant" and not any(message.get(name) is not None for name in _SAID)


def _call_id(item: InputItem, where: str) -> str:
    if not item.call_id:
        raise InvalidRequest(
            f"`{where}` has no call_id.", remedy="Send the `call_id` of the call.", param=f"{where}.call_id"
        )
    return item.call_id


def _parts(raw: Raw, where: str) -> list[_Part]:
    content = _read(_content, raw, where)
    return [_Part(type="output_text", text=content)] if isinstance(content, str) else content


def _reasoning(raw: Raw, where: str) -> list[_Text]:
    return _read(_reasoning_texts, raw, where) or [] if bytes(raw) else []


def _chat_content(raw: Raw, where: str, conversation: Conversation) -> str | list[dict[str, Any]]:
    content = _read(_content, raw, where)
    if isinstance(content, str):
        return content
    parts = [_chat_part(part, f"{where}[{place}]") for place, part in enumerate(content)]
    conversation.extended = conversation.extended or any("cache_control" in part for part in parts)
    return parts


def _chat_part(part: _Part, where: str) -> dict[str, Any]:
    """A part of a message as a chat completion has it. Raises InvalidRequest."""
    match part.type:
        case "input_text" | "output_text":
            text: dict[str, Any] = {"type": "text", "text": part.text}
            if bytes(part.prompt_cache_breakpoint) not in (b"", b"null"):
                text["cache_control"] = {"type": "ephemeral"}
            return text
        case "input_image":
            if part.image_url is None:
                raise _unreachable(where, "image", "`image_url`, which may be a data: URL")
            image = {"url": part.image_url}
            return {"type": "image_url", "image_url": {**image, "detail": part.detail} if part.detail else image}
        case "input_file":
            if part.file_url is not None or (part.file_data is None and part.file_id is None):
                raise _unreachable(where, "file", "`file_data`, a data: URL")
            named = {"file_data": part.file_data, "file_id": part.file_id, "filename": part.filename}
            return {"type": "file", "file": {name: value for name, value in named.items() if value is not None}}
        case "input_audio":
            if not bytes(part.input_audio):
                raise InvalidRequest(f"`{where}.input_audio` is missing.", param=f"{where}.input_audio")
            return {"type": "input_audio", "input_audio": part.input_audio}
    raise InvalidRequest(
        f"`{where}` is of type {part.type!r:.50}, which has no place in a chat completion.",
        remedy="Use input_text, input_image, input_file or input_audio.",
        param=f"{where}.type",
    )


def _unreachable(where: str, what: str, instead: str) -> InvalidRequest:
    return InvalidRequest(
        f"`{where}` names its {what} in a way that a chat completion cannot.", remedy=f"Send {instead}.", param=where
    )


def _read(decoder: msgspec.json.Decoder[Any], raw: Raw, where: str) -> Any:
    if not bytes(raw):
        raise InvalidRequest(f"`{where}` is missing.", param=where)
    try:
        return read(decoder, raw)
    except UNREADABLE as error:
        raise InvalidRequest(f"`{where}` cannot be read: {error}.", param=where) from None
