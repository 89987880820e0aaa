"""The Responses wire seen by OpenAI's own types: what is not theirs fails here."""

from __future__ import annotations

import json
from typing import Any, get_args

import msgspec
from openai.types.responses import Response, ResponseStreamEvent

from rondo.gateway.recall import RecentCalls
from rondo.gateway.wires.base import Given
from rondo.gateway.wires.responses import Responses
from rondo.governance.model import Grant
from rondo.records import Call

TRACE = "01a1fdd435bb7096aa99bdc9400c5ec8"
CREATED = 1_700_000_000_000_000
WIRE = Responses()
GRANT = Grant(project="p", key_id="k", name="k", kind="secret")
_EVENTS = {
    get_args(event.model_fields["type"].annotation)[0]: event for event in get_args(get_args(ResponseStreamEvent)[0])
}


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "input": "hello", **fields}).encode()


def given(**fields: Any) -> Given:
    """A request as the gateway hands it to the wire with its answer."""
    return Given(trace_id=TRACE, created_at=CREATED, request=WIRE.parse(body(**fields)))


def completion(finish_reason: str = "stop", *, usage: Any = None, **message: Any) -> bytes:
    """A whole chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": finish_reason}
    return json.dumps({"model": "served", "choices": [choice], **({"usage": usage} if usage else {})}).encode()


def chunk(finish_reason: str | None = None, **delta: Any) -> bytes:
    """An event of a streamed one."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"model": "served", "choices": [choice]}).encode() + b"\n\n"


def answered(data: bytes, **fields: Any) -> dict[str, Any]:
    """The answer to a request, checked against the SDK's model."""
    response: dict[str, Any] = json.loads(WIRE.answer(given(**fields), data))
    Response.model_validate(response)
    return response


def streamed(chunks: list[bytes], **fields: Any) -> list[dict[str, Any]]:
    """All events of a stream, each checked against the SDK's model of its type."""
    stream = WIRE.stream(given(**fields))
    return events(b"".join([stream.begin(), *(stream.event(one) for one in chunks), stream.end()]))


def events(data: bytes) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for event in data.decode().split("\n\n")[:-1]:
        name, _, text = event.partition("\ndata: ")
        parsed = json.loads(text)
        assert name == f"event: {parsed['type']}"
        _EVENTS[parsed["type"]].model_validate(parsed)
        assert parsed["sequence_number"] == len(found)
        found.append(parsed)
    return found


def recorded(data: bytes, request: Any = None, *, trace_id: str = TRACE, project: str = "p", **more: Any) -> Call:
    """The record of a call: what the gateway writes of a request and a whole completion."""
    asked = WIRE.parse(body()) if request is None else request
    choice = json.loads(data)["choices"][0]
    params = {name: raw for name, raw in asked.fields.items() if name not in ("model", "messages", "stream")}
    fields: dict[str, Any] = {
        "trace_id": trace_id,
        "span_id": "0" * 16,
        "project": project,
        "key_id": "k",
        "wire": "responses",
        "started_at": CREATED,
        "duration_ms": 1500.0,
        "status": 200,
        "finish_reason": choice["finish_reason"],
        "requested_model": asked.model,
        "served_model": "served",
        "user": asked.user,
        "session": asked.session,
        "tags": asked.tags,
        "input": bytes(asked.fields["messages"]).decode(),
        "output": json.dumps(choice["message"]),
        "params": msgspec.json.encode(params).decode(),
        **more,
    }
    return Call(**fields)


class Records:
    """The record store, as the server gives it to the gateway."""

    def __init__(self, *calls: Call) -> None:
        self.calls = {(call.project, call.trace_id): call for call in calls}
        self.asked = 0

    async def look_up(self, project: str, trace_id: str) -> Call | None:
        self.asked += 1
        return self.calls.get((project, trace_id))


def recall(*calls: Call) -> RecentCalls:
    return RecentCalls(Records(*calls).look_up)
