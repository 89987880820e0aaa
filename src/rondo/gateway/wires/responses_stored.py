"""A recorded response, as `GET /v1/responses/{id}` and `.../input_items` give it. Pure.

It is told from the record, which holds the request as a chat completion's: a field that was left to its default then
comes as its default, and one that only OpenAI has a use for (`include`, say) not at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

import msgspec
from msgspec import Raw

from rondo.errors import InvalidRequest
from rondo.gateway.reading import UNREADABLE, read
from rondo.gateway.request import text_of
from rondo.gateway.wires import thinking
from rondo.gateway.wires.inside import said_of
from rondo.gateway.wires.responses_continue import messages_of, output_of, own_of
from rondo.gateway.wires.responses_output import (
    INCOMPLETE,
    Frame,
    Item,
    call_item,
    message_item,
    reasoning_item,
    text_part,
    usage_in,
)
from rondo.gateway.wires.responses_request import Own, echo_of
from rondo.records import Call

_CANCELLED = 499
_encode = msgspec.json.Encoder().encode
_object = msgspec.json.Decoder(dict[str, Any])


def stored_response(call: Call) -> bytes:
    """The response as it was given."""
    frame = Frame(call.answer_id, call.started_at, call.served_model or call.requested_model, _echo(call))
    items = output_of(call) if call.output else []
    done = (call.started_at + round(call.duration_ms * 1_000)) // 1_000_000
    incomplete = INCOMPLETE.get(call.finish_reason or "")
    body: dict[str, Any]
    if call.status == _CANCELLED:
        body = frame.response("cancelled", items)
    elif call.error_code is not None:
        error = {"code": "server_error", "message": call.error_message or call.error_code}
        body = frame.response("failed", items, error=error)
    elif incomplete:
        body = frame.response("incomplete", items, incomplete=incomplete)
    else:
        body = frame.response("completed", items, completed_at=done)
    return _encode({**body, "usage": _usage(call)})


def stored_input(call: Call, query: bytes = b"") -> bytes:
    """The input items of a response; `query` may have `limit` (1 to 100), `order` and `after`.

    With `previous_response_id`, they are those of the whole conversation. Raises InvalidRequest.
    """
    wanted = {name: values[-1] for name, values in parse_qs(query.decode("latin-1")).items()}
    limit, order, after = wanted.get("limit", "20"), wanted.get("order", "desc"), wanted.get("after")
    if not (limit.isascii() and limit.isdigit() and len(limit) < 4 and 1 <= int(limit) <= 100):
        raise InvalidRequest(f"`limit` may not be {limit!r:.20}.", remedy="Use 1 to 100.", param="limit")
    if order not in ("asc", "desc"):
        raise InvalidRequest(f"`order` may not be {order!r:.20}.", remedy="Use asc or desc.", param="order")
    items = list(_input_items(call))
    if order == "desc":
        items.reverse()
    ids = [item["id"] for item in items]
    if after is not None:
        if after not in ids:
            raise InvalidRequest(f"There is no input item {after!r:.100}.", param="after")
        items = items[ids.index(after) + 1 :]
    page = items[: int(limit)]
    return _encode(
        {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else "",
            "last_id": page[-1]["id"] if page else "",
            "has_more": len(page) < len(items),
        }
    )


def _usage(call: Call) -> dict[str, Any] | None:
    if call.input_tokens is None or call.output_tokens is None:
        return None
    read_, written, thought = call.cache_read_tokens or 0, call.cache_write_tokens or 0, call.reasoning_tokens or 0
    return usage_in(call.input_tokens + read_ + written, read_, written, call.output_tokens + thought, thought)


def _echo(call: Call) -> bytes:
    """The request's fields, from those that the provider was sent."""
    params, own = _decode(_object, call.params, {}), own_of(call)
    given: dict[str, Any] = {name: value for name, value in params.items() if value is not None}
    given |= {"store": own.store, "metadata": call.tags, "user": call.user}
    if own.previous_response_id is not None:
        given["previous_response_id"] = own.previous_response_id
    if own.instructions:
        given["instructions"] = text_of(_messages(call)[0].get("content"))
    if "max_completion_tokens" in params:
        given["max_output_tokens"] = params["max_completion_tokens"]
    given["reasoning"] = {"effort": params.get("reasoning_effort"), "summary": own.summary}
    given["text"] = _text(params)
    given["tools"] = _tools(params.get("tools"), own)
    choice = params.get("tool_choice")
    if isinstance(choice, dict) and isinstance(function := choice.get("function"), dict):
        kind = "custom" if function.get("name") in own.custom else "function"
        given["tool_choice"] = {"type": kind, "name": function.get("name")}
    return echo_of({name: Raw(_encode(value)) for name, value in given.items()})


