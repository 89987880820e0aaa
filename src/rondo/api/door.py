"""What an API door is: method, path, the role it needs, and a handler. Thin: parse, call a room's verb, answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from rondo.control import Admitted
from rondo.errors import InvalidRequest, RondoError, TooLarge
from rondo.gateway.reading import UNREADABLE
from rondo.governance.model import Role

MAX_BODY = 1_000_000
"""Bytes of a JSON body."""

T = TypeVar("T")


class Asked(Admitted):
    """A request for JSON."""

    def number(self, name: str) -> int:
        """A whole number in the path. Raises InvalidRequest."""
        return whole_number(self.path(name), name)

    def query_number(self, name: str, default: int, *, least: int = 1, most: int) -> int:
        """A whole number in the query, `least` to `most`. Raises InvalidRequest."""
        given = self.query(name)
        if given is None:
            return default
        value = whole_number(given, name)
        if not least <= value <= most:
            raise InvalidRequest(f"`{name}` must be between {least} and {most}, not {value}.", param=name)
        return value

    async def body(self, shape: type[T]) -> T:
        """The JSON body, as `shape`. Raises InvalidRequest, TooLarge."""
        data = await self.body_of_at_most(MAX_BODY)
        try:
            return msgspec.json.decode(data or b"{}", type=shape)
        except UNREADABLE as error:
            raise InvalidRequest(f"The body cannot be read: {error}.") from None

    async def body_of_at_most(self, most: int) -> bytes:
        """The body, read no further than it may be long. Raises TooLarge."""
        body = bytearray()
        async for part in self.request.stream():
            body += part
            if len(body) > most:
                raise TooLarge(f"The body is larger than {most / 1_000_000:g} MB.", remedy="Send less.")
        return bytes(body)


Handler = Callable[[Asked], Awaitable[Any]]
Refusal = Callable[[Request, RondoError], Response]


class Door(NamedTuple):
    """`role` None: any valid key. A handler returns what is sent as JSON, or a Response.

    `refuse` answers errors where the door has a wire of its own.
    """

    method: str
    path: str
    role: Role | None
    handler: Handler
    refuse: Refusal | None = None


def whole_number(text: str, name: str) -> int:
    """Raises InvalidRequest, naming the parameter."""
    try:
        return int(text)
    except ValueError:
        raise InvalidRequest(f"`{name}` must be a whole number, not {text!r:.60}.", param=name) from None
