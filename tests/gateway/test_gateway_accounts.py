"""Money through tries that fail, errands and many requests at once: never over budget, and nothing is left reserved."""

from __future__ import annotations

import asyncio
import random
import uuid
from functools import partial
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_house import House, Visitor, until
from limits.ledgers import forget, nothing_spent, redis_at_hand, settled
from rondo.errors import RondoError, UpstreamCut, UpstreamError, UpstreamTimeout
from rondo.gateway.accounts import Accounts
from rondo.gateway.completion import Said
from rondo.gateway.plan import Plan, ServedModel
from rondo.gateway.retry import Tries
from rondo.gateway.spending import worst_case
from rondo.gateway.turn import Turn
from rondo.gateway.wire import parse_chat
from rondo.governance.model import Grant
from rondo.limits import redis_epoch
from rondo.limits.ledger import Ledger
from rondo.limits.memory import MemoryLedger
from rondo.limits.model import Limit, LimitTable, to_nano
from rondo.limits.redis_ledger import RedisLedger
from rondo.providers.base import ModelSpec, Provider
from rondo.providers.dialect import completion
from rondo.providers.prices import Price
from scripted_upstream import Play, Talk, raw, stall, whole

CUT = raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{")
"""An answer that breaks off: it may be on the bill."""


def limit(house: House, **limits: Any) -> None:
    table = LimitTable([("p", Limit(scope="project", **limits))])
    house.gateway.plan = msgspec.structs.replace(house.gateway.plan, limits=table)


async def spent(house: House) -> int:
    """Nano-dollars of this month, with nothing left reserved."""
    (used,) = await house.gateway.ledger.used(["p/project"])
    assert (used.month_reserved, used.concurrent) == (0, 0)
    return used.month_spent


def plays(house: House, model: str, *each: Play) -> None:
    """One for each try."""
    rest = iter(each)

    async def play(talk: Talk) -> None:
        await next(rest)(talk)

    house.upstream.plays[model] = play


def most(house: House, model: str, **fields: Any) -> int:
    """What one try of `house.chat` can cost."""
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}], **fields}
    matched = house.gateway.plan.limits.match("p", "k")
    assert matched is not None
    served = house.gateway.plan.models["p", model]
    return worst_case(matched, parse_chat(msgspec.json.encode(body)), (served,), at=0, hedges=False).nano


GOOD = whole(completion("yes", model="m", prompt_tokens=1))


async def test_a_try_that_broke_off_is_charged_besides_the_answer(house: House) -> None:
    house.model("twice", retries=1)
    limit(house, nano_per_month=10**12)
    plays(house, "twice", CUT, GOOD)
    assert (await house.chat("twice", max_tokens=500)).status_code == 200
    call = house.call
    assert call.attempts == 2
    assert call.cost_usd is not None
    assert call.charged_usd == pytest.approx(call.cost_usd + most(house, "twice", max_tokens=500) / 1e9)
    assert await spent(house) == to_nano(call.charged_usd or 0.0)


async def test_a_try_that_was_refused_is_not_charged(house: House) -> None:
    house.model("twice", retries=1)
    house.model("once")
    limit(house, nano_per_month=10**12)
    plays(house, "twice", whole({"error": "busy"}, status=503), GOOD)
    assert (await house.chat("twice", max_tokens=500)).status_code == 200
    assert house.call.charged_usd == house.call.cost_usd
    limit(house, nano_per_month=(await spent(house)) + most(house, "twice", max_tokens=500))
    plays(house, "twice", whole({"error": "busy"}, status=503), GOOD)
    assert (await house.chat("twice", max_tokens=500)).status_code == 200  # one reservation does for both


async def test_a_further_try_that_does_not_fit_is_not_sent(house: House) -> None:
    house.model("twice", retries=1)
    limit(house, nano_per_month=10**12)
    one = most(house, "twice", max_tokens=500)
    limit(house, nano_per_month=2 * one - 1)
    plays(house, "twice", CUT, GOOD)
    reply = await house.chat("twice", max_tokens=500)
    assert (reply.status_code, reply.json()["error"]["code"]) == (502, "upstream_cut")
    assert len(house.upstream.heard) == 1
    assert "of $0.00" in [span.error or "" for span in house.call.spans][-1]
    assert (house.call.cost_usd, await spent(house)) == (None, one)
    assert to_nano(house.call.charged_usd or 0) == one


async def test_where_one_more_try_does_not_fit_a_cheaper_model_may(house: House) -> None:
    house.model("dear", retries=3)
    house.model("cheap", price=Price(input=0.01, output=0.01))
    limit(house, nano_per_month=10**12)
    fields: dict[str, Any] = {"models": ["cheap"], "max_tokens": 500}
    dear, cheap = most(house, "dear", **fields), most(house, "cheap", **fields)
    limit(house, nano_per_month=dear + cheap)
    plays(house, "dear", CUT)
    plays(house, "cheap", GOOD)
    assert (await house.chat("dear", **fields)).status_code == 200
    assert [heard.json["model"] for heard in house.upstream.heard] == ["dear", "cheap"]
    assert house.call.model == "cheap"
    assert 0 < to_nano(house.call.charged_usd or 0) - dear < cheap
    assert await spent(house) == to_nano(house.call.charged_usd or 0)


