"""A chat completion's request as Anthropic wants it: what maps to what, and what is refused by name."""

from __future__ import annotations

import base64
import itertools
import json
from typing import Any

import msgspec
import pytest
from anthropic.types import (
    ContentBlockParam,
    MessageParam,
    OutputConfigParam,
    ThinkingConfigParam,
    ToolChoiceParam,
    ToolParam,
)
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from rondo.errors import InvalidRequest
from rondo.providers.anthropic_request import count_request, messages_request

NEW, OLD = "claude-opus-5-5", "claude-sonnet-4-5-20250929"
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
WEATHER = {"name": "weather", "description": "d", "parameters": {"type": "object", "properties": {"city": {}}}}
TOOLS = [{"type": "function", "function": WEATHER}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
PNG = "data:image/png;base64,aGVsbG8="
EPHEMERAL = {"type": "ephemeral"}


def made(messages: list[Any] | None = None, **fields: Any) -> dict[str, Any]:
    body = {"model": NEW, "messages": HELLO if messages is None else messages, **fields}
    read: dict[str, Any] = json.loads(msgspec.json.encode(messages_request(json.dumps(body).encode())))
    return read


def turns(*messages: Any) -> list[Any]:
    return list(made(list(messages))["messages"])


def test_the_least() -> None:
    assert made() == {"model": NEW, "max_tokens": 32_000, "messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"max_tokens": 5}, {"max_tokens": 5}),
        ({"max_completion_tokens": 6, "max_tokens": 5}, {"max_tokens": 6}),
        ({"stop": "END"}, {"stop_sequences": ["END"]}),
        ({"stop": ["a", " ", "b"]}, {"stop_sequences": ["a", "b"]}),
        ({"user": "u-1"}, {"metadata": {"user_id": "u-1"}}),
        ({"safety_identifier": "s"}, {"metadata": {"user_id": "s"}}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}},) * 2,
        ({"thinking": {"type": "adaptive", "display": "summarized"}},) * 2,
        (
            {"thinking": {"type": "adaptive"}, "reasoning_effort": "max"},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
        ),
        ({"service_tier": "default"}, {"service_tier": "standard_only"}),
        ({"service_tier": "auto"}, {"service_tier": "auto"}),
        ({"inference_geo": "eu"}, {"inference_geo": "eu"}),
        ({"seed": 1, "presence_penalty": 1, "frequency_penalty": 1, "store": True, "metadata": {"a": "b"}}, {}),
        ({"temperature": 0.5, "top_p": 0.5, "top_k": 5}, {}),
        ({"n": 1, "logprobs": False, "verbosity": "medium", "modalities": ["text"], "tools": []}, {}),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}},
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
        ),
        ({"response_format": {"type": "text"}}, {}),
        (
            {"response_format": {"type": "json_object"}},
            {"system": "Answer with one valid JSON object and nothing else."},
        ),
    ],
)
def test_a_field(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert made(**fields) == {**made(), **expected}


def test_an_older_model_samples() -> None:
    sent = made(model=OLD, temperature=1.5, top_p=0.5, top_k=5)
    assert (sent["temperature"], sent["top_p"], sent["top_k"]) == (1.0, 0.5, 5)


def test_the_limit_of_the_model() -> None:
    assert messages_request(json.dumps({"model": NEW, "messages": HELLO}).encode(), longest=77)["max_tokens"] == 77
    assert made(model="claude-3-5-haiku-20241022")["max_tokens"] == 4096
    assert made(model="some-other-model")["max_tokens"] == 4096


@pytest.mark.parametrize(
    ("model", "effort", "expected"),
    [
        (NEW, "minimal", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
        (NEW, "xhigh", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}),
        (NEW, "none", {"output_config": {"effort": "low"}}),
        ("claude-sonnet-5-5", "none", {"thinking": {"type": "between_tools"}, "output_config": {"effort": "low"}}),
        ("claude-haiku-5-5", "none", {"thinking": {"type": "disabled"}}),
        ("claude-sonnet-4-6", "xhigh", {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        (OLD, "none", {}),
        (OLD, "medium", {"thinking": {"type": "enabled", "budget_tokens": 8192}}),
        ("claude-3-5-haiku-20241022", "high", {"thinking": {"type": "enabled", "budget_tokens": 3072}}),
    ],
)
def test_effort(model: str, effort: str, expected: dict[str, Any]) -> None:
    assert made(model=model, reasoning_effort=effort) == {**made(model=model), **expected}


def test_an_effort_that_does_not_fit_is_left_out() -> None:
    assert "thinking" not in made(model=OLD, reasoning_effort="low", max_tokens=1500)
    assert "thinking" not in made(model=OLD, reasoning_effort="low", tools=TOOLS, tool_choice="required")
    calls = [*HELLO, {"role": "assistant", "tool_calls": [CALL]}, _result()]
    assert "thinking" not in made(calls, model=OLD, reasoning_effort="low")
    assert made(calls, reasoning_effort="low")["thinking"] == {"type": "adaptive"}
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    calls[1]["thinking_blocks"] = [thought]
    assert made(calls, model=OLD, reasoning_effort="low")["thinking"]["type"] == "enabled"


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, None),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": {"type": "function", "function": {"name": "weather"}}}, {"type": "tool", "name": "weather"}),
        ({"parallel_tool_calls": True}, None),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        (
            {"parallel_tool_calls": False, "tool_choice": "required"},
            {"type": "any", "disable_parallel_tool_use": True},
        ),
    ],
)
def test_tool_choice(fields: dict[str, Any], choice: Any) -> None:
    sent = made(tools=TOOLS, **fields)
    assert sent.get("tool_choice") == choice
    assert sent["tools"] == [{"name": "weather", "description": "d", "input_schema": WEATHER["parameters"]}]


