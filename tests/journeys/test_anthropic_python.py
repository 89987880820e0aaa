"""Anthropic's Python SDK works unchanged, sync and async, whether Anthropic answers or somebody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import httpx2
import pytest
from anthropic import Anthropic, AsyncAnthropic
from pydantic import BaseModel

from journeys.anthropic_upstream import CALLS, SIGNATURE, messages_served
from journeys.running import Running

__all__ = ["messages_served"]

HELLO: list[Any] = [{"role": "user", "content": "hello"}]
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: list[Any] = [{"name": "weather", "description": "The weather now.", "input_schema": SCHEMA}]
IMAGE: Any = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}
PDF: Any = {
    "type": "document",
    "title": "a.pdf",
    "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
}
BOTH = ["claude", "gpt"]


class Weather(BaseModel):
    city: str
    degrees: int


@pytest.fixture
def client(messages_served: Running) -> Iterator[Anthropic]:
    with Anthropic(base_url=messages_served.url, api_key=messages_served.key, max_retries=0, timeout=20) as opened:
        yield opened


@pytest.fixture
async def aclient(messages_served: Running) -> AsyncIterator[AsyncAnthropic]:
    async with AsyncAnthropic(
        base_url=messages_served.url, api_key=messages_served.key, max_retries=0, timeout=20
    ) as opened:
        yield opened


@pytest.mark.parametrize("who", BOTH)
def test_a_message(client: Anthropic, who: str) -> None:
    answer = client.messages.create(
        model=f"{who}-chat", max_tokens=100, system="Be kind.", messages=HELLO, metadata={"user_id": "u-1"}
    )
    assert [block.type for block in answer.content] == ["text"]
    assert answer.content[0].text == "olleh"  # type: ignore[union-attr]
    assert answer.id.startswith("msg_")
    assert (answer.role, answer.type, answer.stop_reason) == ("assistant", "message", "end_turn")
    assert answer.model == ("claude-opus-5-5" if who == "claude" else "gpt-fake-2026")


def test_tokens_of_the_cache_are_counted_apart(client: Anthropic) -> None:
    answer = client.messages.create(model="claude-chat", max_tokens=100, messages=HELLO)
    used = answer.usage
    assert (used.input_tokens, used.cache_read_input_tokens, used.cache_creation_input_tokens) == (12, 5, 3)
    assert used.output_tokens == 9


def test_an_app_with_inputs_and_its_headers(client: Anthropic) -> None:
    raw = client.messages.with_raw_response.create(
        model="bot", max_tokens=100, messages=HELLO, extra_body={"inputs": {"plan": "Gold"}, "session": "s"}
    )
    assert raw.parse().content[0].text == "You asked: hello"  # type: ignore[union-attr]
    assert raw.headers["x-rondo-release"] == "bot#1"
    assert len(raw.headers["x-rondo-trace-id"]) == 32
    assert float(raw.headers["x-rondo-cost-usd"]) == 0


@pytest.mark.parametrize("who", BOTH)
def test_a_stream(client: Anthropic, who: str) -> None:
    with client.messages.stream(model=f"{who}-chat", max_tokens=100, messages=HELLO) as stream:
        assert "".join(stream.text_stream) == "olleh"
        last = stream.get_final_message()
    assert last.stop_reason == "end_turn"
    assert last.usage.output_tokens > 0
    assert last.usage.input_tokens > 0


def test_raw_events(client: Anthropic) -> None:
    events = list(client.messages.create(model="gpt-chat", max_tokens=100, messages=HELLO, stream=True))
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model", ["claude-tools", "gpt-parallel"])
def test_parallel_calls_and_their_results(client: Anthropic, model: str, streamed: bool) -> None:
    asked: dict[str, Any] = {"model": model, "max_tokens": 100, "messages": HELLO, "tools": WEATHER}
    if streamed:
        with client.messages.stream(**asked) as stream:
            answer = stream.get_final_message()
    else:
        answer = client.messages.create(**asked)
    assert answer.stop_reason == "tool_use"
    uses = [block for block in answer.content if block.type == "tool_use"]
    assert [(use.id, use.name, use.input) for use in uses] == [(call, "weather", given) for call, given in CALLS]
    results = [{"type": "tool_result", "tool_use_id": use.id, "content": f"{use.input['city']} 7"} for use in uses]
    messages: list[Any] = [
        *HELLO,
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": results},
    ]
    after = client.messages.create(model=model, max_tokens=100, messages=messages, tools=WEATHER)
    assert after.content[0].text == "Oslo 7; Rome 7"  # type: ignore[union-attr]


@pytest.mark.parametrize("streamed", [False, True])
def test_thoughts_come_and_go_back(client: Anthropic, streamed: bool) -> None:
    asked: dict[str, Any] = {"model": "claude-thinking-5", "max_tokens": 100, "thinking": {"type": "adaptive"}}
    if streamed:
        with client.messages.stream(messages=HELLO, **asked) as stream:
            answer = stream.get_final_message()
    else:
        answer = client.messages.create(messages=HELLO, **asked)
    assert [block.model_dump(exclude_none=True) for block in answer.content] == [
        {"type": "thinking", "thinking": "Hm.", "signature": SIGNATURE},
        {"type": "text", "text": "Yes."},
    ]
    more: list[Any] = [*HELLO, {"role": "assistant", "content": answer.content}, *HELLO]
    assert client.messages.create(messages=more, **asked).content[-1].text == "Yes."


@pytest.mark.parametrize("who", BOTH)
def test_images_and_documents(client: Anthropic, who: str) -> None:
    content: Any = [IMAGE, PDF, {"type": "text", "text": "What is it?"}]
    answer = client.messages.create(
        model=f"{who}-look", max_tokens=100, messages=[{"role": "user", "content": content}]
    )
    assert answer.content[0].text == "image/png a.pdf"  # type: ignore[union-attr]


@pytest.mark.parametrize("who", BOTH)
def test_structured_outputs(client: Anthropic, who: str) -> None:
    parsed = client.messages.parse(model=f"{who}-structured", max_tokens=100, messages=HELLO, output_format=Weather)
    assert parsed.parsed_output == Weather(city="Oslo", degrees=7)


@pytest.mark.parametrize("who", BOTH)
@pytest.mark.parametrize(
    ("model", "kind", "error_type"),
    [
        ("busy", anthropic.RateLimitError, "rate_limit_error"),
        ("strict", anthropic.BadRequestError, "invalid_request_error"),
        ("down", anthropic.InternalServerError, "api_error"),
        ("nobody", anthropic.NotFoundError, "not_found_error"),
    ],
)
def test_errors_are_of_their_class(
    client: Anthropic, who: str, model: str, kind: type[anthropic.APIStatusError], error_type: str
) -> None:
    with pytest.raises(kind) as caught:
        client.messages.create(model=f"{who}-{model}", max_tokens=100, messages=HELLO)
    assert caught.value.type == error_type
    assert caught.value.api_message


def test_a_request_that_is_wrong_names_its_field(client: Anthropic) -> None:
    search: Any = [{"type": "web_search_20260318", "name": "web_search"}]
    with pytest.raises(anthropic.BadRequestError, match=r"tools\[0\]\.type") as caught:
        client.messages.create(model="gpt-chat", max_tokens=100, messages=HELLO, tools=search)
    assert caught.value.error_code == "invalid_request"


def test_a_wrong_key(messages_served: Running) -> None:
    with Anthropic(base_url=messages_served.url, api_key="wrong", max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError) as caught:
            client.messages.create(model="bot", max_tokens=100, messages=HELLO)
        assert caught.value.type == "authentication_error"


def test_the_older_header_of_the_key(messages_served: Running) -> None:
    reply = httpx2.post(
        f"{messages_served.url}/v1/messages?beta=true",
        headers={"x-api-key": messages_served.key, "anthropic-version": "2023-06-01"},
        json={"model": "claude-chat", "max_tokens": 10, "messages": HELLO, "temperature": 0},
    )
    assert reply.json()["content"] == [{"type": "text", "text": "olleh"}]


@pytest.mark.parametrize("model", ["claude-cut", "gpt-cut", "claude-overloaded"])
def test_a_stream_that_breaks_off(client: Anthropic, model: str) -> None:
    seen: list[str] = []

    def read() -> None:
        with client.messages.stream(model=model, max_tokens=100, messages=HELLO) as stream:
            seen.extend(stream.text_stream)

    with pytest.raises(anthropic.APIStatusError, match=r"broke off|overloaded_error"):
        read()
    assert seen == ["Hel"]


def test_models(client: Anthropic) -> None:
    assert {"bot", "claude-chat"} <= {model.id for model in client.models.list()}


async def test_async(aclient: AsyncAnthropic) -> None:
    answer = await aclient.messages.create(model="claude-chat", max_tokens=100, messages=HELLO)
    assert answer.content[0].text == "olleh"  # type: ignore[union-attr]
    async with aclient.messages.stream(model="gpt-chat", max_tokens=100, messages=HELLO) as stream:
        assert "".join([text async for text in stream.text_stream]) == "olleh"
    with pytest.raises(anthropic.RateLimitError):
        await aclient.messages.create(model="gpt-busy", max_tokens=100, messages=HELLO)
