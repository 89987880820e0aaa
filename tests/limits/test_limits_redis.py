"""The ledger on Redis: several processes; Redis killed, restarted, emptied, stalled; what each choice means then."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from limits.ledgers import OwnRedis, claim, matched, nothing_spent, settled, used
from rondo import clock
from rondo.errors import BudgetExceeded, RateLimited, SettingsError, Unavailable
from rondo.limits import redis_ledger
from rondo.limits.model import DAY_US, NANO, Limit
from rondo.limits.redis_ledger import RedisLedger
from rondo.limits.spent import Spent

DAY = Limit(scope="key:k", nano_per_day=10 * NANO)
BUSY = Limit(scope="key:k", concurrent=2, nano_per_day=10 * NANO)


class Records:
    """What the records of one server say: the tests write a call down when it is settled."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []
        self.looks = 0

    def write(self, nano: int) -> None:
        self.calls.append((clock.now_us(), nano))

    async def load(self) -> Spent:
        self.looks += 1
        spent = Spent(read_at=clock.now_us(), users=True)
        for at, nano in self.calls:
            spent.add("p", "k", "bot", "anna", at=at, nano=nano)
        return spent


@asynccontextmanager
async def process(server: OwnRedis, **more: Any) -> AsyncIterator[RedisLedger]:
    """A process of the server `here`; with `load`, the one that has the records."""
    ledger = RedisLedger(server.url, **{"source": "here", "timeout_s": 0.3, **more})
    await ledger.start()
    try:
        yield ledger
    finally:
        await ledger.close()


async def call(ledger: RedisLedger, nano: int, *limits: Limit, records: Records | None = None) -> None:
    """A whole call, recorded as the gateway does it: settled, then written down at once."""
    hold = await ledger.reserve(matched(*(limits or (DAY,))), claim(nano))
    ledger.settle(hold, tokens=None, nano=nano)
    if records is not None:
        records.write(nano)


