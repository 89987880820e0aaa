"""Requests of the dialect inside for providers that speak OpenAI's own: what they would refuse is taken out. Pure.

The dialect inside has a few words more than OpenAI's (docs/design.md, "The dialect inside"). Providers refuse what they
do not know, so each gets what it keeps and no more.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from rondo.errors import InvalidRequest
from rondo.providers.reading import UNREADABLE, read

Json = dict[str, Any]

FIELDS = frozenset("thinking top_k reasoning_content thinking_blocks cache_control is_error extra_content".split())
"""Every word that OpenAI does not know. A tool's images are no word of their own, and are always moved."""

_ELSEWHERE = "The images follow in the next message."
_fields: msgspec.json.Decoder[Json] = msgspec.json.Decoder(dict[str, Raw])
_objects = msgspec.json.Decoder(list[Json])
_encode = msgspec.json.Encoder().encode


def plain(body: bytes, keeps: frozenset[str] = frozenset()) -> bytes:
    """The request without the words that its provider does not keep. Raises InvalidRequest where it cannot be read."""
    gone = FIELDS - keeps
    try:
        fields: Json = read(_fields, body)
        messages = read(_objects, fields.get("messages", Raw(b"[]")))
        tools = read(_objects, fields["tools"]) if "cache_control" in gone and fields.get("tools") else None
    except UNREADABLE as error:
        raise InvalidRequest(f"The request cannot be read: {error}.") from None
    for name in gone & fields.keys():
        del fields[name]
    fields["messages"] = _with_images_moved([_without(message, gone) for message in messages])
    if tools is not None:
        fields["tools"] = [_cut(tool, gone) for tool in tools]
    return _encode(fields)


def _without(message: Json, gone: frozenset[str]) -> Json:
    kept = _cut(message, gone)
    for name in ("content", "tool_calls"):
        if isinstance(kept.get(name), list):
            kept[name] = [_cut(part, gone) if isinstance(part, dict) else part for part in kept[name]]
    return kept


def _cut(thing: Json, gone: frozenset[str]) -> Json:
    return {name: value for name, value in thing.items() if name not in gone}


def _with_images_moved(messages: list[Json]) -> list[Json]:
    """Tool messages hold text only; their images follow all results of the same turn, in a message of the user's."""
    made: list[Json] = []
    images: list[Json] = []
    for message in messages:
        if message.get("role") != "tool":
            made += _shown(images)
            images = []
            made.append(message)
            continue
        content = message.get("content")
        if isinstance(content, list):
            others = [part for part in content if not _is_text(part)]
            text = "\n".join(str(part.get("text", "")) for part in content if _is_text(part))
            message["content"] = text or (_ELSEWHERE if others else "")
            images += others
        made.append(message)
    return made + _shown(images)


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text"


def _shown(images: list[Json]) -> list[Json]:
    return [{"role": "user", "content": images}] if images else []
