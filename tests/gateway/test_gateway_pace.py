"""Pace: half as many after a limit, one more with each round that goes well, and nobody before the pause is over."""

from __future__ import annotations

import asyncio

import pytest

from rondo.gateway import pace
from rondo.gateway.pace import Pace


async def test_only_so_many_are_let_in() -> None:
    kept = Pace(2)
    assert await kept.enter()
    assert await kept.enter()
    third = asyncio.create_task(kept.enter())
    await asyncio.sleep(0.01)
    assert not third.done()
    kept.leave()
    assert await third


async def test_a_limit_halves_once_for_all_that_met_it() -> None:
    kept = Pace(8)
    for _ in range(8):
        assert await kept.enter()
    for _ in range(8):
        kept.sent_back(1, 60)
        kept.leave()
    assert kept.width == 4
    waiting = asyncio.create_task(kept.enter())
    await asyncio.sleep(0.02)
    assert not waiting.done()
    kept.halt()
    assert await waiting is False


async def test_it_grows_again_but_never_beyond(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "_BACKOFF_S", 0.0)
    kept = Pace(4)
    kept.sent_back(1, 0)
    kept.sent_back(2, None)
    assert kept.width == 1
    kept.sent_back(40, 0)
    assert kept.width == 1
    for _ in range(100):
        kept.went_well()
    assert kept.width == 4
    assert await kept.enter()
