"""Anthropic's wire, `POST /v1/messages`: its SDKs work unchanged, whichever provider answers."""

from __future__ import annotations

from rondo.errors import RondoError
from rondo.gateway.request import ChatRequest
from rondo.gateway.wires.base import Given, WireStream
from rondo.gateway.wires.messages_answer import encode, error_fields, message_body
from rondo.gateway.wires.messages_request import parse_messages
from rondo.gateway.wires.messages_stream import MessagesStream
from rondo.records import Wire


class Messages:
    """One wire of those that clients may use."""

    name: Wire = "messages"

    def parse(self, body: bytes) -> ChatRequest:
        return parse_messages(body)

    def answer(self, given: Given, completion: bytes) -> bytes:
        return message_body(given, completion)

    def stream(self, given: Given) -> WireStream:
        return MessagesStream(given)

    def error(self, error: RondoError) -> bytes:
        return encode(error_fields(error))
