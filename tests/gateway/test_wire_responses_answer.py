"""Whole answers of the Responses wire, checked against the SDK's types."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import Response

from responses_wire import CREATED, TRACE, WIRE, answered, body, completion, given
from rondo.errors import InvalidRequest, UpstreamCut
from rondo.gateway.wires.inside import completion_of
from rondo.gateway.wires.responses_request import parse_responses

CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 50,
    "total_tokens": 150,
    "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
    "completion_tokens_details": {"reasoning_tokens": 20},
}


def test_text() -> None:
    response = answered(completion(content="Hello", usage=USAGE))
    assert response["id"] == f"resp_{TRACE}"
    assert (response["status"], response["model"], response["created_at"]) == ("completed", "served", CREATED // 10**6)
    assert response["completed_at"] > response["created_at"]
    assert response["output"] == [
        {
            "id": f"msg_{TRACE}",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}],
        }
    ]
    assert response["usage"] == {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 20},
        "total_tokens": 150,
    }
    assert Response.model_validate(response).output_text == "Hello"


def test_unknown_usage_is_null() -> None:
    assert answered(completion(content="x"))["usage"] is None
    assert answered(completion(content="x", usage={"prompt_tokens": None}))["usage"] is None


def test_what_the_client_did_not_say_is_the_default() -> None:
    response = answered(completion(content="x"))
    assert (response["tools"], response["tool_choice"], response["parallel_tool_calls"]) == ([], "auto", True)
    assert (response["store"], response["truncation"], response["background"]) == (True, "disabled", False)
    assert (response["metadata"], response["text"]) == ({}, {"format": {"type": "text"}})
    for name in ("error", "incomplete_details", "instructions", "previous_response_id", "temperature", "user"):
        assert response[name] is None


def test_what_the_client_said_comes_back_as_it_came() -> None:
    said: dict[str, Any] = {
        "instructions": "Be kind.",
        "max_output_tokens": 100,
        "metadata": {"a": "b"},
        "reasoning": {"effort": "low"},
        "temperature": 0.5,
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": "low"},
        "tool_choice": {"type": "function", "name": "f"},
        "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}],
        "parallel_tool_calls": False,
        "store": False,
        "top_p": 0.9,
        "user": "u",
        "prompt_cache_key": "k",
    }
    response = answered(completion(content="x"), **said)
    assert {name: response[name] for name in said} == said


def test_thinking_calls_and_text() -> None:
    blocks = [{"type": "thinking", "thinking": "hm", "signature": "s"}]
    response = answered(
        completion(
            "tool_calls", content="Wait.", reasoning_content="hm", thinking_blocks=blocks, tool_calls=[CALL, CALL]
        )
    )
    thought, message, first, second = response["output"]
    assert thought["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert thought["encrypted_content"].startswith("rondo1.")
    assert message["content"][0]["text"] == "Wait."
    assert first == {
        "id": f"fc_{TRACE}_0",
        "type": "function_call",
        "status": "completed",
        "call_id": "c1",
        "name": "weather",
        "arguments": '{"city":"Oslo"}',
    }
    assert second["id"] == f"fc_{TRACE}_1"
    assert response["status"] == "completed"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_either_name_of_thinking(name: str) -> None:
    response = answered(completion(content="x", **{name: "hm"}))
    assert [item["type"] for item in response["output"]] == ["reasoning", "message"]
    assert response["output"][0]["encrypted_content"] is None


def test_what_a_client_gets_it_can_send_back() -> None:
    """Statelessly: the output items, sent as input, are the message that they came from."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "Wait.",
        "reasoning_content": "hm",
        "thinking_blocks": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "redacted_thinking", "data": "d"},
        ],
        "tool_calls": [{**CALL, "extra_content": {"google": {"thought_signature": "sig"}}}, {**CALL, "id": "c2"}],
    }
    output = answered(completion("tool_calls", **message))["output"]
    assert [item["type"] for item in output] == ["reasoning", "message", "function_call", "function_call", "reasoning"]
    again = parse_responses(
        body(input=[*output, *({"type": "function_call_output", "call_id": i, "output": "x"} for i in ("c1", "c2"))])
    )
    assert json.loads(bytes(again.fields["messages"]))[0] == message


