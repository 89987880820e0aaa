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


async def test_a_run_is_started_from_a_suite_that_ran_before(evaluating: Evaluating, visitor: Visitor) -> None:
    assert "No suite is known yet" in await visitor.get("/runs/new")
    evaluating.numbers(3)
    first = await evaluating.run(targets=["model:good"], goals=[{"metric": "contains", "at_least": 0.5}])
    assert 'href="/runs/new"' in await visitor.get("/runs")
    suite = f"{first['app']}/{first['name']}"
    page = await visitor.get("/runs/new")
    for words in (f'value="{suite}" selected', "target.production", "target.1", "target.model:good"):
        assert words in page, words
    fields = {"suite": suite, "target.model:good": "on", "against": "", "budget_usd": "2.5", "max_concurrency": "7"}
    sent = await visitor.post("/runs", **fields)
    assert sent.status_code == 303, sent.text
    run_id = sent.headers["location"].removeprefix("/runs/")
    run = await evaluating.until_still(run_id)
    assert (run["status"], run["suite_hash"], run["dataset_hash"]) == (
        "finished",
        first["suite_hash"],
        first["dataset_hash"],
    )
    assert (run["budget_usd"], run["max_concurrency"], run["baseline"]) == (2.5, 7, None)
    assert run["suite"]["goals"] == first["suite"]["goals"]
    assert (await evaluating.live.get("/api/audit"))["entries"][0]["action"] == "run.create"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("suite", "bot/none", "has run no suite"),
        ("target.model:good", None, "Name 1 to"),
        ("more", "no-such-thing", "no-such-thing"),
        ("against", "999", "999"),
        ("budget_usd", "-1", "more than 0 dollars"),
        ("budget_usd", "much", "more than 0 dollars"),
        ("budget_usd", "nan", "more than 0 dollars"),
        ("max_concurrency", "many", "whole number"),
        ("max_concurrency", "0", "max_concurrency"),
        ("more", HOSTILE, "evil"),
    ],
)
async def test_what_is_wrong_with_a_new_run_is_said_beside_the_form(
    evaluating: Evaluating, visitor: Visitor, field: str, value: str | None, words: str
) -> None:
    evaluating.numbers(1)
    first = await evaluating.run(targets=["model:good"])
    fields = {"suite": f"{first['app']}/{first['name']}", "target.model:good": "on", "against": ""}
    given = {name: text for name, text in {**fields, field: value}.items() if text is not None}
    refused = await visitor.post("/runs", **given)
    assert refused.status_code in (400, 404), refused.text
    assert words in refused.text
    assert 'id="start"' in refused.text
    assert "<b>evil" not in refused.text


async def test_a_run_whose_budget_is_spent_goes_on_with_another(evaluating: Evaluating, visitor: Visitor) -> None:
    evaluating.numbers(4)
    run = await evaluating.run(targets=["model:good"], suite={"budget_usd": 0.000_001})
    assert run["status"] == "paused"
    page = await visitor.get(f"/runs/{run['id']}")
    assert 'name="budget_usd"' in page
    assert (await visitor.post(f"/runs/{run['id']}/resume", budget_usd="lots")).status_code == 400
    assert (await visitor.post(f"/runs/{run['id']}/resume", budget_usd="5")).status_code == 303
    assert (await evaluating.until_still(run["id"]))["status"] == "finished"


async def test_a_viewer_starts_nothing(evaluating: Evaluating, visitor: Visitor) -> None:
    _, secret = await evaluating.live.key("viewer", role="viewer")
    assert (await visitor.post("/login", key=secret)).status_code == 303
    await visitor.get("/runs/new", 403)
    assert (await visitor.post("/runs", suite="bot/facts")).status_code == 403
    assert 'href="/runs/new"' not in await visitor.get("/runs")


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