def test_tools() -> None:
    bare = {"type": "function", "function": {"name": "now", "strict": True}, "cache_control": EPHEMERAL}
    untyped = {"type": "function", "function": {"name": "x", "parameters": {"properties": {}}}}
    assert made(tools=[bare, untyped])["tools"] == [
        {
            "name": "now",
            "input_schema": {"type": "object", "properties": {}},
            "strict": True,
            "cache_control": EPHEMERAL,
        },
        {"name": "x", "input_schema": {"type": "object", "properties": {}}},
    ]


def test_without_tools_there_is_nothing_to_choose() -> None:
    assert made(tool_choice="auto", parallel_tool_calls=False) == made()


def _result(**more: Any) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": "call_1", "content": "7 degrees", **more}


def test_a_conversation_with_calls() -> None:
    second = {**CALL, "id": "functions.weather:2"}
    sent = made(
        [
            {"role": "system", "content": "Be kind."},
            {"role": "developer", "content": [{"type": "text", "text": "Be brief.", "cache_control": EPHEMERAL}]},
            *HELLO,
            {"role": "assistant", "content": "One moment.", "tool_calls": [CALL, second]},
            _result(),
            {**_result(), "tool_call_id": "functions.weather:2", "is_error": True},
            {"role": "user", "content": "And now?"},
        ]
    )
    assert sent["system"] == [
        {"type": "text", "text": "Be kind."},
        {"type": "text", "text": "Be brief.", "cache_control": EPHEMERAL},
    ]
    called = {"name": "weather", "input": {"city": "Oslo"}}
    assert sent["messages"] == [
        {"role": "user", "content": "Hello"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "One moment."},
                {"type": "tool_use", "id": "call_1", **called},
                {"type": "tool_use", "id": "functions_weather_2", **called},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "7 degrees"},
                {
                    "type": "tool_result",
                    "tool_use_id": "functions_weather_2",
                    "content": "7 degrees",
                    "is_error": True,
                },
                {"type": "text", "text": "And now?"},
            ],
        },
    ]


def test_parts() -> None:
    pdf = {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"}
    text = {"file_data": "data:text/markdown;base64," + base64.b64encode("# Ä".encode()).decode()}
    parts = [
        {"type": "text", "text": "Look"},
        {"type": "text", "text": "  "},
        {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}, "cache_control": {**EPHEMERAL, "ttl": "1h"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.jpg"}},
        {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AA=="}},
        {"type": "file", "file": pdf},
        {"type": "file", "file": text},
        {"type": "file", "file": {"file_id": "file_1"}},
    ]
    (turn,) = turns({"role": "user", "content": parts})
    assert turn["content"] == [
        {"type": "text", "text": "Look"},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "aGVsbG8="},
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.jpg"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AA=="}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
            "title": "a.pdf",
        },
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "# Ä"}},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
    ]


