"""The ledger in memory: against an oracle, over days, and when the clock jumps."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from limits.ledgers import claim, matched, used
from rondo import clock
from rondo.errors import BudgetExceeded, InvalidRequest, RateLimited, Unavailable
from rondo.limits.memory import MemoryLedger
from rondo.limits.model import DAY_US, NANO, Claim, Limit, periods_of
from rondo.limits.spent import Spent

NOON = 1_795_262_400_000_000  # 2026-11-21 12:00 UTC
DAY = Limit(scope="key:k", nano_per_day=10 * NANO)
MONTH = Limit(scope="key:k", nano_per_month=10 * NANO)


def run(work: Any) -> Any:
    """A step that never waits, without an event loop."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waited")


class Interleavings(RuleBasedStateMachine):
    """Any order of taking, settling and time: no budget is ever overrun, and every sum is what it should be."""

    @initialize()
    def begin(self) -> None:
        self.ledger = MemoryLedger()
        self.now = NOON
        self.seconds = 1_000.0
        self.limits = [
            Limit(scope="project", nano_per_month=900, concurrent=6),
            Limit(scope="key:*", nano_per_day=400, requests_per_minute=9),
            Limit(scope="user:*", nano_per_day=200, tokens_per_minute=300),
        ]
        self.callers = {
            (key, user): matched(*self.limits, key=key, user=user) for key in "ab" for user in ("x", "y", None)
        }
        self.open: list[tuple[Any, tuple[str, str | None], int, Claim]] = []
        self.charged: list[tuple[int, str, str | None, int]] = []  # when, key, user, money
        self.admitted: list[tuple[float, str]] = []

    def _at(self, work: Any) -> Any:
        real = clock.monotonic
        clock.monotonic = lambda: self.seconds
        try:
            with clock.at(self.now):
                return work()
        finally:
            clock.monotonic = real

    def _money(self, key: str | None, user: str | None, period: str) -> int:
        def counts(at: int, of_key: str, of_user: str | None) -> bool:
            return period in periods_of(at) and key in (None, of_key) and user in (None, of_user)

        settled = sum(nano for at, of_key, of_user, nano in self.charged if counts(at, of_key, of_user))
        return settled + sum(asked.nano for _, who, _, asked in self.open if counts(asked.at, *who))

    def _fits(self, key: str, user: str | None, asked: Claim) -> bool:
        day, month = periods_of(asked.at)
        if len(self.open) >= 6 or self._money(None, None, month) + asked.nano > 900:
            return False
        if self._money(key, None, day) + asked.nano > 400:
            return False
        recent = [at for at, of in self.admitted if of == key and int(self.seconds) - int(at) <= 60]
        if len(recent) >= 9:
            return False
        return user is None or self._money(None, user, day) + asked.nano <= 200

    @rule(key=st.sampled_from("ab"), user=st.sampled_from(["x", "y", None]), nano=st.integers(0, 120))
    def reserve(self, key: str, user: str | None, nano: int) -> None:
        asked = Claim(self.now, 0, nano)
        expected = self._fits(key, user, asked)
        try:
            hold = self._at(lambda: run(self.ledger.reserve(self.callers[key, user], asked)))
        except RateLimited:
            assert not expected
            return
        assert expected
        self.open.append((hold, (key, user), nano, asked))
        self.admitted.append((self.seconds, key))

    @rule(place=st.integers(0, 5), share=st.floats(0, 1), known=st.booleans())
    def settle(self, place: int, share: float, known: bool) -> None:
        if place >= len(self.open):
            return
        hold, (key, user), nano, asked = self.open.pop(place)
        spent = int(nano * share) if known else nano
        self._at(lambda: self.ledger.settle(hold, tokens=None, nano=spent if known else None))
        self.charged.append((asked.at, key, user, spent))

    @rule(hours=st.integers(-30, 60), seconds=st.floats(0, 90))
    def time_passes(self, hours: int, seconds: float) -> None:
        """The wall clock may jump to anywhere, the other one goes on."""
        self.now += hours * 3_600_000_000
        self.seconds += seconds

    @invariant()
    def nothing_is_overrun(self) -> None:
        if not hasattr(self, "ledger"):
            return
        day, month = periods_of(self.now)
        subjects = ["p/project", "p/key:a", "p/key:b", "p/user:x", "p/user:y"]
        found = self._at(lambda: run(self.ledger.used(subjects)))
        for each, (key, user) in zip(
            found, [(None, None), ("a", None), ("b", None), (None, "x"), (None, "y")], strict=True
        ):
            assert each.day_spent + each.day_reserved == self._money(key, user, day)
            assert each.month_spent + each.month_reserved == self._money(key, user, month)
        assert found[0].month_spent + found[0].month_reserved <= 900
        assert all(each.day_spent + each.day_reserved <= 400 for each in found[1:3])
        assert all(each.day_spent + each.day_reserved <= 200 for each in found[3:])
        assert found[0].concurrent == len(self.open)


