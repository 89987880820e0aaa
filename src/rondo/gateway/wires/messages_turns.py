"""Turns on Anthropic's wire as messages of a chat completion. Pure.

A user's turn with tool results becomes one tool message for each, and then a user message with the rest. An assistant's
turn becomes one message: its thoughts, its text, its calls.
"""

from __future__ import annotations

from typing import Any

from rondo.errors import InvalidRequest
from rondo.gateway.wires.messages_blocks import (
    Base64,
    Block,
    Citations,
    Document,
    FileId,
    Image,
    Inside,
    PlainText,
    RedactedThinking,
    SearchResult,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Turn,
    Url,
    asks,
    is_object,
)

Part = dict[str, Any]
Message = dict[str, Any]


def system_parts(system: str | list[Text] | None) -> list[Message]:
    """The system's message; none where it says nothing."""
    if not system:
        return []
    if isinstance(system, str):
        return [{"role": "system", "content": system}]
    return [{"role": "system", "content": _together([_text(block) for block in system], "\n\n")}]


def messages_of(turns: list[Turn]) -> list[Message]:
    """Raises InvalidRequest, naming the field."""
    messages: list[Message] = []
    for position, turn in enumerate(turns):
        where = f"messages[{position}].content"
        if isinstance(turn.content, str):
            messages.append({"role": turn.role, "content": turn.content})
        elif turn.role == "assistant":
            messages.append(_said(turn.content, where))
        elif turn.role == "user":
            messages += _asked(turn.content, where)
        else:
            messages.append({"role": "system", "content": _together(_parts(turn.content, where, (Text,)), "\n\n")})
    return messages


def _asked(blocks: list[Block], where: str) -> list[Message]:
    results = [
        _result(block, f"{where}[{number}]") for number, block in enumerate(blocks) if isinstance(block, ToolResult)
    ]
    parts = _parts(blocks, where, (Text, Image, Document, SearchResult, ToolResult))
    if parts or not results:
        results.append({"role": "user", "content": _together(parts, None)})
    return results


def _result(block: ToolResult, where: str) -> Message:
    message: Message = {"role": "tool", "tool_call_id": block.tool_use_id, "content": ""}
    if isinstance(block.content, str):
        parts: list[Part] = [{"type": "text", "text": block.content}] if block.content else []
    else:
        parts = _parts(block.content or [], f"{where}.content", (Text, Image, Document, SearchResult))
    if block.cache_control is not None and parts:
        parts[-1].setdefault("cache_control", block.cache_control)
    message["content"] = _together(parts, "\n\n")
    if block.is_error:
        message["is_error"] = True
    return message


def _said(blocks: list[Block], where: str) -> Message:
    parts: list[Part] = []
    calls: list[dict[str, Any]] = []
    thoughts: list[dict[str, str]] = []
    thinking: list[str] = []
    for number, block in enumerate(blocks):
        if isinstance(block, Text):
            parts.append(_text(block))
        elif isinstance(block, ToolUse):
            calls.append(_call(block, f"{where}[{number}]"))
        elif isinstance(block, Thinking):
            thinking.append(block.thinking)
            if block.signature:  # without one the thoughts are not Anthropic's, which takes no others
                thoughts.append({"type": "thinking", "thinking": block.thinking, "signature": block.signature})
        elif isinstance(block, RedactedThinking):
            thoughts.append({"type": "redacted_thinking", "data": block.data})
        else:
            raise _misplaced(block, f"{where}[{number}]", "assistant")
    message: Message = {"role": "assistant", "content": _together(parts, "") if parts else None}
    if not parts and not calls:
        message["content"] = ""
    if any(thinking):
        message["reasoning_content"] = "\n\n".join(filter(None, thinking))
    if thoughts:
        message["thinking_blocks"] = thoughts
    if calls:
        message["tool_calls"] = calls
    return message


def _call(block: ToolUse, where: str) -> dict[str, Any]:
    if not is_object(block.input):
        raise InvalidRequest(
            f"`{where}.input` is no object.", remedy="Send the call as it was made.", param=f"{where}.input"
        )
    function = {"name": block.name, "arguments": bytes(block.input).decode("utf-8", "replace")}
    return {"id": block.id, "type": "function", "function": function}


