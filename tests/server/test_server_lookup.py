"""Calls that requests continue: found just after, and never at the cost of a flood of looks."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from record_makers import after, entry, make_call
from rondo import clock, ids
from rondo.errors import Unavailable
from rondo.server import lookup
from rondo.server.lookup import StoreLookup
from rondo.store.duckdb import DuckDBStore


class Slow:
    """A store that has nothing, counts its questions, and how many it was asked at once."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked = self.now = self.most = 0
        self.error = error
        self._lock = threading.Lock()

    def query(self, *_: object) -> list[dict[str, Any]]:
        with self._lock:
            self.asked += 1
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.005)
        with self._lock:
            self.now -= 1
        if self.error is not None:
            raise self.error
        return []


class Sleepy:
    """A drain that only counts who wakes it."""

    woken = 0

    def wake(self) -> None:
        self.woken += 1


def looks(store: Any, drain: Any = None) -> StoreLookup:
    asleep: Any = Sleepy()
    return StoreLookup(store, drain or asleep)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "_PAUSES_S", (0.01, 0.01))


async def test_a_call_of_just_now_is_found_once_it_is_drained(database: DuckDBStore) -> None:
    with clock.at(clock.now_us()):
        call = make_call(trace_id=ids.new_trace_id())

    class Storing(Sleepy):
        def wake(self) -> None:
            database.insert("w", [entry(call)], after(1))

    found = await looks(database, Storing())("p", call.trace_id)
    assert found is not None
    assert found.trace_id == call.trace_id


async def test_a_shadow_is_nobodys_earlier_answer(database: DuckDBStore) -> None:
    call = make_call(arm="shadow", shadow_of="0" * 32)
    database.insert("w", [entry(call)], after(1))
    assert await looks(database)("p", call.trace_id) is None


async def test_an_old_id_is_looked_for_once_and_a_recent_one_a_few_times() -> None:
    store, drain = Slow(), Sleepy()
    look = looks(store, drain)
    assert await look("p", "0" * 31 + "1") is None
    assert (store.asked, drain.woken) == (1, 0)
    assert await look("p", ids.new_trace_id()) is None
    assert (store.asked, drain.woken) == (4, 2)


async def test_the_same_id_is_looked_for_once_however_many_ask() -> None:
    store = Slow()
    look = looks(store)
    trace = "0" * 31 + "1"
    assert await asyncio.gather(*(look("p", trace) for _ in range(50))) == [None] * 50
    assert store.asked == 1
    await asyncio.gather(look("p", trace), look("q", trace))
    assert store.asked == 3, "another project's is another, and what ended is asked anew"


async def test_a_flood_of_ids_is_looked_for_a_few_at_a_time() -> None:
    store = Slow()
    look = looks(store)
    await asyncio.gather(*(look("p", ids.new_trace_id()) for _ in range(30)))
    assert store.asked == 90
    assert store.most <= 4


async def test_who_leaves_takes_nobodys_answer_along() -> None:
    look = looks(Slow())
    trace = "0" * 31 + "1"
    first = asyncio.create_task(look("p", trace))
    second = asyncio.create_task(look("p", trace))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is None
    assert not look._under_way


async def test_a_store_that_is_away_is_told_to_all_who_wait() -> None:
    look = looks(Slow(Unavailable("away")))
    asked = await asyncio.gather(*(look("p", "0" * 31 + "1") for _ in range(3)), return_exceptions=True)
    assert [type(each) for each in asked] == [Unavailable] * 3
