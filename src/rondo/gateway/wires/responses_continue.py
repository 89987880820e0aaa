"""A request joined with the earlier response that it continues, from that one's record. Pure.

The record's input is the whole conversation up to there, so one record is enough however long the chain. What guards
took out of a record stays out of what is continued from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from rondo.errors import InvalidRequest, TooLarge
from rondo.gateway.reading import UNREADABLE, read
from rondo.gateway.request import Message
from rondo.gateway.wires.inside import said_of
from rondo.gateway.wires.responses_input import InputItem, as_input, says_nothing
from rondo.gateway.wires.responses_output import call_id, items_of
from rondo.gateway.wires.responses_request import Own, ResponsesRequest, call_not_found, parse_responses
from rondo.records import Call


class _Params(Struct):
    responses: Own = msgspec.field(default_factory=Own)


class _CallId(Struct):
    id: str = ""


class _Calling(Struct):
    tool_calls: list[_CallId] | None = None


_encode = msgspec.json.Encoder().encode
_params = msgspec.json.Decoder(_Params)
_raws = msgspec.json.Decoder(list[Raw])
_messages = msgspec.json.Decoder(list[Message])
_calling = msgspec.json.Decoder(list[_Calling])


def continue_from(request: ResponsesRequest, earlier: Call, *, max_bytes: int) -> ResponsesRequest:
    """The request with the earlier conversation before its own messages.

    The earlier `instructions` are not carried over, as in OpenAI's API. Where the client names no session, the chain is
    one: its first call's trace. Raises InvalidRequest; TooLarge where the whole is above `max_bytes`.
    """
    before = messages_of(earlier)
    if own_of(earlier).instructions:
        before = before[1:]
    answer = _as_message(earlier)
    answered = [] if says_nothing(answer) else [Raw(_encode(answer))]
    _check_calls(request.awaited, answer, before)
    own = read(_raws, request.fields["messages"])
    head = int(request.own.instructions)
    joined = b"[" + b",".join(bytes(raw) for raw in (*own[:head], *before, *answered, *own[head:])) + b"]"
    if len(joined) > max_bytes:
        raise TooLarge(
            f"The conversation has grown larger than {max_bytes >> 20} MB.",
            remedy="Begin a new one, or raise `gateway.max_body_mb`.",
            param="previous_response_id",
        )
    return msgspec.structs.replace(
        request,
        fields={**request.fields, "messages": Raw(joined)},
        messages=_messages.decode(joined),
        extended=True,
        awaited=(),
        session=request.session or earlier.session or earlier.trace_id,
    )


def fill_in(request: ResponsesRequest, earlier: Iterable[Call]) -> ResponsesRequest:
    """The request with the items that it refers to put in. Raises InvalidRequest for one that is not there."""
    known: dict[str, InputItem | None] = dict.fromkeys(request.references)
    there: dict[str, InputItem] = {}
    for call in earlier:
        there.update((item["id"], as_input(item)) for item in output_of(call))
    for item_id in request.references:
        if item_id in there:
            known[item_id] = there[item_id]
        elif not _is_later_thought(item_id, there):
            del known[item_id]
    return parse_responses(request.body, known)


def own_of(call: Call) -> Own:
    """What the record keeps of this wire's own fields."""
    if '"responses"' not in call.params:
        return Own()
    try:
        return _params.decode(call.params).responses
    except UNREADABLE:
        return Own()


def messages_of(call: Call) -> list[Raw]:
    """The messages of a record. Raises InvalidRequest where there are none to read."""
    try:
        return read(_raws, call.input.encode())
    except UNREADABLE:
        raise InvalidRequest(
            "The record of the earlier response has no messages.", param="previous_response_id"
        ) from None


def output_of(call: Call) -> list[dict[str, Any]]:
    """The output items of a recorded answer."""
    return items_of(call.answer_id, said_of(call.output), call.finish_reason, custom=own_of(call).custom)


def _as_message(call: Call) -> dict[str, Any]:
    """The answer as a message of the conversation, without what its provider added of its own."""
    said = said_of(call.output)
    message: dict[str, Any] = {"role": "assistant", "content": said.text or None}
    calls = said.calls()
    if calls:
        message["tool_calls"] = [
            {
                "id": call_id(call.answer_id, one),
                "type": "function",
                "function": {"name": one.name, "arguments": one.arguments},
                **({} if one.extra_content is None else {"extra_content": one.extra_content}),
            }
            for one in calls
        ]
    if said.refused:
        message["refusal"] = said.refused
    if said.thinking:
        message["reasoning_content"] = said.thinking
    if said.blocks:
        message["thinking_blocks"] = said.blocks
    return message


def _check_calls(awaited: tuple[str, ...], answer: Mapping[str, Any], before: list[Raw]) -> None:
    """Each result must have its call: a provider's own words for it would not say what is missing."""
    missing = set(awaited) - {call["id"] for call in answer.get("tool_calls", ())}
    if missing:
        for message in _calling.decode(b"[" + b",".join(bytes(raw) for raw in before) + b"]"):
            missing -= {call.id for call in message.tool_calls or ()}
    if missing:
        raise call_not_found(min(missing))


def _is_later_thought(item_id: str, there: Mapping[str, InputItem]) -> bool:
    """A stream may have had its thinking in several items; the record has it in the first."""
    first, _, _ = item_id.rpartition("_")
    return item_id.startswith("rs_") and first in there