def test_a_custom_tool_gets_its_text() -> None:
    tools = [{"type": "custom", "name": "patch"}, {"type": "function", "name": "weather"}]
    calls = [
        {"id": "c1", "type": "function", "function": {"name": "patch", "arguments": '{"input":"a \\"b\\""}'}},
        {"id": "c2", "type": "function", "function": {"name": "patch", "arguments": "no JSON"}},
        {**CALL, "id": "c3"},
    ]
    output = answered(completion("tool_calls", tool_calls=calls), tools=tools)["output"]
    assert [item["type"] for item in output] == ["custom_tool_call", "custom_tool_call", "function_call"]
    assert [item.get("input") for item in output] == ['a "b"', "no JSON", None]


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_incomplete(finish: str, reason: str) -> None:
    response = answered(completion(finish, content="Hel", reasoning_content="hm"))
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]
    assert response["completed_at"] is None


def test_a_thought_cut_short_is_all_there_is() -> None:
    (item,) = answered(completion("length", reasoning_content="hm"))["output"]
    assert (item["type"], item["status"]) == ("reasoning", "incomplete")


def test_refusal() -> None:
    (item,) = answered(completion(refusal="No."))["output"]
    assert item["content"] == [{"type": "refusal", "refusal": "No."}]


def test_nothing_said_is_an_empty_message() -> None:
    assert answered(completion())["output"][0]["content"][0]["text"] == ""
    assert answered(b'{"choices":[]}')["output"][0]["content"][0]["text"] == ""


def test_log_probabilities() -> None:
    data = json.loads(completion(content="Hi"))
    data["choices"][0]["logprobs"] = {
        "content": [{"token": "Hi", "logprob": -0.1, "bytes": None, "top_logprobs": [{"token": "Ho", "logprob": -2.0}]}]
    }
    response = answered(json.dumps(data).encode(), top_logprobs=1)
    assert response["output"][0]["content"][0]["logprobs"] == [
        {
            "token": "Hi",
            "logprob": -0.1,
            "bytes": [72, 105],
            "top_logprobs": [{"token": "Ho", "logprob": -2.0, "bytes": [72, 111]}],
        }
    ]


@pytest.mark.parametrize(
    "message",
    [
        {"content": [{"type": "text", "text": "Hello"}]},
        {"content": "Hello", "tool_calls": None, "refusal": None, "reasoning_content": None, "annotations": []},
        {"content": "Hello", "tool_calls": "none", "thinking_blocks": {"a": 1}, "reasoning": 7, "refusal": []},
        {"content": "Hello", "tool_calls": [7, None], "thinking_blocks": [7, None]},
    ],
)
def test_odd_corners_cost_only_themselves(message: Any) -> None:
    (item,) = answered(completion(**message))["output"]
    assert item["content"][0]["text"] == "Hello"


def test_odd_calls() -> None:
    calls = [{"function": {"name": "f", "arguments": {"a": 1}}}, {"id": 7, "function": None}]
    first, second = answered(completion("tool_calls", tool_calls=calls))["output"]
    assert (first["call_id"], first["arguments"]) == (f"call_{TRACE}_0", '{"a":1}')
    assert (second["call_id"], second["name"]) == (f"call_{TRACE}_1", "")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"choices":7}'])
def test_what_is_no_completion_is_the_providers_fault(data: bytes) -> None:
    with pytest.raises(UpstreamCut):
        WIRE.answer(given(), data)


def test_errors_are_openais() -> None:
    error = json.loads(WIRE.error(InvalidRequest("Wrong.", param="input")))
    assert error["error"] == {
        "message": "Wrong.",
        "type": "invalid_request_error",
        "param": "input",
        "code": "invalid_request",
    }


def test_an_answer_is_read_once_and_whole() -> None:
    choices = completion_of(completion(content="x")).choices
    assert choices is not None
    assert choices[0].message is not None
