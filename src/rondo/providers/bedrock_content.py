"""Messages as Bedrock's `Converse` has them: turns that alternate, made of blocks. Pure.

Tool results are the user's, and belong in one turn with whatever the user says next. Bedrock fetches from S3 only, and
Rondo fetches nothing: images and files come as data: URLs or as s3:// addresses.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from rondo.providers.chat_request import (
    CacheControl,
    File,
    Message,
    Part,
    ThinkingBlock,
    arguments_of,
    data_url,
    refused,
)

NAME = "Bedrock"
Json = dict[str, Any]

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_BY_ENDING = {
    **{kind: kind for kind in _DOCUMENTS.values()},
    **{kind: kind for kind in _IMAGES.values()},
    "jpg": "jpeg",
}
_ID = re.compile(r"[a-zA-Z0-9_.:-]{1,64}")
_NOT_IN_NAME = re.compile(r"[^a-zA-Z0-9 ()\[\]-]+")


def conversation(messages: list[Message]) -> tuple[list[Json], list[Json]]:
    """The system's blocks and the turns. Raises InvalidRequest, which names the message."""
    return _Conversation().read(messages)


def cache_point(cache: CacheControl | None) -> list[Json]:
    """What ends a part that may be cached: a block of its own."""
    if cache is None:
        return []
    return [{"cachePoint": {"type": "default", **({"ttl": cache.ttl} if cache.ttl else {})}}]


class _Conversation:
    def __init__(self) -> None:
        self._system: list[Json] = []
        self._turns: list[Json] = []
        self._documents = 0

    def read(self, messages: list[Message]) -> tuple[list[Json], list[Json]]:
        for position, message in enumerate(messages):
            where = f"messages[{position}]"
            if message.role in ("system", "developer"):
                self._system += self._text_only(message, where)
            elif message.role == "user":
                self._add("user", self._blocks(message.parts, where))
            elif message.role == "tool":
                self._add("user", self._result(message, where))
            elif message.role == "assistant":
                self._add("assistant", self._said(message, where))
            else:
                raise refused(f"{where}.role", f"{message.role!r} is no role.", remedy="Use user or assistant.")
        if not self._turns:
            raise refused("messages", "nobody says anything in them.", remedy="Add a message of the user's.")
        return self._system, self._turns

    def _add(self, role: str, blocks: list[Json]) -> None:
        if not blocks:
            return
        if self._turns and self._turns[-1]["role"] == role:
            self._turns[-1]["content"] += blocks
        else:
            self._turns.append({"role": role, "content": blocks})

    def _text_only(self, message: Message, where: str) -> list[Json]:
        for position, part in enumerate(message.parts):
            if part.type != "text":
                at = f"{where}.content[{position}].type"
                raise refused(at, f"{NAME}'s system prompt is text.", remedy="Send it in a message of the user's.")
        return self._blocks(message.parts, where)

    def _said(self, message: Message, where: str) -> list[Json]:
        blocks = [_thought(block) for block in message.thinking_blocks or () if block.signature or block.data]
        blocks += self._blocks(message.parts, where)
        if message.refusal and message.refusal.strip():
            blocks.append({"text": message.refusal})
        for number, call in enumerate(message.tool_calls or ()):
            given = arguments_of(call, f"{where}.tool_calls[{number}]")
            blocks.append({"toolUse": {"toolUseId": _tool_id(call.id), "name": call.function.name, "input": given}})
        return blocks

    def _result(self, message: Message, where: str) -> list[Json]:
        if not message.tool_call_id:
            raise refused(f"{where}.tool_call_id", "it is missing.", remedy="Send the id of the call it answers.")
        result: Json = {"toolUseId": _tool_id(message.tool_call_id), "content": self._blocks(message.parts, where)}
        if message.is_error:
            result["status"] = "error"
        # A cache point has no place inside a result.
        marks = [block for block in result["content"] if "cachePoint" in block]
        result["content"] = [block for block in result["content"] if "cachePoint" not in block]
        return [{"toolResult": result}, *(marks[-1:] or cache_point(message.cache_control))]

    def _blocks(self, parts: list[Part], where: str) -> list[Json]:
        """The blocks of a message's content; empty texts, which Bedrock refuses, are left out."""
        blocks: list[Json] = []
        for position, part in enumerate(parts):
            block = self._block(part, f"{where}.content[{position}]")
            if block is not None:
                blocks += [block, *cache_point(part.cache_control)]
        return blocks

    def _block(self, part: Part, at: str) -> Json | None:
        if part.type in ("text", "refusal"):
            text = part.text or part.refusal
            return {"text": text} if text.strip() else None
        if part.type == "image_url" and part.image_url is not None:
            kind, source = _source(part.image_url.url, _IMAGES, f"{at}.image_url.url")
            return {"image": {"format": kind, "source": source}}
        if part.type == "file" and part.file is not None:
            return self._document(part.file, f"{at}.file")
        if part.type == "input_audio" and part.input_audio is not None:
            return {"audio": {"format": part.input_audio.format, "source": {"bytes": part.input_audio.data}}}
        raise refused(f"{at}.type", f"{NAME} cannot read {part.type!r}.", remedy="Send text, an image, or a file.")

    def _document(self, file: File, at: str) -> Json:
        if not file.file_data:
            raise refused(f"{at}.file_id", f"{NAME} keeps no files.", remedy="Send the file itself, as `file_data`.")
        kinds = {**_DOCUMENTS, **_IMAGES}
        kind, source = _source(file.file_data, kinds, f"{at}.file_data")
        if kind in _IMAGES.values():
            return {"image": {"format": kind, "source": source}}
        self._documents += 1
        # Names must differ, and may not hold most punctuation.
        name = " ".join(_NOT_IN_NAME.sub(" ", (file.filename or "").rpartition(".")[0]).split())[:150]
        return {"document": {"format": kind, "name": f"{name or 'document'} {self._documents}", "source": source}}


def _source(url: str, kinds: dict[str, str], param: str) -> tuple[str, Json]:
    """(format, source) of an image or a document."""
    if inline := data_url(url):
        kind = kinds.get(inline[0])
        source: Json = {"bytes": inline[1]}
    elif url.startswith("s3://"):
        kind = _BY_ENDING.get(url.rpartition(".")[2].lower())
        source = {"s3Location": {"uri": url}}
    else:
        raise refused(param, f"{NAME} fetches nothing from the web.", remedy="Send a data: URL in base64.")
    if kind is None or kind not in kinds.values():
        known = ", ".join(sorted(set(kinds.values())))
        raise refused(param, f"{NAME} does not read this kind of file.", remedy=f"Use one of {known}.")
    return kind, source


def _thought(block: ThinkingBlock) -> Json:
    """A thought that its model has signed; others are of no use to it, and are left out."""
    if block.type == "redacted_thinking":
        return {"reasoningContent": {"redactedContent": block.data}}
    return {"reasoningContent": {"reasoningText": {"text": block.thinking, "signature": block.signature}}}


def _tool_id(call_id: str) -> str:
    """An id as Bedrock takes it: another provider's may be longer, or hold other characters."""
    if _ID.fullmatch(call_id):
        return call_id
    return "call_" + hashlib.sha256(call_id.encode("utf-8", "replace")).hexdigest()[:32]
