"""The pages of comparisons: the grid, the ranking with weights to try, the examples side by side."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import pytest

from console.visiting import Visitor
from evaluating_house import Evaluating, answering, evaluating, example
from scripted_upstream import whole

__all__ = ["evaluating"]

HOSTILE = '<b>evil</b>"'
GOALS = [
    {"metric": "contains", "at_least": 0.5, "weight": 3.0},
    {"metric": "cost.per_request_usd", "at_most": 1.0},
    {"metric": "kindness", "at_least": 0.5},
]


@pytest.fixture
async def visitor(evaluating: Evaluating) -> AsyncIterator[Visitor]:
    async with AsyncExitStack() as stack:
        transport = httpx2.ASGITransport(evaluating.live.server)
        client = httpx2.AsyncClient(transport=transport, base_url="http://rondo.test")
        found = Visitor(await stack.enter_async_context(client))
        _, secret = await evaluating.live.key("viewer", role="viewer")
        assert (await found.post("/login", key=secret)).status_code == 303
        yield found


async def compared(evaluating: Evaluating, count: int = 6, **order: Any) -> str:
    """The id of a finished comparison of `good`, which knows all answers, and `poor`, which knows the first."""
    poor = answering(lambda question: "It is 0." if question == "What is 0?" else HOSTILE)
    evaluating.upstream.plays["poor"] = poor
    evaluating.dataset(*(example(number, tags={"topic": HOSTILE}) for number in range(count)))
    asked = {"targets": ["model:poor", "model:good"], "goals": GOALS, **order}
    run = await evaluating.run(**asked)
    assert run["status"] == "finished"
    return str(run["id"])


def ranked(page: str) -> list[str]:
    """The candidates, the best first."""
    table = page[page.index('class="heatmap ranking"') :]
    return re.findall(r'<th scope="row">([^<]*?)\s*<', table[: table.index("</table>")])


async def test_candidates_are_ranked_and_the_grid_shows_what_counts_most(
    evaluating: Evaluating, visitor: Visitor
) -> None:
    run = await compared(evaluating, 20)
    assert f'href="/runs/{run}/matrix"' in await visitor.get(f"/runs/{run}")
    page = await visitor.get(f"/runs/{run}/matrix")
    assert ranked(page) == ["good", "poor"]
    for words in (
        "100.0 %",
        "heat-4",
        "heat-0",
        "misses the goal contains",
        "Not measured by this suite, so not weighed: kindness.",
        "× 0.75",
    ):
        assert words in page, words
    assert "<option selected>contains</option>" in page
    assert "style=" not in page, "the content security policy forbids it"
    assert "<script>" not in page


async def test_weights_in_the_address_rank_anew(evaluating: Evaluating, visitor: Visitor) -> None:
    evaluating.upstream.plays["good"] = answering(lambda question: f"It is {question} " * 9)
    run = await compared(evaluating, goals=[{"metric": "contains", "at_least": 0.01, "weight": 3.0}])
    evaluating.upstream.plays.clear()
    page = await visitor.get(f"/runs/{run}/matrix")
    assert ranked(page) == ["good", "poor"]
    assert 'name="w.contains" type="number" min="0" max="1000" step="any" value="3"' in page
    tokens = await visitor.get(
        f"/runs/{run}/matrix?w.contains=0&w.errors.rate=2&requests=5000&window=8000&licences=mit,"
    )
    assert "× 1.00" in tokens
    assert "has no known licence" in tokens
    assert "has no known context window" in tokens
    assert "5,000 requests" in tokens
    assert re.search(r'<td class="num">\$0\.10</td>', tokens), "5,000 × 20 millionths of a dollar"
    nothing = await visitor.get(f"/runs/{run}/matrix?w.contains=0")
    assert "nothing is ranked" in nothing
    shown = await visitor.get(f"/runs/{run}/matrix?metric=errors.rate")
    assert "<option selected>errors.rate</option>" in shown


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("w.contains=-1", "a number from 0 up"),
        ("w.contains=nan", "a number from 0 up"),
        ("w.contains=x", "a number from 0 up"),
        ("w.contain=1", "Did you mean &#39;contains&#39;?"),
        ("metric=contain", "Did you mean &#39;contains&#39;?"),
        ("window=x", "whole number"),
        ("requests=inf", "a number from 0 up"),
    ],
)
async def test_what_is_wrong_with_the_address_is_said(
    evaluating: Evaluating, visitor: Visitor, query: str, words: str
) -> None:
    run = await compared(evaluating, 2)
    assert words in await visitor.get(f"/runs/{run}/matrix?{query}", 400)


async def test_examples_that_tell_candidates_apart(evaluating: Evaluating, visitor: Visitor) -> None:
    run = await compared(evaluating, 30)
    page = await visitor.get(f"/runs/{run}/matrix")
    first = re.findall(r'href="(/runs/run_[0-9a-f]+/examples/[^"]+)"', page)
    assert len(first) == 20
    after = re.search(r'id="older"[^>]* href="([^"#]+)', page)
    assert after is not None
    second = await visitor.get(after[1].replace("&amp;", "&"))
    more = re.findall(r'href="(/runs/run_[0-9a-f]+/examples/[^"]+)"', second)
    assert len(set(first) | set(more)) == 29, "all but the one that both know"
    assert 'id="older"' not in second
    every = await visitor.get(f"/runs/{run}/matrix?show=all")
    assert "More" in every
    one = await visitor.get(first[0])
    for words in ("✓", "✗", "passed", "failed", 'aria-label="good"', 'aria-label="poor"', "Expected:", "&lt;b&gt;evil"):
        assert words in one, words
    assert "<b>evil" not in one
    await visitor.get(f"/runs/{run}/examples/none", 404)


async def test_a_candidate_that_never_answered_says_why(evaluating: Evaluating, visitor: Visitor) -> None:
    evaluating.upstream.plays["unpriced"] = whole({"error": {"message": f"no such model {HOSTILE}"}}, status=404)
    run = await compared(evaluating, targets=["model:good", "model:unpriced"])
    page = await visitor.get(f"/runs/{run}/matrix")
    assert "no answer" in page
    assert "gave no answer to any of 6" in page
    assert "no such model &lt;b&gt;evil" in page
    assert ranked(page) == ["good", "unpriced"]
    assert "None here" in page, "who never answers tells nobody apart"


async def test_a_run_that_is_not_finished_shows_how_far_it_is(evaluating: Evaluating, visitor: Visitor) -> None:
    evaluating.numbers(2)
    run = await evaluating.start(targets=["model:unpriced", "model:good"], suite={"budget_usd": 0.01})
    run = await evaluating.until_still(run["id"])
    assert run["status"] == "paused"
    response = await visitor.client.get(f"/runs/{run['id']}/matrix")
    assert (response.status_code, response.headers["location"]) == (303, f"/runs/{run['id']}")
    await visitor.get("/runs/run_none/matrix", 404)
