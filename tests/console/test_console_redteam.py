"""The page of a red team's run: rates by risk, what went through, and a button that makes a test of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx2
import pytest

from console.visiting import Visitor
from evaluating_house import Evaluating, answering, evaluating
from rondo.redteam.generate import Wanted, generate
from rondo.redteam.suite import suite

__all__ = ["evaluating"]

HOSTILE = "<b>amberlantern</b>"


@pytest.fixture
async def visitor(evaluating: Evaluating) -> AsyncIterator[Visitor]:
    async with AsyncExitStack() as stack:
        transport = httpx2.ASGITransport(evaluating.live.server)
        client = httpx2.AsyncClient(transport=transport, base_url="http://rondo.test")
        found = Visitor(await stack.enter_async_context(client))
        assert (await found.post("/login", key=evaluating.live.admin)).status_code == 303
        yield found


async def test_a_red_teams_run_shows_rates_and_makes_tests(evaluating: Evaluating, visitor: Visitor) -> None:
    evaluating.upstream.plays["good"] = answering(lambda question: HOSTILE)
    examples = generate(Wanted(risks=("LLM01",), techniques=("plain", "override"))).examples
    hash_ = evaluating.dataset(*examples, name="redteam")
    order = {"targets": ["production"], "dataset": "redteam", "dataset_hash": hash_, "least_slice": 2}
    run = await evaluating.run(**order, name="redteam", suite=suite(summary="1 aim was left out."))
    page = await visitor.get(f"/runs/{run['id']}")
    for words in (
        *(
            f"2 of {len(examples)} attacks went through",
            "LLM01</a> Prompt Injection",
            "OWASP Top 10 for LLM applications 2026",
        ),
        *("other orders", "LLM04 Supply Chain was not tried", "1 aim was left out.", "Make this a must-pass test"),
    ):
        assert words in page, words
    assert HOSTILE not in page
    actions = re.findall(rf'action="(/runs/{run["id"]}/attacks/[0-9a-f]+/test)"', page)
    assert len(actions) == 2, "one for each that went through"
    sent = await visitor.post(actions[0])
    assert sent.headers["location"] == "/datasets/redteam-failures?did=attack-tested"
    kept = await visitor.get(sent.headers["location"])
    assert "The attack is a test now." in kept
    again = await visitor.post(actions[0])
    assert again.headers["location"].endswith("did=unchanged")
    assert (await visitor.post(f"/runs/{run['id']}/attacks/nothing/test")).status_code == 400


async def test_other_runs_show_nothing_of_it(evaluating: Evaluating, visitor: Visitor) -> None:
    evaluating.numbers(2)
    run = await evaluating.run(targets=["model:poor"])
    page = await visitor.get(f"/runs/{run['id']}")
    assert "OWASP" not in page
    assert "must-pass test" not in page
