"""Requests on Anthropic's wire as chat completions: what maps to what, and what is refused by name."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.errors import InvalidRequest
from rondo.gateway.request import ChatRequest
from rondo.gateway.wires.messages_request import parse_messages
from rondo.providers.anthropic_request import messages_request

HELLO: list[Any] = [{"role": "user", "content": "Hello"}]
EPHEMERAL = {"type": "ephemeral"}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"name": "weather", "description": "d", "input_schema": SCHEMA}
USE = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
CALL = {"id": "toolu_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "7 degrees"}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGVsbG8="}}


def parsed(messages: list[Any] | None = None, **fields: Any) -> ChatRequest:
    body = {"model": "m", "max_tokens": 10, "messages": HELLO if messages is None else messages, **fields}
    return parse_messages(json.dumps(body).encode())


def inside(messages: list[Any] | None = None, **fields: Any) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(msgspec.json.encode(parsed(messages, **fields).fields))
    return read


def said(*content: Any, role: str = "user") -> list[Any]:
    return list(inside([{"role": role, "content": list(content)}, *HELLO])["messages"][:-1])


def test_the_least() -> None:
    request = parsed()
    assert inside() == {"model": "m", "max_completion_tokens": 10, "messages": HELLO}
    assert (request.model, request.stream, request.wants_usage, request.extended) == ("m", False, False, False)
    assert request.question == "Hello"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"stop_sequences": ["a"]}, {"stop": ["a"]}),
        ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
        ({"top_k": 5}, {"top_k": 5}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"metadata": {"user_id": "u"}}, {"user": "u"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}},) * 2,
        ({"thinking": None, "tools": [], "stop_sequences": [], "system": "", "metadata": None}, {}),
        ({"output_config": {"effort": "xhigh"}}, {"reasoning_effort": "xhigh"}),
        ({"service_tier": "standard_only"}, {"service_tier": "default"}),
        ({"service_tier": "auto", "speed": "standard", "container": None, "mcp_servers": []}, {}),
        ({"context_management": {"edits": []}, "diagnostics": {"previous_message_id": "x"}}, {}),
        ({"inputs": {"a": 1}, "session": "s"}, {}),
    ],
)
def test_a_field(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert inside(**fields) == {**inside(), **expected}


def test_what_rondo_itself_reads() -> None:
    metadata = {"user_id": "u", "channel": "web", "attempt": 2}
    request = parsed(metadata=metadata, inputs={"plan": "gold"}, session="s", stream=True)
    assert (request.user, request.session, request.inputs) == ("u", "s", {"plan": "gold"})
    assert request.tags == {"channel": "web", "attempt": "2"}
    assert request.stream
    assert request.wants_usage


@pytest.mark.parametrize("name", ["output_config", "output_format"])
def test_a_schema(name: str) -> None:
    strict = {**SCHEMA, "required": ["city"], "additionalProperties": False}
    for schema, more in ((SCHEMA, {}), (strict, {"strict": True})):
        wanted: Any = {"type": "json_schema", "schema": schema}
        field: Any = {"format": wanted} if name == "output_config" else wanted
        sent = inside(None, **{name: field})
        expected = {"name": "answer", "schema": schema, **more}
        assert sent["response_format"] == {"type": "json_schema", "json_schema": expected}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "weather"}, {"tool_choice": {"type": "function", "function": {"name": "weather"}}}),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            {"tool_choice": "auto", "parallel_tool_calls": False},
        ),
    ],
)
def test_tool_choice(choice: dict[str, Any], expected: dict[str, Any]) -> None:
    sent = inside(tools=[TOOL], tool_choice=choice)
    assert {name: sent.get(name) for name in expected} == expected
    assert inside(tool_choice=choice) == inside()  # nothing to choose from


def test_tools() -> None:
    custom = {"type": "custom", "name": "x", "input_schema": {"type": "object"}, "strict": True}
    sent = inside(tools=[TOOL, {**custom, "cache_control": EPHEMERAL, "eager_input_streaming": True}])
    function = {"name": "weather", "description": "d", "parameters": SCHEMA}
    assert sent["tools"] == [
        {"type": "function", "function": function},
        {
            "type": "function",
            "function": {"name": "x", "parameters": {"type": "object"}, "strict": True},
            "cache_control": EPHEMERAL,
        },
    ]


def test_the_system() -> None:
    plain, marked = {"type": "text", "text": "A"}, {"type": "text", "text": "B", "cache_control": EPHEMERAL}
    assert inside(system="A")["messages"][0] == {"role": "system", "content": "A"}
    assert inside(system=[plain, plain])["messages"][0] == {"role": "system", "content": "A\n\nA"}
    assert inside(system=[plain, marked])["messages"][0] == {"role": "system", "content": [plain, marked]}
    later = {"role": "system", "content": [plain]}
    assert inside([*HELLO, later])["messages"] == [*HELLO, {"role": "system", "content": "A"}]


def test_one_turn_with_results_and_a_question() -> None:
    """Parallel calls: each result is a message of its own, in order, and what else was said comes after them."""
    second = {**RESULT, "tool_use_id": "toolu_2", "is_error": True}
    text = {"type": "text", "text": "And now?"}
    assert said(RESULT, second, text) == [
        {"role": "tool", "tool_call_id": "toolu_1", "content": "7 degrees"},
        {"role": "tool", "tool_call_id": "toolu_2", "content": "7 degrees", "is_error": True},
        {"role": "user", "content": "And now?"},
    ]
    assert said(RESULT) == [{"role": "tool", "tool_call_id": "toolu_1", "content": "7 degrees"}]


def test_what_a_tool_gives_back() -> None:
    text = {"type": "text", "text": "see"}
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}}
    for content, expected in (
        (None, ""),
        ([], ""),
        ([text], "see"),
        ([text, text], "see\n\nsee"),
        ([text, PNG], [text, image]),
    ):
        (message,) = said({**RESULT, "content": content})
        assert message["content"] == expected
    (message,) = said({**RESULT, "cache_control": EPHEMERAL})
    assert message["content"] == [{"type": "text", "text": "7 degrees", "cache_control": EPHEMERAL}]


def test_what_the_assistant_said() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "sig"}
    unsigned = {"type": "thinking", "thinking": "Another's.", "signature": ""}
    redacted = {"type": "redacted_thinking", "data": "xyz"}
    cited = {"type": "text", "text": "Hi", "citations": [{"type": "char_location"}]}
    (message,) = said(thought, unsigned, redacted, cited, {"type": "text", "text": "!"}, USE, role="assistant")
    assert message == {
        "role": "assistant",
        "content": "Hi!",
        "reasoning_content": "Hm.\n\nAnother's.",
        "thinking_blocks": [thought, redacted],
        "tool_calls": [CALL],
    }
    assert said(USE, role="assistant") == [{"role": "assistant", "content": None, "tool_calls": [CALL]}]
    assert said(role="assistant") == [{"role": "assistant", "content": ""}]


def test_images_and_documents() -> None:
    plain = {"type": "text", "media_type": "text/plain", "data": "All of it."}
    inner = [{"type": "text", "text": "One"}, PNG]
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVB="}
    found = {"type": "search_result", "source": "https://a", "title": "T", "content": [{"type": "text", "text": "x"}]}
    (message,) = said(
        {**PNG, "cache_control": EPHEMERAL},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {"type": "document", "source": pdf, "title": "a.pdf"},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}, "context": "Old."},
        {"type": "document", "source": plain, "title": "Notes", "context": "New.", "citations": {"enabled": False}},
        {"type": "document", "source": {"type": "content", "content": inner}, "title": "Both"},
        {"type": "document", "source": {"type": "content", "content": "Short."}},
        found,
    )
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGVsbG8="}}
    assert message["content"] == [
        {**image, "cache_control": EPHEMERAL},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVB=", "filename": "a.pdf"}},
        {"type": "text", "text": "Old."},
        {"type": "file", "file": {"file_id": "file_1"}},
        {"type": "text", "text": "Notes\nNew.\n\nAll of it."},
        {"type": "text", "text": "Both"},
        {"type": "text", "text": "One"},
        image,
        {"type": "text", "text": "Short."},
        {"type": "text", "text": "T\nhttps://a\n\nx"},
    ]


def test_automatic_caching_marks_the_end() -> None:
    marked = [{"type": "text", "text": "Hello", "cache_control": EPHEMERAL}]
    assert inside(cache_control=EPHEMERAL)["messages"] == [{"role": "user", "content": marked}]
    own = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    assert inside([{"role": "user", "content": [own]}], cache_control=EPHEMERAL)["messages"][0]["content"] == [own]


@pytest.mark.parametrize(
    ("fields", "extended"),
    [
        ({}, False),
        ({"tools": [TOOL], "temperature": 1}, False),
        ({"messages": [*HELLO, {"role": "assistant", "content": [USE]}, {"role": "user", "content": [RESULT]}]}, False),
        ({"thinking": {"type": "adaptive"}}, True),
        ({"top_k": 1}, True),
        ({"cache_control": EPHEMERAL}, True),
        ({"tools": [{**TOOL, "cache_control": EPHEMERAL}]}, True),
        ({"messages": [{"role": "user", "content": [{**RESULT, "is_error": True}]}]}, True),
        ({"messages": [{"role": "user", "content": [{**RESULT, "content": [PNG]}]}]}, True),
        ({"messages": [*HELLO, {"role": "assistant", "content": [{"type": "redacted_thinking", "data": "x"}]}]}, True),
    ],
)
def test_whether_openai_has_words_for_it(fields: dict[str, Any], extended: bool) -> None:
    assert parsed(**fields).extended is extended


def asked_with(block: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [block]}]}


def said_with(block: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [*HELLO, {"role": "assistant", "content": [block]}]}


DOCUMENT = {"type": "document", "source": {"type": "text", "data": "x"}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"model": None}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": "hello"}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages[0]"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "system", "content": "alone"}]}, "messages"),
        ({"system": 5}, "system"),
        ({"wishes": 1}, "wishes"),
        ({"container": "c"}, "container"),
        ({"mcp_servers": [{"url": "x"}]}, "mcp_servers"),
        ({"inference_geo": "eu"}, "inference_geo"),
        ({"speed": "fast"}, "speed"),
        ({"metadata": {"user_id": 5}}, "metadata.user_id"),
        ({"metadata": {"a": {}}}, "metadata[...]"),
        ({"output_config": {"task_budget": {}}}, "output_config.task_budget"),
        ({"output_config": {"format": {"type": "json_schema", "schema": []}}}, "output_config.format.schema"),
        ({"output_format": {"type": "grammar", "schema": {}}}, "output_format.type"),
        ({"tools": [{"type": "web_search_20260318", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0].type"),
        ({"tools": [{"name": "x"}]}, "tools[0].input_schema"),
        ({"tools": [{**TOOL, "defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tools": [{**TOOL, "input_examples": [{}]}]}, "tools[0].input_examples"),
        ({"tools": [{**TOOL, "allowed_callers": ["code_execution_20260521"]}]}, "tools[0].allowed_callers"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tools": [TOOL], "tool_choice": {"type": "maybe"}}, "tool_choice.type"),
        (
            asked_with({"type": "server_tool_use", "id": "x", "name": "web_search", "input": {}}),
            "messages[0].content[0].type",
        ),
        (asked_with({"type": "hologram"}), "messages[0].content[0].type"),
        (asked_with({"text": "x"}), "messages[0].content[0]"),
        (asked_with({"type": "text", "text": 5}), "messages[0].content[0].text"),
        (asked_with(USE), "messages[0].content[0].type"),
        (
            asked_with({"type": "image", "source": {"type": "file", "file_id": "x"}}),
            "messages[0].content[0].source.type",
        ),
        (
            asked_with({**PNG, "transformations": {"oversized_image": "error"}}),
            "messages[0].content[0].transformations",
        ),
        (asked_with({**DOCUMENT, "source": {"type": "url", "url": "https://a"}}), "messages[0].content[0].source.type"),
        (asked_with({**DOCUMENT, "citations": {"enabled": True}}), "messages[0].content[0].citations"),
        (said_with(RESULT), "messages[1].content[0].type"),
        (said_with({**USE, "input": "x"}), "messages[1].content[0].input"),
        (asked_with({**RESULT, "content": [{"type": "tool_reference"}]}), "messages[0].content[0].content[0].type"),
    ],
)
def test_what_cannot_be_said_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parsed(**fields)
    assert caught.value.param == param
    assert param.split("[", maxsplit=1)[0] in str(caught.value)


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"model":"m"}',
        b'{"model":"m","max_tokens":1,"messages":' + DEEP,
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"tools":' + DEEP,
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"thinking":' + DEEP,
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"\xff"}]}',
        b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}],"thinking":{"a":"\xff"}}',
    ],
)
def test_bodies_that_are_none(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse_messages(body)


@pytest.mark.parametrize("depth", [100, 400, 2_000, 50_000])
def test_a_deep_schema_is_refused_or_passed(depth: int) -> None:
    deep = '{"a":' * depth + "1" + "}" * depth
    head = '{"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}], '
    for field in (
        '"output_format": {"type": "json_schema", "schema": %s}}',
        '"tools": [{"name": "x", "input_schema": %s}]}',
    ):
        try:
            assert deep.encode() in msgspec.json.encode(parse_messages((head + field % deep).encode()).fields)
        except InvalidRequest:
            assert depth > 100


def test_half_a_character_costs_itself() -> None:
    body = b'{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"a\\ud83d"}]}'
    assert parse_messages(body).question == "a�"


def test_counting_needs_no_limit() -> None:
    assert parse_messages(b'{"model":"m","messages":[{"role":"user","content":"x"}]}', counting=True).model == "m"


TEXT = st.text(min_size=1, max_size=6).filter(lambda text: text.strip() == text != "")
CACHE = st.sampled_from([{}, {"cache_control": EPHEMERAL}])
BLOCK = st.one_of(st.builds(lambda text, more: {"type": "text", "text": text, **more}, TEXT, CACHE), st.just(PNG))
USER = st.one_of(TEXT, st.lists(BLOCK, min_size=1, max_size=3))
SIGNED = st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "s"}, TEXT)


@st.composite
def conversations(draw: st.DrawFn) -> list[Any]:
    """What a client may have gone through: questions, answers, calls in parallel, and their results."""
    messages: list[Any] = [{"role": "user", "content": draw(USER)}]
    for turn in range(draw(st.integers(0, 3))):
        calls = [{**USE, "id": f"toolu_{turn}_{n}", "input": {"n": n}} for n in range(draw(st.integers(0, 3)))]
        text = [{"type": "text", "text": draw(TEXT)}] if not calls or draw(st.booleans()) else []
        messages.append({"role": "assistant", "content": [*draw(st.lists(SIGNED, max_size=1)), *text, *calls]})
        results = [
            {"type": "tool_result", "tool_use_id": call["id"], "content": draw(TEXT), **draw(ERRORS)} for call in calls
        ]
        more = draw(st.lists(BLOCK, min_size=0 if calls else 1, max_size=2))
        messages.append({"role": "user", "content": [*results, *more]})
    return messages


ERRORS = st.sampled_from([{}, {"is_error": True}])


@given(conversations())
def test_there_and_back_again(messages: list[Any]) -> None:
    """Through the dialect inside to Anthropic, a conversation means the same."""
    request = parsed(messages, model="claude-opus-5-5", system="Be kind.", tools=[TOOL])
    sent = json.loads(msgspec.json.encode(messages_request(msgspec.json.encode(request.fields))))
    assert [_plain(message) for message in sent["messages"]] == [_plain(message) for message in messages]
    assert (sent["system"], sent["tools"], sent["max_tokens"]) == ("Be kind.", [TOOL], 10)


def _plain(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    return {**message, "content": [{"type": "text", "text": content}] if isinstance(content, str) else content}


KEYS = ["type", "role", "content", "text", "source", "input", "name", "id", "messages", "model"]
LEAVES = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.sampled_from(["text", "user", "tool_use"]))
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(ANYTHING)
def test_whatever_comes_is_read_or_refused(value: Any) -> None:
    least = {"model": "m", "max_tokens": 1, "messages": HELLO}
    for body in (value, {**least, "messages": value}, {**least, "tools": value}, {**least, "system": value}):
        try:
            parse_messages(json.dumps(body).encode())
        except InvalidRequest:
            continue
