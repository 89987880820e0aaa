"""Ledgers to test: the one in memory, and one on the Redis that RONDO_TEST_REDIS_URL names, or on one of our own."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from rondo import clock
from rondo.limits.ledger import Ledger, Used
from rondo.limits.model import Claim, Limit, LimitTable, Matched
from rondo.limits.redis_ledger import RedisLedger
from rondo.limits.spent import Spent

VARIABLE = "RONDO_TEST_REDIS_URL"


def matched(*limits: Limit, key: str = "k", user: str | None = "anna", app: str | None = "bot") -> Matched:
    """All of these limits, as a request of this caller meets them."""
    found = LimitTable([("p", limit) for limit in limits]).match("p", key, user, app)
    assert found is not None
    return found


def claim(nano: int = 0, tokens: int = 0, *, at: int | None = None) -> Claim:
    return Claim(clock.now_us() if at is None else at, tokens, nano)


async def nothing_spent() -> Spent:
    return Spent(read_at=clock.now_us(), users=True)


async def used(ledger: Ledger, subject: str) -> Used:
    (found,) = await ledger.used([subject])
    return found


def redis_at_hand() -> str:
    """The address of a Redis to test on; skips without one. Every test uses a prefix of its own there."""
    address = os.environ.get(VARIABLE)
    if not address:
        pytest.skip(f"{VARIABLE} is not set: no Redis to test with")
    return address


async def forget(ledger: RedisLedger) -> None:
    """Close it, and leave nothing behind on a Redis that is shared."""
    prefix = ledger._names.epoch.removesuffix("epoch")
    keys = [key async for key in ledger._control._client.scan_iter(match=prefix.replace("{", "[{]") + "*", count=1_000)]
    await ledger.close()
    if keys:
        from redis.asyncio import Redis

        async with Redis.from_url(redis_at_hand()) as client:
            await client.delete(*keys, *[prefix + "processes"])


async def settled(ledger: Any) -> None:
    """Wait until everything that was settled is known everywhere."""
    async with asyncio.timeout(10):
        while getattr(ledger, "_owed", None) or (isinstance(ledger, RedisLedger) and _unheld(ledger)):
            await asyncio.sleep(0.005)


def _unheld(ledger: RedisLedger) -> bool:
    return ledger._unheld.first() is not None or bool(ledger._unheld._now.nano)


class OwnRedis:
    """A server of our own, to kill and start again. `save` keeps what it has on disk when it is told to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        words = [
            "redis-server",
            "--port",
            str(self.port),
            "--save",
            "",
            "--dir",
            str(self._folder),
            "--bind",
            "127.0.0.1",
        ]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("redis-server did not start")

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
