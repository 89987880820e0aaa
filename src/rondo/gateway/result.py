"""What the pipeline gives back."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from msgspec import Struct

from rondo.gateway.turn import Turn
from rondo.records import Call


class Answered(Struct, frozen=True):
    """A whole answer, recorded: the bytes for the client, and the record."""

    body: bytes
    call: Call


class Streaming(Struct, frozen=True):
    """An answer under way; `parts` records it before its last part."""

    turn: Turn
    parts: AsyncGenerator[bytes]
