"""What the Responses wire refuses, by name; and bodies that nobody should send."""

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
from rondo.gateway.wires.responses_request import ResponsesRequest, parse_responses

CALL = {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Oslo"}'}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
PATCH = {"type": "custom", "name": "patch"}


def refused(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as raised:
        parse_responses(body(**fields))
    return raised.value


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
        ({"input": [CALL, {**OUTPUT, "output": [{"type": "input_file", "file_id": "f"}]}]}, "input[1].output"),
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


def test_names_are_not_repeated_at_length() -> None:
    assert len(str(refused(input=[{"type": "x" * 100_000}]))) < 500
    assert len(str(refused(tools=[{"type": "x" * 100_000}]))) < 500
    assert len(str(refused(tool_choice="x" * 100_000))) < 500
    assert len(str(refused(previous_response_id="x" * 100_000))) < 500


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


def test_an_item_that_is_nothing() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_responses(body(input=[{"role": "user", "content": "hello"}, {}]))
    assert caught.value.param == "input[1]"
