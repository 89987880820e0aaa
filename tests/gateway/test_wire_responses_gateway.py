"""The Responses wire through the gateway: what the provider gets, what is recorded, what goes on from the record."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway_house import House, house, upstream
from responses_wire import body, chunk, events
from scripted_upstream import ScriptedUpstream, whole
from scripted_upstream import events as stream_of

__all__ = ["house", "upstream"]

TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}}\n\n'
DONE = b"data: [DONE]\n\n"


async def ask(house: House, **fields: Any) -> dict[str, Any]:
    """A request through the gateway; the response, or the last of its events."""
    reply = await house.post("/v1/responses", body(**fields))
    if reply.headers["content-type"].startswith("text/event-stream"):
        return events(reply.content)[-1]
    response: dict[str, Any] = reply.json()
    return response


async def test_what_the_provider_gets_and_what_is_recorded(house: House, upstream: ScriptedUpstream) -> None:
    response = await ask(
        house,
        model="echo",
        instructions="Be kind.",
        max_output_tokens=9,
        metadata={"a": "b"},
        user="u",
        store=True,
        previous_response_id=None,
        tools=[TOOL, {"type": "custom", "name": "patch"}],
    )
    sent = upstream.last.json
    assert sent["messages"] == [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "hello"}]
    assert not {"responses", "metadata", "input", "instructions", "store"} & sent.keys()
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["weather", "patch"]
    call = house.call
    assert (call.wire, call.user, call.tags, call.question) == ("responses", "u", {"a": "b"}, "hello")
    assert json.loads(call.input) == sent["messages"]
    assert json.loads(call.params)["responses"] == {"instructions": True, "custom": ["patch"]}
    assert response["id"] == f"resp_{call.trace_id}"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_chain_goes_on_from_the_record(house: House, upstream: ScriptedUpstream, stream: bool) -> None:
    fragments = [{**CALL, "index": 0, "function": {"name": "weather", "arguments": ""}}]
    more = [{"index": 0, "function": {"arguments": "{}"}}]
    chunks = [chunk(content="Wait."), chunk(tool_calls=fragments), chunk(tool_calls=more), chunk("tool_calls")]
    message = {"role": "assistant", "content": "Wait.", "tool_calls": [CALL]}
    plain = {"model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    upstream.plays["echo"] = stream_of([*chunks, USAGE, DONE]) if stream else whole(plain)
    first = await ask(house, model="echo", instructions="Be kind.", tools=[TOOL], stream=stream)
    response = first["response"] if stream else first
    assert [item["type"] for item in response["output"]] == ["message", "function_call"]
    if stream:
        assert first["type"] == "response.completed"
        assert response["usage"]["total_tokens"] == 12
    del upstream.plays["echo"]
    output = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
    second = await ask(house, model="echo", previous_response_id=response["id"], input=[output])
    conversation = [
        {"role": "user", "content": "hello"},
        message,
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]
    assert upstream.last.json["messages"] == conversation
    await ask(house, model="echo", previous_response_id=second["id"], input="And?")
    assert upstream.last.json["messages"][:3] == conversation
    assert [m["role"] for m in upstream.last.json["messages"][3:]] == ["assistant", "user"]
    assert {call.session for call in house.calls[1:]} == {house.calls[0].trace_id}


async def test_an_app_answers_the_last_question(house: House, upstream: ScriptedUpstream) -> None:
    first = await ask(house, model="bot", input="What is it?", instructions="Be brief.")
    await ask(house, model="bot", previous_response_id=first["id"], input=[{"role": "user", "content": "Sure?"}])
    sent = upstream.last.json["messages"]
    assert [m["role"] for m in sent] == ["system", "user", "assistant", "user"]
    assert sent[1]["content"] == "What is it?"
    assert sent[-1]["content"].strip() == "Q: Sure?"


async def test_a_stream_that_breaks_off_is_failed_and_cannot_go_on(house: House, upstream: ScriptedUpstream) -> None:
    upstream.plays["echo"] = stream_of([chunk(content="Hel")], then="cut")
    last = await ask(house, model="echo", stream=True)
    assert (last["type"], last["response"]["status"]) == ("response.failed", "failed")
    refused = await ask(house, model="echo", previous_response_id=last["response"]["id"])
    assert refused["error"]["param"] == "previous_response_id"


async def test_a_key_of_another_project(house: House) -> None:
    first = await ask(house, model="echo")
    house.allow("other", project="q")
    house.model("echo", project="q")
    asked = body(model="echo", previous_response_id=first["id"])
    reply = await house.post("/v1/responses", asked, key="other")
    assert (reply.status_code, reply.json()["error"]["code"]) == (400, "previous_response_not_found")
    assert (await house.post("/v1/responses", asked)).status_code == 200