async def test_all_tries_of_unknown_cost_are_charged_whole(house: House) -> None:
    house.model("thrice", retries=2)
    limit(house, nano_per_month=10**12)
    house.upstream.plays["thrice"] = CUT
    assert (await house.chat("thrice", max_tokens=500)).status_code == 502
    assert await spent(house) == 3 * most(house, "thrice", max_tokens=500)


async def test_the_loser_of_two_tries_is_charged(house: House) -> None:
    house.model("slow", hedge_after_s=0.02)
    limit(house, nano_per_month=10**12)
    plays(house, "slow", stall, GOOD)
    assert (await house.chat("slow", max_tokens=500)).status_code == 200
    one = most(house, "slow", max_tokens=500)
    assert house.call.cost_usd is not None
    assert house.call.charged_usd == pytest.approx(house.call.cost_usd + one / 1e9)
    assert await spent(house) == to_nano(house.call.charged_usd or 0.0)


async def test_without_a_budget_a_failed_try_is_nobodys_expense(house: House) -> None:
    house.model("twice", retries=1)
    limit(house, requests_per_minute=100)
    plays(house, "twice", CUT, GOOD)
    assert (await house.chat("twice")).status_code == 200
    assert house.call.charged_usd == house.call.cost_usd
    assert await spent(house) == to_nano(house.call.cost_usd or 0)


async def test_a_client_that_leaves_before_anything_was_billed_pays_nothing(house: House) -> None:
    house.model("busy", retries=5)
    limit(house, nano_per_month=10**12)
    house.upstream.plays["busy"] = whole({"error": "busy"}, status=503, retry_after="5")
    body = msgspec.json.encode({"model": "busy", "messages": [{"role": "user", "content": "hi"}]})
    visitor = Visitor(house, "/v1/chat/completions", body)
    await until(lambda: house.upstream.heard and not house.upstream.open)
    await asyncio.sleep(0.05)
    visitor.leave()
    await until(visitor.task.done)
    assert house.call.error_code == "client_closed"
    assert await spent(house) == 0


# Many at once, whatever happens to them.

FAULTS = {
    "good": None,
    "untold": None,  # a good answer that says nothing of its tokens
    "refused": UpstreamError("busy", status=503),
    "cut": UpstreamCut("cut"),
    "late": UpstreamTimeout("late"),
}
SHARES = (0, 10, 100)
TRY = st.tuples(st.sampled_from(sorted(FAULTS)), st.sampled_from(SHARES), st.integers(0, 3))
"""How a try ends; what it costs, in percent of the most that it can; how long it takes."""
REQUEST = st.tuples(
    st.lists(TRY, min_size=1, max_size=4), st.lists(TRY, max_size=2), st.lists(TRY, max_size=2), st.booleans()
)
"""The tries of a request, and of its errands before and after; whether its client leaves."""
GRANT = Grant(project="p", key_id="k", name="k", kind="secret", apps=())
ASKED = parse_chat(b'{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":100}')


