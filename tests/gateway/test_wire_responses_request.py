"""Requests of the Responses wire: what they become inside."""

from __future__ import annotations

import json
from typing import Any

import pytest

from responses_wire import TRACE, body
from rondo.gateway.wire import OWN_FIELDS
from rondo.gateway.wires import thinking
from rondo.gateway.wires.responses_request import parse_responses

CALL = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Oslo"}'}
CHAT_CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
WEATHER = {"type": "function", "name": "weather", "description": "d", "parameters": {"type": "object"}, "strict": True}
CHAT_WEATHER = {
    "type": "function",
    "function": {"name": "weather", "description": "d", "parameters": {"type": "object"}, "strict": True},
}
PATCH = {"type": "custom", "name": "patch", "description": "p"}


def parsed(**fields: Any) -> dict[str, Any]:
    """The fields inside, as JSON."""
    request = parse_responses(body(**fields))
    return {name: json.loads(bytes(raw)) for name, raw in request.fields.items()}


def messages(*items: Any, **fields: Any) -> Any:
    return parsed(input=list(items), **fields)["messages"]


def test_a_text_is_a_users_message() -> None:
    request = parse_responses(body(instructions="Be kind."))
    assert json.loads(bytes(request.fields["messages"])) == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "hello"},
    ]
    assert [(m.role, m.content) for m in request.messages] == [("system", "Be kind."), ("user", "hello")]
    assert (request.model, request.question, request.stream, request.wants_usage) == ("m", "hello", False, False)


@pytest.mark.parametrize(
    ("part", "inside"),
    [
        ({"type": "input_text", "text": "hi"}, {"type": "text", "text": "hi"}),
        ({"type": "output_text", "text": "hi"}, {"type": "text", "text": "hi"}),
        (
            {"type": "input_text", "text": "hi", "prompt_cache_breakpoint": {"mode": "explicit"}},
            {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}},
        ),
        (
            {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}},
        ),
        (
            {"type": "input_image", "image_url": "https://x/y.png", "file_id": None},
            {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        ),
        (
            {"type": "input_file", "file_data": "data:application/pdf;base64,AA", "filename": "a.pdf"},
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA", "filename": "a.pdf"}},
        ),
        ({"type": "input_file", "file_id": "file-1"}, {"type": "file", "file": {"file_id": "file-1"}}),
        (
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
            {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
        ),
    ],
)
def test_parts_of_a_message(part: Any, inside: Any) -> None:
    assert messages({"role": "user", "content": [part]}) == [{"role": "user", "content": [inside]}]
    assert parse_responses(body(input=[{"role": "user", "content": [part]}])).extended == ("cache_control" in inside)


@pytest.mark.parametrize("role", ["user", "system", "developer"])
def test_roles_stay(role: str) -> None:
    assert messages({"type": "message", "role": role, "content": "x"}) == [{"role": role, "content": "x"}]


