"""LangChain's ChatOpenAI works unchanged: whole, streamed, with tools, with structured output, and by Responses.

It is no dependency of the tests: `pip install langchain-openai` to run them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel, SecretStr

from journeys.running import Running

langchain = pytest.importorskip("langchain_openai")


class Weather(BaseModel):
    """The weather in a city."""

    city: str
    degrees: int


def weather(city: str) -> str:
    """The weather now."""
    return f"7 degrees in {city}"


Chat = Callable[..., Any]


@pytest.fixture
async def chat(served: Running) -> AsyncIterator[Chat]:
    """Makes chat models on connections that are closed in the end; its own it would share, and leave open."""
    url, key = f"{served.url}/v1", SecretStr(served.key)
    with httpx2.Client() as client:
        async with httpx2.AsyncClient() as aclient:
            yield partial(
                langchain.ChatOpenAI,
                base_url=url,
                api_key=key,
                max_retries=0,
                timeout=20,
                http_client=client,
                http_async_client=aclient,
            )


def test_invoke(chat: Chat) -> None:
    answer = chat(model="chat").invoke([("system", "Be kind."), ("human", "hello")])
    assert answer.text == "olleh"
    assert answer.usage_metadata["total_tokens"] == 13
    assert answer.response_metadata["finish_reason"] == "stop"


async def test_ainvoke_of_an_app(chat: Chat) -> None:
    answer = await chat(model="bot").ainvoke("hello")
    assert answer.text == "You asked: hello"


def test_stream(chat: Chat) -> None:
    chunks = list(chat(model="chat", stream_usage=True).stream("hello"))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.text == "olleh"
    assert len([chunk for chunk in chunks if chunk.text]) > 1
    assert whole.usage_metadata["total_tokens"] > 0


async def test_astream(chat: Chat) -> None:
    parts = [chunk.text async for chunk in chat(model="chat").astream("hello")]
    assert "".join(parts) == "olleh"


def test_tools(chat: Chat) -> None:
    """A turn of an agent: the call, its result, the answer."""
    messages = pytest.importorskip("langchain_core.messages")

    model = chat(model="tools").bind_tools([weather])
    asked: list[Any] = [messages.HumanMessage("How is Oslo?")]
    answer = model.invoke(asked)
    (call,) = answer.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Oslo"})
    asked += [answer, messages.ToolMessage(weather(**call["args"]), tool_call_id=call["id"])]
    assert model.invoke(asked).text == "It is 7 degrees in Oslo."


def test_tools_streamed(chat: Chat) -> None:
    chunks = list(chat(model="tools").bind_tools([weather]).stream("How is Oslo?"))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert [(call["name"], call["args"]) for call in whole.tool_calls] == [("weather", {"city": "Oslo"})]


def test_structured_output(chat: Chat) -> None:
    model = chat(model="structured").with_structured_output(Weather, method="json_schema")
    assert model.invoke("How is Oslo?") == Weather(city="Oslo", degrees=7)


@pytest.mark.parametrize("stream", [False, True])
def test_responses(chat: Chat, stream: bool) -> None:
    model = chat(model="chat", use_responses_api=True)
    if stream:
        assert "".join(chunk.text for chunk in model.stream("hello")) == "olleh"
    else:
        answer = model.invoke("hello")
        assert answer.text == "olleh"
        assert answer.id.startswith("resp_")


def test_embeddings(served: Running) -> None:
    key = SecretStr(served.key)
    embed = langchain.OpenAIEmbeddings(
        base_url=f"{served.url}/v1", api_key=key, model="embed", check_embedding_ctx_length=False
    )
    assert embed.embed_documents(["hello", "you"]) == [[5.0, 0.5], [3.0, 0.5]]
    embed.client._client.close()
