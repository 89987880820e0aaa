"""What an answer says: text, tokens, served model. One typed parse; the bytes themselves stay as they are."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from rondo.errors import UpstreamCut, UpstreamError
from rondo.gateway.reading import UNREADABLE, read
from rondo.gateway.request import text_of


class Said(Struct, frozen=True, kw_only=True):
    """An answer as the record has it: `text` for people, `output` the message as JSON, or a list of several."""

    text: str = ""
    output: bytes = b""
    served_model: str | None = None
    finish_reason: str | None = None
    usage: dict[str, Any] | None = None


class _Choice(Struct):
    message: Raw = Raw(b"null")
    finish_reason: str | None = None


class _Completion(Struct):
    choices: list[_Choice]
    model: str | None = None
    usage: dict[str, Any] | None = None


class _Message(Struct):
    content: Any = None


class _Embeddings(Struct):
    data: Raw
    model: str | None = None
    usage: dict[str, Any] | None = None


_completion = msgspec.json.Decoder(_Completion)
_message = msgspec.json.Decoder(_Message | None)
_embeddings = msgspec.json.Decoder(_Embeddings)


def read_completion(body: bytes) -> Said:
    """What a `chat.completion` says. Raises UpstreamError where it is none."""
    try:
        completion = read(_completion, body)
        messages = [choice.message for choice in completion.choices]
        first = read(_message, messages[0]) if messages else None
    except UNREADABLE as error:
        raise _garbage(error) from None
    return Said(
        text=text_of(first.content) if first else "",
        output=bytes(messages[0]) if len(messages) == 1 else msgspec.json.encode(messages),
        served_model=completion.model,
        finish_reason=completion.choices[0].finish_reason if messages else None,
        usage=completion.usage,
    )


def read_embeddings(body: bytes) -> Said:
    """What a list of embeddings says; the vectors are not recorded. Raises UpstreamError."""
    try:
        embeddings = read(_embeddings, body)
    except UNREADABLE as error:
        raise _garbage(error) from None
    return Said(served_model=embeddings.model, usage=embeddings.usage)


def _garbage(error: Exception) -> UpstreamError:
    return UpstreamCut(f"The provider's answer cannot be read: {error}.")