def test_one_turn_of_the_assistant_is_one_message() -> None:
    blocks = [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "redacted_thinking", "data": "d"}]
    request = parse_responses(
        body(
            input=[
                {"role": "user", "content": "hello"},
                {
                    "type": "reasoning",
                    "id": "rs_1",
                    "summary": [{"type": "summary_text", "text": "hm"}],
                    "encrypted_content": thinking.wrap(blocks),
                },
                {
                    "type": "message",
                    "id": "msg_1",
                    "role": "assistant",
                    "status": "completed",
                    "content": [{"type": "output_text", "text": "One moment.", "annotations": [], "logprobs": []}],
                },
                CALL,
                {**CALL, "call_id": "c2"},
                OUTPUT,
                {**OUTPUT, "call_id": "c2"},
                {"role": "assistant", "content": "It is sunny."},
                {"role": "assistant", "content": [{"type": "refusal", "refusal": "No more."}]},
            ]
        )
    )
    assert json.loads(bytes(request.fields["messages"])) == [
        {"role": "user", "content": "hello"},
        {
            "role": "assistant",
            "content": "One moment.",
            "reasoning_content": "hm",
            "thinking_blocks": blocks,
            "tool_calls": [CHAT_CALL, {**CHAT_CALL, "id": "c2"}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "tool", "tool_call_id": "c2", "content": "sunny"},
        {"role": "assistant", "content": "It is sunny."},
        {"role": "assistant", "content": None, "refusal": "No more."},
    ]
    assert request.extended


def test_text_after_a_call_stays_before_its_result() -> None:
    said = {"role": "assistant", "content": "Wait."}
    assert messages(CALL, said, OUTPUT) == [
        {"role": "assistant", "content": "Wait.", "tool_calls": [CHAT_CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
    ]


def test_the_signature_of_a_call_comes_back_to_it() -> None:
    kept = thinking.wrap(extra_content={"c1": thinking.ExtraContent(thinking.Google("sig"))})
    calls = messages(CALL, {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": kept}, OUTPUT)
    assert calls[0]["tool_calls"] == [{**CHAT_CALL, "extra_content": {"google": {"thought_signature": "sig"}}}]


def test_a_thought_that_led_to_nothing_is_left_out() -> None:
    thought = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]}
    assert messages(thought, {"role": "user", "content": "x"}) == [{"role": "user", "content": "x"}]


def test_a_thought_after_an_answer_begins_the_next() -> None:
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    assert messages({"role": "assistant", "content": "One."}, thought, CALL, OUTPUT)[:2] == [
        {"role": "assistant", "content": "One."},
        {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [CHAT_CALL]},
    ]


def test_open_models_thoughts_are_read_from_content() -> None:
    thought = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    assert messages(thought, CALL, OUTPUT)[0]["reasoning_content"] == "hm"


def test_a_tools_output_may_hold_images() -> None:
    parts = [{"type": "input_text", "text": "a"}, {"type": "input_image", "image_url": "https://x/y.png"}]
    request = parse_responses(body(input=[CALL, {**OUTPUT, "output": parts}]))
    assert json.loads(bytes(request.fields["messages"]))[1]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
    ]
    assert request.extended


def test_custom_tools_are_functions_inside() -> None:
    inside = parsed(
        tools=[PATCH],
        tool_choice={"type": "custom", "name": "patch"},
        input=[
            {"type": "custom_tool_call", "call_id": "c1", "name": "patch", "input": 'a "b"'},
            {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"},
        ],
    )
    (tool,) = inside["tools"]
    assert tool["function"]["parameters"]["required"] == ["input"]
    assert inside["tool_choice"] == {"type": "function", "function": {"name": "patch"}}
    (call,) = inside["messages"][0]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"input": 'a "b"'}
    assert inside["responses"] == {"custom": ["patch"]}


@pytest.mark.parametrize(
    ("fields", "inside"),
    [
        ({"max_output_tokens": 7}, {"max_completion_tokens": 7}),
        (
            {"temperature": 0.5, "top_p": 1, "service_tier": "flex"},
            {"temperature": 0.5, "top_p": 1, "service_tier": "flex"},
        ),
        ({"prompt_cache_key": "k", "safety_identifier": "s"}, {"prompt_cache_key": "k", "safety_identifier": "s"}),
        ({"tools": [WEATHER], "tool_choice": "required"}, {"tools": [CHAT_WEATHER], "tool_choice": "required"}),
        (
            {"tools": [WEATHER], "tool_choice": {"type": "function", "name": "weather"}},
            {"tools": [CHAT_WEATHER], "tool_choice": {"type": "function", "function": {"name": "weather"}}},
        ),
        (
            {
                "tools": [WEATHER, {"type": "function", "name": "other"}],
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "required",
                    "tools": [{"type": "function", "name": "weather"}],
                },
            },
            {"tools": [CHAT_WEATHER], "tool_choice": "required"},
        ),
        ({"tools": [WEATHER], "parallel_tool_calls": True}, {"tools": [CHAT_WEATHER], "parallel_tool_calls": True}),
        ({"tools": [], "tool_choice": "auto", "parallel_tool_calls": True}, {}),
        ({"tool_choice": "none", "parallel_tool_calls": False}, {"tool_choice": "none", "parallel_tool_calls": False}),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": True}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {"a": 1}, "strict": True},
                }
            },
        ),
        (
            {"reasoning": {"effort": "low", "summary": "auto"}},
            {"reasoning_effort": "low", "responses": {"summary": "auto"}},
        ),
        ({"top_logprobs": 2}, {"logprobs": True, "top_logprobs": 2}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True, "top_logprobs": 0}),
        ({"include": ["reasoning.encrypted_content"]}, {}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"stream": False, "stream_options": {"include_obfuscation": False}}, {}),
        ({"store": False}, {"responses": {"store": False}}),
        ({"store": True, "truncation": "disabled", "background": False, "max_tool_calls": 3}, {}),
        ({"metadata": {"a": "b"}}, {}),
        ({"user": "u"}, {"user": "u"}),
        ({"inputs": {"a": 1}, "session": "s"}, {"inputs": {"a": 1}, "session": "s"}),
        ({"temperature": None, "tools": None, "instructions": None, "previous_response_id": None}, {}),
        ({"seed": 1, "x_vendor": {"deep": [1.0]}}, {"seed": 1, "x_vendor": {"deep": [1.0]}}),
    ],
)
def test_fields(fields: Any, inside: Any) -> None:
    made = parsed(**fields)
    assert {name: value for name, value in made.items() if name not in ("model", "messages")} == inside


def test_what_rondo_reads() -> None:
    request = parse_responses(body(user="u", metadata={"a": "b"}, inputs={"c": 1}, session="s", stream=True))
    assert (request.user, request.tags, request.inputs, request.session) == ("u", {"a": "b"}, {"c": 1}, "s")
    assert request.stream
    assert request.wants_usage
    assert parse_responses(body(safety_identifier="s")).user == "s"


def test_what_only_this_wire_knows_goes_to_no_provider() -> None:
    assert "responses" in OWN_FIELDS


def test_what_a_request_needs() -> None:
    other = "0" * 32
    request = parse_responses(
        body(
            previous_response_id=f"resp_{TRACE}",
            input=[
                OUTPUT,
                {"type": "item_reference", "id": f"fc_{other}_0"},
                {"id": f"rs_{other}"},
                {"id": "msg_elsewhere"},
            ],
        )
    )
    assert request.needs == (TRACE, other)
    assert request.references == (f"fc_{other}_0", f"rs_{other}", "msg_elsewhere")
    assert request.awaited == ("c1",)


def test_schemas_pass_as_they_came() -> None:
    data = b'{"model":"m","input":"x","tools":[{"type":"function","name":"f","parameters":{"a":1.0,"b":1e5}}]}'
    assert b'{"a":1.0,"b":1e5}' in bytes(parse_responses(data).fields["tools"])


def test_half_a_surrogate_pair_is_mended() -> None:
    request = parse_responses(
        b'{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"a\\ud83d"}]}]}'
    )
    assert request.question == "a�"
