"""Models that embed and name, asked through the gateway of a whole server: what they give, and what can go wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from journeys.running import make_project
from live_server import live_on
from rondo.monitoring.drift import asking
from rondo.monitoring.drift.asking import Faulty, Group, Models
from scripted_upstream import ScriptedUpstream, Talk, whole

MODELS = """
[models.embedder]
provider = "vllm"
model = "embedder"
base_url = "{url}"
[models.namer]
provider = "vllm"
model = "namer"
base_url = "{url}"
"""


def embeddings(vector: Callable[[str], list[Any]]) -> Callable[[Talk], Any]:
    async def play(talk: Talk) -> None:
        rows = [{"index": at, "embedding": vector(text)} for at, text in enumerate(talk.heard.json["input"])]
        await whole({"object": "list", "model": "embedder", "data": rows, "usage": {"prompt_tokens": 1}})(talk)

    return play


async def slow(talk: Talk) -> None:
    await asyncio.sleep(0.3)
    await embeddings(lambda text: [1.0])(talk)


def naming(*names: str) -> Callable[[Talk], Any]:
    said = {"role": "assistant", "content": json.dumps({"names": names})}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    choices = [{"index": 0, "message": said, "finish_reason": "stop"}]
    return whole({"id": "x", "object": "chat.completion", "model": "namer", "choices": choices, "usage": usage})


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    made = ScriptedUpstream()
    await made.start()
    yield made
    await made.stop()


async def test_models_that_embed_and_name_and_their_faults(
    tmp_path: Path, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "project", more=MODELS.format(url=upstream.url))
    async with live_on(project) as live:
        means = live.server.control.watching.drift._means
        texts = [f"question {number}" for number in range(100)]

        async def vectors() -> Any:
            return await Models(means, "default", "bot", "drift_1", None).vectors("embedder", texts)

        upstream.plays["embedder"] = embeddings(lambda text: [3.0, float(text.split()[1])])
        found = await vectors()
        assert found.shape == (100, 2)
        assert np.allclose(found[4], [0.6, 0.8])
        assert len(upstream.heard) == 2  # 64 at once
        wrong: dict[str, Callable[[str], list[Any]]] = {
            "several lengths": lambda text: [1.0] * (2 if int(text.split()[1]) < 64 else 3),  # another model, halfway
            "without a direction": lambda text: [],
            "or zeros": lambda text: [0.0, 0.0],
            "no embeddings": lambda text: ["a"],
        }
        for words, vector in wrong.items():
            upstream.plays["embedder"] = embeddings(vector)
            with pytest.raises(Faulty, match=words):
                await vectors()
        upstream.plays["embedder"] = slow
        monkeypatch.setattr(asking, "LONGEST_S", 0.1)
        with pytest.raises(Faulty, match="0 of 100 questions"):
            await vectors()
        while upstream.open:
            await asyncio.sleep(0.02)

        groups = [Group(["refund"], ["where is my refund"]), Group(["login"], ["no login"])]

        async def names() -> list[str]:
            return await Models(means, "default", "bot", "drift_2", None).names("namer", groups)

        upstream.plays["namer"] = naming("Late\x00 refunds\u202e", "Broken\n\x1b[31m login")
        assert await names() == ["Late refunds", "Broken [31m login"]
        for said in (("only one",), ("refunds", " \u200b")):
            upstream.plays["namer"] = naming(*said)
            with pytest.raises(Faulty, match="namer"):
                await names()
