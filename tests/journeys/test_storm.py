"""Releases change as fast as they can under load: nothing fails, nobody waits, and everyone serves what holds."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from gateway_house import HELLO, House, Visitor
from journeys.running import Running, make_project, rondo
from live_server import live_on
from scripted_upstream import events

CLIENTS = 8
STORM_S = 1.5
ASKED = 12
CHAT = "/v1/chat/completions"


async def ask(session: aiohttp.ClientSession, *, stream: bool = False, user: str | None = None) -> str:
    """The release that answered; fails where anything but a whole answer comes."""
    body: dict[str, Any] = {"model": "bot", "stream": stream, "messages": HELLO}
    if user is not None:
        body["user"] = user
    async with session.post(CHAT, json=body) as response:
        whole = await response.read()
        assert response.status == 200, whole
        assert b"hello" in whole or stream
        assert not stream or whole.endswith(b"data: [DONE]\n\n"), whole
        return str(response.headers["x-rondo-release"])


async def change(session: aiohttp.ClientSession, verb: str, body: object) -> int:
    async with session.post(f"/api/apps/bot/{verb}", json=body) as response:
        # A share for what happens to be the stable release is refused, and so is a rollback to nowhere.
        assert response.status in (200, 409) or (verb == "split" and response.status == 400), await response.text()
        return response.status


async def storm(session: aiohttp.ClientSession, stop: asyncio.Event) -> int:
    chance, changes = random.Random(2), 0
    while not stop.is_set():
        verb, body = chance.choice(
            [
                ("promote", {"release": chance.choice([1, 2, 3])}),
                ("split", {"shares": {str(chance.choice([1, 2, 3])): chance.choice([10, 50, 90])}}),
                ("rollback", {}),
            ]
        )
        changes += await change(session, verb, body) == 200
    return changes


async def all_serve(server: Running, release: str) -> None:
    """Every gateway process, asked over connections of their own, a second after a change."""
    await asyncio.sleep(1.0)
    for _ in range(ASKED):
        async with aiohttp.ClientSession(server.url, headers=server.headers) as fresh:
            assert await ask(fresh) == release


@pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=["one process", "workers"])
async def test_no_request_fails_while_releases_change(
    serve: Callable[..., Running], arguments: tuple[str, ...]
) -> None:
    server = await asyncio.to_thread(serve, *arguments)
    for text in ("Be brief.", "Be polite."):
        (server.project / "prompt.md").write_text(f"# system\n{text}\n\n# user\n{{{{ question }}}}\n")
        await asyncio.to_thread(server.rondo, "release", "-m", text)
    stop = asyncio.Event()
    seen: Counter[str] = Counter()

    async def load(session: aiohttp.ClientSession, number: int) -> None:
        while not stop.is_set():
            seen[await ask(session, stream=number % 2 == 0, user=f"u{number}" if number < 4 else None)] += 1

    async with aiohttp.ClientSession(server.url, headers=server.headers) as session:
        clients = [asyncio.create_task(load(session, number)) for number in range(CLIENTS)]
        storming = asyncio.create_task(storm(session, stop))
        await asyncio.wait([*clients, storming], timeout=STORM_S, return_when=asyncio.FIRST_EXCEPTION)
        stop.set()
        changes = await storming
        await asyncio.gather(*clients)
        assert changes > 5
        assert set(seen) <= {"bot#1", "bot#2", "bot#3"}
        assert len(seen) > 1
        await change(session, "promote", {"release": 1})
        await change(session, "promote", {"release": 3})
        await all_serve(server, "bot#3")
        await change(session, "rollback", {"to": 1})
        await all_serve(server, "bot#1")
    assert await asyncio.to_thread(server.stop) == 0
    recorded = await asyncio.to_thread(rondo, "status", "--data", str(server.data), "--json", cwd=server.project)
    assert recorded["drain"]["stored"] == sum(seen.values()) + 2 * ASKED
    assert recorded["drain"]["queued"] == 0


async def test_a_caller_keeps_its_arm_over_a_restart(tmp_path: Path) -> None:
    project = make_project(tmp_path / "project")
    users = [f"user-{number}" for number in range(40)]

    async def arms(live: Any) -> dict[str, str]:
        return {user: (await live.chat(user=user)).headers["x-rondo-release"] for user in users}

    async with live_on(project) as live:
        await live.release(prompt="# user\nnew {{ question }}\n")
        await live.post("/api/apps/bot/split", {"shares": {"2": 50}})
        before = await arms(live)
    assert set(before.values()) == {"bot#1", "bot#2"}
    async with live_on(project) as live:
        assert await arms(live) == before
        await live.post("/api/apps/bot/split", {"shares": {"2": 80}})  # a growing share keeps those who are in
        grown = await arms(live)
        assert all(grown[user] == "bot#2" for user in users if before[user] == "bot#2")


async def test_a_request_under_way_finishes_on_its_release(house: House) -> None:
    said = b'data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\n'
    stop = b'data: {"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}]}\n\n'
    house.upstream.plays["echo"] = events([said, *[b": wait\n\n"] * 10, stop, b"data: [DONE]\n\n"], pause_s=0.01)
    body = json.dumps({"model": "bot", "stream": True, "messages": HELLO}).encode()
    visitor = Visitor(house, CHAT, body)
    await visitor.until(b"Hel")
    house.app("bot", house.model("other"), number=2)
    assert (await house.chat("bot")).headers["x-rondo-release"] == "bot#2"
    await visitor.task
    assert visitor.body.endswith(b"data: [DONE]\n\n")
    assert {(call.release, call.model, call.status) for call in house.calls} == {(2, "other", 200), (1, "echo", 200)}