def test_a_tool_may_give_back_an_image() -> None:
    parts = [{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": PNG}}]
    sent = turns(*HELLO, {"role": "assistant", "tool_calls": [CALL]}, _result(content=parts))
    (result,) = sent[-1]["content"]
    assert [block["type"] for block in result["content"]] == ["text", "image"]


def test_nothing_from_a_tool() -> None:
    sent = turns(*HELLO, {"role": "assistant", "tool_calls": [CALL]}, _result(content=""))
    assert sent[-1]["content"] == [{"type": "tool_result", "tool_use_id": "call_1"}]


def test_thoughts_go_back_if_anthropic_signed_them() -> None:
    signed = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    blocks = [signed, {"type": "thinking", "thinking": "not mine", "signature": ""}]
    blocks.append({"type": "redacted_thinking", "data": "xyz"})
    said = {"role": "assistant", "content": "Hi", "reasoning_content": "hm", "thinking_blocks": blocks}
    sent = turns(*HELLO, said, {"role": "user", "content": "Go on"})
    assert sent[1]["content"] == [
        signed,
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "text", "text": "Hi"},
    ]


def test_one_role_after_the_same_is_one_turn() -> None:
    sent = turns(*HELLO, *HELLO, {"role": "assistant", "content": ""}, {"role": "user", "content": None}, *HELLO)
    assert [turn["role"] for turn in sent] == ["user"]
    assert len(sent[0]["content"]) == 3


def test_an_answer_to_continue_ends_without_a_space() -> None:
    assert turns(*HELLO, {"role": "assistant", "content": "It is \n"})[-1]["content"] == "It is"


def test_a_refusal_of_another_model_is_its_text() -> None:
    said = {"role": "assistant", "content": None, "refusal": "No."}
    assert turns(*HELLO, said, *HELLO)[1] == {"role": "assistant", "content": "No."}


LATER = {"role": "system", "content": "Now in French."}
ANSWER = {"role": "assistant", "content": "Hi"}


def test_a_later_system_message_stays_in_its_place_where_the_model_takes_it() -> None:
    sent = made([*HELLO, LATER, ANSWER, *HELLO, LATER])
    assert [turn["role"] for turn in sent["messages"]] == ["user", "system", "assistant", "user", "system"]
    assert "system" not in sent
    twice = turns(*HELLO, LATER, {**LATER, "role": "developer"}, ANSWER)
    assert [turn["role"] for turn in twice] == ["user", "system", "assistant"]
    assert len(twice[1]["content"]) == 2


@pytest.mark.parametrize(
    ("model", "messages"),
    [
        ("claude-opus-4-7", [*HELLO, LATER, ANSWER, *HELLO]),
        (NEW, [*HELLO, ANSWER, LATER, *HELLO]),
        (NEW, [*HELLO, LATER, *HELLO]),
    ],
)
def test_a_later_system_message_else_joins_the_first(model: str, messages: list[Any]) -> None:
    sent = made([{"role": "system", "content": "Be kind."}, *messages], model=model)
    assert [block["text"] for block in sent["system"]] == ["Be kind.", "Now in French."]
    assert "system" not in [turn["role"] for turn in sent["messages"]]


def asked_with(part: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [part]}]}


def called_with(arguments: str) -> dict[str, Any]:
    return {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": arguments}}]}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"web_search_options": {"x": 1}}, "web_search_options"),
        ({"functions": [1]}, "functions"),
        ({"verbosity": "low"}, "verbosity"),
        ({"reasoning_effort": "huge"}, "reasoning_effort"),
        ({"wishes": 1}, "wishes"),
        ({"temperature": "hot"}, "temperature"),
        ({"stop": 5}, "stop"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].type"),
        ({"tools": TOOLS, "tool_choice": "sometimes"}, "tool_choice"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "alone"}]}, "messages"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        (asked_with({"type": "video"}), "messages[0].content[0].type"),
        (
            asked_with({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}),
            "messages[0].content[0].type",
        ),
        (
            asked_with({"type": "image_url", "image_url": {"url": "ftp://x/a.png"}}),
            "messages[0].content[0].image_url.url",
        ),
        (
            asked_with({"type": "image_url", "image_url": {"url": "data:image/bmp;base64,AA=="}}),
            "messages[0].content[0].image_url.url",
        ),
        (
            asked_with({"type": "file", "file": {"file_data": "data:text/plain;base64,!"}}),
            "messages[0].content[0].file.file_data",
        ),
        (
            asked_with({"type": "file", "file": {"file_data": "data:a/zip;base64,AA=="}}),
            "messages[0].content[0].file.file_data",
        ),
        ({"messages": [*HELLO, {"role": "tool", "content": "x"}]}, "messages[1].tool_call_id"),
        (
            {"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}, *HELLO]},
            "messages[0].content",
        ),
        (
            {"messages": [*HELLO, called_with("[1]")]},
            "messages[1].tool_calls[0].function.arguments",
        ),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        made(**fields)
    assert caught.value.param == param
    assert "None" not in str(caught.value)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b'{"model": "m"}', b'{"messages": ' + b"[" * 100_000, b'{"messages":"\xff"}']
)
def test_bodies_that_are_none(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        messages_request(body)


def test_deep_arguments_and_schemas_are_passed_or_refused() -> None:
    deep = '{"a":' * 50_000 + "1" + "}" * 50_000
    with pytest.raises(InvalidRequest, match="arguments"):
        made([*HELLO, called_with(deep)])


def test_half_a_character_costs_itself() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"a\\ud83d"}]}'
    assert messages_request(body)["messages"] == [{"role": "user", "content": "a�"}]


