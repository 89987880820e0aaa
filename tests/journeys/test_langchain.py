"""LangChain's ChatOpenAI works unchanged: whole, streamed, with tools, with structured output, and by Responses.

It is no dependency of the tests: `pip install langchain-openai` to run them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

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
    """Makes chat models, and closes what they leave open."""
    made: list[Any] = []

    def make(model: str, **more: Any) -> Any:
        url, key = f"{served.url}/v1", SecretStr(served.key)
        made.append(langchain.ChatOpenAI(base_url=url, api_key=key, model=model, max_retries=0, timeout=20, **more))
        return made[-1]

    yield make
    for model in made:
        model.root_client.close()
        await model.root_async_client.close()


def test_invoke(chat: Chat) -> None:
    answer = chat("chat").invoke([("system", "Be kind."), ("human", "hello")])
    assert answer.text == "olleh"
    assert answer.usage_metadata["total_tokens"] == 13
    assert answer.response_metadata["finish_reason"] == "stop"


async def test_ainvoke_of_an_app(chat: Chat) -> None:
    answer = await chat("bot").ainvoke("hello")
    assert answer.text == "You asked: hello"


def test_stream(chat: Chat) -> None:
    chunks = list(chat("chat", stream_usage=True).stream("hello"))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert whole.text == "olleh"
    assert len([chunk for chunk in chunks if chunk.text]) > 1
    assert whole.usage_metadata["total_tokens"] > 0


async def test_astream(chat: Chat) -> None:
    parts = [chunk.text async for chunk in chat("chat").astream("hello")]
    assert "".join(parts) == "olleh"


def test_tools(chat: Chat) -> None:
    """A turn of an agent: the call, its result, the answer."""
    from langchain_core.messages import HumanMessage, ToolMessage

    model = chat("tools").bind_tools([weather])
    asked: list[Any] = [HumanMessage("How is Oslo?")]
    answer = model.invoke(asked)
    (call,) = answer.tool_calls
    assert (call["name"], call["args"]) == ("weather", {"city": "Oslo"})
    asked += [answer, ToolMessage(weather(**call["args"]), tool_call_id=call["id"])]
    assert model.invoke(asked).text == "It is 7 degrees in Oslo."


def test_tools_streamed(chat: Chat) -> None:
    chunks = list(chat("tools").bind_tools([weather]).stream("How is Oslo?"))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    assert [(call["name"], call["args"]) for call in whole.tool_calls] == [("weather", {"city": "Oslo"})]


def test_structured_output(chat: Chat) -> None:
    model = chat("structured").with_structured_output(Weather, method="json_schema")
    assert model.invoke("How is Oslo?") == Weather(city="Oslo", degrees=7)


@pytest.mark.parametrize("stream", [False, True])
def test_responses(chat: Chat, stream: bool) -> None:
    model = chat("chat", use_responses_api=True)
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
