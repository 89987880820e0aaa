"""What must hold where several things go wrong at once: nothing unguarded is written, no money goes uncounted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import structs

from gateway_house import HELLO, KEY, House, Visitor, until
from guarded_house import limit, serve, spent
from rondo.limits.model import to_nano
from rondo.providers.dialect import completion
from rondo.providers.prices import Price
from scripted_upstream import Talk, events, stall, whole

EMAIL = "anna@shop.example"
REDACT: dict[str, Any] = {"check": "pii", "on": ["input", "output"], "action": "redact"}
MODERATED: dict[str, Any] = {"check": "moderation", "model": "mod", "on": ["output"], "action": "block"}
JUDGED: dict[str, Any] = {"check": "judge", "model": "mod", "question": "Is it rude?", "action": "block"}
SHAPED: dict[str, Any] = {
    "check": "schema",
    "on": ["output"],
    "json_schema": {"type": "object", "required": ["price"]},
    "action": "block",
}


def on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def said(text: str, *, tokens: int = 1) -> Any:
    return whole(completion(text, model="m", prompt_tokens=tokens))


async def test_an_answer_that_a_guard_could_not_check_is_not_written(house: House) -> None:
    serve(house, REDACT, MODERATED, mod=house.model("mod"))
    house.upstream.plays["echo"] = said(f"Write to {EMAIL}")
    house.upstream.plays["mod"] = whole({"error": "down"}, status=500)
    assert (await house.chat("guarded")).status_code == 503
    assert house.call.error_code == "unavailable"
    assert house.call.input_tokens == 1
    assert EMAIL.encode() not in on_disk(house.folder)


async def test_an_answer_is_not_written_where_its_client_leaves_while_a_guard_looks(house: House) -> None:
    serve(house, REDACT, MODERATED, mod=house.model("mod"))
    house.upstream.plays["echo"] = said(f"Write to {EMAIL}")
    house.upstream.plays["mod"] = stall
    body = msgspec.json.encode({"model": "guarded", "messages": HELLO})
    visitor = Visitor(house, "/v1/chat/completions", body)
    await until(lambda: len(house.upstream.heard) == 2)
    visitor.leave()
    await until(visitor.task.done)
    assert house.call.error_code == "client_closed"
    assert EMAIL.encode() not in on_disk(house.folder)


async def test_an_answer_that_could_not_be_mended_is_written_as_the_guards_left_it(house: House) -> None:
    serve(house, REDACT, SHAPED)
    answers = iter([said(f'{{"mail": "{EMAIL}"}}'), whole({"error": "down"}, status=500)])

    async def play(talk: Talk) -> None:
        await next(answers)(talk)

    house.upstream.plays["echo"] = play
    assert (await house.chat("guarded")).status_code == 502
    assert house.call.answer == '{"mail": "[EMAIL]"}'
    assert EMAIL.encode() not in on_disk(house.folder)


@pytest.mark.parametrize("why", ["forbidden", "away"])
async def test_what_an_app_refuses_before_its_guards_look_is_not_written(house: House, why: str) -> None:
    serve(house, REDACT)
    house.allow("narrow", apps=("bot",))
    if why == "away":
        apps = {key: app for key, app in house.gateway.plan.apps.items() if key[1] != "guarded"}
        faults = {("p", "guarded"): "its index is gone"}
        house.gateway.plan = structs.replace(house.gateway.plan, apps=apps, faults=faults)
    messages = [{"role": "user", "content": f"I am {EMAIL}"}]
    reply = await house.chat("guarded", key="narrow" if why == "forbidden" else KEY, messages=messages)
    assert reply.status_code == (403 if why == "forbidden" else 503)
    assert house.call.requested_model == "guarded"
    assert EMAIL.encode() not in on_disk(house.folder)


@pytest.mark.parametrize(
    ("delta", "left"),
    [
        ({"reasoning": f"They wrote {EMAIL}, so"}, b"They wrote [EMAIL]"),
        ({"function_call": {"name": "mail", "arguments": f'{{"to":"{EMAIL}"}}'}}, rb"{\"to\":\"[EMAIL]\"}"),
        ({"reasoning_details": [{"type": "reasoning.text", "text": f"They wrote {EMAIL}, so"}]}, b""),
        ({"audio": {"id": "a", "transcript": f"Write to {EMAIL}, please"}}, b""),
    ],
)
async def test_no_field_of_a_stream_goes_round_the_guards(house: House, delta: dict[str, Any], left: bytes) -> None:
    serve(house, REDACT)
    parts = [
        b"data: " + msgspec.json.encode({"choices": [{"index": 0, "delta": each, "finish_reason": finish}]}) + b"\n\n"
        for each, finish in (({"role": "assistant"}, None), (delta, None), ({"content": "Done."}, None), ({}, "stop"))
    ]
    house.upstream.plays["echo"] = events([*parts, b"data: [DONE]\n\n"])
    reply = await house.chat("guarded", stream=True)
    assert b"Done." in reply.content
    assert left in reply.content
    assert EMAIL.encode() not in reply.content
    assert EMAIL.encode() not in on_disk(house.folder)


async def test_what_guards_have_spent_counts_where_the_provider_refuses(house: House) -> None:
    serve(house, JUDGED, mod=house.model("mod", price=Price(input=1_000.0, output=0.0)))
    house.upstream.plays["mod"] = said("no", tokens=5)
    house.upstream.plays["echo"] = whole({"error": {"message": "no such thing"}}, status=400)
    limit(house, nano_per_month=10**12)
    assert (await house.chat("guarded")).status_code == 400
    assert house.call.charged_usd == pytest.approx(0.005)
    assert await spent(house) == to_nano(0.005)


async def test_what_guards_have_spent_counts_without_any_limit(house: House) -> None:
    serve(house, JUDGED, mod=house.model("mod", price=Price(input=1_000.0, output=0.0)))
    house.upstream.plays["mod"] = said("no", tokens=5)
    house.upstream.plays["echo"] = whole({"error": {"message": "no such thing"}}, status=400)
    assert (await house.chat("guarded")).status_code == 400
    assert house.call.charged_usd == pytest.approx(0.005)
    assert await spent(house) == to_nano(0.005)


async def test_a_second_try_at_an_answer_is_reserved_too(house: House) -> None:
    serve(house, SHAPED)
    house.upstream.plays["echo"] = said('{"cost": 3}')
    # Enough for one answer (the prompt's bytes, 1,024 and 1,000 tokens), not for two.
    limit(house, nano_per_month=to_nano(0.004))
    assert (await house.chat("guarded", max_tokens=1_000)).status_code == 429
    assert not house.upstream.heard
    limit(house, nano_per_month=to_nano(0.008))
    assert (await house.chat("guarded", max_tokens=1_000)).status_code == 200
    assert len(house.upstream.heard) == 2


async def test_an_answer_is_not_mended_where_that_may_cost_more_than_is_reserved(house: House) -> None:
    serve(house, SHAPED)
    limit(house, nano_per_month=to_nano(1))
    wordy = msgspec.json.decode(completion("x" * 20_000, model="m", prompt_tokens=1))
    wordy["usage"] = {"prompt_tokens": 1, "completion_tokens": 50, "total_tokens": 51}
    house.upstream.plays["echo"] = whole(wordy)
    reply = await house.chat("guarded", max_tokens=50)
    assert reply.json()["choices"][0]["message"]["content"] == "A colleague takes over."
    assert len(house.upstream.heard) == 1


async def test_a_second_try_of_unknown_cost_is_charged_as_reserved(house: House) -> None:
    serve(house, SHAPED)
    limit(house, nano_per_month=10**12)
    answers = iter([said('{"cost": 3}'), stall])

    async def play(talk: Talk) -> None:
        await next(answers)(talk)

    house.upstream.plays["echo"] = play
    body = msgspec.json.encode({"model": "guarded", "messages": HELLO, "max_tokens": 1_000})
    visitor = Visitor(house, "/v1/chat/completions", body)
    await until(lambda: len(house.upstream.heard) == 2)
    visitor.leave()
    await until(visitor.task.done)
    assert house.call.charged_usd is not None
    assert house.call.charged_usd > 0.004
    assert await spent(house) == to_nano(house.call.charged_usd)


async def test_what_a_guard_says_of_an_answer_is_redacted_before_it_is_written(house: House) -> None:
    serve(house, {**SHAPED, "json_schema": {"type": "object", "properties": {"to": {"type": "integer"}}}}, REDACT)
    answers = iter([said(f'{{"to": "{EMAIL}"}}'), said('{"to": 3}')])

    async def play(talk: Talk) -> None:
        await next(answers)(talk)

    house.upstream.plays["echo"] = play
    assert (await house.chat("guarded")).status_code == 200
    assert "[EMAIL]" in house.call.rendered
    assert EMAIL.encode() not in on_disk(house.folder)


async def test_a_blocked_request_is_copied_to_nobody(house: House) -> None:
    """The candidate may have other guards."""
    serve(house, {"check": "pii", "action": "block", "answer": "No addresses, please."})
    app = house.gateway.plan.apps["p", "guarded"]
    bare = structs.replace(app.stable, number=2, guards=None)
    apps = {**house.gateway.plan.apps, ("p", "guarded"): structs.replace(app, shadows=((bare, 10_000),))}
    house.gateway.plan = structs.replace(house.gateway.plan, apps=apps)
    await house.chat("guarded", messages=[{"role": "user", "content": f"I am {EMAIL}"}])
    assert house.gateway.shadows.under_way == 0
    await house.chat("guarded")
    await until(lambda: len(house.calls) == 3)
    assert all(EMAIL.encode() not in heard.body for heard in house.upstream.heard)


async def test_a_long_request_is_guarded_like_a_short_one(house: House) -> None:
    serve(house, REDACT)
    content = f"I am {EMAIL}. " + "word " * 20_000 + f"Write to {EMAIL}!"
    await house.chat("guarded", messages=[{"role": "user", "content": content}])
    assert house.upstream.last.json["messages"][-1]["content"] == "Q: " + content.replace(EMAIL, "[EMAIL]")
    assert house.call.guards[0].found == {"email": 2}
