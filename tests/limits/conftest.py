"""Ledgers: the same tests run on each that is at hand."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from limits.ledgers import OwnRedis, forget, nothing_spent, redis_at_hand
from rondo.limits import redis_epoch, redis_ledger
from rondo.limits.memory import MemoryLedger
from rondo.limits.redis_ledger import RedisLedger


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for slower processes: there are none."""
    monkeypatch.setattr(redis_epoch, "GRACE_US", 20_000)
    monkeypatch.setattr(redis_ledger, "BEAT_S", 0.05)


@pytest.fixture(params=["memory", "redis"])
async def ledger(request: pytest.FixtureRequest, quick: None) -> AsyncIterator[Any]:
    """A ledger where nothing has been spent."""
    if request.param == "memory":
        yield MemoryLedger()
        return
    made = RedisLedger(redis_at_hand(), source="here", load=nothing_spent, prefix=f"rondo-test-{uuid.uuid4().hex}")
    await made.start()
    yield made
    await forget(made)


@pytest.fixture
def own_redis(tmp_path: Path, quick: None) -> Iterator[OwnRedis]:
    if shutil.which("redis-server") is None:
        pytest.skip("there is no redis-server on this machine")
    server = OwnRedis(tmp_path)
    server.start()
    yield server
    server.kill()
