"""Calls of a model at the same time: who gets a place, who waits, who is sent on, and what a storm does."""

from __future__ import annotations

import asyncio

import pytest

from gateway_tries import Stage, failing
from rondo.errors import RateLimited


class TestPlaces:
    async def test_a_place_is_kept_until_the_answer_has_ended(self) -> None:
        stage = Stage()
        model = stage.model("m", max_concurrent=1, queue=0)
        won = await stage.start(model)
        with pytest.raises(RateLimited) as caught:
            await stage.ask(model)
        assert caught.value.retry_after is not None
        won.release()
        won.release()
        assert await stage.ask(model) == "good"
        assert stage.idle

    async def test_who_waited_is_told_how_long(self) -> None:
        stage = Stage()
        model = stage.model("m", max_concurrent=1)
        won = await stage.start(model)
        waiting = asyncio.create_task(stage.ask(model))
        await asyncio.sleep(0.01)
        won.release()
        assert await waiting == "good"
        assert stage.spans[0]["queue_ms"] > 1

    async def test_a_busy_model_hands_over_to_one_with_room(self) -> None:
        stage = Stage()
        busy = stage.model("a", max_concurrent=1)
        won = await stage.start(busy)
        assert await stage.ask(busy, stage.model("b")) == "good"
        assert stage.asked == ["a", "b"]
        assert [(span["name"], span.get("skipped")) for span in stage.spans] == [("a", "overloaded"), ("b", None)]
        won.release()

    async def test_the_queue_is_the_way_when_that_one_fails(self) -> None:
        stage = Stage()
        busy = stage.model("a", max_concurrent=1)
        won = await stage.start(busy)
        asked = asyncio.create_task(stage.ask(busy, stage.model("b", failing(500), retries=0)))
        await asyncio.sleep(0.01)
        assert not asked.done()
        won.release()
        assert await asked == "good"
        assert stage.asked == ["a", "b", "a"]

    async def test_where_all_are_busy_the_first_ones_queue_it_is(self) -> None:
        stage = Stage()
        a, b = stage.model("a", max_concurrent=1), stage.model("b", max_concurrent=1)
        held = [await stage.start(a), await stage.start(b)]
        asked = asyncio.create_task(stage.ask(a, b))
        await asyncio.sleep(0.01)
        held[0].release()
        assert await asked == "good"
        assert stage.asked == ["a", "b", "a"]
        held[1].release()
        assert stage.idle

    async def test_a_place_is_free_while_a_try_waits_for_the_next(self) -> None:
        stage = Stage()
        seen: list[bool] = []
        sleep = stage.time.sleep

        async def look(seconds: float) -> None:
            seen.append(stage.idle)
            await sleep(seconds)

        stage.tries._means = stage.tries._means._replace(sleep=look)
        await stage.ask(stage.model("m", failing(500), "good", max_concurrent=1))
        assert seen == [True]


async def test_a_storm_ends_quickly_and_nothing_collapses() -> None:
    stage = Stage()
    inside = most = 0

    async def work() -> str:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.001)
        inside -= 1
        return "good"

    model = stage.model("m", work, max_concurrent=5, queue=10)
    results = await asyncio.gather(*(stage.ask(model) for _ in range(500)), return_exceptions=True)
    assert results.count("good") == 15
    refused = [result for result in results if isinstance(result, RateLimited)]
    assert len(refused) == 485
    assert all(error.retry_after is not None and 1 <= error.retry_after <= 60 for error in refused)
    assert (most, stage.idle) == (5, True)
    assert await stage.ask(model) == "good"
