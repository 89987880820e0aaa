"""What a client asks, once it is read: the shapes that `wire.py` fills in."""

from __future__ import annotations

from typing import Any

from msgspec import Raw, Struct


class Message(Struct):
    """A chat message, as far as we look into it."""

    role: str
    content: Any = None


class ClientRequest(Struct, kw_only=True):
    """`fields` holds every top-level value as it came; the rest is what Rondo itself reads."""

    fields: dict[str, Raw]
    model: str
    user: str | None = None
    session: str | None = None
    tags: dict[str, str] = {}
    inputs: dict[str, Any] = {}
    stream: bool = False

    @property
    def question(self) -> str:
        """The text that asks; empty where the request has none."""
        return ""


class ChatRequest(ClientRequest, kw_only=True):
    """`models` are tried after `model`, in this order. `wants_usage`: the client asked for a usage event at the end of
    its stream; `choices` is its `n`.

    `extended`: the messages hold fields that only some providers know. `echo` is what the client's own wire needs back
    in its answer, as JSON (the request's own fields in Responses, say).
    """

    messages: list[Message]
    models: list[str] = []
    wants_usage: bool = False
    choices: int = 1
    extended: bool = False
    echo: bytes = b""

    @property
    def question(self) -> str:
        """The text of the last user message."""
        for message in reversed(self.messages):
            if message.role == "user":
                return text_of(message.content)
        return ""


class EmbeddingsRequest(ClientRequest, kw_only=True):
    """The texts to embed stay among the `fields`."""


class AnswerRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """`POST /v1/apps/{app}/answer`. `context`, where given, takes the place of retrieval."""

    question: str = ""
    context: str | list[str] | None = None
    conversation_history: list[Message] = []
    inputs: dict[str, Any] = {}
    user: str | None = None
    session: str | None = None
    metadata: dict[str, str] = {}


class StreamOptions(Struct):
    """A request's `stream_options`, as far as we look into them."""

    include_usage: bool | None = None


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, dict))
        return "\n".join(part for part in parts if isinstance(part, str))
    return ""
