"""What a model's thinking leaves that the next request must bring back unchanged, in one opaque text. Pure.

Anthropic signs its thinking blocks, and Gemini its tool calls. Responses has one place for such a thing,
`encrypted_content` of a reasoning item: the client keeps it and sends it back. It is not encrypted here, since the
client may read it anyway: the provider's signature is what holds.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from rondo.errors import InvalidRequest
from rondo.gateway.reading import UNREADABLE

_PREFIX = "rondo1."


class Google(Struct):
    """Gemini's signature of a call."""

    thought_signature: str


class ExtraContent(Struct):
    """What a tool call carries beside its arguments."""

    google: Google


class Kept(Struct, omit_defaults=True):
    """Whole thinking blocks, and the `extra_content` of tool calls by call id."""

    thinking_blocks: list[dict[str, str]] = []
    extra_content: dict[str, ExtraContent] = {}


_kept = msgspec.json.Decoder(Kept)


def wrap(blocks: Sequence[dict[str, str]] = (), extra_content: Mapping[str, ExtraContent] | None = None) -> str | None:
    """What `unwrap` takes; None where there is nothing to keep."""
    kept = {
        **({"thinking_blocks": blocks} if blocks else {}),
        **({"extra_content": extra_content} if extra_content else {}),
    }
    return _PREFIX + base64.urlsafe_b64encode(msgspec.json.encode(kept)).decode() if kept else None


def signature(extra_content: Any) -> ExtraContent | None:
    """The part of a tool call's `extra_content` that must come back; None where there is none."""
    try:
        return msgspec.convert(extra_content, ExtraContent)
    except msgspec.ValidationError:
        return None


def unwrap(text: str | None, where: str) -> Kept:
    """Raises InvalidRequest for what is not ours: another's thinking means nothing to the model that comes next."""
    if not text:
        return Kept()
    if text.startswith(_PREFIX):
        try:
            return _kept.decode(base64.b64decode(text[len(_PREFIX) :], altchars=b"-_", validate=True))
        except (*UNREADABLE, binascii.Error, ValueError):
            pass
    raise InvalidRequest(
        f"`{where}` is not from an answer of Rondo's.", remedy="Leave this reasoning item out.", param=where
    )
