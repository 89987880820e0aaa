"""A model at several addresses: calls are spread by weight or to the least busy, and what fails is avoided."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from gateway_tries import Stage, failing, never
from rondo.errors import RateLimited, UpstreamError
from rondo.gateway.deployments import Deployments, host_of
from rondo.gateway.retry import Tries


def seeded(stage: Stage) -> Stage:
    stage.tries = Tries(
        chance=random.Random(7).random, sleep=stage.time.sleep, now=lambda: stage.time.now, breaker_failures=2
    )
    return stage


async def test_weights_are_shares() -> None:
    stage = seeded(Stage())
    model = stage.model("m", at=("a", "b", "c"), weights=(1.0, 2.0, 7.0))
    for _ in range(4_000):
        await stage.ask(model)
    shares = Counter(stage.asked)
    # five standard deviations of a binomial count
    for host, share in (("a", 0.1), ("b", 0.2), ("c", 0.7)):
        assert abs(shares[host] - 4_000 * share) < 5 * (4_000 * share * (1 - share)) ** 0.5


async def test_the_least_busy_gets_the_call_by_its_weight() -> None:
    stage = seeded(Stage())
    model = stage.model("m", at=("small", "big"), weights=(1.0, 3.0), balance="least_busy")
    for _ in range(40):
        await stage.start(model)  # none of them ends
    assert Counter(stage.asked) == {"small": 10, "big": 30}


async def test_among_equally_busy_ones_weight_decides() -> None:
    stage = seeded(Stage())
    model = stage.model("m", at=("a", "b"), weights=(1.0, 9.0), balance="least_busy")
    for _ in range(500):
        await stage.ask(model)
    assert 20 < Counter(stage.asked)["a"] < 90


async def test_a_retry_goes_to_another_address_at_once() -> None:
    stage = seeded(Stage())
    stage.plays["a"] = [failing(500)]
    model = stage.model("m", at=("a", "b"), weights=(1_000_000.0, 1.0))
    assert await stage.ask(model) == "good"
    assert (stage.asked, stage.time.slept) == (["a", "b"], [])
    assert [span["deployment"] for span in stage.spans] == ["a", "b"]
    assert stage.turn.model is not None
    assert stage.turn.model.spec.base_url == "http://b/v1"


async def test_when_all_addresses_have_failed_it_waits_before_the_next_try() -> None:
    stage = Stage(chance=0.5)
    stage.plays |= {"a": [failing(500), "good"], "b": [failing(500), "good"]}
    assert await stage.ask(stage.model("m", at=("a", "b"), retries=2)) == "good"
    assert sorted(stage.asked[:2]) == ["a", "b"]
    assert stage.time.slept == [0.25]


async def test_an_address_that_keeps_failing_gets_no_calls() -> None:
    stage = seeded(Stage())
    stage.plays["a"] = [failing(503)]
    model = stage.model("m", at=("a", "b"))
    for _ in range(50):
        assert await stage.ask(model) == "good"
    assert Counter(stage.asked)["a"] == 2
    assert (stage.state("a"), stage.state("b")) == ("open", "closed")


async def test_an_address_that_asks_for_a_long_rest_leaves_the_work_to_the_others() -> None:
    stage = seeded(Stage())
    stage.plays["a"] = [failing(429, 60)]
    model = stage.model("m", at=("a", "b"))
    for _ in range(50):
        assert await stage.ask(model) == "good"
    assert Counter(stage.asked)["a"] == 1
    assert stage.time.slept == []


async def test_when_all_are_left_alone_the_next_probe_is_told() -> None:
    stage = seeded(Stage())
    stage.plays |= {"a": [failing(429, 60)], "b": [failing(429, 20)]}
    model = stage.model("m", at=("a", "b"), retries=1)
    with pytest.raises(UpstreamError):
        await stage.ask(model)
    with pytest.raises(RateLimited) as caught:
        await stage.ask(model)
    assert caught.value.retry_after == 20


async def test_what_is_told_of_deployments_holds_no_secret() -> None:
    stage = Stage()
    model = stage.model("m", never, at=("user:pass@a", "b"), max_concurrent=1)
    stage.plays |= {"user:pass@a": [never], "b": [never]}
    running = asyncio.create_task(stage.ask(model))
    await asyncio.sleep(0.01)
    waiting = asyncio.create_task(stage.ask(model))
    await asyncio.sleep(0.01)
    standing = stage.tries.standing()
    assert [each.address for each in standing] == ["b", "a"]
    assert sum(each.in_flight for each in standing) == 1
    assert {(each.model_in_flight, each.model_waiting) for each in standing} == {(1, 1)}
    for task in (running, waiting):
        task.cancel()
    await asyncio.gather(running, waiting, return_exceptions=True)
    assert stage.idle


def test_a_host_is_told_without_what_may_be_secret() -> None:
    assert host_of("https://user:pass@api.host:8443/v1?key=s") == "api.host:8443"
    assert host_of(None) == ""


def test_names_without_end_are_forgotten_unless_they_say_something() -> None:
    stage = Stage()
    known = Deployments(failures=5, open_s=15.0)
    failed = known.of("p", stage.model("failed")).all[0].state
    failed.breaker.failed(0, 0.0)
    held = known.of("p", stage.model("held"))
    assert held.gate.take_now(5)
    held.all[0].state.in_flight += 1
    for number in range(12_000):
        known.of("p", stage.model(f"openai/{number}"))
    assert len(known.standing(0.0)) <= 5_002
    assert len(known._gates) <= 5_002
    assert known.of("p", stage.model("failed")).all[0].state is failed
    assert known.of("p", stage.model("held")).gate is held.gate
