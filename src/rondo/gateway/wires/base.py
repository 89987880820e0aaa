"""What a client's wire is: requests into the dialect inside, answers out of it.

Inside, everything is OpenAI's chat completion (docs/design.md, "The dialect inside"): a wire turns its own request
into one, and the completion, or its events, back into what its clients expect. So each client wire works with each
provider, and neither knows of the other.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from rondo.errors import RondoError
from rondo.gateway.request import ChatRequest
from rondo.records import Wire


class Given(Struct, frozen=True, kw_only=True):
    """What a wire needs to know of a request to write its answer. `created_at` is in microseconds."""

    trace_id: str
    created_at: int
    request: ChatRequest


class WireStream(Protocol):
    """Writes one answer as its wire's server-sent events. Called in order: `begin`, `event`..., `end` or `error`."""

    def begin(self) -> bytes:
        """What comes before the first event; may be empty."""
        ...

    def event(self, event: bytes) -> bytes:
        """One whole event of a chat completion as this wire's events; empty where it has none for it.

        It has been read before and is known to be well-formed; it is never `[DONE]`.
        """
        ...

    def end(self) -> bytes:
        """What closes a good answer; the record has been written."""
        ...

    def error(self, error: RondoError) -> bytes:
        """What closes an answer that broke off; the status 200 has been sent already."""
        ...


class ClientWire(Protocol):
    """One wire. Stateless, made once."""

    name: Wire

    def parse(self, body: bytes) -> ChatRequest:
        """A request in the dialect inside. Raises InvalidRequest, which names the field of this wire."""
        ...

    def answer(self, given: Given, completion: bytes) -> bytes:
        """A `chat.completion` as this wire's answer."""
        ...

    def stream(self, given: Given) -> WireStream: ...

    def error(self, error: RondoError) -> bytes:
        """The body of an error."""
        ...
