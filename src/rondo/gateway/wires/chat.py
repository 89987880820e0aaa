"""OpenAI's chat completions: the dialect inside is this wire, so everything passes through as it is."""

from __future__ import annotations

from rondo.errors import RondoError
from rondo.gateway.request import ChatRequest
from rondo.gateway.stream import DONE
from rondo.gateway.wire import error_body, parse_chat
from rondo.gateway.wires.base import Given, WireStream
from rondo.records import Wire


class Chat:
    """`POST /v1/chat/completions`."""

    name: Wire = "chat"

    def parse(self, body: bytes) -> ChatRequest:
        return parse_chat(body)

    def answer(self, given: Given, completion: bytes) -> bytes:
        return completion

    def stream(self, given: Given) -> WireStream:
        return _UNCHANGED

    def error(self, error: RondoError) -> bytes:
        return error_body(error)


class _Unchanged:
    def begin(self) -> bytes:
        return b""

    def event(self, event: bytes) -> bytes:
        return event

    def end(self) -> bytes:
        return DONE

    def error(self, error: RondoError) -> bytes:
        return b"data: " + error_body(error) + b"\n\n"


_UNCHANGED = _Unchanged()
