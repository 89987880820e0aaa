"""Pydantic AI's agents work unchanged, by chat completions, by Responses and by Anthropic's Messages.

It is no dependency of the tests: `pip install "pydantic-ai-slim[openai,anthropic]"` to run them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from anthropic import AsyncAnthropic
from openai import AsyncOpenAI
from pydantic import BaseModel

from journeys.anthropic_upstream import messages_served
from journeys.running import Running

__all__ = ["messages_served"]

ai = pytest.importorskip("pydantic_ai")


class Weather(BaseModel):
    city: str
    degrees: int


Model = Callable[..., Any]


@pytest.fixture
async def by_openai(served: Running) -> AsyncIterator[Model]:
    models = pytest.importorskip("pydantic_ai.models.openai")
    providers = pytest.importorskip("pydantic_ai.providers.openai")
    async with AsyncOpenAI(base_url=f"{served.url}/v1", api_key=served.key, max_retries=0, timeout=20) as client:
        provider = providers.OpenAIProvider(openai_client=client)

        def make(model: str, *, responses: bool = False) -> Any:
            return (models.OpenAIResponsesModel if responses else models.OpenAIChatModel)(model, provider=provider)

        yield make


@pytest.fixture
async def by_anthropic(messages_served: Running) -> AsyncIterator[Model]:
    models = pytest.importorskip("pydantic_ai.models.anthropic")
    providers = pytest.importorskip("pydantic_ai.providers.anthropic")
    key = messages_served.key
    async with AsyncAnthropic(base_url=messages_served.url, api_key=key, max_retries=0, timeout=20) as client:
        provider = providers.AnthropicProvider(anthropic_client=client)
        yield lambda model: models.AnthropicModel(model, provider=provider)


def weather(city: str) -> str:
    """The weather now."""
    return f"7 degrees in {city}"


@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
async def test_an_agent(by_openai: Model, responses: bool) -> None:
    result = await ai.Agent(by_openai("chat", responses=responses)).run("hello")
    assert result.output == "olleh"
    assert result.usage.total_tokens == 13


@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
async def test_a_stream(by_openai: Model, responses: bool) -> None:
    agent = ai.Agent(by_openai("chat", responses=responses))
    async with agent.run_stream("hello") as result:
        parts = [part async for part in result.stream_text(delta=True, debounce_by=None)]
    assert "".join(parts) == "olleh"
    assert len(parts) > 1


@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
async def test_tools(by_openai: Model, responses: bool) -> None:
    agent = ai.Agent(by_openai("tools", responses=responses), tools=[weather])
    result = await agent.run("How is Oslo?")
    assert result.output == "It is 7 degrees in Oslo."


async def test_structured_output(by_openai: Model) -> None:
    agent = ai.Agent(by_openai("structured"), output_type=ai.NativeOutput(Weather))
    assert (await agent.run("How is Oslo?")).output == Weather(city="Oslo", degrees=7)


@pytest.mark.parametrize("who", ["claude", "gpt"])
async def test_an_agent_by_messages(by_anthropic: Model, who: str) -> None:
    agent = ai.Agent(by_anthropic(f"{who}-chat"))
    assert (await agent.run("hello")).output == "olleh"
    async with agent.run_stream("hello") as result:
        assert await result.get_output() == "olleh"


@pytest.mark.parametrize("model", ["claude-tools", "gpt-parallel"])
async def test_parallel_tools_by_messages(by_anthropic: Model, model: str) -> None:
    agent = ai.Agent(by_anthropic(model), tools=[weather])
    assert (await agent.run("How is it?")).output == "7 degrees in Oslo; 7 degrees in Rome"
