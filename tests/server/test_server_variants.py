"""The same loop on another catalog, and with the harder journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from journeys.running import make_project
from live_server import live_on


async def test_the_loop_holds_on_every_catalog(
    empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RONDO_CATALOG_URL", empty_database)
    project = make_project(tmp_path / "project")
    async with live_on(project) as live:
        assert await live.release(prompt="# user\nAgain: {{ question }}\n") == 2
        await live.post("/api/apps/bot/split", {"shares": {"2": 100}})
        assert (await live.chat()).headers["x-rondo-release"] == "bot#2"
        await live.post("/api/apps/bot/rollback", {})
        answered = await live.chat()
        assert answered.headers["x-rondo-release"] == "bot#1"
        await live.drained()
        story = await live.get(f"/api/why/{answered.headers['x-rondo-trace-id']}")
        assert story["release_intact"] is True
        assert (await live.get("/api/audit/verify"))["entries"] > 0
    async with live_on(project) as again:  # nothing has changed while it was away
        assert (await again.chat()).headers["x-rondo-release"] == "bot#1"


async def test_answers_are_synced_to_the_disk_where_asked(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project", more='durability = "power"')
    async with live_on(project) as live:
        streamed = await live.chat(stream=True)
        assert streamed.text.endswith("data: [DONE]\n\n")
        answered = [streamed, await live.chat(), await live.chat("parrot")]
        await live.drained()
        stored = {row["trace_id"] for row in (await live.get("/api/calls"))["items"]}
        assert stored == {response.headers["x-rondo-trace-id"] for response in answered}
