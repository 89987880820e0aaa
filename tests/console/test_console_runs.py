"""The pages of evaluation runs: how far each is, what it found, what failed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx2
import pytest

from console.visiting import Visitor
from evaluating_house import Evaluating, answering, evaluating, example

__all__ = ["evaluating"]

HOSTILE = '<b>evil</b>"'
POLLS = 'hx-trigger="every 2s"'


@pytest.fixture
async def visitor(evaluating: Evaluating) -> AsyncIterator[Visitor]:
    async with AsyncExitStack() as stack:
        transport = httpx2.ASGITransport(evaluating.live.server)
        client = httpx2.AsyncClient(transport=transport, base_url="http://rondo.test")
        found = Visitor(await stack.enter_async_context(client))
        assert (await found.post("/login", key=evaluating.live.admin)).status_code == 303
        yield found


async def test_where_there_is_none_it_says_how_to_make_one(visitor: Visitor) -> None:
    page = await visitor.get("/runs")
    assert "No evaluations yet" in page
    assert "rondo eval" in page


async def test_a_run_shows_metrics_slices_and_both_answers(evaluating: Evaluating, visitor: Visitor) -> None:
    evaluating.upstream.plays["poor"] = answering(lambda question: HOSTILE)
    evaluating.dataset(*(example(number, tags={"topic": HOSTILE}, must_pass=number == 0) for number in range(30)))
    run = await evaluating.run(
        targets=["model:poor"],
        against="model:good",
        suite={"slices": ["topic"]},
        goals=[{"metric": "contains", "at_least": 0.5}],
    )
    listed = await visitor.get("/runs")
    assert run["id"] in listed
    page = await visitor.get(f"/runs/{run['id']}")
    for words in (">worse<", ">missed<", "at least 50.0 %", "Slices of poor", "(baseline)", "It is ", "must-pass"):
        assert words in page, words
    assert "<b>evil" not in page
    assert POLLS not in page, "what stands still is not asked for again"
    must_pass = await visitor.get(f"/runs/{run['id']}?show=must_pass")
    assert must_pass.count('aria-label="Example"') == 1
    every = await visitor.get(f"/runs/{run['id']}?show=all&target=1")
    assert every.count('aria-label="Example"') == 20
    assert 'id="older"' in every
    await visitor.get(f"/runs/{run['id']}?target=9", 400)
    await visitor.get("/runs/run_none", 404)


async def test_a_run_is_paused_and_resumed_from_its_page(evaluating: Evaluating, visitor: Visitor) -> None:
    opened = asyncio.Event()

    async def play(talk: object) -> None:
        await opened.wait()
        await answering(lambda question: "It is 0 1 2 3.")(talk)  # type: ignore[arg-type]

    evaluating.upstream.plays["good"] = play
    evaluating.numbers(4)
    run = await evaluating.start(targets=["production"])
    async with asyncio.timeout(10):
        while not evaluating.asked("good"):
            await asyncio.sleep(0.01)
    page = await visitor.get(f"/runs/{run['id']}")
    assert POLLS in page
    assert 'id="pause"' in page
    assert (await visitor.post(f"/runs/{run['id']}/pause")).status_code == 303
    opened.set()
    page = await visitor.get(f"/runs/{run['id']}")
    assert ">paused<" in page
    assert 'id="resume"' in page
    assert (await visitor.post(f"/runs/{run['id']}/resume")).status_code == 303
    assert (await evaluating.until_still(run["id"]))["status"] == "finished"