async def admitted(ledger: RedisLedger, *, seconds: float = 8.0) -> None:
    """Wait until requests with a limit are let through again."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                await call(ledger, 0)
                return
            except Unavailable:
                await asyncio.sleep(0.02)


async def test_two_processes_share_one_budget(own_redis: OwnRedis) -> None:
    async with process(own_redis, load=nothing_spent) as one, process(own_redis) as two:
        limits = matched(Limit(scope="project", nano_per_day=100))

        async def ask(ledger: RedisLedger) -> int:
            try:
                hold = await ledger.reserve(limits, claim(1))
            except BudgetExceeded:
                return 0
            await asyncio.sleep(0)
            ledger.settle(hold, tokens=None, nano=1)
            return 1

        answers = await asyncio.gather(*(ask(ledger) for _ in range(500) for ledger in (one, two)))
        await settled(one)
        await settled(two)
        assert sum(answers) == 100
        assert (await used(two, "p/project")).day_spent == 100


async def test_a_process_without_records_waits_for_the_one_that_has_them(own_redis: OwnRedis) -> None:
    async with process(own_redis) as worker:
        with pytest.raises(Unavailable, match="added"):
            await call(worker, 1)
        async with process(own_redis, load=nothing_spent):
            await admitted(worker)


async def test_the_slots_of_a_killed_process_come_back(own_redis: OwnRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_ledger, "_LEASE_US", 300_000)
    async with process(own_redis, load=nothing_spent) as one:
        dying = RedisLedger(own_redis.url, source="here")
        await dying.start()
        for _ in range(2):
            await dying.reserve(matched(BUSY), claim(NANO))
        with pytest.raises(RateLimited, match="2 calls at the same time"):
            await one.reserve(matched(BUSY), claim())
        assert dying._beats is not None
        dying._beats.cancel()
        await dying._line.close()
        await dying._control.close()
        async with asyncio.timeout(5):
            while True:
                try:
                    hold = await one.reserve(matched(BUSY), claim())
                    break
                except RateLimited:
                    await asyncio.sleep(0.02)
        one.settle(hold, tokens=None, nano=0)
        found = await used(one, "p/key:k")
        assert (found.concurrent, found.day_reserved) == (0, 2 * NANO)  # the money may have been spent


async def test_closed_refuses_and_says_so(own_redis: OwnRedis, caplog: pytest.LogCaptureFixture) -> None:
    async with process(own_redis, load=nothing_spent) as ledger:
        await call(ledger, 1)
        own_redis.kill()
        for _ in range(5):
            with pytest.raises(Unavailable, match="Limits cannot be checked: Redis") as refused:
                await call(ledger, 1)
        assert refused.value.retry_after == 1
        state = ledger.state()
        assert state.away_since is not None
        assert (state.refused, state.passed) == (5, 0)
        assert [each.levelno for each in caplog.records if "cannot be checked" in each.message] == [logging.ERROR]
        with pytest.raises(Unavailable):
            await ledger.used(["p/key:k"])
        own_redis.start()
        await admitted(ledger)
        assert ledger.state().away_since is None
        assert [each for each in caplog.records if "checked again" in each.message]


async def test_open_lets_through_and_counts_later(own_redis: OwnRedis) -> None:
    records = Records()
    async with process(own_redis, load=records.load, fail="open") as ledger:
        await call(ledger, NANO, records=records)
        own_redis.kill()
        for _ in range(12):
            await call(ledger, NANO, records=records)
        assert ledger.state().passed == 12
        await asyncio.sleep(0.3)  # later than the calls by more than what is taken for doubtful
        own_redis.start()
        async with asyncio.timeout(8):
            while ledger.state().away_since is not None:
                await asyncio.sleep(0.02)
        await settled(ledger)
        assert (await used(ledger, "p/key:k")).day_spent == 13 * NANO
        async with asyncio.timeout(5):
            while True:  # until the new sums hold
                try:
                    await call(ledger, 1)
                except BudgetExceeded:
                    break
                await asyncio.sleep(0.02)


async def test_redis_killed_and_restarted_empty_under_load_overruns_nothing(own_redis: OwnRedis) -> None:
    """Two processes and calls of any length: what the records add up to is never above the budget."""
    records, budget = Records(), 400
    limit = Limit(scope="project", nano_per_day=budget)
    async with process(own_redis, load=records.load) as one, process(own_redis) as two:
        stop = asyncio.Event()
        spent, unavailable = 0, 0

        async def client(ledger: RedisLedger, number: int) -> None:
            nonlocal spent, unavailable
            while not stop.is_set():
                try:
                    hold = await ledger.reserve(matched(limit), claim(5))
                except Unavailable:
                    unavailable += 1
                    await asyncio.sleep(0.01)
                    continue
                except BudgetExceeded:
                    return
                await asyncio.sleep(0.05 * (number % 9))
                nano = 1 + number % 5
                ledger.settle(hold, tokens=None, nano=nano)
                records.write(nano)
                spent += nano

        clients = [asyncio.create_task(client(ledger, number)) for number in range(20) for ledger in (one, two)]
        await asyncio.sleep(0.15)
        own_redis.kill()
        await asyncio.sleep(0.3)
        own_redis.start()
        await asyncio.wait(clients, timeout=15)
        stop.set()
        await asyncio.gather(*clients)
        await settled(one)
        await settled(two)
        assert unavailable
        assert records.looks == 2
        assert spent == sum(nano for _, nano in records.calls) <= budget
        assert spent > budget / 2
        found = await used(one, "p/project")
        assert found.day_reserved == 0
        assert spent <= found.day_spent <= budget


async def test_sums_that_redis_found_on_its_disk_are_not_believed(own_redis: OwnRedis) -> None:
    records = Records()
    async with process(own_redis, load=records.load) as ledger:
        await call(ledger, NANO, records=records)
        await settled(ledger)
        await ledger._control.command("SAVE")
        await call(ledger, 8 * NANO, records=records)
        await settled(ledger)
        await asyncio.sleep(0.2)
        own_redis.kill()
        own_redis.start()
        await admitted(ledger)
        assert records.looks == 2
        assert (await used(ledger, "p/key:k")).day_spent == 9 * NANO
        with pytest.raises(BudgetExceeded):
            await call(ledger, 2 * NANO)


async def test_a_short_silence_loses_and_doubles_nothing(own_redis: OwnRedis) -> None:
    records = Records()
    async with process(own_redis, load=records.load) as ledger:
        limits = matched(DAY, Limit(scope="project", concurrent=50))
        holds = [await ledger.reserve(limits, claim(NANO // 10)) for _ in range(10)]
        own_redis.signal(signal.SIGSTOP)
        for hold in holds:
            ledger.settle(hold, tokens=None, nano=NANO // 20)
            records.write(NANO // 20)
        waiting = [asyncio.create_task(ledger.reserve(limits, claim(NANO))) for _ in range(3)]
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(answer, Unavailable) for answer in answers)
        await asyncio.sleep(0.5)
        own_redis.signal(signal.SIGCONT)
        await admitted(ledger)
        await settled(ledger)
        found = await used(ledger, "p/key:k")
        assert (found.day_spent, found.day_reserved) == (NANO // 2, 0)
        assert (await used(ledger, "p/project")).concurrent == 0
        assert records.looks == 1  # nothing was lost, so nothing was added up again


async def test_scripts_that_redis_forgot_are_told_again(own_redis: OwnRedis) -> None:
    async with process(own_redis, load=nothing_spent) as ledger:
        await call(ledger, 1)
        await ledger._control.command("SCRIPT", "FLUSH")
        await asyncio.gather(*(call(ledger, 1) for _ in range(20)))
        await settled(ledger)
        assert (await used(ledger, "p/key:k")).day_spent == 21


async def test_each_server_adds_its_own_records_once(own_redis: OwnRedis) -> None:
    here, there = Records(), Records()
    here.write(3 * NANO)
    there.write(4 * NANO)
    async with process(own_redis, load=here.load) as one:
        assert (await used(one, "p/key:k")).day_spent == 3 * NANO
        async with process(own_redis, source="there", load=there.load):
            assert (await used(one, "p/key:k")).day_spent == 7 * NANO
        async with process(own_redis, source="there", load=there.load):  # started again
            assert (await used(one, "p/key:k")).day_spent == 7 * NANO
    async with process(own_redis, load=here.load) as one:
        assert (await used(one, "p/key:k")).day_spent == 7 * NANO


async def test_many_users_are_added_up(own_redis: OwnRedis) -> None:
    async def load() -> Spent:
        spent = Spent(read_at=clock.now_us(), users=True)
        for number in range(20_000):
            spent.add("p", "k", "bot", f"u{number}", at=clock.now_us(), nano=number)
        return spent

    async with process(own_redis, load=load, timeout_s=2.0) as ledger:
        assert (await used(ledger, "p/user:u777")).day_spent == 777
        assert (await used(ledger, "p/project")).day_spent == sum(range(20_000))
        assert await ledger.largest("p/user:", 2) == ["p/user:u19999", "p/user:u19998"]


async def test_a_process_whose_clock_is_wrong_counts_by_redis_clock(own_redis: OwnRedis) -> None:
    async with process(own_redis, load=nothing_spent) as ledger:
        await call(ledger, 9 * NANO)
        with clock.at(clock.now_us() + 3 * DAY_US), pytest.raises(BudgetExceeded):
            await call(ledger, 2 * NANO)
        with clock.at(clock.now_us() - 3 * DAY_US), pytest.raises(BudgetExceeded):
            await call(ledger, 2 * NANO)


async def test_redis_that_is_not_there_yet_holds_up_no_start(own_redis: OwnRedis) -> None:
    own_redis.kill()
    async with process(own_redis, load=nothing_spent) as ledger:
        with pytest.raises(Unavailable):
            await call(ledger, 1)
        ledger.spend("p", "k", None, None, at=clock.now_us(), nano=7)
        own_redis.start()
        await admitted(ledger)
        await settled(ledger)
        assert (await used(ledger, "p/key:k")).day_spent == 7


async def test_a_long_silence_keeps_little_in_memory(own_redis: OwnRedis) -> None:
    async with process(own_redis, load=nothing_spent) as ledger:
        own_redis.kill()
        for _ in range(200):
            ledger.spend("p", "k", None, None, at=clock.now_us(), nano=1)
            ledger._unheld.close()
        assert len(ledger._unheld._closed) <= 21
        own_redis.start()


@pytest.mark.parametrize("url", ["127.0.0.1:6379", "http://x", "redis://:secret@[::1"])
def test_a_wrong_address_is_told_without_its_password(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        RedisLedger(url, source="here")
    assert "RONDO_REDIS_URL" in str(refused.value)
    assert "secret" not in str(refused.value)
