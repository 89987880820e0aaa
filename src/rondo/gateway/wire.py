"""OpenAI's wire: requests in, errors out. One parse per request; values pass through as the bytes they came in."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from rondo.errors import BudgetExceeded, InvalidRequest, RondoError, UpstreamError
from rondo.gateway.reading import UNREADABLE, read
from rondo.gateway.request import AnswerRequest, ChatRequest, EmbeddingsRequest, Message, StreamOptions

OWN_FIELDS = frozenset(("inputs", "session", "models", "route", "responses"))
"""Request fields that are Rondo's, and go to no provider. `responses` is what only that wire has a word for."""

MOST_MODELS = 10
"""How many models a request may name to be tried in turn."""

STATUS: dict[str, int] = {
    "invalid_request": 400,
    "invalid_settings": 400,
    "previous_response_not_found": 400,
    "too_large": 413,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "gate_closed": 409,
    "unservable": 409,
    "unavailable": 503,
    "overloaded": 503,
    "rate_limited": 429,
    "budget_exceeded": 429,
    "upstream_error": 502,
    "upstream_timeout": 504,
    "upstream_unreachable": 502,
    "upstream_cut": 502,
}
"""HTTP status of an error's code; anything else is 500."""

KEY_REFUSED = (401, 403, 407)
"""Statuses by which a provider refuses the server's key."""

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


_FOREIGN = b'"thinking_blocks"'
"""What a client sends back of an answer by Claude, and a provider of OpenAI's dialect would refuse."""

_fields = msgspec.json.Decoder(dict[str, Raw])
_string = msgspec.json.Decoder(str)
_optional_string = msgspec.json.Decoder(str | None)
_optional_strings = msgspec.json.Decoder(list[str] | None)
_optional_int = msgspec.json.Decoder(int | None)
_optional_bool = msgspec.json.Decoder(bool | None)
_messages = msgspec.json.Decoder(list[Message])
_tags = msgspec.json.Decoder(dict[str, Any] | None)
_stream_options = msgspec.json.Decoder(StreamOptions | None)
_answer = msgspec.json.Decoder(AnswerRequest)


def parse_chat(body: bytes) -> ChatRequest:
    """Raises InvalidRequest, naming the field."""
    fields = top_level(body)
    others = models_of(fields) if "models" in fields else []
    request = ChatRequest(
        fields=fields,
        model=others[0] if others and "model" not in fields else read_field(fields, "model", _string),
        messages=read_field(fields, "messages", _messages),
        models=others,
        extended=_FOREIGN in body,
    )
    if not request.messages:
        raise InvalidRequest("`messages` is empty.", remedy="Send at least one message.", param="messages")
    if "stream" in fields:
        request.stream = bool(read_field(fields, "stream", _optional_bool))
    if "stream_options" in fields:
        options = read_field(fields, "stream_options", _stream_options)
        request.wants_usage = bool(options and options.include_usage)
    if "n" in fields:
        request.choices = read_field(fields, "n", _optional_int) or 1
    if "user" in fields:
        request.user = read_field(fields, "user", _optional_string)
    if "session" in fields:
        request.session = read_field(fields, "session", _optional_string)
    if "metadata" in fields:
        request.tags = as_tags(read_field(fields, "metadata", _tags))
    if "inputs" in fields:
        request.inputs = read_field(fields, "inputs", _tags) or {}
    return request


def models_of(fields: dict[str, Raw]) -> list[str]:
    """OpenRouter's list of models, tried in order. Raises InvalidRequest."""
    names = read_field(fields, "models", _optional_strings) or []
    if len(names) > MOST_MODELS:
        raise InvalidRequest(f"`models` has {len(names)} names.", remedy=f"Send at most {MOST_MODELS}.", param="models")
    if "route" in fields and read_field(fields, "route", _optional_string) not in (None, "fallback"):
        raise InvalidRequest("`route` is not known.", remedy='With `models`, it can be "fallback" only.', param="route")
    return names


def parse_embeddings(body: bytes) -> EmbeddingsRequest:
    """Raises InvalidRequest, naming the field."""
    fields = top_level(body)
    request = EmbeddingsRequest(fields=fields, model=read_field(fields, "model", _string))
    if "input" not in fields:
        raise InvalidRequest("`input` is missing.", remedy="Send the text to embed.", param="input")
    if "user" in fields:
        request.user = read_field(fields, "user", _optional_string)
    if "metadata" in fields:
        request.tags = as_tags(read_field(fields, "metadata", _tags))
    return request


def parse_answer(body: bytes) -> AnswerRequest:
    """Raises InvalidRequest, naming the field."""
    try:
        request = read(_answer, body)
    except UNREADABLE as error:
        raise InvalidRequest(f"The request cannot be read: {error}.") from None
    if not request.question and not request.inputs:
        raise InvalidRequest("`question` is missing.", remedy="Send `question`, or `inputs`.", param="question")
    return request


def error_body(error: RondoError) -> bytes:
    """The error in OpenAI's format."""
    status = status_of(error)
    kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    if isinstance(error, BudgetExceeded):
        kind = "insufficient_quota"
    return msgspec.json.encode(
        {"error": {"message": str(error), "type": kind, "param": error.param, "code": error.code}}
    )


def status_of(error: RondoError) -> int:
    """The HTTP status a client sees; a provider's own 4xx is passed on."""
    if isinstance(error, UpstreamError) and error.status is not None and passes_on(error.status):
        return error.status
    return STATUS.get(error.code, 500)


def passes_on(status: int) -> bool:
    """Whether a provider's error is the client's to see: its own fault, or a limit; never a refusal of our key."""
    return 400 <= status < 500 and status not in KEY_REFUSED


def top_level(body: bytes) -> dict[str, Raw]:
    """The values of a body, by field, as they came. Raises InvalidRequest."""
    try:
        fields = read(_fields, body)
        if not body.isascii():
            str(body, "utf-8")  # values that nobody looks into are not decoded, but they are recorded
        return fields
    except UNREADABLE as error:
        raise InvalidRequest(f"The body is not a JSON object: {error}.") from None


def read_field(fields: dict[str, Raw], name: str, decoder: msgspec.json.Decoder[Any]) -> Any:
    """One value, as the decoder's type. Raises InvalidRequest, naming the field."""
    raw = fields.get(name)
    if raw is None:
        raise InvalidRequest(f"`{name}` is missing.", param=name)
    try:
        return read(decoder, raw)
    except UNREADABLE as error:
        raise InvalidRequest(f"`{name}` cannot be read: {error}.", param=name) from None


def as_tags(metadata: dict[str, Any] | None) -> dict[str, str]:
    """`metadata` as tags: every value as text."""
    return {key: value if isinstance(value, str) else str(value) for key, value in (metadata or {}).items()}
