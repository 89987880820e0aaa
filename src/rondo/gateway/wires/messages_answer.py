"""A chat completion as an answer on Anthropic's wire, and what both its forms share. Pure."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from rondo.errors import RondoError
from rondo.gateway.reading import UNREADABLE, read
from rondo.gateway.wire import status_of
from rondo.gateway.wires.base import Given
from rondo.gateway.wires.inside import Choice, Said, ToolCall, completion_of
from rondo.traces.cost import usage_from

_STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_object = msgspec.json.Decoder(dict[str, Raw])
encode = msgspec.json.Encoder().encode


def message_body(given: Given, completion: bytes) -> bytes:
    """The Message. Raises UpstreamCut where the completion is none."""
    answer = completion_of(completion)
    choice = answer.choices[0] if answer.choices else Choice()
    said = choice.message or Said()
    calls = said.calls()
    reason = stop_reason(choice.finish_reason, choice.stopped_at, calls=bool(calls), refused=bool(said.refused))
    return encode(
        {
            **head(given, answer.model),
            "content": _content(given, said, calls),
            "stop_reason": reason,
            "stop_sequence": choice.stopped_at,
            "usage": usage_body(answer.usage),
        }
    )


def _content(given: Given, said: Said, calls: list[ToolCall]) -> list[dict[str, Any]]:
    blocks = [thought_block(block) for block in said.blocks]
    if not blocks and said.thinking:
        blocks.append(thought_block({"type": "thinking", "thinking": said.thinking}))
    if text := said.text or said.refused:
        blocks.append({"type": "text", "text": text})
    for position, call in enumerate(calls):
        call_id = call.id or made_id(given, position)
        blocks.append({"type": "tool_use", "id": call_id, "name": call.name, "input": _input(call.arguments)})
    return blocks


def _input(arguments: str) -> dict[str, Any]:
    """The arguments as an object. A model can write some that are none: the client gets them as they are, as text."""
    if not arguments.strip():
        return {}
    try:
        return read(_object, arguments.encode("utf-8", "replace"))
    except UNREADABLE:
        return {"arguments": arguments}


def head(given: Given, model: str | None) -> dict[str, Any]:
    """What every Message begins with. Its id leads to the trace."""
    return {
        "id": f"msg_{given.trace_id}",
        "type": "message",
        "role": "assistant",
        "model": model or given.request.model,
    }


def made_id(given: Given, position: int) -> str:
    """For a call that its server gave no id, or one that another call has."""
    return f"toolu_{given.trace_id}_{position}"


def thought_block(block: dict[str, str]) -> dict[str, Any]:
    """Another model's thoughts have no signature, and get an empty one: clients insist on the field."""
    if block.get("type") == "redacted_thinking":
        return {"type": "redacted_thinking", "data": block.get("data", "")}
    return {"type": "thinking", "thinking": block.get("thinking", ""), "signature": block.get("signature", "")}


def stop_reason(finish: str | None, sequence: str | None, *, calls: bool, refused: bool) -> str:
    """Some servers say `stop` although they call tools."""
    if finish in (None, "stop"):
        if calls:
            return "tool_use"
        if refused:
            return "refusal"
        return "end_turn" if sequence is None else "stop_sequence"
    return _STOP_REASONS.get(finish, "end_turn")


def usage_body(usage: dict[str, Any] | None) -> dict[str, Any]:
    """Tokens in Anthropic's buckets: `input_tokens` are those that the cache had nothing to do with."""
    used = usage_from(usage or {})
    body: dict[str, Any] = {
        "input_tokens": used.input,
        "cache_creation_input_tokens": used.cache_write,
        "cache_read_input_tokens": used.cache_read,
        "output_tokens": used.output + used.reasoning,
    }
    if used.reasoning:
        body["output_tokens_details"] = {"thinking_tokens": used.reasoning}
    return body


def error_fields(error: RondoError, trace_id: str | None = None) -> dict[str, Any]:
    """The error in Anthropic's form; `details` has our own word for it, and the field."""
    status = status_of(error)
    kind = _ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
    details = {"error_code": error.code, **({} if error.param is None else {"param": error.param})}
    return {
        "type": "error",
        "error": {"type": kind, "message": str(error), "details": details},
        "request_id": error.trace_id or trace_id,
    }
