"""Server-sent events of a provider, taken apart: each event's name and data, from parts that may be cut anywhere. Pure.

For adapters, which read events to write others; what passes through unchanged is the gateway's (`gateway/stream.py`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from rondo.errors import UpstreamCut

MAX_EVENT = 32 * 1024 * 1024


async def events(chunks: AsyncIterator[bytes], *, limit: int = MAX_EVENT) -> AsyncIterator[tuple[str, bytes]]:
    """(name, data) of each event that has data; the name is empty where it has none. Lines may end in LF or CRLF.

    Raises UpstreamCut where the end is not the end of an event, or where one is longer than `limit`.
    """
    buffer = bytearray()
    searched = 0
    async for chunk in chunks:
        buffer += chunk
        start = 0
        while (end := _end(buffer, max(start, searched - 2))) >= 0:
            event = _parse(bytes(buffer[start:end]))
            start = searched = end
            if event is not None:
                yield event
        del buffer[:start]
        searched = len(buffer)
        if searched > limit:
            raise UpstreamCut("The provider sent an endless event.")
    if buffer.strip():
        raise UpstreamCut("The provider broke off in the middle of an event.")


def _end(buffer: bytearray, start: int) -> int:
    """Where the first event ends, its blank line included; -1 where none does."""
    feed, both = buffer.find(b"\n\n", start), buffer.find(b"\n\r\n", start)
    if feed < 0 or 0 <= both < feed:
        return both + 3 if both >= 0 else -1
    return feed + 2


def _parse(event: bytes) -> tuple[str, bytes] | None:
    name, data = b"", []
    for line in event.split(b"\n"):
        field, _, value = line.rstrip(b"\r").partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return (name.decode("utf-8", "replace"), b"\n".join(data)) if data else None