TestInterleavings = Interleavings.TestCase


async def spend(ledger: MemoryLedger, limit: Limit, nano: int) -> None:
    ledger.settle(await ledger.reserve(matched(limit), claim(nano)), tokens=None, nano=nano)


async def test_a_new_day_and_a_new_month_begin_at_midnight_in_utc() -> None:
    ledger = MemoryLedger()
    with clock.at(NOON) as move:
        await spend(ledger, DAY, 10 * NANO)
        move(12 * 3_600_000_000 - 1)
        with pytest.raises(BudgetExceeded) as refused:
            await spend(ledger, DAY, 1)
        assert refused.value.retry_after == 1
        move(1)
        await spend(ledger, DAY, 1)
        with pytest.raises(BudgetExceeded):
            await spend(ledger, MONTH, 10 * NANO)
        move(9 * DAY_US)
        await spend(ledger, MONTH, 10 * NANO)


async def test_a_call_belongs_to_the_day_in_which_it_began() -> None:
    ledger = MemoryLedger()
    with clock.at(NOON + DAY_US // 2 - 1) as move:
        hold = await ledger.reserve(matched(DAY), claim(10 * NANO))
        move(10)
        await spend(ledger, DAY, 10 * NANO)
        ledger.settle(hold, tokens=None, nano=4 * NANO)
        assert (await used(ledger, "p/key:k")).day_spent == 10 * NANO
        move(-10)
        assert (await used(ledger, "p/key:k")).day_spent == 4 * NANO


async def test_a_clock_that_is_put_back_neither_frees_nor_locks() -> None:
    ledger = MemoryLedger()
    limits = matched(DAY, Limit(scope="project", requests_per_minute=2))
    with clock.at(NOON) as move:
        await spend(ledger, DAY, 10 * NANO)
        move(3 * DAY_US)
        await spend(ledger, DAY, 10 * NANO)
        move(-3 * DAY_US)
        with pytest.raises(BudgetExceeded):
            await spend(ledger, DAY, 1)
        move(-40 * DAY_US)
        for _ in range(2):
            ledger.settle(await ledger.reserve(limits, claim()), tokens=None, nano=0)
        move(365 * DAY_US)
        with pytest.raises(RateLimited):  # minutes are counted by the clock that does not jump
            await ledger.reserve(limits, claim())
        move(DAY_US)
        await spend(ledger, DAY, 10 * NANO)


async def test_old_days_and_idle_callers_are_forgotten() -> None:
    ledger = MemoryLedger()
    with clock.at(NOON) as move:
        for _ in range(30):
            await spend(ledger, DAY, 1)
            ledger.spend("p", "k", None, None, at=clock.now_us(), nano=1)
            move(DAY_US)
    assert len(ledger._pots) <= 16
    before = clock.monotonic
    moment = 0.0
    clock.monotonic = lambda: moment
    try:
        for number in range(25_000):
            moment += 0.1
            limits = matched(Limit(scope="user:*", requests_per_minute=1), user=f"u{number}")
            ledger.settle(await ledger.reserve(limits, claim()), tokens=None, nano=None)
    finally:
        clock.monotonic = before
    assert len(ledger._rates) <= 10_001
    assert len(ledger._lanes) <= 10_000


async def test_it_begins_with_what_the_records_say() -> None:
    with clock.at(NOON):
        spent = Spent(read_at=NOON, users=True)
        spent.add("p", "k", "bot", "anna", at=NOON, nano=9 * NANO)
        ledger = MemoryLedger(spent)
        for scope in ("project", "key:k", "app:bot", "user:anna"):
            with pytest.raises(BudgetExceeded):
                await spend(ledger, Limit(scope=scope, nano_per_day=10 * NANO), 2 * NANO)


async def test_users_are_added_up_when_the_first_one_gets_a_budget() -> None:
    """Calls that go on meanwhile count once: those recorded before the look by the records, those after it by us."""
    go_on = asyncio.Event()
    limit = Limit(scope="user:*", nano_per_day=100)
    with clock.at(NOON) as move:

        async def load() -> Spent:
            spent = Spent(read_at=clock.now_us(), users=True)
            spent.add("p", "k", "bot", "anna", at=NOON, nano=40 + 3)  # with the one that is recorded by now
            await go_on.wait()
            return spent

        ledger = MemoryLedger(load_users=load)
        ledger.spend("p", "k", "anna", "bot", at=NOON, nano=40)  # nobody counts users yet
        long = await ledger.reserve(matched(DAY), claim(50))  # begun before, ends after
        waiting = [asyncio.create_task(ledger.reserve(matched(limit), claim(60))) for _ in range(3)]
        ledger.spend("p", "k", "anna", "bot", at=NOON, nano=0)
        await asyncio.sleep(0)
        ledger.spend("p", "k", "anna", "bot", at=NOON, nano=3)
        await asyncio.sleep(0)
        move(1)
        ledger.settle(long, tokens=None, nano=17)
        ledger.spend("p", "k", "ben", "bot", at=NOON, nano=5)
        go_on.set()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert all(isinstance(answer, BudgetExceeded) for answer in answers)
        (anna, ben, key) = await ledger.used(["p/user:anna", "p/user:ben", "p/key:k"])
        assert (anna.day_spent, ben.day_spent, key.day_spent) == (40 + 3 + 17, 5, 40 + 3 + 17 + 5)


async def test_whoever_looks_at_users_first_has_them_added_up() -> None:
    async def load() -> Spent:
        spent = Spent(read_at=clock.now_us(), users=True)
        spent.add("p", "k", None, "anna", at=clock.now_us(), nano=7)
        return spent

    assert await MemoryLedger(load_users=load).largest("p/user:", 5) == ["p/user:anna"]
    assert (await used(MemoryLedger(load_users=load), "p/user:anna")).day_spent == 7
    assert await MemoryLedger(load_users=load).largest("p/key:", 5) == []


async def test_while_users_cannot_be_added_up_they_get_503_and_nobody_else() -> None:
    failing = True

    async def load() -> Spent:
        if failing:
            raise Unavailable("The record store cannot be used.")
        spent = Spent(read_at=clock.now_us(), users=True)
        spent.add("p", "k", None, "anna", at=clock.now_us(), nano=7)
        return spent

    ledger = MemoryLedger(load_users=load)
    limits = matched(Limit(scope="user:*", nano_per_day=100))
    with pytest.raises(Unavailable, match="cannot be added up"):
        await ledger.reserve(limits, claim(1))
    await spend(ledger, DAY, 7)
    failing = False
    hold = await ledger.reserve(limits, claim(1))
    assert (await used(ledger, "p/user:anna")).day_spent == 7
    ledger.settle(hold, tokens=None, nano=1)
    assert (await used(ledger, "p/user:anna")).day_spent == 8


async def test_a_request_larger_than_a_whole_limit_is_the_requests_fault() -> None:
    ledger = MemoryLedger()
    with pytest.raises(InvalidRequest):
        await ledger.reserve(matched(Limit(scope="project", tokens_per_minute=5)), claim(0, 6))
