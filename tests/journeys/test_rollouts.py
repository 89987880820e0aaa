"""A rollout on a server with worker processes: started by `rondo release`, over a `kill -9`, to its end by itself."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import aiohttp
import pytest

from journeys.running import Running, make_project, rondo

Serve = Callable[..., Running]

MORE = """
[rollout]
steps = ["40% 1s 30 calls", "100%"]
[rollout.guards]
least_calls = 10

[models.broken]
provider = "scripted"
retries = 0
params = { script = [{ text = "broken", status = 500 }] }

[models.sound]
provider = "scripted"
params = { script = ["All is well."] }
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project", more=MORE)


def release(server: Running, model: str) -> dict[str, Any]:
    """`rondo release` of a tree that answers with this model."""
    file = server.project / "rondo.toml"
    before, _, after = file.read_text().partition("route = [")
    file.write_text(f'{before}route = ["{model}"]{after.partition("]")[2]}')
    told: dict[str, Any] = server.rondo("release", "-m", model)
    return told


def status(server: Running) -> dict[str, Any]:
    told: dict[str, Any] = server.rondo("rollout", "status")
    return told


def stands(server: Running) -> str:
    """Its status, as the API says: a command each time would be most of what is waited for."""
    with urlopen(Request(f"{server.url}/api/apps/bot/rollout", headers=server.headers)) as answer:
        told: str = json.load(answer)["rollout"]["status"]
    return told


def ask(server: Running, seconds: float, until: Callable[[], bool]) -> list[int]:
    """Users who ask, eight at a time, for so long or until something is; the statuses they got."""
    statuses: list[int] = []

    async def one(session: aiohttp.ClientSession, number: int) -> None:
        body = {"model": "bot", "messages": [{"role": "user", "content": "hello"}], "user": f"user-{number}"}
        url = f"{server.url}/v1/chat/completions"
        async with session.post(url, json=body, headers=server.headers) as response:
            await response.read()
            statuses.append(response.status)

    async def all_of_them() -> None:
        deadline = time.monotonic() + seconds
        async with aiohttp.ClientSession() as session:
            while time.monotonic() < deadline and not await asyncio.to_thread(until):
                await asyncio.gather(*(one(session, len(statuses) + each) for each in range(8)))

    asyncio.run(all_of_them())
    return statuses


def test_a_bad_release_is_taken_back_and_a_good_one_stays(serve: Serve) -> None:
    server = serve("--workers", "2")
    bad = release(server, "broken")
    assert bad["rollout"]["started"]["status"] == "running"
    statuses = ask(server, 60, lambda: stands(server) != "running")
    ended = status(server)
    assert ended["status"] == "rolled_back"
    assert max(statuses) >= 500
    assert set(ask(server, 0.3, lambda: False)) == {200}
    good = release(server, "sound")
    assert good["rollout"]["started"]["release"] == 3
    server.kill()
    server = serve("--workers", "2")
    assert status(server)["status"] == "running"
    assert set(ask(server, 60, lambda: stands(server) != "running")) == {200}
    assert status(server)["status"] == "promoted"
    past = server.rondo("rollout", "history")["rollouts"]
    assert [each["status"] for each in past] == ["promoted", "rolled_back"]
    assert server.rondo("status")["overview"]["apps"][0]["stable"] == 3


def test_a_release_need_not_be_rolled_out(serve: Serve, project: Path) -> None:
    server = serve()
    file = project / "prompt.md"
    file.write_text(file.read_text().replace("kind", "brief"))
    told = rondo("release", "--no-rollout", "--data", str(server.data), "--json", cwd=project)
    assert "rollout" not in told
    assert server.rondo("rollout", "history")["rollouts"] == []
