"""One timer for all deadlines: each rings once, not before its time, and not at all once it is put off."""

from __future__ import annotations

import asyncio

from gateway_house import until
from rondo.gateway.deadlines import Deadlines


async def test_a_short_one_behind_a_long_one_rings_in_its_own_time() -> None:
    loop, deadlines, rang = asyncio.get_running_loop(), Deadlines(), list[str]()
    began = loop.time()
    deadlines.after(600.0, lambda: rang.append("long"), loop)
    short = deadlines.after(0.05, lambda: rang.append("short"), loop)
    await until(lambda: rang)
    assert rang == ["short"]
    assert short.rang
    assert loop.time() - began >= 0.05


async def test_they_ring_in_their_order_and_once() -> None:
    loop, deadlines, rang = asyncio.get_running_loop(), Deadlines(), list[int]()
    for tenths in (3, 1, 2):
        deadlines.after(tenths / 10, lambda number=tenths: rang.append(number), loop)  # type: ignore[misc]
    await until(lambda: len(rang) == 3)
    await asyncio.sleep(0.2)
    assert rang == [1, 2, 3]


async def test_one_that_is_put_off_does_not_ring_and_keeps_no_other_from_it() -> None:
    loop, deadlines, rang = asyncio.get_running_loop(), Deadlines(), list[str]()
    off = deadlines.after(0.02, lambda: rang.append("off"), loop)
    off.off()
    deadlines.after(0.2, lambda: rang.append("on"), loop)
    await until(lambda: rang)
    assert (rang, off.rang) == (["on"], False)
    off.off()


async def test_one_may_put_off_another_as_it_rings() -> None:
    loop, deadlines, rang = asyncio.get_running_loop(), Deadlines(), list[str]()

    def all_off() -> None:
        for alarm in alarms:
            alarm.off()

    alarms = [deadlines.after(0.02, all_off, loop) for _ in range(3)]
    deadlines.after(0.1, lambda: rang.append("later"), loop)
    await until(lambda: rang)


async def test_what_is_over_takes_no_room() -> None:
    loop, deadlines = asyncio.get_running_loop(), Deadlines()
    for _ in range(10_000):
        deadlines.after(600.0, lambda: None, loop).off()
    assert len(deadlines._drawers) <= 3
