"""The gateway's opening for evaluations: pinned, recorded as such, uncached, within limits and the run's budget."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import structs

from gateway_house import HELLO, House
from rondo import clock
from rondo.cache.model import CachePolicy
from rondo.errors import BudgetExceeded, PriceUnknown
from rondo.gateway.evaluated import Evaluated, day_budget, run_budget
from rondo.gateway.result import Answered
from rondo.governance.model import Grant
from rondo.limits.model import NANO
from rondo.records import Call, Chunk

GRANT = Grant(project="p", key_id="id-eval", name="eval", kind="secret")


async def evaluate(house: House, evaluated: Evaluated, **more: Any) -> Answered:
    body = msgspec.json.encode(
        {"model": "whatever", "messages": HELLO, "metadata": {"mine": "1"}, **more.pop("fields", {})}
    )
    return await house.gateway.evaluate(GRANT, "/chat/completions", body, evaluated, {"eval_run": "r"}, **more)


async def test_a_release_without_a_number_answers_and_is_recorded_as_an_evaluation(house: House) -> None:
    house.app("draft", house.model("echo"), number=0, hash="d00d")
    release = house.gateway.plan.apps["p", "draft"].stable
    chunk = Chunk(number=1, id="c", source="s", title="", heading="", text="Given passage.", score=0.0)
    answered = await evaluate(house, Evaluated(release), context=[chunk])
    call: Call = answered.call
    assert (call.arm, call.app, call.release, call.release_hash) == ("eval", "draft", None, "d00d")
    assert call.tags == {"mine": "1", "eval_run": "r"}
    assert "Given passage." in house.upstream.last.json["messages"][0]["content"]
    assert structs.asdict(house.call) == structs.asdict(call)


async def test_models_get_the_request_as_it_is(house: House) -> None:
    answered = await evaluate(house, Evaluated((house.model("plain"),)), fields={"temperature": 0.5})
    assert (answered.call.arm, answered.call.app, answered.call.model) == ("eval", None, "plain")
    assert house.upstream.last.json["messages"] == HELLO
    assert house.upstream.last.json["temperature"] == 0.5


async def test_embeddings_are_asked_of_the_model_that_is_pinned(house: House) -> None:
    body = b'{"model": "x", "input": "hello"}'
    model = Evaluated((house.model("vectors"),))
    answered = await house.gateway.evaluate(GRANT, "/embeddings", body, model, {"eval_run": "r"})
    assert (answered.call.arm, answered.call.wire, answered.call.tags) == ("eval", "embeddings", {"eval_run": "r"})
    assert house.upstream.last.path == "/v1/embeddings"


async def test_the_cache_neither_serves_nor_learns(house: House) -> None:
    house.app("kept", house.model("echo"), cache=CachePolicy(ttl_s=60.0))
    release = house.gateway.plan.apps["p", "kept"].stable
    await evaluate(house, Evaluated(release))
    assert (await house.chat("kept")).status_code == 200
    assert len(house.upstream.heard) == 2, "what an evaluation was told is not kept"
    assert (await house.chat("kept")).headers["x-rondo-cache"] == "exact"
    await evaluate(house, Evaluated(release))
    assert len(house.upstream.heard) == 3, "an evaluation is not told what was kept"


async def test_a_run_spends_no_more_than_its_budget(house: House) -> None:
    model = house.model("echo")
    fields = {"max_tokens": 10}
    budget = run_budget("p", "r", 3 * NANO // 1_000)  # the most that one request can be is above a tenth of a cent
    asked = Evaluated((model,), budget)
    await evaluate(house, asked, fields=fields)
    tight = Evaluated((model,), run_budget("p", "tight", 1_000))
    with pytest.raises(BudgetExceeded):
        await evaluate(house, tight, fields=fields)
    assert len(house.upstream.heard) == 1
    with pytest.raises(PriceUnknown):
        await evaluate(house, Evaluated((house.model("unknown", price=None),), budget), fields=fields)


async def test_a_days_budget_is_what_the_key_has_spent(house: House) -> None:
    """Whoever asks under the key's id meets it, and the money counts once."""
    model = house.model("echo")
    first, second = (day_budget("p", GRANT.key_id, 2 * NANO // 1_000, words=words) for words in ("one", "other"))
    await evaluate(house, Evaluated((model,), first), fields={"max_tokens": 10})
    (used,) = await house.gateway.ledger.used([f"p/key:{GRANT.key_id}"])
    assert used.day_spent == round((house.call.cost_usd or 0) * NANO)
    house.gateway.ledger.spend("p", GRANT.key_id, None, None, at=clock.now_us(), nano=2 * NANO // 1_000)
    with pytest.raises(BudgetExceeded, match=r"^other: ") as refusal:
        await evaluate(house, Evaluated((model,), second), fields={"max_tokens": 10})
    assert second.refused(refusal.value)
    assert not first.refused(refusal.value)


async def test_live_requests_know_nothing_of_it(house: House) -> None:
    assert (await house.chat("bot")).status_code == 200
    assert house.call.arm == "live"
