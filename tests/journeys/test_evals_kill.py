"""`kill -9` in the middle of an evaluation: the next server goes on with it, and asks nothing that was answered."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from evaluating_house import SUITE, answering, make_project
from journeys.running import Running, serving
from scripted_upstream import ScriptedUpstream, Talk

CASES = 60
AT_ONCE = 4
ROUNDS = 3


async def call(server: Running, method: str, path: str, body: Any = None, **params: str) -> Any:
    async with aiohttp.ClientSession(server.url, headers=server.headers) as session:
        more = {"data": body} if isinstance(body, bytes) else {"json": body}
        async with session.request(method, path, params=params, **more) as response:
            assert response.status == 200, await response.text()
            return await response.json()


async def test_nothing_that_was_answered_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("RONDO_KEY_HOSTS", "OPENAI_API_KEY=127.0.0.1")
    upstream = ScriptedUpstream()
    answered: Counter[str] = Counter()
    good = answering(lambda question: f"It is {question}")

    async def play(talk: Talk) -> None:
        await asyncio.sleep(0.01)
        await good(talk)
        answered[talk.heard.json["messages"][-1]["content"]] += 1

    upstream.plays["good"] = play
    await upstream.start()
    rows = [{"question": f"What is {number}?", "expected": str(number)} for number in range(CASES)]
    content = "\n".join(map(json.dumps, rows)).encode()
    try:
        with serving(make_project(tmp_path / "project", upstream.url)) as start:
            server: Running = await asyncio.to_thread(start)
            await call(server, "POST", "/api/datasets/questions/versions", content, filename="q.jsonl")
            order = {"app": "bot", "name": "s", "suite": {**SUITE, "max_concurrency": AT_ONCE}}
            run_id = (await call(server, "POST", "/api/runs", order))["id"]
            for round_ in range(1, ROUNDS + 1):
                async with asyncio.timeout(30):
                    while len(answered) < round_ * CASES // (ROUNDS + 1):
                        await asyncio.sleep(0.005)
                await asyncio.to_thread(server.kill)
                server = await asyncio.to_thread(start)
            async with asyncio.timeout(60):
                while (run := await call(server, "GET", f"/api/runs/{run_id}"))["status"] in ("queued", "running"):
                    await asyncio.sleep(0.1)
            assert (run["status"], run["done"], run["failed"]) == ("finished", CASES, 0), run
            server.stop()
    finally:
        await upstream.stop()
    assert set(answered) == {row["question"] for row in rows}
    # What was on its way when a server died may have been answered to nobody; that is all that is asked again.
    again = sum(answered.values()) - CASES
    assert again <= ROUNDS * AT_ONCE, answered
