"""Evaluations on a whole server in this process, before a real upstream: what it was asked is the oracle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from live_server import Live, live_on
from rondo.datasets.model import Example
from rondo.datasets.versions import save_version
from scripted_upstream import Play, ScriptedUpstream, Talk, whole

TOML = """
[app]
name = "bot"
prompt = "prompt.md"
route = ["good"]
hand_over = "A colleague takes over."

[models.good]
provider = "openai"
model = "good"
base_url = "{url}"
retries = 0
price = {{ input = 1.0, output = 2.0 }}

[models.poor]
provider = "openai"
model = "poor"
base_url = "{url}"
retries = 0
price = {{ input = 1.0, output = 2.0 }}

[models.unpriced]
provider = "openai"
model = "unpriced"
base_url = "{url}"
retries = 0

[journal]
min_free_mb = 1
"""
PROMPT = "# system\nBe kind.\n\n# user\n{{ question }}\n"
SUITE: dict[str, Any] = {"dataset": "questions", "scorers": [{"kind": "contains"}], "max_concurrency": 4}


def said(text: str) -> dict[str, Any]:
    """A chat completion."""
    return {
        "id": "1",
        "object": "chat.completion",
        "model": "upstream",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


def answering(answer: Callable[[str], Any]) -> Play:
    """Answers the last message's text with what the function says: a text, or a play."""

    async def play(talk: Talk) -> None:
        question = talk.heard.json["messages"][-1]["content"]
        found = answer(question)
        await (whole(said(found)) if isinstance(found, str) else found)(talk)

    return play


class Evaluating:
    """A server, its upstream, and the way to its runs. `good` knows all answers, `poor` none."""

    def __init__(self, live: Live, upstream: ScriptedUpstream) -> None:
        self.live = live
        self.upstream = upstream
        upstream.plays["good"] = answering(lambda question: f"It is {question.removeprefix('What is ').rstrip('?')}!")
        upstream.plays["poor"] = answering(lambda question: "No idea.")

    def dataset(self, *examples: Example, name: str = "questions") -> str:
        """A version of these examples; its hash."""
        catalog = self.live.server.catalog
        return save_version(catalog, "default", name, examples, note="", actor="test").hash

    def numbers(self, count: int, **fields: Any) -> str:
        return self.dataset(*(example(number, **fields) for number in range(count)))

    async def start(self, *, suite: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
        body = {"app": "bot", "name": "suite", "suite": {**SUITE, **(suite or {})}, **more}
        answer: dict[str, Any] = await self.live.post("/api/runs", body)
        return answer

    async def run(self, **order: Any) -> dict[str, Any]:
        """Start a run and wait until it stands still."""
        return await self.until_still((await self.start(**order))["id"])

    async def until_still(self, run_id: str) -> dict[str, Any]:
        async with asyncio.timeout(30):
            while True:
                run: dict[str, Any] = await self.live.get(f"/api/runs/{run_id}")
                if run["status"] not in ("queued", "running"):
                    return run
                await asyncio.sleep(0.02)

    async def results(self, run_id: str, **filters: Any) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (await self.live.get(f"/api/runs/{run_id}/results", limit=1000, **filters))[
            "results"
        ]
        return rows

    def asked(self, model: str) -> list[str]:
        """The questions that the upstream got for this model."""
        bodies = [heard.json for heard in self.upstream.heard]
        return [body["messages"][-1]["content"] for body in bodies if body["model"] == model]


def example(number: int, **fields: Any) -> Example:
    messages = [{"role": "user", "content": f"What is {number}?"}]
    return Example(**{"messages": messages, "expected": str(number), **fields}).identified()


def metric(run: dict[str, Any], name: str, target: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in run["report"]["targets"][target]["metrics"] if each["metric"] == name)
    return found


def make_project(folder: Path, url: str, more: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rondo.toml").write_text(TOML.format(url=url) + more)
    (folder / "prompt.md").write_text(PROMPT)
    return folder


@pytest.fixture
async def evaluating(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Evaluating]:
    """A server on a small project; models are at a scripted upstream."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("RONDO_KEY_HOSTS", "OPENAI_API_KEY=127.0.0.1")
    upstream = ScriptedUpstream()
    await upstream.start()
    try:
        async with live_on(make_project(tmp_path / "project", upstream.url)) as live:
            yield Evaluating(live, upstream)
    finally:
        await upstream.stop()
