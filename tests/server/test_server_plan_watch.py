"""The watch outlives every error: a gateway whose plan stood still for good would go on taking revoked keys."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rondo.errors import Unavailable
from rondo.server import plan_watch
from rondo.server.plan_watch import PlanWatch


class Publisher:
    """Fails on the first look, and has a new plan on the next."""

    def __init__(self, error: Exception) -> None:
        self._errors = [error]

    def revision(self) -> int:
        if self._errors:
            raise self._errors.pop()
        return 2

    def plan(self) -> Any:
        return Plan(2)


class Plan:
    def __init__(self, revision: int) -> None:
        self.revision = revision


class Gateway:
    plan = Plan(1)


@pytest.mark.parametrize("error", [Unavailable("away"), ValueError("a row that makes no sense")])
async def test_the_next_plan_is_served_after_any_error(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_watch, "INTERVAL_S", 0.01)
    gateway: Any = Gateway()
    publisher: Any = Publisher(error)
    stop = asyncio.Event()
    watching = asyncio.create_task(PlanWatch(publisher, gateway).run(stop))
    async with asyncio.timeout(5):
        while gateway.plan.revision != 2:
            await asyncio.sleep(0.005)
    stop.set()
    await watching
