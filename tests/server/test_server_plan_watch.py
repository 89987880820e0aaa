"""The watch outlives every error: a gateway whose plan stood still for good would go on taking revoked keys.

And no plan is built beside another, also where the one who asked for it has gone.
"""

from __future__ import annotations

import asyncio
import threading
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


class Slow:
    """Builds a plan for as long as it is held."""

    def __init__(self) -> None:
        self.building = threading.Event()
        self.may_end = threading.Event()
        self.under_way: list[int] = []
        self.built = 0
        self.error: Exception | None = None

    def revision(self) -> int:
        return 2

    def plan(self) -> Any:
        self.built += 1
        self.under_way.append(self.built)
        assert len(self.under_way) == 1, "two plans are built at once"
        self.building.set()
        assert self.may_end.wait(10)
        self.under_way.pop()
        if self.error is not None:
            raise self.error
        return Plan(2)


async def left_in_the_middle(watch: PlanWatch, slow: Slow) -> None:
    """Whoever wanted the plan goes while it is built."""
    caller = asyncio.create_task(watch.refresh())
    assert await asyncio.to_thread(slow.building.wait, 10)
    caller.cancel()
    await asyncio.wait([caller])
    assert caller.cancelled(), "who is cancelled does not wait for the plan"


async def test_a_caller_that_leaves_neither_stops_the_build_nor_lets_another_in() -> None:
    gateway: Any = Gateway()
    slow: Any = Slow()
    watch = PlanWatch(slow, gateway)
    await left_in_the_middle(watch, slow)
    after = asyncio.create_task(watch.refresh())
    await asyncio.sleep(0.05)
    assert slow.built == 1
    slow.may_end.set()
    async with asyncio.timeout(10):
        await after
    assert slow.built == 1, "the plan that was under way is the one that is served"
    assert gateway.plan.revision == 2


async def test_a_build_that_fails_with_nobody_waiting_is_tried_again() -> None:
    gateway: Any = Gateway()
    slow: Any = Slow()
    slow.error = Unavailable("away")
    watch = PlanWatch(slow, gateway)
    await left_in_the_middle(watch, slow)
    after = asyncio.create_task(watch.refresh())
    await asyncio.sleep(0)
    slow.may_end.set()
    with pytest.raises(Unavailable):
        await after
    assert slow.built == 2
    slow.error = None
    await watch.refresh()
    assert gateway.plan.revision == 2


async def test_the_watch_ends_after_the_last_build() -> None:
    """The catalog is closed once the watch has ended."""
    gateway: Any = Gateway()
    slow: Any = Slow()
    watch = PlanWatch(slow, gateway)
    await left_in_the_middle(watch, slow)
    stop = asyncio.Event()
    stop.set()
    ending = asyncio.create_task(watch.run(stop))
    await asyncio.sleep(0.05)
    assert not ending.done()
    slow.may_end.set()
    async with asyncio.timeout(10):
        await ending
    assert slow.under_way == []
