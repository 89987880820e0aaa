"""Parts of messages as Anthropic's content blocks: texts, images, documents, tool calls and their results. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

import msgspec

from rondo.providers.chat_request import CacheControl, File, Message, Part, ToolCall, data_url, refused
from rondo.providers.reading import UNREADABLE

_IMAGES = {"image/jpg": "image/jpeg", **{f"image/{kind}": f"image/{kind}" for kind in ("jpeg", "png", "gif", "webp")}}
_NOT_IN_ID = re.compile(r"[^a-zA-Z0-9_-]")
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
Block = dict[str, Any]


def blocks_of(parts: list[Part], where: str) -> list[Block]:
    """The blocks of a message's content; empty texts, which Anthropic refuses, are left out. Raises InvalidRequest."""
    blocks: list[Block] = []
    for position, part in enumerate(parts):
        block = _block(part, f"{where}.content[{position}]")
        if block is not None:
            blocks.append(cached(block, part.cache_control))
    return blocks


def cached(block: Block, cache: CacheControl | None) -> Block:
    """The block, with the mark that the provider's cache may end at it."""
    if cache is not None:
        block["cache_control"] = {"type": cache.type} if cache.ttl is None else {"type": cache.type, "ttl": cache.ttl}
    return block


def tool_input(call: ToolCall, where: str) -> Block:
    """A call that the assistant made."""
    try:
        arguments = _object.decode(call.function.arguments or "{}")
    except UNREADABLE:
        raise refused(
            f"{where}.function.arguments", "they are no JSON object.", remedy="Send the call with valid arguments."
        ) from None
    return {"type": "tool_use", "id": tool_id(call.id), "name": call.function.name, "input": arguments}


def tool_result(message: Message, where: str) -> Block:
    """What a tool gave back."""
    if not message.tool_call_id:
        raise refused(f"{where}.tool_call_id", "it is missing.", remedy="Name the call that this answers.")
    block: Block = {"type": "tool_result", "tool_use_id": tool_id(message.tool_call_id)}
    content = blocks_of(message.parts, where)
    if len(content) == 1 and content[0].keys() == {"type", "text"}:
        block["content"] = content[0]["text"]
    elif content:
        block["content"] = content
    if message.is_error:
        block["is_error"] = True
    return cached(block, message.cache_control)


def tool_id(call_id: str) -> str:
    """Other models' ids have characters that Anthropic refuses."""
    return _NOT_IN_ID.sub("_", call_id)


def _block(part: Part, where: str) -> Block | None:
    if part.type in ("text", "refusal"):
        text = part.text or part.refusal
        return {"type": "text", "text": text} if text.strip() else None
    if part.type == "image_url" and part.image_url is not None:
        return {"type": "image", "source": _image_source(part.image_url.url, f"{where}.image_url.url")}
    if part.type == "file" and part.file is not None:
        return _document(part.file, f"{where}.file")
    if part.type == "input_audio":
        raise refused(f"{where}.type", "a Claude model hears nothing.", remedy="Send the text that was spoken.")
    raise refused(f"{where}.type", f"{part.type!r} is no part.", remedy='Use "text", "image_url" or "file".')


def _image_source(url: str, where: str) -> Block:
    if url.startswith(("https://", "http://")):
        return {"type": "url", "url": url}
    found = data_url(url)
    if found is None:
        raise refused(where, "it is no address of an image.", remedy="Send an https: or a base64 data: URL.")
    kind = _IMAGES.get(found[0])
    if kind is None:
        raise refused(where, f"{found[0]} is no image that Claude sees.", remedy="Use JPEG, PNG, GIF or WebP.")
    return {"type": "base64", "media_type": kind, "data": found[1]}


def _document(file: File, where: str) -> Block:
    if file.file_id is not None:
        source: Block = {"type": "file", "file_id": file.file_id}
    else:
        found = data_url(file.file_data or "")
        if found is None:
            raise refused(f"{where}.file_data", "it is no base64 data: URL.", remedy="Send one, or a `file_id`.")
        kind, data = found
        if kind in _IMAGES:
            return {"type": "image", "source": {"type": "base64", "media_type": _IMAGES[kind], "data": data}}
        source = _document_source(kind, data, where)
    block: Block = {"type": "document", "source": source}
    if file.filename:
        block["title"] = file.filename
    return block


def _document_source(kind: str, data: str, where: str) -> Block:
    if kind == "application/pdf":
        return {"type": "base64", "media_type": kind, "data": data}
    if not kind.startswith("text/"):
        raise refused(f"{where}.file_data", f"{kind} is no document that Claude reads.", remedy="Use PDF or text.")
    try:
        text = base64.b64decode(data, validate=True).decode()
    except (binascii.Error, ValueError):
        raise refused(f"{where}.file_data", "it is no UTF-8 text in base64.", remedy="Encode it again.") from None
    return {"type": "text", "media_type": "text/plain", "data": text}
