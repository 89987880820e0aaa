"""A judge as scorers of a suite: names, units, one asking for all of them."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from judge_makers import CLARITY, Model, better, case, judge, verdict
from rondo.errors import BudgetExceeded
from rondo.evals.judges import scorer as scorers
from rondo.evals.judges.scorer import build
from rondo.evals.judges.version import version_of
from rondo.evals.model import Scored
from rondo.evals.scorers import registry


def test_names_and_units() -> None:
    built = build("quality", judge(), Model([]))
    assert [each.name for each in built] == ["quality.accuracy", "quality.clarity", "quality"]
    assert {(each.kind, each.unit, each.is_judge, each.judge) for each in built} == {
        ("judge", "score", True, "quality")
    }
    assert {each.version for each in built} == {version_of(judge())}
    assert [each.name for each in build("q", judge("yes_no"), Model([]))] == ["q"]
    assert build("q", judge("pairwise"), Model([]))[0].unit == "share"
    assert [each.name for each in build("q", judge("geval"), Model([]))] == ["q"], "one criterion needs no mean"


def test_the_registry_takes_them() -> None:
    judges = {"quality": partial(build, judge=judge(), ask=Model([]))}
    built = registry.build([{"kind": "judge", "judge": "quality", "name": "q"}], judges=judges)
    assert [each.name for each in built] == ["q.accuracy", "q.clarity", "q"]
    assert {each.version for each in built} == {version_of(judge())}


async def test_all_scorers_of_a_judge_ask_once_and_the_cost_is_told_once() -> None:
    model = Model([verdict(4, 5)])
    built = build("quality", judge(), model)
    what = case()
    said = await asyncio.gather(*(each.score(what) for each in built))
    assert len(model.heard) == 1
    assert sum(each.cost_usd for each in said) == pytest.approx(0.01)
    assert [each.value for each in said] == [0.75, 0.5, 0.625]
    again = [await each.score(case()) for each in built]
    assert len(model.heard) == 1, "an equal answer to an equal question is not asked about again"
    assert sum(each.cost_usd for each in again) == 0
    await built[0].score(case("another answer"))
    assert len(model.heard) == 2


async def test_what_a_pairwise_judge_is_shown_decides_what_is_the_same() -> None:
    model = Model([better("1"), better("2")])
    (one,) = build("better", judge("pairwise"), model)
    assert (await one.score(case("a"))).value is None
    assert (await one.score(case("a", other="b"))).value == 1.0
    await one.score(case("a", other="c"))
    assert len(model.heard) == 4


async def test_a_spent_budget_is_not_kept_as_a_verdict() -> None:
    model = Model([BudgetExceeded("Nothing left.", retry_after=1), verdict(4, 5)])
    built = build("quality", judge(), model)
    with pytest.raises(BudgetExceeded):
        await built[0].score(case())
    assert (await built[0].score(case())).value == 0.75


async def test_one_that_is_cancelled_leaves_the_others_their_verdict() -> None:
    entered, go = asyncio.Event(), asyncio.Event()

    class Slow(Model):
        async def __call__(self, *args, **more):  # type: ignore[no-untyped-def]
            entered.set()
            await go.wait()
            return await super().__call__(*args, **more)

    model = Slow([verdict(4, 5)])
    built = build("quality", judge(), model)

    async def said(at: int) -> Scored:
        return await built[at].score(case())

    first = asyncio.create_task(said(0))
    await entered.wait()
    second = asyncio.create_task(said(1))
    await asyncio.sleep(0)
    first.cancel()
    go.set()
    assert (await second).value == 0.5
    assert len(model.heard) == 1


async def test_only_so_many_verdicts_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorers, "KEPT", 2)
    model = Model([verdict(4, 5)])
    bench = scorers.Bench(judge(criteria=[CLARITY, *judge().criteria[:1]]), model)
    for answer in ("a", "b", "c", "b", "a"):
        await bench.score("clarity", case(answer))
    assert len(model.heard) == 4