def test_what_is_counted() -> None:
    body = {"model": NEW, "messages": HELLO, "tools": TOOLS, "stream": True, "user": "u", "stop": "x"}
    assert count_request(json.dumps(body).encode()).keys() == {"model", "messages", "tools"}


TEXT = st.text(max_size=5)
PARTS = st.lists(TEXT.map(lambda text: {"type": "text", "text": text}), max_size=3)
CONTENT = st.one_of(st.none(), TEXT, PARTS)
ROLE = st.sampled_from(["system", "user", "assistant"])
MESSAGE = st.one_of(
    st.builds(lambda role, content: {"role": role, "content": content}, ROLE, CONTENT),
    st.builds(lambda content: {"role": "assistant", "content": content, "tool_calls": [CALL]}, CONTENT),
    st.builds(lambda content: _result(content=content), CONTENT),
)


@given(st.lists(MESSAGE, max_size=8))
def test_turns_alternate_and_no_text_is_lost(messages: list[Any]) -> None:
    try:
        sent = made(messages)
    except InvalidRequest:
        return
    roles = [turn["role"] for turn in sent["messages"]]
    assert all(one != other for one, other in itertools.pairwise(roles))
    assert all(turn["content"] for turn in sent["messages"])
    texts = [text for message in messages for text in _texts(message["content"]) if text.strip()]
    told = json.dumps([sent.get("system"), sent["messages"]])
    for text in texts:
        assert json.dumps(text.rstrip())[1:-1] in told


def _texts(content: Any) -> list[str]:
    return [content] if isinstance(content, str) else [part["text"] for part in content or ()]


KEYS = ["role", "content", "type", "text", "tool_calls", "function", "name", "arguments", "image_url", "url", "id"]
LEAVES = st.one_of(st.none(), st.integers(), TEXT, st.sampled_from(["user", "assistant", "tool", "text", "image_url"]))
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(ANYTHING, st.sampled_from(["messages", "tools", "tool_choice", "response_format", "thinking", "stop", "model"]))
def test_whatever_comes_is_said_or_refused(value: Any, field: str) -> None:
    body = {"model": NEW, "messages": HELLO, **({} if field == "messages" else {"tools": TOOLS}), field: value}
    try:
        msgspec.json.encode(messages_request(json.dumps(body).encode()))
    except InvalidRequest:
        return


SHAPES: dict[str, TypeAdapter[Any]] = {
    "messages": TypeAdapter(list[MessageParam]),
    "output_config": TypeAdapter(OutputConfigParam),
    "thinking": TypeAdapter(ThinkingConfigParam),
    "tool_choice": TypeAdapter(ToolChoiceParam),
    "tools": TypeAdapter(list[ToolParam]),
}
BLOCKS: TypeAdapter[Any] = TypeAdapter(list[ContentBlockParam])


def test_the_sdk_knows_these_shapes() -> None:
    """Anthropic's own types for a request take everything there is in one."""
    pdf = {"file_data": "data:application/pdf;base64,JVBERg==", "filename": "a.pdf"}
    parts = [
        {"type": "text", "text": "Look", "cache_control": EPHEMERAL},
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.jpg"}},
        {"type": "file", "file": pdf},
        {"type": "file", "file": {"file_id": "file_1"}},
        {"type": "file", "file": {"file_data": "data:text/plain;base64,QQ=="}},
    ]
    thoughts = [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "redacted_thinking", "data": "x"}]
    sent = made(
        [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": parts},
            LATER,
            {"role": "assistant", "content": "Wait.", "thinking_blocks": thoughts, "tool_calls": [CALL]},
            _result(content=parts[:2], is_error=True),
        ],
        tools=TOOLS,
        tool_choice={"type": "function", "function": {"name": "weather"}},
        reasoning_effort="high",
        response_format={"type": "json_schema", "json_schema": {"schema": {"type": "object"}}},
    )
    for field, shape in SHAPES.items():
        shape.validate_python(sent[field])
    for turn in sent["messages"]:
        for block in [] if isinstance(turn["content"], str) else turn["content"]:
            BLOCKS.validate_python([block])
            if block["type"] == "tool_result":
                BLOCKS.validate_python(block["content"])