def _text(params: Mapping[str, Any]) -> dict[str, Any]:
    wanted = params.get("response_format")
    form: dict[str, Any] = {"type": "text"}
    if isinstance(wanted, dict):
        schema = wanted.get("json_schema")
        form = {"type": wanted.get("type"), **(schema if isinstance(schema, dict) else {})}
    verbosity = params.get("verbosity")
    return {"format": form, "verbosity": verbosity} if verbosity else {"format": form}


def _tools(tools: Any, own: Own) -> list[dict[str, Any]]:
    functions = [tool["function"] for tool in tools or () if isinstance(tool, dict) and "function" in tool]
    return [
        {"type": "custom", "name": function["name"], "description": function.get("description")}
        if function.get("name") in own.custom
        else {"type": "function", "parameters": None, "strict": None, **function}
        for function in functions
        if isinstance(function, dict)
    ]


def _input_items(call: Call) -> Iterator[Item]:
    own = own_of(call)
    messages = _messages(call)[int(own.instructions) :]
    items = (item for message in messages for item in _items(call.answer_id, message, own))
    for place, item in enumerate(items):
        prefix, _, _ = item["id"].partition("_")
        yield {**item, "id": f"{prefix}_{call.answer_id}_in{place}"}


def _items(trace_id: str, message: dict[str, Any], own: Own) -> Iterator[Item]:
    """A message of the record as input items; their ids are not theirs yet."""
    role, content = message.get("role"), message.get("content")
    if role == "tool":
        parts = [_part(part) for part in content] if isinstance(content, list) else content
        answered = {"call_id": message.get("tool_call_id"), "output": parts, "status": "completed"}
        yield {"id": "fco_", "type": "function_call_output", **answered}
    elif role == "assistant":
        yield from _answer(trace_id, message, own)
    else:
        parts = [_part(part) for part in content] if isinstance(content, list) else [_part({"text": content})]
        yield {"id": "msg_", "type": "message", "role": role, "status": "completed", "content": parts}


def _answer(trace_id: str, message: dict[str, Any], own: Own) -> Iterator[Item]:
    said = said_of(_encode(message).decode())
    if said.thinking or said.blocks:
        yield reasoning_item("rs_", [said.thinking] if said.thinking else [], thinking.wrap(said.blocks))
    if said.text or said.refused:
        refusal = [{"type": "refusal", "refusal": said.refused}] if said.refused else []
        yield message_item(trace_id, [*([text_part(said.text)] if said.text else []), *refusal])
    for one in said.calls():
        yield call_item(trace_id, one, own.custom)


def _part(part: Any) -> dict[str, Any]:
    """A part of a message in this wire's words."""
    if not isinstance(part, dict):
        return {"type": "input_text", "text": ""}
    if isinstance(image := part.get("image_url"), dict):
        detail = image.get("detail") or "auto"
        return {"type": "input_image", "image_url": image.get("url"), "file_id": None, "detail": detail}
    if isinstance(file := part.get("file"), dict):
        return {"type": "input_file", **file}
    if part.get("type") == "input_audio":
        return part
    return {"type": "input_text", "text": part.get("text") or ""}


def _messages(call: Call) -> Sequence[dict[str, Any]]:
    return [_decode(_object, bytes(raw), {}) for raw in messages_of(call)]


def _decode(decoder: msgspec.json.Decoder[Any], text: str | bytes, otherwise: Any) -> Any:
    try:
        return read(decoder, text.encode() if isinstance(text, str) else text)
    except UNREADABLE:
        return otherwise