def _parts(blocks: list[Any], where: str, kinds: tuple[type, ...]) -> list[Part]:
    """The parts of blocks of these kinds, which have been read as such; tool results are somebody else's."""
    parts: list[Part] = []
    for number, block in enumerate(blocks):
        at = f"{where}[{number}]"
        if not isinstance(block, kinds):
            raise _misplaced(block, at, "user")
        match block:
            case Text():
                parts.append(_text(block))
            case Image():
                parts.append(_image(block, at))
            case Document():
                parts += _document(block, at)
            case SearchResult():
                _refuse_citations(block.citations, at)
                found = "\n".join(text.text for text in block.content)
                parts.append(_marked({"type": "text", "text": f"{block.title}\n{block.source}\n\n{found}"}, block))
    return parts


def _text(block: Text) -> Part:
    return _marked({"type": "text", "text": block.text}, block)


def _image(block: Image, where: str) -> Part:
    if asks(block.transformations):
        raise InvalidRequest(
            f"`{where}.transformations` is Anthropic's own, and cannot be asked for through Rondo.",
            remedy="Leave it out.",
            param=f"{where}.transformations",
        )
    match block.source:
        case Base64(media_type=kind, data=data):
            url = f"data:{kind};base64,{data}"
        case Url(url=url):
            pass
        case FileId():
            raise InvalidRequest(
                f"`{where}.source` is a file at Anthropic, which others cannot read.",
                remedy="Send the image as base64, or as a url.",
                param=f"{where}.source.type",
            )
    return _marked({"type": "image_url", "image_url": {"url": url}}, block)


def _document(block: Document, where: str) -> list[Part]:
    """A PDF is a file; the others are text, with their title and context before it."""
    _refuse_citations(block.citations, where)
    above = "\n".join(filter(None, (block.title, block.context)))
    parts: list[Part] = []
    match block.source:
        case Base64(media_type=kind, data=data):
            parts.append(_file({"file_data": f"data:{kind};base64,{data}"}, block))
        case FileId(file_id=file_id):
            parts.append(_file({"file_id": file_id}, block))
        case PlainText(data=data):
            return [_marked({"type": "text", "text": f"{above}\n\n{data}" if above else data}, block)]
        case Inside(content=str(inside)):
            return [_marked({"type": "text", "text": f"{above}\n\n{inside}" if above else inside}, block)]
        case Inside(content=inside):
            parts = [{"type": "text", "text": above}] if above else []
            parts += _parts(list(inside), f"{where}.source.content", (Text, Image))
            if parts and block.cache_control is not None:
                parts[-1].setdefault("cache_control", block.cache_control)
            return parts
        case Url():
            raise InvalidRequest(
                f"`{where}.source` is the address of a document, which only Anthropic would fetch.",
                remedy="Send the document as base64.",
                param=f"{where}.source.type",
            )
    if block.context:
        parts.insert(0, {"type": "text", "text": block.context})
    return parts


def _file(file: dict[str, str], block: Document) -> Part:
    if block.title:
        file["filename"] = block.title
    return _marked({"type": "file", "file": file}, block)


def _marked(part: Part, block: Text | Image | Document | SearchResult) -> Part:
    if block.cache_control is not None:
        part["cache_control"] = block.cache_control
    return part


def _together(parts: list[Part], between: str | None) -> str | list[Part]:
    """Plain texts as one text, which every server takes; `between` is None where several stay apart."""
    plain = all(part.keys() == {"type", "text"} for part in parts)
    if plain and (between is not None or len(parts) <= 1):
        return (between or "").join(part["text"] for part in parts)
    return parts


def _refuse_citations(citations: Citations | None, where: str) -> None:
    if citations is not None and citations.enabled:
        raise InvalidRequest(
            f"`{where}.citations` cannot be asked for through Rondo: an answer has nowhere to put them.",
            remedy="Leave it out, and ask in the prompt for quotes.",
            param=f"{where}.citations",
        )


def _misplaced(block: Any, where: str, role: str) -> InvalidRequest:
    kind = type(block).__struct_config__.tag
    return InvalidRequest(
        f"`{where}.type` is {kind!r}, which has no place in this message ({role}).",
        remedy="Move it to where it belongs.",
        param=f"{where}.type",
    )
