"""`rondo.trace`: a program's own steps, sent to a running server, with the gateway's call under them."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable, Generator
from pathlib import Path

import httpx2
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from journeys.conftest import project, serve
from journeys.running import Running
from rondo import trace
from rondo.errors import SettingsError

__all__ = ["project", "serve"]

PROGRAM = """
import asyncio, sys
import openai
from rondo import trace

@trace.step("find orders", kind="tool")
def find(user):
    return [user]

@trace.step("wait", kind="tool")
async def wait():
    await asyncio.sleep(0)

trace.start(url=sys.argv[1], key=sys.argv[2], service="shop")
client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key=sys.argv[2])
with trace.step("answer", kind="agent", user="u1", session="s7", tags={"channel": "web"}) as answering:
    answering.given({"question": "hello?"})
    assert find("u1") == ["u1"]
    assert find("u2") == ["u2"]
    asyncio.run(wait())
    said = client.chat.completions.with_raw_response.create(
        model="bot", messages=[{"role": "user", "content": "hello?"}], extra_headers=trace.headers())
    with trace.call("gpt-4o", provider="openai", messages=[{"role": "user", "content": "x"}]) as asked:
        asked.said("y", input_tokens=9, output_tokens=3)
    try:
        with trace.step("broken"):
            raise ValueError("no")
    except ValueError:
        pass
    answering.gave("done")
trace.stop()
print(said.headers["x-rondo-trace-id"])
"""


def test_a_programs_steps_and_the_gateways_call_are_one_trace(serve: Callable[..., Running], tmp_path: Path) -> None:
    server = serve()
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    told = subprocess.run(
        [sys.executable, str(program), server.url, server.key], capture_output=True, text=True, check=True
    )
    trace_id = told.stdout.strip()
    with httpx2.Client(base_url=server.url, headers=server.headers) as client:
        for _ in range(200):
            answer = client.get(f"/api/traces/{trace_id}")
            if answer.status_code == 200 and answer.json()["spans"] >= 7:
                break
        tree = answer.json()
        root = client.get(f"/api/traces/{trace_id}/spans/{tree['rows'][0]['span_id']}").json()["span"]
    named = {(row["source"], row["name"], row["depth"]) for row in tree["rows"] if row["source"] != "step"}
    assert named == {
        ("span", "answer", 0),
        ("span", "find orders", 1),
        ("span", "wait", 1),
        ("span", "broken", 1),
        ("call", "bot", 1),
        ("call", "gpt-4o", 1),
    }
    assert (tree["user"], tree["session"], tree["failed"], tree["calls"]) == ("u1", "s7", 1, 2)
    assert (root["kind"], root["input"], root["output"], root["tags"]) == (
        "agent",
        '{"question":"hello?"}',
        "done",
        {"channel": "web"},
    )


def test_without_a_start_it_does_nothing() -> None:
    with trace.step("nothing", user="u") as step:
        step.given("x")
        step.gave(object())
    assert trace.headers() == {}
    trace.flush()
    trace.stop()


def test_where_to_must_be_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RONDO_URL", raising=False)
    with pytest.raises(SettingsError, match="RONDO_URL"):
        trace.start(key="k")


def test_hooks_of_clients() -> None:
    request = httpx2.Request("GET", "http://rondo.test")
    trace.add_headers(request)
    assert "traceparent" not in request.headers


def told(ended: InMemorySpanExporter) -> list[tuple[str, str | None, bool]]:
    """Name, the name of the span above it, and whether it failed, of each."""
    spans = ended.get_finished_spans()
    names = {span.context.span_id: span.name for span in spans}
    return [(s.name, names.get(s.parent.span_id) if s.parent else None, not s.status.is_ok) for s in spans]


@trace.step("answer")
def answers(*words: str) -> Generator[str, str | None, str]:
    said = ""
    for word in words:
        with trace.step(f"find {word}"):
            pass
        said += (yield word) or "-"
    return said


def test_a_generators_step_lasts_until_it_is_exhausted(ended: InMemorySpanExporter) -> None:
    with trace.step("request"):
        for word in answers("a", "b"):
            with trace.step(f"send {word}"):
                pass
        with trace.step("after"):
            pass
    assert told(ended) == [
        ("find a", "answer", False), ("send a", "request", False),
        ("find b", "answer", False), ("send b", "request", False),
        ("answer", "request", False), ("after", "request", False), ("request", None, False),
    ]  # fmt: skip


def test_a_generator_is_still_one(ended: InMemorySpanExporter) -> None:
    assert inspect.isgeneratorfunction(answers)
    assert inspect.isasyncgenfunction(streamed)
    talk = answers("a", "b")
    assert (next(talk), talk.send("x")) == ("a", "b")
    with pytest.raises(StopIteration) as end:
        talk.send("y")
    assert end.value.value == "xy"
    assert list(answers()) == []
    answers("never read")
    assert [name for name, _, _ in told(ended)] == ["find a", "find b", "answer", "answer"]


def test_a_generator_that_is_closed_or_fails(ended: InMemorySpanExporter) -> None:
    closed = answers("a", "b")
    assert next(closed) == "a"
    closed.close()
    thrown = answers("c")
    assert next(thrown) == "c"
    with pytest.raises(ValueError, match="no"):
        thrown.throw(ValueError("no"))
    assert [(name, failed) for name, _, failed in told(ended)] == [
        ("find a", False), ("answer", False), ("find c", False), ("answer", True),
    ]  # fmt: skip


@trace.step("stream")
async def streamed(*words: str, fails: bool = False) -> AsyncGenerator[str, None]:
    for word in words:
        await asyncio.sleep(0)
        with trace.step(f"find {word}"):
            yield word
    if fails:
        raise ValueError("no")


async def test_async_generators_side_by_side(ended: InMemorySpanExporter) -> None:
    async def request(name: str) -> None:
        with trace.step(name):
            async for _ in streamed(name.upper()):
                await asyncio.sleep(0)

    await asyncio.gather(request("a"), request("b"))
    found = told(ended)
    assert {(name, above) for name, above, _ in found} == {
        ("find A", "stream"), ("find B", "stream"), ("stream", "a"), ("stream", "b"), ("a", None), ("b", None),
    }  # fmt: skip


async def test_an_async_generator_that_is_closed_or_fails(ended: InMemorySpanExporter) -> None:
    closed = streamed("a", "b")
    assert await anext(closed) == "a"
    await closed.aclose()
    with pytest.raises(ValueError, match="no"):
        [word async for word in streamed(fails=True)]
    assert [(name, failed) for name, _, failed in told(ended)] == [
        ("find a", False), ("stream", False), ("stream", True),
    ]  # fmt: skip
