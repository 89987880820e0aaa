"""A slow try gets company: the first good answer wins, and the other is called off at the provider."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway_house import House, until
from gateway_tries import Stage, failing, never
from rondo.errors import UpstreamError, UpstreamTimeout
from scripted_upstream import COMPLETION, ScriptedUpstream, Talk, stall, whole


def with_company(stage: Stage, outcome: str | BaseException) -> Callable[[], Awaitable[str]]:
    """Ends once there is a second try."""

    async def play() -> str:
        await until(lambda: len(stage.asked) == 2)
        await asyncio.sleep(0.02)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return play


def after(seconds: float, outcome: str) -> Callable[[], Awaitable[str]]:
    async def play() -> str:
        await asyncio.sleep(seconds)
        return outcome

    return play


async def test_a_quick_answer_has_no_company() -> None:
    stage = Stage()
    assert await stage.ask(stage.model("m", "good", hedge_after_s=5.0)) == "good"
    assert (stage.asked, [span.get("hedge") for span in stage.spans]) == (["m"], [None])


async def test_the_second_wins_and_the_first_is_called_off() -> None:
    stage = Stage()
    model = stage.model("m", never, "second", hedge_after_s=0.02)
    assert await stage.ask(model) == "second"
    assert stage.asked == ["m", "m"]
    assert (stage.open, stage.idle) == ([], True)
    assert sorted((span["hedge"], span["status"]) for span in stage.spans if span["status"]) == [("won", 200)]
    assert [span["status"] for span in stage.spans if span["hedge"] == "lost"] == [None]
    assert stage.turn.attempts == 2
    assert stage.state("m") == "closed"


async def test_the_first_may_still_win() -> None:
    stage = Stage()
    assert await stage.ask(stage.model("m", with_company(stage, "first"), never, hedge_after_s=0.02)) == "first"
    assert [span.get("hedge") for span in stage.spans] == [None, "lost"]
    assert (stage.open, stage.idle) == ([], True)


async def test_company_is_at_another_address() -> None:
    stage = Stage()
    stage.plays |= {"a": [never], "b": ["good"]}
    model = stage.model("m", at=("a", "b"), weights=(1_000_000.0, 1.0), hedge_after_s=0.02)
    stage.chance = 0.0
    won = await stage.start(model)
    assert (won.value, won.model.spec.base_url) == ("good", "http://b/v1")
    assert stage.asked == ["a", "b"]
    assert stage.turn.model is won.model
    won.release()


async def test_a_failure_of_one_is_no_answer_while_the_other_runs() -> None:
    stage = Stage()
    assert (
        await stage.ask(stage.model("m", with_company(stage, "first"), failing(500), hedge_after_s=0.02, retries=0))
        == "first"
    )
    assert sorted(str(span.get("hedge")) for span in stage.spans) == ["None", "failed"]
    assert stage.time.slept == []


async def test_when_both_fail_it_is_one_failed_try() -> None:
    stage = Stage()
    model = stage.model("m", with_company(stage, failing(500)), failing(503), "third", hedge_after_s=0.02, retries=1)
    assert await stage.ask(model) == "third"
    assert stage.time.slept == [0.25]
    assert stage.turn.attempts == 3
    assert stage.idle


async def test_a_failure_before_its_time_is_an_ordinary_one() -> None:
    stage = Stage()
    assert await stage.ask(stage.model("m", failing(500), "good", hedge_after_s=5.0)) == "good"
    assert stage.time.slept == [0.25]


async def test_a_requests_own_fault_ends_both() -> None:
    stage = Stage()
    with pytest.raises(UpstreamError) as caught:
        await stage.ask(stage.model("m", never, failing(400), hedge_after_s=0.02), stage.model("n"))
    assert caught.value.status == 400
    assert (stage.open, stage.idle) == ([], True)


async def test_no_company_where_there_is_no_room() -> None:
    stage = Stage()
    assert await stage.ask(stage.model("m", after(0.06, "first"), hedge_after_s=0.02, max_concurrent=1)) == "first"
    assert stage.asked == ["m"]
    assert stage.idle


async def test_no_company_at_a_deployment_that_is_left_alone() -> None:
    stage = Stage(breaker_failures=1)
    probe = stage.model("m", failing(500), after(0.06, "probe"), hedge_after_s=0.02, retries=0)
    with pytest.raises(UpstreamError):
        await stage.ask(probe)
    stage.time.now += 15
    assert await stage.ask(probe) == "probe"
    assert stage.asked == ["m", "m"]


async def test_a_result_that_came_too_late_is_let_go() -> None:
    stage = Stage()
    let_go: list[str] = []

    async def stubborn() -> str:
        try:
            return await never()
        except asyncio.CancelledError:
            return "late"

    model = stage.model("m", stubborn, "second", hedge_after_s=0.02)
    assert await stage.ask(model, discard=let_go.append) == "second"
    assert (let_go, stage.idle) == (["late"], True)


async def test_two_good_ones_at_once_are_one_answer_and_one_let_go() -> None:
    stage = Stage()
    go = asyncio.Event()

    async def together() -> str:
        await go.wait()
        return f"{len(let_go)}"

    let_go: list[str] = []
    asking = asyncio.create_task(stage.ask(stage.model("m", together, hedge_after_s=0.02), discard=let_go.append))
    await until(lambda: len(stage.asked) == 2)
    go.set()
    assert await asking == "0"
    assert (let_go, stage.idle) == (["0"], True)


@pytest.mark.parametrize("wait_s", [0.0, 0.01, 0.05])
async def test_a_client_who_leaves_ends_both(wait_s: float) -> None:
    stage = Stage()
    asking = asyncio.create_task(stage.ask(stage.model("m", never, hedge_after_s=0.02, max_concurrent=2)))
    await asyncio.sleep(wait_s)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (stage.open, stage.idle) == ([], True)


async def test_the_total_time_ends_both() -> None:
    stage = Stage()
    with pytest.raises(UpstreamTimeout):
        await stage.ask(stage.model("m", never, hedge_after_s=0.02), total_timeout_s=0.1)
    assert (stage.asked, stage.open, stage.idle) == (["m", "m"], [], True)


async def test_never_more_than_two_at_a_time() -> None:
    stage = Stage()
    most = 0

    async def watch() -> str:
        nonlocal most
        most = max(most, len(stage.open))
        return await never()

    asking = asyncio.create_task(stage.ask(stage.model("m", watch, hedge_after_s=0.01)))
    await asyncio.sleep(0.1)
    assert most == 2
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def test_the_loser_is_called_off_at_the_provider(house: House, upstream: ScriptedUpstream) -> None:
    house.app("hedged", house.model("slow", hedge_after_s=0.05))
    plays = iter([stall])

    async def play(talk: Talk) -> None:
        await next(plays, whole(COMPLETION))(talk)

    upstream.plays["slow"] = play
    response = await house.chat("hedged")
    assert response.content == COMPLETION
    await until(lambda: upstream.given_up == 1)
    call = house.call
    assert (call.status, call.attempts, call.input_tokens) == (200, 2, 11)
