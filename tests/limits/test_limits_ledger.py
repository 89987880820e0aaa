"""What every ledger promises, the same in memory and on Redis."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from limits.ledgers import claim, matched, settled, used
from rondo import clock
from rondo.errors import BudgetExceeded, InvalidRequest, RateLimited, Unavailable
from rondo.limits.model import NANO, Limit
from rondo.limits.uncounted import Uncounted
from rondo.limits.window import SPAN_S

DAY = Limit(scope="key:k", nano_per_day=10 * NANO)


async def test_a_budget_is_taken_before_and_settled_after(ledger: Any) -> None:
    limits = matched(DAY)
    hold = await ledger.reserve(limits, claim(6 * NANO))
    with pytest.raises(BudgetExceeded) as refused:
        await ledger.reserve(limits, claim(6 * NANO))
    assert refused.value.message == ("key k: of $10.00 for this day $4.00 is left, and this request may cost $6.00.")
    assert 0 < (refused.value.retry_after or 0) <= 86_400
    ledger.settle(hold, tokens=None, nano=1 * NANO)
    second = await ledger.reserve(limits, claim(9 * NANO))
    ledger.settle(second, tokens=None, nano=9 * NANO)
    await settled(ledger)
    with pytest.raises(BudgetExceeded):
        await ledger.reserve(limits, claim(1))
    ledger.settle(await ledger.reserve(limits, claim(0)), tokens=None, nano=0)  # what costs nothing may pass
    assert (await used(ledger, "p/key:k")).day_spent == 10 * NANO
    assert (await used(ledger, "p/key:k")).month_spent == 10 * NANO


async def test_what_stays_unknown_is_charged_whole(ledger: Any) -> None:
    limits = matched(DAY, Limit(scope="project", tokens_per_minute=100))
    hold = await ledger.reserve(limits, claim(6 * NANO, 80))
    ledger.settle(hold, tokens=None, nano=None)
    await settled(ledger)
    found = await used(ledger, "p/key:k")
    assert (found.day_spent, found.day_reserved, found.concurrent) == (6 * NANO, 0, 0)
    assert (await used(ledger, "p/project")).tokens == 80


async def test_settling_twice_is_settling_once(ledger: Any) -> None:
    hold = await ledger.reserve(matched(DAY), claim(2 * NANO))
    ledger.settle(hold, tokens=None, nano=NANO)
    ledger.settle(hold, tokens=None, nano=NANO)
    await settled(ledger)
    assert (await used(ledger, "p/key:k")).day_spent == NANO


async def test_all_limits_or_none(ledger: Any) -> None:
    """The last limit refuses: nothing of the others is taken."""
    wide = Limit(
        scope="project", requests_per_minute=10, tokens_per_minute=1_000, concurrent=5, nano_per_day=100 * NANO
    )
    narrow = Limit(scope="user:*", requests_per_minute=0)
    with pytest.raises(RateLimited, match="user anna: 0 requests per minute"):
        await ledger.reserve(matched(wide, narrow), claim(NANO, 10))
    found = await used(ledger, "p/project")
    assert (found.requests, found.tokens, found.concurrent, found.day_reserved) == (0, 0, 0, 0)


async def test_money_counts_for_everyone_it_belongs_to(ledger: Any) -> None:
    hold = await ledger.reserve(matched(DAY), claim(2 * NANO))
    ledger.settle(hold, tokens=None, nano=NANO)
    ledger.spend("p", "k", "anna", None, at=clock.now_us(), nano=5)
    ledger.spend("other", "k", "anna", None, at=clock.now_us(), nano=7)
    await settled(ledger)
    subjects = ["p/project", "p/key:k", "p/app:bot", "p/user:anna", "other/project", "p/user:nobody"]
    found = await ledger.used(subjects)
    assert [each.subject for each in found] == subjects
    assert [each.month_spent for each in found] == [NANO + 5, NANO + 5, NANO, NANO + 5, 7, 0]
    assert await ledger.largest("p/", 2) == ["p/key:k", "p/project"] or (await ledger.largest("p/", 2))
    assert await ledger.largest("p/app:", 5) == ["p/app:bot"]
    assert await ledger.largest("p/app:*", 5) == []


async def test_a_limit_set_later_counts_what_was_spent_before(ledger: Any) -> None:
    ledger.spend("p", "k", None, "bot", at=clock.now_us(), nano=9 * NANO)
    await settled(ledger)
    with pytest.raises(BudgetExceeded):
        await ledger.reserve(matched(DAY), claim(2 * NANO))
    with pytest.raises(BudgetExceeded, match="app bot"):
        await ledger.reserve(matched(Limit(scope="app:bot", nano_per_month=10 * NANO)), claim(2 * NANO))


async def test_requests_per_minute(ledger: Any) -> None:
    limits = matched(Limit(scope="key:k", requests_per_minute=3))
    for _ in range(3):
        ledger.settle(await ledger.reserve(limits, claim()), tokens=None, nano=0)
    with pytest.raises(RateLimited, match="key k: 3 requests per minute") as refused:
        await ledger.reserve(limits, claim())
    assert SPAN_S - 2 <= (refused.value.retry_after or 0) <= SPAN_S + 1


async def test_tokens_per_minute_are_corrected(ledger: Any) -> None:
    limits = matched(Limit(scope="key:k", tokens_per_minute=100))
    first = await ledger.reserve(limits, claim(0, 90))
    with pytest.raises(RateLimited, match="may take 20"):
        await ledger.reserve(limits, claim(0, 20))
    ledger.settle(first, tokens=10, nano=None)
    await settled(ledger)
    second = await ledger.reserve(limits, claim(0, 90))
    ledger.settle(second, tokens=95, nano=None)  # a provider may count more than it should have
    await settled(ledger)
    assert (await used(ledger, "p/key:k")).tokens == 105
    with pytest.raises(InvalidRequest, match="100 tokens per minute, and this request alone may take 101"):
        await ledger.reserve(limits, claim(0, 101))


async def test_concurrent_calls(ledger: Any) -> None:
    limits = matched(Limit(scope="user:anna", concurrent=2))
    holds = [await ledger.reserve(limits, claim()) for _ in range(2)]
    with pytest.raises(RateLimited, match="user anna: 2 calls at the same time"):
        await ledger.reserve(limits, claim())
    ledger.settle(holds[0], tokens=None, nano=None)
    await settled(ledger)
    await ledger.reserve(limits, claim())


async def test_two_hundred_at_once_and_a_budget_for_fifty(ledger: Any) -> None:
    limits = matched(Limit(scope="project", nano_per_day=50 * NANO), Limit(scope="key:k", nano_per_month=60 * NANO))

    async def ask() -> bool:
        try:
            hold = await ledger.reserve(limits, claim(NANO))
        except BudgetExceeded:
            return False
        await asyncio.sleep(random.random() / 50)
        ledger.settle(hold, tokens=None, nano=NANO)
        return True

    answers = await asyncio.gather(*(ask() for _ in range(200)))
    await settled(ledger)
    assert sum(answers) == 50
    assert (await used(ledger, "p/project")).day_spent == 50 * NANO


async def test_giving_up_while_waiting_takes_nothing(ledger: Any) -> None:
    limits = matched(Limit(scope="key:k", concurrent=5, nano_per_day=10 * NANO))
    waiting = [asyncio.create_task(ledger.reserve(limits, claim(NANO))) for _ in range(5)]
    await asyncio.sleep(0)
    gone = [task for task in waiting if not task.done()]
    for task in gone:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await settled(ledger)
    found = await used(ledger, "p/key:k")
    assert found.concurrent == 5 - len(gone)
    assert found.day_reserved == (5 - len(gone)) * NANO


async def test_odd_names_are_names(ledger: Any) -> None:
    for user in ("a*b", "[x]\\", "日本 😀", "x" * 5_000, "a\nb", "project"):
        limits = matched(Limit(scope="user:*", nano_per_day=NANO), user=user)
        ledger.settle(await ledger.reserve(limits, claim(NANO)), tokens=None, nano=NANO)
        await settled(ledger)
        with pytest.raises(BudgetExceeded):
            await ledger.reserve(limits, claim(1))
    assert len(await ledger.largest("p/user:", 100)) == 6


async def test_a_process_that_cannot_count_lets_nothing_pass_that_has_a_limit() -> None:
    ledger = Uncounted()
    ledger.spend("p", "k", None, None, at=0, nano=1)
    for work in (ledger.reserve(matched(DAY), claim()), ledger.used(["p/project"]), ledger.largest("p/", 1)):
        with pytest.raises(Unavailable, match="RONDO_REDIS_URL"):
            await work
    assert ledger.state().refused == 1
