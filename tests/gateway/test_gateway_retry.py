"""Which model is asked, how often, how soon and for how long."""

from __future__ import annotations

import asyncio

import pytest

from gateway_tries import Stage, failing, never
from rondo.errors import (
    InvalidRequest,
    RateLimited,
    RondoError,
    Unavailable,
    UpstreamCut,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)

AGAIN: list[RondoError] = [
    UpstreamUnreachable("refused"),
    UpstreamTimeout("silent"),
    UpstreamCut("gone"),
    UpstreamError("no JSON"),
    *(failing(status) for status in (408, 409, 429, 500, 502, 503, 504)),
]


@pytest.mark.parametrize("error", AGAIN, ids=lambda error: f"{error.code} {error.status}")
async def test_what_may_go_better_is_tried_again(error: RondoError) -> None:
    stage = Stage()
    assert await stage.ask(stage.model("m", error, error, "good", retries=2)) == "good"
    assert stage.asked == ["m", "m", "m"]
    assert stage.time.slept == [0.25, 0.5]
    assert stage.turn.attempts == 3
    assert [span.get("retry") for span in stage.spans] == [None, 1, 2]
    assert stage.idle


async def test_retries_end_and_the_next_model_is_asked() -> None:
    stage = Stage()
    assert await stage.ask(stage.model("a", failing(500), retries=3), stage.model("b")) == "good"
    assert stage.asked == ["a", "a", "a", "a", "b"]
    assert (stage.turn.model and stage.turn.model.spec.name) == "b"


async def test_the_last_error_is_told() -> None:
    stage = Stage()
    with pytest.raises(UpstreamError) as caught:
        await stage.ask(stage.model("a", failing(500), retries=0), stage.model("b", failing(502), retries=0))
    assert caught.value.status == 502
    assert stage.idle


@pytest.mark.parametrize("status", [400, 413, 415, 422])
async def test_a_requests_own_fault_is_told_at_once(status: int) -> None:
    stage = Stage()
    with pytest.raises(UpstreamError):
        await stage.ask(stage.model("a", failing(status), retries=5), stage.model("b"))
    assert stage.asked == ["a"]
    assert stage.idle


@pytest.mark.parametrize("status", [401, 402, 403, 404, 407, 307])
async def test_what_another_try_cannot_mend_goes_to_the_next_model(status: int) -> None:
    stage = Stage()
    assert await stage.ask(stage.model("a", failing(status), retries=5), stage.model("b")) == "good"
    assert stage.asked == ["a", "b"]


async def test_what_one_provider_cannot_express_the_next_may() -> None:
    stage = Stage()
    untranslatable = InvalidRequest("no audio here", param="messages")
    assert await stage.ask(stage.model("a", untranslatable, retries=5), stage.model("b")) == "good"
    assert stage.asked == ["a", "b"]
    with pytest.raises(InvalidRequest):
        await stage.ask(stage.model("c", untranslatable))
    with pytest.raises(UpstreamError):  # the first could have answered, so the request is not at fault
        await stage.ask(stage.model("d", failing(500), retries=0), stage.model("e", untranslatable))


async def test_an_error_of_our_own_ends_it_and_leaves_no_place_taken() -> None:
    stage = Stage()
    with pytest.raises(ZeroDivisionError):
        await stage.ask(stage.model("a", ZeroDivisionError(), max_concurrent=1), stage.model("b"))
    assert stage.idle
    assert stage.state("a") == "closed"


class TestRetryAfter:
    async def test_it_is_waited_for_and_some_more(self) -> None:
        stage = Stage(chance=0.4)
        await stage.ask(stage.model("m", failing(429, 3), "good"))
        assert stage.time.slept == [pytest.approx(3.1)]

    async def test_a_wait_beyond_the_time_left_is_not_begun(self) -> None:
        stage = Stage()
        with pytest.raises(UpstreamError) as caught:
            await stage.ask(stage.model("m", failing(429, 15)), total_timeout_s=10.0)
        assert caught.value.retry_after == 15
        assert stage.time.slept == []

    async def test_a_very_long_one_is_the_clients_to_wait_for(self) -> None:
        stage = Stage()
        with pytest.raises(UpstreamError):
            await stage.ask(stage.model("m", failing(503, 21)), total_timeout_s=600.0)
        assert stage.time.slept == []

    async def test_another_model_is_better_than_a_wait(self) -> None:
        stage = Stage()
        assert await stage.ask(stage.model("a", failing(429, 3), "late"), stage.model("b")) == "good"
        assert (stage.asked, stage.time.slept) == (["a", "b"], [])

    async def test_a_model_that_takes_no_calls_is_no_better(self) -> None:
        stage = Stage(breaker_failures=2, chance=0.0)
        resting = stage.model("b", failing(500))
        with pytest.raises(UpstreamError):
            await stage.ask(resting)
        assert await stage.ask(stage.model("a", failing(429, 3), "late"), resting) == "late"

    async def test_a_long_one_keeps_everybody_away_until_then(self) -> None:
        stage = Stage()
        model = stage.model("m", failing(429, 30), "good", retries=0)
        with pytest.raises(UpstreamError):
            await stage.ask(model)
        with pytest.raises(RateLimited) as caught:
            await stage.ask(model)
        assert caught.value.retry_after == 30
        assert stage.asked == ["m"]
        stage.time.now += 30
        assert await stage.ask(model) == "good"

    async def test_who_waited_is_the_probe(self) -> None:
        stage = Stage(chance=0.0)
        assert await stage.ask(stage.model("m", failing(429, 20), "good")) == "good"
        assert stage.time.slept == [20.0]
        assert stage.state("m") == "closed"


