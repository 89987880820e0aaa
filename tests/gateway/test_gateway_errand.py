"""What guards and the cache ask of models is reserved like a request: with a judge, too, no budget is overrun."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import msgspec
import pytest
from msgspec import structs

from gateway_house import HELLO, House, Visitor, until
from guarded_house import limit, serve, spent
from ledger_inside import LedgerInside
from rondo.cache.model import CachePolicy, SemanticPolicy
from rondo.errors import BudgetExceeded, PriceUnknown
from rondo.gateway.accounts import Accounts
from rondo.gateway.errand import errands
from rondo.gateway.retry import Tries
from rondo.gateway.spending import DEFAULT_MAX_TOKENS
from rondo.gateway.turn import Turn
from rondo.gateway.wire import parse_chat
from rondo.governance.model import Grant
from rondo.limits.ledger import Ledger
from rondo.limits.memory import MemoryLedger
from rondo.limits.model import Claim, Matched, to_nano
from rondo.providers.dialect import completion
from rondo.providers.prices import Price
from scripted_upstream import EMBEDDINGS, Talk, events, raw, stall, whole

CUT = raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{")
JUDGED: dict[str, Any] = {"check": "judge", "model": "mod", "question": "Is it rude?", "action": "block"}
GRANT = Grant(project="p", key_id="k", name="k", kind="secret", apps=())


def said(text: str) -> Any:
    return whole(completion(text, model="m", prompt_tokens=5))


class Billing:
    """Plays for models: each answers with a random number of tokens up to the most, some break off; all are billed."""

    def __init__(self, seed: int, *, faults: float) -> None:
        self.nano = 0
        self._rng = random.Random(seed)
        self._faults = faults

    async def play(self, talk: Talk) -> None:
        asked = talk.heard.json
        prompt = self._rng.choice((5, len(talk.heard.body)))
        tokens = self._rng.choice((0, 1, asked["max_tokens" if "max_tokens" in asked else "max_completion_tokens"]))
        self.nano += prompt * 1_000 + tokens * 2_000  # as PRICE of the house has it
        await asyncio.sleep(self._rng.random() / 50)
        if self._rng.random() < self._faults:
            await CUT(talk)
            return
        answer = msgspec.json.decode(completion("no", model="m", prompt_tokens=prompt))
        answer["usage"] = {
            "prompt_tokens": prompt,
            "completion_tokens": tokens,
            "total_tokens": prompt + tokens,
        }
        if not asked.get("stream"):
            await whole(answer)(talk)
            return
        delta = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "no"}, "finish_reason": None}]}
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": answer["usage"]}
        parts = [b"data: " + msgspec.json.encode(each) + b"\n\n" for each in (delta, end)]
        await events([*parts, b"data: [DONE]\n\n"])(talk)


@pytest.mark.parametrize(
    ("stages", "stream", "faults"),
    [(["input"], False, 0.0), (["output"], False, 0.0), (["input", "output"], True, 0.0), (["input"], False, 0.3)],
)
async def test_two_hundred_at_once_with_a_judge_and_a_tight_budget(
    house: House, stages: list[str], stream: bool, faults: float
) -> None:
    billing = Billing(3, faults=faults)
    house.model("echo", retries=2)
    serve(house, {**JUDGED, "on": stages}, mod=house.model("mod", retries=2))
    house.upstream.plays = {"echo": billing.play, "mod": billing.play}
    budget = to_nano(0.06)  # each request may take 0.002 or so, and each question of the judge too
    limit(house, nano_per_month=budget, nano_per_day=budget)
    replies = await asyncio.gather(
        *(house.chat("guarded", max_tokens=100, stream=stream) for _ in range(200)),
    )
    outcomes = Counter(reply.status_code for reply in replies)
    assert outcomes[200] > 0
    assert outcomes[429] > 0
    assert outcomes.total() == outcomes[200] + outcomes[429] + (outcomes[502] + outcomes[503] if faults else 0)
    assert {reply.json()["error"]["code"] for reply in replies if reply.status_code == 429} == {"budget_exceeded"}
    charged = sum(to_nano(call.cost_usd or 0 if call.charged_usd is None else call.charged_usd) for call in house.calls)
    assert billing.nano <= await spent(house) == charged <= budget
    if not faults and not stream:  # of a stream that ends before its usage was told, the most is charged
        assert charged == billing.nano


@pytest.mark.parametrize("action", ["flag", "block"])
async def test_a_budget_that_has_no_room_for_the_judge_is_what_the_client_is_told(house: House, action: str) -> None:
    serve(house, {**JUDGED, "action": action}, mod=house.model("mod"))
    limit(house, nano_per_month=10)
    reply = await house.chat("guarded", max_tokens=1)
    assert (reply.status_code, reply.json()["error"]["code"]) == (429, "budget_exceeded")
    assert reply.headers["x-should-retry"] == "false"
    assert not house.upstream.heard
    assert (house.call.error_code, await spent(house)) == ("budget_exceeded", 0)
    assert [span.error for span in house.call.spans] == ["The model 'mod' could not be asked: budget_exceeded."]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_there_is_no_money_left_to_judge_is_paid_and_not_given(house: House, stream: bool) -> None:
    serve(house, {**JUDGED, "on": ["output"]}, mod=house.model("mod", price=Price(input=1_000.0, output=1.0)))
    house.upstream.plays["echo"] = Billing(1, faults=0.0).play
    limit(house, nano_per_month=to_nano(0.01))
    reply = await house.chat("guarded", max_tokens=100, stream=stream)
    assert "budget_exceeded" in reply.text
    assert '"no"' not in reply.text
    assert [heard.json["model"] for heard in house.upstream.heard] == ["echo"]
    assert house.call.error_code == "budget_exceeded"
    assert await spent(house) == to_nano(house.call.charged_usd or 0.0) > 0


async def test_a_judge_of_unknown_price_is_refused_under_a_budget_alone(house: House) -> None:
    serve(house, {**JUDGED, "action": "flag"}, mod=house.model("mod", price=None))
    house.upstream.plays["mod"] = said("no")
    assert (await house.chat("guarded")).status_code == 200
    limit(house, nano_per_month=10**12)
    reply = await house.chat("guarded")
    assert reply.status_code == 400
    assert "price of the model 'mod' is not known" in reply.json()["error"]["message"]
    assert len(house.upstream.heard) == 2


async def test_a_judge_that_does_not_say_what_it_took_is_charged_as_reserved(house: House) -> None:
    serve(house, JUDGED, mod=house.model("mod"))
    answer = msgspec.json.decode(completion("no", model="m", prompt_tokens=5))
    del answer["usage"]
    house.upstream.plays["mod"] = whole(answer)
    limit(house, nano_per_month=10**12)
    assert (await house.chat("guarded", max_tokens=100)).status_code == 200
    call = house.call
    assert call.cost_usd is not None
    assert call.charged_usd is not None
    assert call.charged_usd > call.cost_usd + 0.001
    assert await spent(house) == to_nano(call.charged_usd)


async def test_what_a_judge_was_refused_costs_nothing_and_what_broke_off_its_most(house: House) -> None:
    serve(house, JUDGED, mod=house.model("mod"))
    limit(house, nano_per_month=10**12)
    house.upstream.plays["mod"] = whole({"error": "busy"}, status=503)
    assert (await house.chat("guarded")).status_code == 503
    assert await spent(house) == 0
    house.upstream.plays["mod"] = CUT
    assert (await house.chat("guarded")).status_code == 503
    refused, broken = house.calls
    assert (refused.charged_usd, broken.cost_usd) == (None, 0.0)
    assert await spent(house) == to_nano(broken.charged_usd or 0.0) > to_nano(0.001)


async def test_a_client_that_leaves_while_the_judge_thinks_is_charged_for_it(house: House) -> None:
    serve(house, JUDGED, mod=house.model("mod"))
    house.upstream.plays["mod"] = stall
    limit(house, nano_per_month=10**12)
    visitor = Visitor(house, "/v1/chat/completions", msgspec.json.encode({"model": "guarded", "messages": HELLO}))
    await until(lambda: house.upstream.heard)
    (used,) = await house.gateway.ledger.used(["p/project"])
    assert (used.month_reserved > 0, used.requests, used.concurrent) == (True, 0, 0)
    visitor.leave()
    await until(visitor.task.done)
    assert house.call.error_code == "client_closed"
    assert await spent(house) == to_nano(house.call.charged_usd or 0.0) > to_nano(0.001)


async def test_what_the_judge_took_leaves_room_to_mend_an_answer(house: House) -> None:
    """It has its own reservation: none of it is taken from the one for two answers."""
    schema = {"type": "object", "required": ["price"]}
    shaped = {"check": "schema", "on": ["output"], "json_schema": schema, "action": "block"}
    serve(house, JUDGED, shaped, mod=house.model("mod", price=Price(input=1_000.0, output=0.0)))
    house.upstream.plays["mod"] = said("no")
    answers = iter([said('{"cost": 3}'), said('{"price": 3}')])

    async def play(talk: Talk) -> None:
        await next(answers)(talk)

    house.upstream.plays["echo"] = play
    limit(house, nano_per_month=10**12)
    reply = await house.chat("guarded", max_tokens=100)
    assert reply.json()["choices"][0]["message"]["content"] == '{"price": 3}'
    assert await spent(house) == to_nano(house.call.cost_usd or 0.0)


@pytest.mark.parametrize("price", [Price(input=1.0, output=0.0), None])
async def test_an_embedding_for_the_cache_is_reserved(house: House, price: Price | None) -> None:
    policy = CachePolicy(ttl_s=60.0, semantic=SemanticPolicy(model="embed", at_least=0.9))
    model = house.gateway.plan.models["p", "echo"]
    house.app("bot", model, cache=policy, models={"echo": model, "embed": house.model("embed", price=price)})
    limit(house, nano_per_month=10)
    reply = await house.chat("bot", user="anna")
    assert (reply.status_code, house.upstream.heard) == (429 if price else 400, [])
    house.model("embed", price=Price(input=1.0, output=0.0))
    house.upstream.plays["embed"] = whole(EMBEDDINGS)
    limit(house, nano_per_month=10**12)
    if price:
        assert (await house.chat("bot", user="anna")).status_code == 200
        assert [heard.path for heard in house.upstream.heard] == ["/v1/embeddings", "/v1/chat/completions"]
        assert await spent(house) == to_nano(house.calls[-1].cost_usd or 0.0)


async def test_what_a_shadow_asks_is_nobodys_expense(house: House) -> None:
    serve(house, JUDGED, mod=house.model("mod"))
    house.upstream.plays["mod"] = said("no")
    app = house.gateway.plan.apps["p", "guarded"]
    shadowed = structs.replace(app, shadows=((structs.replace(app.stable, number=2), 10_000),))
    house.gateway.plan = structs.replace(house.gateway.plan, apps={("p", "guarded"): shadowed})
    limit(house, nano_per_month=10**12)
    assert (await house.chat("guarded")).status_code == 200
    await until(lambda: len(house.calls) == 2)
    live, _ = sorted(house.calls, key=lambda call: call.arm)
    assert await spent(house) == to_nano(live.cost_usd or 0.0) > 0


class Counting(LedgerInside):
    """Keeps the claims."""

    def __init__(self) -> None:
        super().__init__()
        self.claims: list[Claim] = []

    async def reserve(self, matched: Matched, claim: Claim) -> Any:
        self.claims.append(claim)
        return await super().reserve(matched, claim)


@pytest.mark.parametrize("limits", [{}, {"requests_per_minute": 100, "tokens_per_minute": 10**6, "concurrent": 3}])
async def test_without_a_budget_an_errand_reserves_nothing(house: House, limits: dict[str, int]) -> None:
    ledger = Counting()
    asked = await _ask(house, ledger, limits, {"messages": HELLO})
    assert (ledger.claims, asked.errands) == ([], ())
    assert "max_tokens" not in house.upstream.last.json
    assert asked.side_usd > 0


async def test_an_errand_without_a_bound_is_sent_with_one(house: House) -> None:
    ledger = Counting()
    await _ask(house, ledger, {"nano_per_day": 10**12}, {"messages": HELLO})
    assert house.upstream.last.json["max_completion_tokens"] == DEFAULT_MAX_TOKENS
    (claim,) = ledger.claims
    assert claim.nano > DEFAULT_MAX_TOKENS * 2_000
    await _ask(house, ledger, {"nano_per_day": 10**12}, {"messages": HELLO, "max_tokens": 16})
    assert ledger.claims[1].nano < claim.nano // 3
    await _ask(house, ledger, {"nano_per_day": 10**12}, {"input": "x" * 5_000}, path="/moderations")
    assert 6_000_000 < ledger.claims[2].nano < 6_100_000


async def test_errors_of_a_budget_are_its_own(house: House) -> None:
    for price, error in ((Price(input=1.0, output=1.0), BudgetExceeded), (None, PriceUnknown)):
        house.model("mod", price=price)
        with pytest.raises(error):
            await _ask(house, MemoryLedger(), {"nano_per_day": 1}, {"messages": HELLO})
    assert not house.upstream.heard


async def _ask(
    house: House, ledger: Ledger, limits: dict[str, int], request: dict[str, Any], path: Any = "/chat/completions"
) -> Turn:
    """One errand to the model `mod`, for a request under these limits."""
    mod = house.gateway.plan.models.get(("p", "mod")) or house.model("mod")
    serve(house, mod=mod)
    if limits:
        limit(house, **limits)
    plan = house.gateway.plan
    turn = Turn(plan, GRANT, "chat", parse_chat(msgspec.json.encode({"model": "guarded", "messages": HELLO})))
    turn.release = plan.apps["p", "guarded"].stable
    await errands(turn, Tries(), Accounts(ledger))("mod", path, request)
    return turn
