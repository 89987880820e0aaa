"""`kill -9` of everything at random times under load: what a client has received whole is in the records, once."""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable

import aiohttp
import pytest

from journeys.running import Running

ROUNDS = int(os.environ.get("RONDO_TEST_KILL_ROUNDS", "3"))
CLIENTS = 8


async def load(server: Running, seed: int, answered: set[str]) -> None:
    """Ask until the server dies; `answered` gets the trace ids of answers that came in whole."""
    chance = random.Random(seed)
    headers = {"authorization": f"Bearer {server.key}"}
    async with aiohttp.ClientSession(server.url, headers=headers) as session:
        while True:
            stream = chance.random() < 0.4
            app = chance.choice(["bot", "parrot"])
            body = {"model": app, "stream": stream, "messages": [{"role": "user", "content": f"q {chance.random()}"}]}
            try:
                async with session.post("/v1/chat/completions", json=body) as response:
                    whole = await response.read()
            except (aiohttp.ClientError, OSError):
                return
            assert response.status == 200, whole
            if not stream or whole.endswith(b"data: [DONE]\n\n"):
                answered.add(response.headers["x-rondo-trace-id"])


async def killed_under_load(server: Running, seed: int, answered: set[str]) -> None:
    clients = [asyncio.create_task(load(server, seed * 100 + n, answered)) for n in range(CLIENTS)]
    await asyncio.sleep(random.Random(seed).uniform(0.05, 0.6))
    await asyncio.to_thread(server.kill)
    await asyncio.wait_for(asyncio.gather(*clients), 10)


def stored_ids(server: Running) -> Counter[str]:
    """Every recorded trace id, once the drain has caught up."""
    deadline = time.monotonic() + 30
    while True:
        drain = server.rondo("status")["drain"]
        assert drain["accepted"] == drain["stored"] + drain["queued"]
        if drain["queued"] == 0:
            break
        assert time.monotonic() < deadline, drain
        time.sleep(0.05)
    exported = server.data / "calls.jsonl"
    server.rondo("calls", "export", "--output", str(exported))
    with exported.open() as lines:
        return Counter(json.loads(line)["trace_id"] for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [(), ("--workers", "2")], ids=["one process", "workers"])
async def test_what_a_client_has_seen_survives_kill_9(
    serve: Callable[..., Running], arguments: tuple[str, ...]
) -> None:
    answered: set[str] = set()
    for round_number in range(ROUNDS if not arguments else max(1, ROUNDS // 5)):
        server = await asyncio.to_thread(serve, *arguments)
        await killed_under_load(server, round_number, answered)
    server = await asyncio.to_thread(serve)
    stored = await asyncio.to_thread(stored_ids, server)
    assert answered, "the load answered nothing"
    missing = answered - set(stored)
    assert not missing, f"{len(missing)} of {len(answered)} answered calls are not in the records"
    doubled = [trace for trace, count in stored.items() if count > 1]
    assert not doubled, f"{len(doubled)} calls are recorded more than once"