class TestBreaker:
    async def test_after_failures_in_a_row_the_model_is_left_alone(self) -> None:
        stage = Stage(breaker_failures=3, breaker_open_s=15.0)
        bad = stage.model("a", failing(500), retries=0)
        for _ in range(5):
            assert await stage.ask(bad, stage.model("b")) == "good"
        assert stage.asked == ["a", "b", "a", "b", "a", "b", "b", "b"]
        assert [(span["name"], span.get("skipped")) for span in stage.spans] == [("a", "unavailable"), ("b", None)]
        assert stage.turn.attempts == 1

    async def test_the_failure_that_opens_it_is_not_waited_after(self) -> None:
        stage = Stage(breaker_failures=2)
        with pytest.raises(UpstreamError) as caught:
            await stage.ask(stage.model("a", failing(500), retries=9))
        assert caught.value.status == 500
        assert (stage.asked, stage.time.slept) == (["a", "a"], [0.25])

    async def test_alone_it_answers_quickly_with_a_time(self) -> None:
        stage = Stage(breaker_failures=1, breaker_open_s=12.5)
        model = stage.model("a", UpstreamError("the provider said: somebody's secret"), retries=0)
        with pytest.raises(UpstreamError):
            await stage.ask(model)
        stage.time.now += 1
        with pytest.raises(Unavailable) as caught:
            await stage.ask(model)
        assert caught.value.retry_after == 12
        assert "upstream_error" in str(caught.value)
        assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("status", [400, 402, 403, 404, 409, 413, 422])
    async def test_one_callers_faults_never_open_it_for_others(self, status: int) -> None:
        stage = Stage(breaker_failures=2)
        for _ in range(50):
            with pytest.raises(UpstreamError):
                await stage.ask(stage.model("m", failing(status), retries=0))
        assert stage.state("m") == "closed"
        assert await stage.ask(stage.model("m", "good")) == "good"

    async def test_what_cannot_be_translated_never_opens_it(self) -> None:
        stage = Stage(breaker_failures=2)
        for _ in range(10):
            with pytest.raises(InvalidRequest):
                await stage.ask(stage.model("m", InvalidRequest("no video")))
        assert stage.state("m") == "closed"

    async def test_while_one_probes_the_others_are_told_quickly(self) -> None:
        stage = Stage(breaker_failures=1, breaker_open_s=10.0)
        answer = asyncio.Event()

        async def slowly() -> str:
            await answer.wait()
            return "good"

        model = stage.model("m", failing(500), slowly, retries=0)
        with pytest.raises(UpstreamError):
            await stage.ask(model)
        stage.time.now += 10
        probe = asyncio.create_task(stage.ask(model))
        await asyncio.sleep(0.01)
        with pytest.raises(Unavailable) as caught:
            await stage.ask(model)
        assert "probes" in str(caught.value)
        assert stage.asked == ["m", "m"]
        answer.set()
        assert await probe == "good"
        assert stage.state("m") == "closed"

    async def test_a_client_who_leaves_says_nothing_of_the_deployment(self) -> None:
        stage = Stage(breaker_failures=1)
        for _ in range(3):
            leaving = asyncio.create_task(stage.ask(stage.model("m", never)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
        assert stage.asked == ["m"] * 3
        assert (stage.state("m"), stage.idle) == ("closed", True)

    async def test_streams_that_break_off_open_it(self) -> None:
        stage = Stage(breaker_failures=2)
        model = stage.model("m", "begun")
        for _ in range(2):
            won = await stage.start(model)
            won.failed(UpstreamCut("gone"))
            won.release()
        assert stage.state("m") == "open"
        assert stage.idle

    async def test_a_client_who_reads_slowly_does_not_open_it(self) -> None:
        stage = Stage(breaker_failures=1)
        won = await stage.start(stage.model("m"), total_timeout_s=0.02)
        overdue = asyncio.Event()
        won.watch(overdue.set)
        await overdue.wait()
        won.failed(UpstreamTimeout("too late"))
        assert stage.state("m") == "closed"

    async def test_streams_that_the_client_breaks_off_do_not(self) -> None:
        stage = Stage(breaker_failures=2)
        for _ in range(5):
            (await stage.start(stage.model("m"))).abandoned()
        assert (stage.state("m"), stage.idle) == ("closed", True)

    async def test_projects_have_breakers_of_their_own(self) -> None:
        stage = Stage(breaker_failures=1)
        model = stage.model("m", failing(500), "good", retries=0)
        with pytest.raises(UpstreamError):
            await stage.ask(model)
        other = stage.new_turn()
        other.grant = type(other.grant)(project="q", key_id="k", name="k", kind="secret", apps=())
        won = await stage.tries.first((model,), stage.send, other, total_timeout_s=60.0)
        assert won.value == "good"

    async def test_what_is_known_outlives_the_plan(self) -> None:
        stage = Stage(breaker_failures=1)
        with pytest.raises(UpstreamError):
            await stage.ask(stage.model("m", failing(500), retries=0))
        with pytest.raises(Unavailable):
            await stage.ask(stage.model("m", "good", timeout_s=7.0))  # as the next plan has it


class TestTimeouts:
    async def test_all_tries_together_have_a_time(self) -> None:
        stage = Stage()
        with pytest.raises(UpstreamTimeout) as caught:
            await stage.ask(stage.model("a", never), stage.model("b"), total_timeout_s=0.05)
        assert "0.05 s" in str(caught.value)
        assert "total_timeout_s" in str(caught.value)
        assert (stage.asked, stage.open, stage.idle) == (["a"], [], True)
        assert [span["error"] for span in stage.spans] == [str(caught.value)]

    async def test_the_whole_time_spent_on_one_counts_against_it(self) -> None:
        stage = Stage(breaker_failures=1)

        async def long() -> str:
            stage.time.now += 30.0
            return await never()

        with pytest.raises(UpstreamTimeout):
            await stage.ask(stage.model("a", long), total_timeout_s=0.05)
        assert stage.state("a") == "open"

    async def test_the_last_moment_does_not(self) -> None:
        stage = Stage(breaker_failures=1)
        with pytest.raises(UpstreamTimeout):  # in the time of the stage, none of it went by
            await stage.ask(stage.model("a", never), total_timeout_s=0.05)
        assert stage.state("a") == "closed"

    async def test_a_cancellation_from_outside_stays_one(self) -> None:
        stage = Stage()
        task = asyncio.create_task(stage.ask(stage.model("a", never)))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_a_client_who_left_before_the_time_ran_out_has_left(self) -> None:
        stage = Stage()

        async def slow_to_go() -> str:
            try:
                return await never()
            finally:
                await asyncio.sleep(60)

        task = asyncio.create_task(stage.ask(stage.model("a", slow_to_go), total_timeout_s=0.05))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def test_one_try_has_a_time(self) -> None:
        stage = Stage()
        model = stage.model("a", never, "good", try_timeout_s=0.02)
        assert await stage.ask(model) == "good"
        assert "did not answer within 0.02 s" in stage.spans[0]["error"]

    async def test_the_first_token_has_a_time_where_there_are_tokens(self) -> None:
        stage = Stage()
        model = stage.model("a", never, "good", first_token_timeout_s=0.02, try_timeout_s=60.0)
        assert await stage.ask(model, streaming=True) == "good"
        assert stage.asked == ["a", "a"]

        async def slowly() -> str:
            await asyncio.sleep(0.04)
            return "whole"

        assert await stage.ask(stage.model("b", slowly, first_token_timeout_s=0.02)) == "whole"

    async def test_a_timeout_of_somebody_else_is_not_taken_for_ours(self) -> None:
        stage = Stage()
        with pytest.raises(TimeoutError):
            await stage.ask(stage.model("a", TimeoutError(), try_timeout_s=60.0))

    async def test_what_is_won_knows_when_it_must_end(self) -> None:
        stage = Stage()
        won = await stage.start(stage.model("a"), total_timeout_s=20.0)
        assert won.deadline == 1_020.0
        won = await stage.start(stage.model("b", try_timeout_s=5.0), total_timeout_s=20.0)
        assert won.deadline == 1_005.0

    async def test_at_its_deadline_an_answer_is_closed(self) -> None:
        stage = Stage()
        closed = asyncio.Event()
        won = await stage.start(stage.model("a"), total_timeout_s=0.05)
        won.watch(closed.set)
        await asyncio.wait_for(closed.wait(), 5)
        assert won.overdue
        won.release()

    async def test_an_answer_that_ended_in_time_is_left_alone(self) -> None:
        stage = Stage()
        closed: list[bool] = []
        won = await stage.start(stage.model("a"), total_timeout_s=0.05)
        won.watch(lambda: closed.append(True))
        won.release()
        await asyncio.sleep(0.3)
        assert (closed, won.overdue) == ([], False)
