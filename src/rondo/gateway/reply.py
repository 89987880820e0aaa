"""What the gateway answers a request with: a reply known whole, or one in parts. And how it goes out over ASGI."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, MutableMapping
from contextlib import aclosing
from typing import Any

from msgspec import Struct

Headers = list[tuple[bytes, bytes]]
"""Names in lower case. A reply's headers never say how long its body is, or how it is framed."""

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Whole(Struct, frozen=True):
    """A reply that is known whole."""

    status: int
    body: bytes
    headers: Headers


class Parts(Struct, frozen=True):
    """A good reply in parts. Whoever takes it reads the first part before sending anything, and closes `parts`: a
    generator that never began would neither record nor let go upstream."""

    parts: AsyncGenerator[bytes]
    headers: Headers


Reply = Whole | Parts


async def send_reply(reply: Reply, send: Send) -> None:
    """Send it over ASGI."""
    if isinstance(reply, Whole):
        headers = [(b"content-length", str(len(reply.body)).encode()), *reply.headers]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})
        return
    async with aclosing(reply.parts) as parts:
        first = await anext(parts)
        await send({"type": "http.response.start", "status": 200, "headers": reply.headers})
        await send({"type": "http.response.body", "body": first, "more_body": True})
        async for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