class Street:
    """Requests through accounts and tries, without a pipeline; `bill` is the provider's."""

    def __init__(self, nano: int, *, retries: int, hedge: bool, ledger: Ledger | None = None) -> None:
        self.ledger = ledger or MemoryLedger()
        self.accounts = Accounts(self.ledger)
        self.tries = Tries(breaker_failures=10**9, sleep=lambda _: asyncio.sleep(0))
        self.bill = self.charged = self.answered = 0
        self.budget = nano
        spec = ModelSpec(name="m", provider="openai", retries=retries, hedge_after_s=0.0 if hedge else None)
        self.model = ServedModel(spec, cast(Provider, None), Price(input=1.0, output=2.0), "1")
        limits = LimitTable([("p", Limit(scope="project", nano_per_day=nano, nano_per_month=2 * nano, concurrent=500))])
        self.plan = Plan(revision=1, grants={}, apps={}, models={}, direct=lambda provider, model: None, limits=limits)
        matched = limits.match("p", "k")
        assert matched is not None
        self.matched = matched
        self.one = worst_case(matched, ASKED, (self.model,), at=0, hedges=False).nano

    async def send(self, tries: list[tuple[str, int, int]], model: ServedModel) -> dict[str, int] | None:
        how, share, ticks = tries.pop(0) if len(tries) > 1 else tries[0]
        prompt, tokens = (self.one // 1_000 - 200) * share // 100, share
        fault = FAULTS[how]
        if how != "refused":  # whatever becomes of it, it is on the bill
            self.bill += prompt * 1_000 + tokens * 2_000
        for _ in range(ticks):
            await asyncio.sleep(0)
        if fault is not None:
            raise fault
        usage = {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens}
        return usage if how == "good" else None

    async def first(self, turn: Turn, tries: list[tuple[str, int, int]]) -> None:
        won = await self.tries.first((self.model,), partial(self.send, tries), turn, total_timeout_s=60.0)
        won.release()
        turn.said = Said(usage=won.value)

    async def errand(self, turn: Turn, tries: list[tuple[str, int, int]]) -> None:
        errand = Turn(self.plan, GRANT, "chat", ASKED)
        assert self.matched.money is not None
        await self.accounts.reserve_errand(turn, errand, self.matched.money, self.model)
        await self.first(errand, tries)
        turn.side_usd += errand.bill()[1] or 0.0

    async def request(self, own: list[Any], before: list[Any], after: list[Any]) -> None:
        turn = Turn(self.plan, GRANT, "chat", ASKED)
        try:
            for each in before:
                await self.errand(turn, [each])
            await self.accounts.reserve(turn, (self.model,))
            await self.first(turn, list(own))
            for each in after:
                await self.errand(turn, [each])
            self.answered += 1
        except RondoError:
            pass
        finally:
            usage, cost = turn.bill()
            charged = self.accounts.settle(turn, cost, usage)
            self.charged += to_nano((cost if charged is None else charged) or 0.0)
            assert (turn.hold, turn.extended, turn.errands) == (None, (), ())

    async def used(self) -> tuple[int, int]:
        (used,) = await self.ledger.used(["p/project"])
        assert used.day_spent + used.day_reserved <= self.budget
        assert used.requests == 0 or used.concurrent <= 500
        return used.day_spent, used.day_reserved

    async def all(self, requests: list[Any]) -> None:
        tasks = [asyncio.create_task(self.request(*each[:3])) for each in requests]
        for tick in range(6):
            await asyncio.sleep(0)
            await self.used()
            if tick == 3:
                for task, each in zip(tasks, requests, strict=True):
                    if each[3]:
                        task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await settled(self.ledger)
        spent, reserved = await self.used()
        assert reserved == 0
        assert self.bill <= spent == self.charged <= self.budget


@given(st.lists(REQUEST, min_size=1, max_size=20), st.integers(0, 30), st.integers(0, 3), st.booleans())
@settings(deadline=None, max_examples=150)
async def test_whatever_happens_no_budget_is_overrun(requests: list[Any], room: int, retries: int, hedge: bool) -> None:
    one = Street(0, retries=retries, hedge=hedge).one
    street = Street(room * one // 2, retries=retries, hedge=hedge)
    await street.all(requests)


@pytest.mark.parametrize("hedge", [False, True], ids=["in turn", "hedged"])
async def test_over_redis_no_budget_is_overrun_either(monkeypatch: pytest.MonkeyPatch, hedge: bool) -> None:
    monkeypatch.setattr(redis_epoch, "GRACE_US", 20_000)
    ledger = RedisLedger(redis_at_hand(), source="here", load=nothing_spent, prefix=f"rondo-test-{uuid.uuid4().hex}")
    await ledger.start()
    try:
        rng = random.Random(7)

        def some(least: int, most: int) -> list[tuple[str, int, int]]:
            kinds = [*sorted(FAULTS), "good", "good"]
            count = rng.randint(least, most)
            return [(rng.choice(kinds), rng.choice(SHARES), rng.randint(0, 3)) for _ in range(count)]

        one = Street(0, retries=2, hedge=hedge).one
        street = Street(60 * one, retries=2, hedge=hedge, ledger=ledger)
        await street.all([(some(1, 4), some(0, 2), some(0, 2), rng.random() < 0.1) for _ in range(200)])
        assert street.answered > 0
    finally:
        await forget(ledger)


async def test_two_hundred_at_once_use_what_there_is() -> None:
    """The street is not blocked: with room for all, all are answered."""
    street = Street(10**12, retries=2, hedge=False)
    good = [("good", 10, 1)]
    await street.all([(good, good, good, False)] * 200)
    assert street.answered == 200
    assert street.charged == street.bill


async def test_an_errand_is_none_of_the_callers_requests() -> None:
    street = Street(10**12, retries=0, hedge=False)
    turn = Turn(street.plan, GRANT, "chat", ASKED)
    await street.errand(turn, [("good", 100, 0)])
    (used,) = await street.ledger.used(["p/project"])
    assert (used.requests, used.concurrent, used.day_reserved) == (0, 0, street.one)
    street.accounts.settle(turn, turn.bill()[1], None)
    assert await street.used() == (street.one, 0)


async def test_a_model_that_is_made_anew_has_its_new_price() -> None:
    """Terms are remembered for a plan only."""
    street = Street(10**12, retries=0, hedge=False)
    for output, plan in ((2.0, street.plan), (20.0, msgspec.structs.replace(street.plan))):
        model = msgspec.structs.replace(street.model, price=Price(input=0.0, output=output))
        turn = Turn(plan, GRANT, "chat", ASKED)
        await street.accounts.reserve(turn, (model,))
        assert turn.hold.nano == output * 100 * 1_000
