"""Copies of live requests: recorded as their own arm, unseen by the client, and never in its way."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from msgspec import structs

from gateway_house import House, until
from rondo.gateway import shadows
from rondo.gateway.plan import ServedApp
from rondo.providers.dialect import completion_events
from rondo.records import Call
from rondo.rules.chain import compiled
from scripted_upstream import Talk, events, gone, whole


def shadowed(house: House, share: int = 10_000, model: str = "other", **spec: Any) -> None:
    """Let `bot` copy its requests to the model `other`."""
    app: ServedApp = house.gateway.plan.apps["p", "bot"]
    release = structs.replace(app.stable, route=(house.model(model, **spec),))
    apps = {**house.gateway.plan.apps, ("p", "bot"): structs.replace(app, shadows=((release, share),))}
    house.gateway.plan = structs.replace(house.gateway.plan, apps=apps)


def arms(house: House) -> dict[str, list[Call]]:
    found: dict[str, list[Call]] = {"live": [], "shadow": []}
    for call in house.calls:
        found[call.arm].append(call)
    return found


async def test_a_copy_is_recorded_beside_the_live_call(house: House) -> None:
    shadowed(house)
    house.upstream.plays["other"] = whole({"choices": [{"message": {"role": "assistant", "content": "copied"}}]})
    response = await house.chat("bot", user="u", metadata={"channel": "web"})
    await until(lambda: len(house.calls) == 2)
    (live,), (copy,) = arms(house).values()
    assert response.headers["x-rondo-trace-id"] == live.trace_id
    assert (live.shadow_of, live.model) == (None, "echo")
    assert (copy.shadow_of, copy.model, copy.answer) == (live.trace_id, "other", "copied")
    assert (copy.app, copy.user, copy.tags, copy.question) == (live.app, "u", {"channel": "web"}, live.question)
    assert copy.trace_id != live.trace_id


async def test_a_copy_of_a_stream_is_asked_for_whole(house: House) -> None:
    shadowed(house)
    house.upstream.plays["echo"] = events(completion_events(["a", "b"], model="m"))
    await house.chat("bot", stream=True, stream_options={"include_usage": True})
    await until(lambda: len(house.calls) == 2)
    sent = next(heard.json for heard in house.upstream.heard if heard.json["model"] == "other")
    assert "stream" not in sent
    assert "stream_options" not in sent
    assert not arms(house)["shadow"][0].stream


async def test_the_client_never_waits_for_a_copy(house: House) -> None:
    async def stall(talk: Talk) -> None:
        await gone(talk)

    shadowed(house)
    house.upstream.plays["other"] = stall
    async with asyncio.timeout(2):
        assert (await house.chat("bot")).status_code == 200
    await until(lambda: len(house.upstream.heard) == 2)
    await house.gateway.close()
    (copy,) = arms(house)["shadow"]
    assert copy.error_code == "client_closed"


async def test_a_copy_that_fails_is_recorded_and_nothing_else(house: House) -> None:
    shadowed(house)
    house.upstream.plays["other"] = whole({"error": {"message": "no"}}, status=500)
    assert (await house.chat("bot")).status_code == 200
    await until(lambda: len(house.calls) == 2)
    assert arms(house)["shadow"][0].status == 502


async def test_a_failed_request_is_not_copied(house: House) -> None:
    shadowed(house)
    house.upstream.plays["echo"] = whole({"error": {"message": "no"}}, status=400)
    assert (await house.chat("bot")).status_code == 400
    await asyncio.sleep(0.05)
    assert arms(house)["shadow"] == []


async def test_a_share_of_the_requests_is_copied(house: House) -> None:
    shadowed(house, share=2_500)
    for _ in range(4):
        await asyncio.gather(*(house.chat("bot") for _ in range(50)))
        await asyncio.sleep(0.1)
    await until(lambda: not house.gateway.shadows.under_way)
    assert 20 <= len(arms(house)["shadow"]) <= 85  # 50 expected; this misses once in a million


async def test_what_a_rule_reroutes_is_not_copied_to_a_model(house: House) -> None:
    shadowed(house)
    rules = compiled([{"when": "input.length > 10", "use": ["echo"]}], {})
    app = house.gateway.plan.apps["p", "bot"]
    stable = structs.replace(app.stable, rules=rules, models={"echo": app.stable.route[0]})
    copying = structs.replace(stable, route=app.shadows[0][0].route)
    changed = structs.replace(app, stable=stable, shadows=((copying, 10_000),))
    house.gateway.plan = structs.replace(house.gateway.plan, apps={("p", "bot"): changed})
    await house.chat("bot", messages=[{"role": "user", "content": "a long question"}])
    await house.chat("bot")
    await until(lambda: len(house.calls) == 3)
    assert [call.question for call in arms(house)["shadow"]] == ["hello"]


async def test_copies_that_find_no_room_are_counted(house: House) -> None:
    async def stall(talk: Talk) -> None:
        await gone(talk)

    shadowed(house)
    house.upstream.plays["other"] = stall
    await asyncio.gather(*(house.chat("bot") for _ in range(shadows.MOST + 5)))
    assert house.gateway.shadows.left_out == 5
    assert house.gateway.shadows.under_way == shadows.MOST
    await house.gateway.close()


async def test_the_answer_door_copies_the_passages_it_was_given(house: House) -> None:
    shadowed(house)
    body = {"question": "What?", "context": ["One passage."]}
    assert (await house.post("/v1/apps/bot/answer", body)).status_code == 200
    await until(lambda: len(house.calls) == 2)
    (copy,) = arms(house)["shadow"]
    assert [chunk.text for chunk in copy.chunks] == ["One passage."]
    assert copy.wire == "answer"
    assert msgspec.json.decode(copy.rendered)[0]["content"].endswith("One passage.")
