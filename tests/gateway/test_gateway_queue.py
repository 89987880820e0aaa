"""The gate of a model: never more calls than there are places, nobody forgotten, nobody before his turn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rondo.errors import Overloaded, RateLimited
from rondo.gateway.gate import Gate


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def wait(gate: Gate, *, limit: int = 1, queue: int = 100, timeout_s: float = 60.0) -> asyncio.Task[None]:
    return asyncio.create_task(gate.take("m", limit=limit, queue=queue, timeout_s=timeout_s))


async def test_a_place_goes_to_the_first_in_the_queue() -> None:
    gate = Gate()
    assert gate.take_now(1)
    first, second = wait(gate), wait(gate)
    await settle()
    gate.give_back(0.1)
    assert not gate.take_now(1), "someone waits for it already"
    await settle()
    assert (first.done(), second.done(), gate.in_flight, gate.waiting) == (True, False, 1, 1)
    gate.give_back(0.1)
    await second


async def test_a_full_queue_refuses_at_once_and_says_when() -> None:
    gate = Gate()
    assert gate.take_now(1)
    gate.give_back(10.0)  # calls take ten seconds
    assert gate.take_now(1)
    waiting = wait(gate, queue=1)
    await settle()
    with pytest.raises(RateLimited) as caught:
        await gate.take("m", limit=1, queue=1, timeout_s=60.0)
    assert caught.value.retry_after == 20
    assert "'m'" in str(caught.value)
    waiting.cancel()


async def test_without_a_queue_nobody_waits() -> None:
    gate = Gate()
    assert gate.take_now(1)
    with pytest.raises(RateLimited):
        await gate.take("m", limit=1, queue=0, timeout_s=60.0)


async def test_who_waits_too_long_is_told() -> None:
    gate = Gate()
    assert gate.take_now(1)
    with pytest.raises(Overloaded) as caught:
        await gate.take("m", limit=1, queue=5, timeout_s=0.01)
    assert (caught.value.retry_after, gate.waiting, gate.in_flight) == (1, 0, 1)


async def test_who_leaves_leaves_no_trace() -> None:
    gate = Gate()
    assert gate.take_now(1)
    leaver, stayer = wait(gate), wait(gate)
    await settle()
    leaver.cancel()
    await settle()
    assert gate.waiting == 1
    gate.give_back(0.1)
    await stayer
    assert gate.in_flight == 1


async def test_who_leaves_just_as_he_gets_a_place_passes_it_on() -> None:
    gate = Gate()
    assert gate.take_now(1)
    leaver, stayer = wait(gate), wait(gate)
    await settle()
    gate.give_back(0.1)  # the place is the leaver's now, though he does not know it yet
    leaver.cancel()
    await asyncio.wait_for(stayer, 1)
    assert leaver.cancelled()
    assert (gate.in_flight, gate.waiting) == (1, 0)


async def test_a_wider_limit_is_no_reason_to_jump_the_queue() -> None:
    gate = Gate()
    assert gate.take_now(1)
    narrow = wait(gate, limit=1)
    await settle()
    assert not gate.take_now(2)
    assert not gate.has_room(2)
    narrow.cancel()
    await settle()
    assert gate.take_now(2)


async def test_a_wider_limit_behind_a_narrow_one_moves_up_when_that_one_leaves() -> None:
    gate = Gate()
    assert gate.take_now(1)
    narrow, wide = wait(gate, limit=1), wait(gate, limit=2)
    await settle()
    narrow.cancel()
    await asyncio.wait_for(wide, 1)
    assert gate.in_flight == 2


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("come"), st.just(0)),
        st.tuples(st.just("end"), st.integers(0, 9)),
        st.tuples(st.just("leave"), st.integers(0, 9)),
        st.tuples(st.just("pause"), st.just(0)),
    ),
    max_size=60,
)


@given(limit=st.integers(1, 3), queue=st.integers(0, 4), steps=STEPS)
@settings(max_examples=150, deadline=None)
def test_never_more_than_allowed_and_no_place_is_lost(limit: int, queue: int, steps: list[tuple[str, int]]) -> None:
    async def play() -> None:
        gate = Gate()
        inside: list[asyncio.Event] = []
        most = 0
        order: list[int] = []

        async def call(number: int) -> str:
            nonlocal most
            if not gate.take_now(limit):
                try:
                    await gate.take("m", limit=limit, queue=queue, timeout_s=60.0)
                except RateLimited:
                    return "refused"
                order.append(number)
            most = max(most, gate.in_flight)
            done = asyncio.Event()
            inside.append(done)
            try:
                await done.wait()
            finally:
                inside.remove(done)
                gate.give_back(0.0)
            return "served"

        calls: list[asyncio.Task[str]] = []
        for step, which in steps:
            if step == "come":
                calls.append(asyncio.create_task(call(len(calls))))
            elif step == "end" and inside:
                inside[which % len(inside)].set()
            elif step == "leave" and calls:
                calls[which % len(calls)].cancel()
            else:
                await settle()
            assert gate.in_flight <= limit
            assert gate.waiting <= queue
        await settle()
        assert gate.waiting == 0 or gate.in_flight == limit, "a place is free and someone waits"
        while inside:
            inside[0].set()
            await settle()
        results: list[Any] = await asyncio.gather(*calls, return_exceptions=True)
        assert (gate.in_flight, gate.waiting) == (0, 0)
        assert most <= limit
        assert order == sorted(order), "those who waited were served in their order"
        for result in results:
            assert result in ("refused", "served") or isinstance(result, asyncio.CancelledError)

    asyncio.run(play())
