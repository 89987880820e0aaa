"""Single-flight under every kind of trouble: one asks at a time, nobody hangs, nobody gets another's error."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answer_makers import asked, completion, kept
from rondo import clock
from rondo.cache import answers as answers_module
from rondo.cache.answers import Answers, Lead
from rondo.cache.flight import Flights
from rondo.cache.model import CachePolicy, Hit

POLICY = CachePolicy(ttl_s=60)


@pytest.fixture
def cache() -> Answers:
    return Answers(most_bytes=1 << 20)


async def started(*tasks: asyncio.Task[object]) -> None:
    for _ in tasks:
        await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_a_stampede_makes_one_call(cache: Answers) -> None:
    calls = 0

    async def ask() -> bytes:
        nonlocal calls
        found = await cache.look(asked("a"), POLICY)
        if isinstance(found, Hit):
            return found.kept.completion
        calls += 1
        await asyncio.sleep(0.01)
        found.keep(kept("the one"))
        return completion("the one")

    assert set(await asyncio.gather(*(ask() for _ in range(200)))) == {completion("the one")}
    assert calls == 1
    assert len(cache.flights) == 0


async def test_different_requests_do_not_wait_for_each_other(cache: Answers) -> None:
    first = await cache.look(asked("a"), POLICY)
    second = await cache.look(asked("b"), POLICY)
    assert isinstance(first, Lead)
    assert isinstance(second, Lead)
    first.abandon()
    second.abandon()


async def test_a_failed_leader_hands_over(cache: Answers) -> None:
    lead = await cache.look(asked("a"), POLICY)
    assert isinstance(lead, Lead)
    waiting = [asyncio.create_task(cache.look(asked("a"), POLICY)) for _ in range(3)]
    await started(*waiting)
    lead.abandon()
    await started(*waiting)
    assert [task.done() for task in waiting] == [True, False, False]
    second = waiting[0].result()
    assert isinstance(second, Lead)
    second.keep(kept("second"))
    for task in waiting[1:]:
        hit = await task
        assert isinstance(hit, Hit)
        assert hit.kept.completion == completion("second")
    lead.keep(kept("too late"))
    found = await cache.look(asked("a"), POLICY)
    assert isinstance(found, Hit)
    assert found.kept.completion == completion("second")


async def test_an_answer_that_is_none_to_share_sends_everyone_off_at_once(cache: Answers) -> None:
    lead = await cache.look(asked("a"), POLICY)
    assert isinstance(lead, Lead)
    waiting = [asyncio.create_task(cache.look(asked("a"), POLICY)) for _ in range(3)]
    await started(*waiting)
    lead.keep(kept(completion=completion("cut of", finish="length")))
    leads = await asyncio.gather(*waiting)
    assert all(isinstance(each, Lead) for each in leads)
    assert len(cache.flights) == 0
    assert cache.memory.get(asked("a").key) is None
    assert isinstance(leads[0], Lead)
    leads[0].keep(kept("whole"))
    assert isinstance(await cache.look(asked("a"), POLICY), Hit)


async def test_one_who_leaves_while_it_is_handed_over_passes_it_on(cache: Answers) -> None:
    lead = await cache.look(asked("a"), POLICY)
    assert isinstance(lead, Lead)
    first, second = (asyncio.create_task(cache.look(asked("a"), POLICY)) for _ in range(2))
    await started(first, second)
    lead.abandon()
    first.cancel()
    found = await asyncio.wait_for(second, 1)
    assert isinstance(found, Lead)
    assert first.cancelled()
    found.abandon()
    assert len(cache.flights) == 0


async def test_a_slow_leader_is_overtaken_by_one(cache: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its client reads slowly, say: the others wait a while, then one of them leads, not all of them."""
    monkeypatch.setattr(answers_module, "STREAM_PATIENCE_S", 0.05)
    slow = await cache.look(asked("a"), POLICY, stream=True)
    assert isinstance(slow, Lead)
    waiting = {asyncio.create_task(cache.look(asked("a"), POLICY)) for _ in range(5)}
    done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    (overtaker,) = [task.result() for task in done]
    assert isinstance(overtaker, Lead)
    slow.abandon()  # leaves the one who leads now in peace
    assert len(cache.flights) == 1
    overtaker.keep(kept("quick"))
    for found in await asyncio.gather(*waiting):
        assert isinstance(found, Hit)


async def test_a_slow_leader_may_still_be_the_first_to_answer(cache: Answers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "STREAM_PATIENCE_S", 0.0)
    slow = await cache.look(asked("a"), POLICY, stream=True)
    overtaker = await cache.look(asked("a"), POLICY)
    assert isinstance(slow, Lead)
    assert isinstance(overtaker, Lead)
    waiting = asyncio.create_task(cache.look(asked("a"), POLICY))
    await started(waiting)
    slow.keep(kept("slow"))
    found = await waiting
    assert isinstance(found, Hit)
    overtaker.keep(kept("overtaker"))
    overtaker.abandon()
    assert len(cache.flights) == 0


async def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    flights = Flights()
    assert flights.takes_off(b"a", 60.0) is not None
    assert await flights.follow(b"a", 60.0, 0.01) is None
    now = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now + 61)
    assert await flights.follow(b"a", 60.0, 60.0) is not None


async def test_a_refresh_waits_for_nobody_and_keeps_what_comes(cache: Answers) -> None:
    lead = await cache.look(asked("a"), POLICY)
    fresh = await cache.look(asked("a"), POLICY, refresh=True)
    assert isinstance(lead, Lead)
    assert isinstance(fresh, Lead)
    lead.keep(kept("old"))
    fresh.keep(kept("new"))
    found = await cache.look(asked("a"), POLICY)
    assert isinstance(found, Hit)
    assert found.kept.completion == completion("new")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 40))
def test_random_trouble(seed: int, size: int) -> None:
    """Clients come, leave, fail and get answers at random moments: at most one leads a key, and all come to an end."""

    async def run() -> None:
        dice = random.Random(seed)
        cache = Answers(most_bytes=1 << 20)
        leading: Counter[str] = Counter()
        given_away: set[bytes] = set()

        async def client(name: str) -> None:
            await asyncio.sleep(0.001 * dice.randrange(4))
            found = await cache.look(asked(name), POLICY)
            if isinstance(found, Hit):
                assert found.kept.completion in given_away
                return
            leading[name] += 1
            assert leading[name] == 1
            answer = completion(f"{name} {dice.random()}")
            try:
                await asyncio.sleep(0.001 * dice.randrange(4))
                if dice.random() < 0.4:
                    raise ConnectionError
            except BaseException:
                leading[name] -= 1
                found.abandon()
                raise
            given_away.add(answer)
            leading[name] -= 1
            found.keep(kept(completion=answer))

        tasks = [asyncio.create_task(client(dice.choice("ab"))) for _ in range(size)]
        for _ in range(dice.randrange(size)):
            await asyncio.sleep(0.001 * dice.random())
            dice.choice(tasks).cancel()
        results = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert {type(each) for each in results} <= {type(None), asyncio.CancelledError, ConnectionError}
        assert len(cache.flights) == 0

    asyncio.run(run())
