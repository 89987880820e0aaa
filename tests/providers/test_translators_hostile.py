"""Whatever a client asks and whatever a provider says, a translator answers or raises an error of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.vendors import frame, sse
from rondo.errors import InvalidRequest, UpstreamError
from rondo.providers.anthropic_answer import completion_of
from rondo.providers.bedrock_answer import EventsFromBedrock, from_bedrock
from rondo.providers.bedrock_request import to_bedrock
from rondo.providers.chat_request import (
    Audio,
    CacheControl,
    CalledFunction,
    ChatBody,
    Chosen,
    File,
    Function,
    ImageUrl,
    JsonSchema,
    Message,
    Part,
    ResponseFormat,
    Thinking,
    ThinkingBlock,
    Tool,
    ToolCall,
)
from rondo.providers.gemini_answer import EventsFromGemini, from_gemini
from rondo.providers.gemini_request import to_gemini

WORDS = st.sampled_from(
    ["", "a", "user", "tool", "function", "text", "image_url", "auto", "c1", "data:image/png;base64,AA"]
)
SCALAR = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | WORDS | st.text(max_size=4)
)


def trees(keys: list[str]) -> st.SearchStrategy[Any]:
    """JSON that has the words of a wire in it, in any order."""
    names = st.sampled_from(keys) | st.text(max_size=3)
    return st.recursive(
        SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=20
    )


TEXTS = WORDS | st.text(max_size=4)
URLS = st.sampled_from(
    ["data:image/png;base64,AA", "data:text/csv;base64,", "https://a/b.gif", "s3://b/c.pdf", "gs://", "x"]
)
CACHES = st.none() | st.builds(CacheControl, type=TEXTS, ttl=st.none() | TEXTS)
PARTS = st.builds(
    Part,
    type=st.sampled_from(["text", "refusal", "image_url", "file", "input_audio", "x"]),
    text=TEXTS,
    image_url=st.none() | st.builds(ImageUrl, url=URLS),
    file=st.none() | st.builds(File, file_data=st.none() | URLS, file_id=st.none() | URLS, filename=st.none() | TEXTS),
    input_audio=st.none() | st.builds(Audio, data=TEXTS, format=TEXTS),
    cache_control=CACHES,
)
ARGUMENTS = st.sampled_from(["", "{}", '{"a":[1.5,null]}', "[]", "{", '{"a":"\\ud83d"}'])
CALLED = st.builds(CalledFunction, name=TEXTS, arguments=ARGUMENTS)
CALLS = st.builds(
    ToolCall, id=TEXTS, function=CALLED, extra_content=st.none() | st.dictionaries(st.just("google"), SCALAR)
)
THOUGHTS = st.builds(
    ThinkingBlock,
    type=st.sampled_from(["thinking", "redacted_thinking", "x"]),
    thinking=TEXTS,
    signature=st.none() | TEXTS,
)
MESSAGES = st.builds(
    Message,
    role=st.sampled_from(["user", "assistant", "tool", "system", "developer", "x"]),
    content=st.none() | TEXTS | st.lists(PARTS, max_size=3),
    tool_calls=st.none() | st.lists(CALLS, max_size=2),
    tool_call_id=st.none() | TEXTS,
    is_error=st.none() | st.booleans(),
    thinking_blocks=st.none() | st.lists(THOUGHTS, max_size=2),
    cache_control=CACHES,
)
TREES = trees(["type", "properties", "schema"])
FUNCTIONS = st.builds(Function, name=TEXTS, parameters=st.none() | st.dictionaries(TEXTS, TREES, max_size=2))
TOOLS = st.builds(Tool, type=st.sampled_from(["function", "x"]), function=st.none() | FUNCTIONS, cache_control=CACHES)
SCHEMAS = st.builds(JsonSchema, name=st.none() | TEXTS, schema=st.none() | st.dictionaries(TEXTS, TREES, max_size=2))
FORMATS = st.builds(
    ResponseFormat, type=st.sampled_from(["text", "json_object", "json_schema", "x"]), json_schema=SCHEMAS
)
NUMBERS = st.none() | st.integers(-3, 9)
REQUESTS = st.builds(
    ChatBody,
    messages=st.lists(MESSAGES, max_size=4),
    tools=st.none() | st.lists(TOOLS, max_size=2),
    tool_choice=st.none()
    | st.sampled_from(["auto", "none", "required", "x"])
    | st.builds(Chosen, type=st.sampled_from(["function", "allowed_tools", "x"]), function=st.none() | CALLED),
    response_format=st.none() | FORMATS,
    max_tokens=NUMBERS,
    top_k=NUMBERS,
    temperature=NUMBERS,
    stop=st.none() | TEXTS | st.lists(TEXTS, max_size=2),
    thinking=st.none() | st.builds(Thinking, type=TEXTS, budget_tokens=NUMBERS),
    reasoning_effort=st.none() | st.sampled_from(["none", "minimal", "low", "high", "xhigh", "max", "x"]),
    service_tier=st.none() | TEXTS,
    n=NUMBERS,
)


@pytest.mark.parametrize("translate", [to_gemini, to_bedrock])
@pytest.mark.parametrize("model", ["gemini-2.5-flash", "gemini-4", "us.anthropic.claude-opus-4-8", "x"])
@given(request_=REQUESTS)
def test_any_request(translate: Callable[[bytes, str], bytes], model: str, request_: ChatBody) -> None:
    body = msgspec.json.encode(request_)
    with suppress(InvalidRequest):
        made = json.loads(translate(body, model))
        assert made.get("contents") or made.get("messages")


ANSWER_WORDS = (
    "candidates content parts text thought functionCall name args finishReason usageMetadata promptTokenCount index "
    "inlineData logprobsResult chosenCandidates topCandidates promptFeedback blockReason error output message toolUse "
    "toolUseId input reasoningContent reasoningText stopReason usage inputTokens start delta signature "
    "contentBlockIndex redactedContent additionalModelResponseFields stop_sequence"
).split()


@pytest.mark.parametrize("translate", [from_gemini, from_bedrock])
@given(answer=trees(ANSWER_WORDS))
def test_any_answer(translate: Callable[[bytes, str], bytes], answer: Any) -> None:
    with suppress(UpstreamError):
        assert json.loads(translate(json.dumps(answer).encode(), "m"))["choices"]


@given(answer=trees(ANSWER_WORDS))
def test_any_answer_of_anthropics(answer: Any) -> None:
    with suppress(UpstreamError):
        assert json.loads(completion_of(json.dumps(answer).encode()))["choices"]


def run(stream: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]], body: bytes) -> bytes:
    async def parts() -> AsyncIterator[bytes]:
        yield body

    async def collect() -> bytes:
        return b"".join([event async for event in stream(parts())])

    return asyncio.run(collect())


@given(st.lists(trees(ANSWER_WORDS), max_size=4))
def test_any_stream_of_geminis(events: list[Any]) -> None:
    with suppress(UpstreamError):
        assert run(EventsFromGemini("m"), sse(*events)).endswith(b"[DONE]\n\n")


NAMES = ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata", "x"]


@given(st.lists(st.tuples(st.sampled_from(NAMES), trees(ANSWER_WORDS)), max_size=5))
def test_any_stream_of_bedrocks(events: list[tuple[str, Any]]) -> None:
    with suppress(UpstreamError):
        body = b"".join(frame(name, payload) for name, payload in events)
        assert run(EventsFromBedrock("m"), body).endswith(b"[DONE]\n\n")


@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    for stream in (EventsFromGemini("m"), EventsFromBedrock("m")):
        with pytest.raises(UpstreamError):
            run(stream, body)
