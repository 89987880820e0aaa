"""The OpenAI Python SDK's Responses and legacy completions work unchanged, sync and async."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from journeys.running import Running

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}


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


def test_create(client: OpenAI) -> None:
    answer = client.responses.create(model="chat", input="hello", metadata={"a": "b"}, user="u", temperature=0)
    assert (answer.output_text, answer.status, answer.model) == ("olleh", "completed", "gpt-fake-2026")
    assert answer.usage is not None
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.usage.total_tokens) == (9, 4, 13)
    assert answer.metadata == {"a": "b"}


def test_an_app_with_its_headers(client: OpenAI) -> None:
    raw = client.responses.with_raw_response.create(
        model="bot", input="hello", instructions="Be kind.", extra_body={"inputs": {"plan": "Gold"}, "session": "s"}
    )
    answer = raw.parse()
    assert answer.output_text == "You asked: hello"
    assert raw.headers["x-rondo-release"] == "bot#1"
    assert answer.id == f"resp_{raw.headers['x-rondo-trace-id']}"


def test_stream(client: OpenAI) -> None:
    events = list(client.responses.create(model="chat", input="hello", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    assert events[-1].type == "response.completed"
    with client.responses.stream(model="bot", input="hello") as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        assert text == stream.get_final_response().output_text == "You asked: hello"


def test_parse(client: OpenAI) -> None:
    answer = client.responses.parse(model="structured", input="hello", text_format=Weather)
    assert answer.output_parsed == Weather(city="Oslo", degrees=7)


@pytest.mark.parametrize("stream", [False, True])
def test_a_loop_of_tools_over_previous_responses(client: OpenAI, stream: bool) -> None:
    """The second turn sends the tool's result alone; the call comes from what Rondo kept."""
    if stream:
        with client.responses.stream(model="tools", input="Weather?", tools=[WEATHER]) as streamed:
            asked: Any = streamed.get_final_response()
    else:
        asked = client.responses.create(model="tools", input="Weather?", tools=[WEATHER])
    (call,) = asked.output
    assert (call.type, json.loads(call.arguments)) == ("function_call", {"city": "Oslo"})
    told = client.responses.create(
        model="tools",
        previous_response_id=asked.id,
        input=[{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}],
        tools=[WEATHER],
    )
    assert told.output_text == "It is sunny."
    assert told.previous_response_id == asked.id
    items = client.responses.input_items.list(told.id, order="asc").data
    assert [item.type for item in items] == ["message", "function_call", "function_call_output"]
    third = client.responses.create(model="chat", previous_response_id=told.id, input="hello")
    assert third.output_text == "olleh"
    assert len(client.responses.input_items.list(third.id).data) == 5


def test_a_loop_of_tools_without_state(client: OpenAI) -> None:
    conversation: list[Any] = [{"role": "user", "content": "Weather?"}]
    asked = client.responses.create(model="tools", input=conversation, tools=[WEATHER], store=False)
    (call,) = asked.output
    assert call.type == "function_call"
    conversation += asked.output
    conversation.append({"type": "function_call_output", "call_id": call.call_id, "output": "sunny"})
    assert client.responses.create(model="tools", input=conversation, store=False).output_text == "It is sunny."
    with pytest.raises(openai.BadRequestError) as raised:
        client.responses.create(model="tools", previous_response_id=asked.id, input="And?")
    assert raised.value.code == "previous_response_not_found"


def test_retrieve(client: OpenAI) -> None:
    answer = client.responses.create(model="chat", input="hello", instructions="Be kind.")
    again = client.responses.retrieve(answer.id)
    assert again.output == answer.output
    assert again.instructions == "Be kind."
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve("resp_" + "0" * 32)


def test_another_key_of_the_project_limited_to_another_app(served: Running, client: OpenAI) -> None:
    narrow = served.rondo("keys", "create", "--name", "responses-narrow", "--app", "bot")["secret"]
    answer = client.responses.create(model="chat", input="secret")
    with pytest.raises(openai.BadRequestError) as raised:
        client.with_options(api_key=narrow).responses.create(model="bot", input="x", previous_response_id=answer.id)
    assert raised.value.code == "previous_response_not_found"


def test_errors_are_of_their_class(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="nobody", input="hello")
    with pytest.raises(openai.BadRequestError, match="web_search") as raised:
        client.responses.create(model="chat", input="hello", tools=[{"type": "web_search"}])
    assert raised.value.param == "tools[0]"
    with pytest.raises(openai.BadRequestError):
        client.responses.create(model="chat", input="hello", background=True)
    with pytest.raises(openai.RateLimitError):
        client.responses.create(model="busy", input="hello")


def test_a_stream_that_dies_raises_and_keeps_what_was_said(client: OpenAI) -> None:
    stream = client.responses.create(model="cut", input="hello", stream=True)
    *_, said = (next(stream) for _ in range(5))
    assert (said.type, getattr(said, "delta", "")) == ("response.output_text.delta", "Hel")
    with pytest.raises(openai.APIError, match="broke off"):
        next(stream)


async def test_async(aclient: AsyncOpenAI) -> None:
    answer = await aclient.responses.create(model="chat", input="hello")
    assert answer.output_text == "olleh"
    async with aclient.responses.stream(model="chat", input="hello", previous_response_id=answer.id) as stream:
        async for _ in stream:
            pass
        assert (await stream.get_final_response()).output_text == "olleh"
    parsed = await aclient.responses.parse(model="structured", input="hello", text_format=Weather)
    assert parsed.output_parsed == Weather(city="Oslo", degrees=7)


def test_legacy_completions(client: OpenAI) -> None:
    answer = client.completions.create(model="chat", prompt="hello", echo=True, max_tokens=20)
    assert (answer.object, answer.choices[0].text, answer.choices[0].finish_reason) == (
        "text_completion",
        "helloolleh",
        "stop",
    )
    events = list(
        client.completions.create(model="chat", prompt="hello", stream=True, stream_options={"include_usage": True})
    )
    assert "".join(choice.text for event in events for choice in event.choices) == "olleh"
    assert events[-1].usage is not None
    with pytest.raises(openai.BadRequestError) as raised:
        client.completions.create(model="chat", prompt=["a", "b"])
    assert raised.value.param == "prompt"
