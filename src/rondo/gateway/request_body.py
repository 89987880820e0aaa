"""The request that a provider gets, built from the client's own values, byte for byte. Pure.

For a model by name, the client's fields win over the model's defaults. For an app, the release's win over the
client's: what was evaluated is what is served.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from rondo.gateway.plan import ServedRelease
from rondo.gateway.reading import read
from rondo.gateway.request import ChatRequest, Message, text_of
from rondo.gateway.wire import OWN_FIELDS
from rondo.prompts.render import context_of
from rondo.providers.base import ModelSpec
from rondo.records import Chunk

_encode = msgspec.json.Encoder().encode
_conversation_decoder = msgspec.json.Decoder(list[dict[str, Any]])
_INCLUDE_USAGE = Raw(b'{"include_usage":true}')


class Terms(Struct, frozen=True):
    """How a request is sent: `ask_usage` at the end of a stream, with the `bound` of its answer (field and value).

    `translated`: it came by another wire than chat completions.
    """

    ask_usage: bool = False
    bound: tuple[str, int] | None = None
    translated: bool = False


AS_IT_IS = Terms()


def for_model(fields: dict[str, Raw], spec: ModelSpec, terms: Terms = AS_IT_IS) -> bytes:
    """The client's request with the provider's model id in place of the name."""
    kept = _kept(fields, spec, terms)
    body: dict[str, Any] = {**spec.params, **kept, "model": spec.model}
    if terms.ask_usage:
        body["stream_options"] = _with_usage(fields)
    if terms.bound is not None:
        body[terms.bound[0]] = terms.bound[1]
    return _encode(body)


def for_release(
    request: ChatRequest, release: ServedRelease, spec: ModelSpec, rendered: bytes, terms: Terms = AS_IT_IS
) -> bytes:
    """The release's request: rendered messages, frozen params; tags stay here."""
    kept = {name: value for name, value in _kept(request.fields, spec, terms).items() if name != "metadata"}
    frozen = {name: Raw(encoded) for name, encoded in release.params.items()}
    body: dict[str, Any] = {**kept, **frozen, **spec.params, "model": spec.model, "messages": Raw(rendered)}
    if request.stream:
        body["stream"] = True
        if not request.wants_usage:
            body["stream_options"] = _with_usage(request.fields)
    if terms.bound is not None:
        body[terms.bound[0]] = terms.bound[1]
    return _encode(body)


def _kept(fields: dict[str, Raw], spec: ModelSpec, terms: Terms) -> dict[str, Raw]:
    """What of the client's fields goes to the provider.

    OpenAI's own models want `max_completion_tokens`, which other wires are translated to; most others only know
    `max_tokens`.
    """
    kept = fields
    if not OWN_FIELDS.isdisjoint(fields) or terms.translated:
        kept = {name: value for name, value in fields.items() if name not in OWN_FIELDS}
    if terms.translated and "max_completion_tokens" in kept and spec.provider not in ("openai", "azure"):
        kept["max_tokens"] = kept.pop("max_completion_tokens")
    return kept


def messages(release: ServedRelease, request: ChatRequest, chunks: Sequence[Chunk]) -> list[dict[str, Any]]:
    """The prompt's system part and examples, then the conversation, its last question rendered by the prompt.

    A conversation that ends in something else (a tool's result, say) goes on as it is, behind the system part.
    Raises InvalidRequest where a variable is missing or of the wrong type.
    """
    given = _conversation(request)
    last = given[-1]
    asks = last.get("role") == "user"
    history = given[:-1] if asks else given
    rendered: list[dict[str, Any]] = list(
        release.template.messages(
            {
                "question": request.question,
                "context": context_of(chunks),
                "history": [{"role": m.role, "content": text_of(m.content)} for m in request.messages[:-1]],
                "hand_over": release.hand_over,
                "inputs": request.inputs,
            }
        )
    )
    head, user = rendered[:-1], rendered[-1]
    if not asks:
        return [*head, *history]
    if isinstance(last.get("content"), list):
        others = [part for part in last["content"] if not (isinstance(part, dict) and part.get("type") == "text")]
        user = {**user, "content": [{"type": "text", "text": user["content"]}, *others]}
    return [*head, *history, user]


def with_messages(rendered: bytes, more: Sequence[dict[str, Any]]) -> bytes:
    """Rendered messages with further ones behind them."""
    return rendered[:-1] + b"," + _encode(more)[1:]


def _conversation(request: ChatRequest) -> list[dict[str, Any]]:
    """The client's messages with all their fields (names, tool calls, images)."""
    raw = request.fields.get("messages")
    if raw is None:
        return [{"role": m.role, "content": m.content} for m in request.messages]
    return read(_conversation_decoder, raw)


def _with_usage(fields: dict[str, Raw]) -> Any:
    raw = fields.get("stream_options")
    options = msgspec.json.decode(raw) if raw is not None else None
    return {**options, "include_usage": True} if options else _INCLUDE_USAGE


def as_chat(question: str, history: Sequence[Message], model: str, **rest: Any) -> ChatRequest:
    """A chat request made from the parts of `POST /v1/apps/{app}/answer`."""
    messages = [*history, Message("user", question)]
    return ChatRequest(fields={"messages": Raw(_encode(messages))}, model=model, messages=messages, **rest)
