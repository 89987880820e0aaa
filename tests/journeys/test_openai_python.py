"""The OpenAI Python SDK works unchanged, sync and async: chat, streams, tools, parse, embeddings, errors."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from journeys.running import Running

HELLO: list[Any] = [{"role": "user", "content": "hello"}]
WEATHER: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "strict": True,
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
]


class Weather(BaseModel):
    city: str
    degrees: int


@pytest.fixture
def client(served: Running) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{served.url}/v1", api_key=served.key, max_retries=0, timeout=20) as opened:
        yield opened


@pytest.fixture
async def aclient(served: Running) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{served.url}/v1", api_key=served.key, max_retries=0, timeout=20) as opened:
        yield opened


def test_chat(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="chat", messages=HELLO, temperature=0, user="u", metadata={"a": "b"})
    assert answer.choices[0].message.content == "olleh"
    assert answer.model == "gpt-fake-2026"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 13


def test_an_app_with_inputs_and_its_headers(client: OpenAI) -> None:
    raw = client.chat.completions.with_raw_response.create(
        model="bot", messages=HELLO, extra_body={"inputs": {"plan": "Gold"}, "session": "s"}
    )
    assert raw.parse().choices[0].message.content == "You asked: hello"
    assert raw.headers["x-rondo-release"] == "bot#1"
    assert len(raw.headers["x-rondo-trace-id"]) == 32
    assert float(raw.headers["x-rondo-cost-usd"]) == 0


def test_stream(client: OpenAI) -> None:
    stream = client.chat.completions.create(model="chat", messages=HELLO, stream=True)
    assert "".join(event.choices[0].delta.content or "" for event in stream) == "olleh"


def test_stream_with_usage(client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="chat", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    *rest, last = list(stream)
    assert rest
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.choices) == (9, [])


def test_stream_helper(client: OpenAI) -> None:
    with client.chat.completions.stream(model="bot", messages=HELLO) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == "You asked: hello"


def test_tools_there_and_back(client: OpenAI) -> None:
    asked: Any = client.chat.completions.create(model="tools", messages=HELLO, tools=WEATHER)
    assert asked.choices[0].finish_reason == "tool_calls"
    message = asked.choices[0].message
    assert message.tool_calls is not None
    call = message.tool_calls[0]
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"city": "Oslo"}
    told = client.chat.completions.create(
        model="tools",
        messages=[*HELLO, message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}],
        tools=WEATHER,
    )
    assert told.choices[0].message.content == "It is sunny."


def test_streamed_tools(client: OpenAI) -> None:
    with client.chat.completions.stream(model="tools", messages=HELLO, tools=WEATHER) as stream:
        for _ in stream:
            pass
        message = stream.get_final_completion().choices[0].message
    assert message.tool_calls is not None
    assert message.tool_calls[0].function.arguments == '{"city":"Oslo"}'


def test_structured_outputs(client: OpenAI) -> None:
    answer = client.chat.completions.parse(model="structured", messages=HELLO, response_format=Weather)
    assert answer.choices[0].message.parsed == Weather(city="Oslo", degrees=7)


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_embeddings(client: OpenAI, encoding: Any) -> None:
    answer = client.embeddings.create(model="embed", input=["a", "four"], encoding_format=encoding)
    assert [len(item.embedding) for item in answer.data] == ([2, 2] if encoding == "float" else [12, 12])
    plain = client.embeddings.create(model="embed", input="four")  # asks for base64 and decodes it
    assert plain.data[0].embedding == [4.0, 0.5]


def test_models(client: OpenAI) -> None:
    assert {"bot", "chat", "quoter"} <= {model.id for model in client.models.list()}


@pytest.mark.parametrize(
    ("model", "error", "status"),
    [
        ("nobody", openai.NotFoundError, 404),
        ("strict", openai.BadRequestError, 400),
        ("busy", openai.RateLimitError, 429),
        ("down", openai.InternalServerError, 502),
        ("silent", openai.InternalServerError, 504),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors_are_of_their_class(
    client: OpenAI, model: str, error: type[openai.APIStatusError], status: int, stream: bool
) -> None:
    with pytest.raises(error) as raised:
        client.chat.completions.create(model=model, messages=HELLO, stream=stream)
    assert raised.value.status_code == status
    assert raised.value.code
    assert raised.value.type


def test_a_wrong_request_names_its_field(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="chat", messages=[])
    assert raised.value.param == "messages"


def test_wrong_and_narrow_keys(served: Running, client: OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").models.list()
    narrow = served.rondo("keys", "create", "--name", "narrow", "--app", "bot")["secret"]
    with pytest.raises(openai.PermissionDeniedError):
        client.with_options(api_key=narrow).chat.completions.create(model="chat", messages=HELLO)


def test_a_body_too_large(client: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as raised:
        client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "x" * (21 << 20)}])
    assert raised.value.status_code == 413


def test_a_stream_that_dies_raises_and_keeps_what_was_said(client: OpenAI) -> None:
    stream = client.chat.completions.create(model="cut", messages=HELLO, stream=True)
    assert next(stream).choices[0].delta.content == "Hel"
    with pytest.raises(openai.APIError, match="broke off"):
        next(stream)


async def test_async_chat_and_stream(aclient: AsyncOpenAI) -> None:
    answer = await aclient.chat.completions.create(model="chat", messages=HELLO)
    assert answer.choices[0].message.content == "olleh"
    stream = await aclient.chat.completions.create(model="chat", messages=HELLO, stream=True)
    assert "".join([event.choices[0].delta.content or "" async for event in stream]) == "olleh"


async def test_async_tools_parse_and_embeddings(aclient: AsyncOpenAI) -> None:
    asked = await aclient.chat.completions.create(model="tools", messages=HELLO, tools=WEATHER)
    assert asked.choices[0].message.tool_calls
    parsed = await aclient.chat.completions.parse(model="structured", messages=HELLO, response_format=Weather)
    assert parsed.choices[0].message.parsed == Weather(city="Oslo", degrees=7)
    embedded = await aclient.embeddings.create(model="embed", input="four")
    assert embedded.data[0].embedding == [4.0, 0.5]


async def test_async_errors(aclient: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        await aclient.chat.completions.create(model="nobody", messages=HELLO)
    with pytest.raises(openai.APIError, match="broke off"):
        async for _ in await aclient.chat.completions.create(model="cut", messages=HELLO, stream=True):
            pass


async def test_leaving_an_async_stream_early(aclient: AsyncOpenAI, served: Running) -> None:
    stream = await aclient.chat.completions.create(model="slow", messages=HELLO, stream=True, user="leaver")
    async for event in stream:
        if event.choices[0].delta.content:
            break
    await stream.close()
    import asyncio

    for _ in range(100):
        found = await asyncio.to_thread(served.rondo, "calls", "list", "--user", "leaver")
        if found["items"]:
            break
    assert [call["status"] for call in found["items"]] == [499]


def test_retries_of_the_sdk_reach_a_server_that_recovers(client: OpenAI) -> None:
    """What a client gets for a busy provider is what its own retries understand."""
    with pytest.raises(openai.RateLimitError):
        client.with_options(max_retries=1).chat.completions.create(model="busy", messages=HELLO)
