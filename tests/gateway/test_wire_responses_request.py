"""Requests of the Responses wire: what they become inside, and what is refused and how."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from responses_wire import TRACE, body
from rondo.errors import InvalidRequest, PreviousNotFound
from rondo.gateway.wire import OWN_FIELDS
from rondo.gateway.wires import thinking
from rondo.gateway.wires.responses_request import ResponsesRequest, parse_responses

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


def refused(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        parse_responses(body(**fields))
    return raised.value


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
    kept = thinking.wrap(extra_content={"c1": thinking.signature({"google": {"thought_signature": "sig"}})})
    calls = messages(CALL, {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": kept}, OUTPUT)
    assert calls[0]["tool_calls"] == [{**CHAT_CALL, "extra_content": {"google": {"thought_signature": "sig"}}}]


def test_a_thought_that_led_to_nothing_is_left_out() -> None:
    thought = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}]}
    assert messages(thought, {"role": "user", "content": "x"}) == [{"role": "user", "content": "x"}]


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
    wrong = refused(input=[CALL, {**OUTPUT, "output": [{"type": "input_file", "file_id": "f"}]}])
    assert wrong.param == "input[1].output"


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


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": 7}, "input"),
        ({"input": [7]}, "input"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": 7}]}, "input[0].content"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "message", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "video"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "u"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "input[0].content[0].input_audio"),
        ({"input": [{"role": "assistant", "content": [{"type": "input_image"}]}]}, "input[0].content"),
        ({"input": [{"type": "web_search_call", "id": "w"}]}, "input[0].type"),
        ({"input": [{"type": "mcp_list_tools"}]}, "input[0].type"),
        ({"input": [{**CALL, "name": ""}]}, "input[0].name"),
        ({"input": [{**CALL, "call_id": None}]}, "input[0].call_id"),
        ({"input": [{**CALL, "arguments": {"a": 1}}]}, "input"),
        ({"input": [{**OUTPUT, "call_id": ""}]}, "input[0].call_id"),
        ({"input": [OUTPUT]}, "input"),
        ({"input": [{"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}]}, "input[0].encrypted_content"),
        ({"input": [{"type": "reasoning", "encrypted_content": "rondo1.!!"}]}, "input[0].encrypted_content"),
        ({"model": 7}, "model"),
        ({"instructions": ["x"]}, "instructions"),
        ({"background": True}, "background"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"truncation": "auto"}, "truncation"),
        ({"moderation": {"model": "m"}}, "moderation"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
        ({"messages": []}, "messages"),
        ({"max_tokens": 1}, "max_tokens"),
        ({"response_format": {"type": "text"}}, "response_format"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"n": 2}, "n"),
        ({"responses": {"instructions": True}}, "responses"),
        ({"include": ["everything"]}, "include"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"reasoning": {"context": "all_turns"}}, "reasoning.context"),
        ({"text": {"format": {"type": "xml"}}}, "text.format"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{**WEATHER, "defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tools": [{**WEATHER, "async": True}]}, "tools[0].async"),
        ({"tools": [{**WEATHER, "allowed_callers": ["programmatic"]}]}, "tools[0].allowed_callers"),
        ({"tools": [{**PATCH, "format": {"type": "grammar", "syntax": "lark"}}]}, "tools[0].format"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "allowed_tools", "tools": [{"name": "nobody"}]}}, "tool_choice.tools"),
        ({"tool_choice": {"type": "allowed_tools", "tools": []}}, "tool_choice.tools"),
        ({"stream": "yes"}, "stream"),
        ({"store": 1}, "store"),
        ({"user": 7}, "user"),
        ({"metadata": []}, "metadata"),
        ({"inputs": 3}, "inputs"),
        ({"previous_response_id": 7}, "previous_response_id"),
        ({"input": [{"type": "item_reference", "id": f"msg_{n:032x}"} for n in range(33)]}, "input"),
    ],
)
def test_refusals_name_the_field(fields: Any, param: str) -> None:
    assert refused(**fields).param == param


@pytest.mark.parametrize(
    "kind",
    (
        "web_search web_search_preview file_search computer computer_use_preview mcp code_interpreter "
        "image_generation local_shell shell apply_patch namespace tool_search programmatic_tool_calling"
    ).split(),
)
def test_hosted_tools_are_refused_by_name(kind: str) -> None:
    error = refused(tools=[WEATHER, {"type": kind}])
    assert error.param == "tools[1]"
    assert kind in str(error)
    assert "function" in (error.remedy or "")


@pytest.mark.parametrize("name", ["resp_abc", "", f"resp_{TRACE}x", f"msg_{TRACE}", "resp_" + "A" * 32])
def test_ids_that_are_not_ours_are_not_found(name: str) -> None:
    error = refused(previous_response_id=name)
    assert isinstance(error, PreviousNotFound)
    assert (error.code, error.param) == ("previous_response_not_found", "previous_response_id")


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


def test_names_are_not_repeated_at_length() -> None:
    assert len(str(refused(input=[{"type": "x" * 100_000}]))) < 500
    assert len(str(refused(tools=[{"type": "x" * 100_000}]))) < 500
    assert len(str(refused(tool_choice="x" * 100_000))) < 500
    assert len(str(refused(previous_response_id="x" * 100_000))) < 500


def test_schemas_pass_as_they_came() -> None:
    data = b'{"model":"m","input":"x","tools":[{"type":"function","name":"f","parameters":{"a":1.0,"b":1e5}}]}'
    assert b'{"a":1.0,"b":1e5}' in bytes(parse_responses(data).fields["tools"])


def test_half_a_surrogate_pair_is_mended() -> None:
    request = parse_responses(
        b'{"model":"m","input":[{"role":"user","content":[{"type":"input_text","text":"a\\ud83d"}]}]}'
    )
    assert request.question == "a�"


DEEP = b"[" * 5_000 + b"]" * 5_000


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b'{"model":"m","input":"\xff"}',
        b'{"input":' + DEEP * 20 + b"}",
        b'{"model":"m","input":' + DEEP + b"}",
        b'{"model":"m","input":[{"role":"user","content":' + DEEP + b"}]}",
        b'{"model":"m","input":"x","tools":[{"type":"function","name":"f","format":' + DEEP + b"}]}",
        b'{"model":"m","input":"x","metadata":{"a":' + DEEP + b"}}",
    ],
)
def test_hostile_bodies_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_responses(data)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 300) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
kinds = st.sampled_from(["message", "function_call", "function_call_output", "reasoning", "item_reference", "x"])
items = st.fixed_dictionaries(
    {},
    optional={
        "type": kinds,
        "role": st.sampled_from(["user", "assistant", "system", "x"]),
        "content": json_values | st.lists(st.fixed_dictionaries({"type": st.just("input_text"), "text": st.text()})),
        "call_id": st.text(max_size=3) | st.none(),
        "name": st.text(max_size=3),
        "arguments": st.text(max_size=3) | json_values,
        "output": json_values,
        "summary": json_values,
        "encrypted_content": st.text(max_size=3),
        "id": st.text(max_size=3),
    },
)


@given(
    st.fixed_dictionaries(
        {"model": st.just("m"), "input": st.text() | st.lists(items, max_size=4) | json_values},
        optional=dict.fromkeys(
            ("instructions", "tools", "tool_choice", "text", "reasoning", "include", "stream", "metadata"), json_values
        ),
    )
)
def test_any_body_is_read_or_refused(request: dict[str, Any]) -> None:
    """And what is read has its messages twice, alike."""
    with suppress(InvalidRequest):
        read: ResponsesRequest = parse_responses(msgspec.json.encode(request))
        inside = json.loads(bytes(read.fields["messages"]))
        assert [(m["role"], m["content"]) for m in inside] == [(m.role, m.content) for m in read.messages]
        for message in inside:
            assert message["role"] != "assistant" or {"content", "tool_calls", "refusal"} & message.keys()
