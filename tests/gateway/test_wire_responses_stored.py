"""Stored responses: what a record gives to whoever retrieves it, checked against the SDK's types."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import Response, ResponseItemList

from responses_wire import CREATED, GRANT, TRACE, WIRE, answered, body, completion, recall, recorded
from rondo.errors import InvalidRequest, NotFound
from rondo.gateway.recall import stored
from rondo.gateway.wires.responses_stored import stored_input, stored_response
from rondo.records import Call

OTHER = "0123456789abcdef0123456789abcdef"
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}


def said_and_stored(data: bytes, **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """An answer as it was given, and as its record gives it."""
    usage: dict[str, Any] = {"input_tokens": 30, "output_tokens": 30, "reasoning_tokens": 20}
    call = recorded(data, WIRE.parse(body(**fields)), **usage, cache_read_tokens=60, cache_write_tokens=10)
    again = json.loads(stored_response(call))
    Response.model_validate(again)
    return answered(data, **fields), again


def test_a_stored_response_is_the_one_that_was_given() -> None:
    data = completion(
        "tool_calls",
        content="Wait.",
        reasoning_content="hm",
        tool_calls=[CALL, {**CALL, "function": {"name": "patch", "arguments": '{"input":"a"}'}}],
        usage={
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
            "completion_tokens_details": {"reasoning_tokens": 20},
        },
    )
    given, again = said_and_stored(
        data,
        instructions="Be kind.",
        max_output_tokens=9,
        metadata={"a": "b"},
        reasoning={"effort": "low", "summary": "auto"},
        temperature=0.5,
        text={"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": "low"},
        tools=[
            {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True},
            {"type": "custom", "name": "patch", "description": "d"},
        ],
        tool_choice={"type": "custom", "name": "patch"},
        parallel_tool_calls=False,
        user="u",
        previous_response_id=f"resp_{OTHER}",
    )
    assert again["completed_at"] == CREATED // 10**6 + 1
    assert {**again, "completed_at": 0} == {**given, "completed_at": 0}


def test_a_stored_response_of_defaults() -> None:
    given, again = said_and_stored(completion(content="x"))
    same = ("completed_at", "usage", "reasoning")
    assert {**again, **dict.fromkeys(same)} == {**given, **dict.fromkeys(same)}


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"finish_reason": "length"}, "incomplete"),
        ({"status": 499, "error_code": "client_closed"}, "cancelled"),
        ({"status": 502, "error_code": "upstream_cut", "error_message": "It broke off."}, "failed"),
        ({"status": 502, "error_code": "upstream_cut", "output": ""}, "failed"),
    ],
)
def test_the_status_of_a_stored_response(changes: Any, status: str) -> None:
    response = json.loads(stored_response(recorded(completion(content="Hel"), **changes)))
    Response.model_validate(response)
    assert response["status"] == status
    assert (response["error"] is None) == (status != "failed")


async def test_who_asks_for_a_response_that_is_not_there() -> None:
    for response_id in (f"resp_{OTHER}", "resp_x", "", f"msg_{TRACE}"):
        with pytest.raises(NotFound):
            await stored(response_id, GRANT, recall(recorded(completion(content="x"))))
    assert (await stored(f"resp_{TRACE}", GRANT, recall(recorded(completion(content="x"))))).trace_id == TRACE


def listed(call: Call, query: bytes = b"") -> Any:
    page = json.loads(stored_input(call, query))
    ResponseItemList.model_validate(page)
    return page


def test_input_items() -> None:
    parts = [
        {"type": "input_text", "text": "a"},
        {"type": "input_image", "image_url": "https://x/y.png", "detail": "low"},
        {"type": "input_file", "file_id": "f"},
    ]
    asked: list[Any] = [
        {"role": "user", "content": parts},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"role": "assistant", "content": "Wait."},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"},
        OUTPUT,
        {"role": "user", "content": [{"type": "input_text", "text": "And?"}]},
    ]
    call = recorded(completion(content="x"), WIRE.parse(body(input=asked, instructions="Be kind.")))
    page = listed(call, b"order=asc")
    assert [item["type"] for item in page["data"]] == [
        "message",
        "reasoning",
        "message",
        "function_call",
        "function_call_output",
        "message",
    ]
    assert [part["type"] for part in page["data"][0]["content"]] == ["input_text", "input_image", "input_file"]
    assert len({item["id"] for item in page["data"]}) == 6
    assert not page["has_more"]
    assert listed(call)["data"] == page["data"][::-1]
    again = WIRE.parse(body(input=page["data"], instructions="Be kind."))
    assert json.loads(bytes(again.fields["messages"])) == json.loads(call.input)


def test_pages_of_input_items() -> None:
    call = recorded(
        completion(content="x"), WIRE.parse(body(input=[{"role": "user", "content": str(n)} for n in range(5)]))
    )
    seen: list[str] = []
    query = b"limit=2&order=asc"
    while True:
        page = listed(call, query)
        seen += [item["content"][0]["text"] for item in page["data"]]
        if not page["has_more"]:
            break
        query = b"limit=2&order=asc&after=" + page["last_id"].encode()
    assert seen == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    "query", [b"limit=0", b"limit=101", b"limit=x", b"limit=9999999", b"order=up", b"after=nobody"]
)
def test_wrong_pages(query: bytes) -> None:
    with pytest.raises(InvalidRequest):
        stored_input(recorded(completion(content="x")), query)
