"""Guards at work in the gateway: what reaches the provider, the journal's bytes and the client."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from gateway_house import House, Visitor, until
from rondo.gateway.plan import ServedModel
from rondo.guards.build import build
from rondo.providers.dialect import completion, completion_events
from scripted_upstream import Talk, events, stall, whole

EMAIL = "anna@shop.example"
ASKING = [{"role": "user", "content": f"I am {EMAIL}"}]
TOKENS: dict[str, Any] = {"check": "pii", "on": ["input", "output"], "action": "redact", "pseudonyms": True}


def serve(house: House, *specs: dict[str, Any], **models: ServedModel) -> None:
    """The app `guarded`, on `echo` and these models, behind these guards."""
    echo = house.gateway.plan.models["p", "echo"]
    made = build(specs, hand_over="A colleague takes over.", project="p", secret=lambda: b"k" * 32)
    house.app("guarded", echo, guards=made, models={"echo": echo, **models})


def on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


async def echo_tokens(talk: Talk) -> None:
    """Say what the customer said, whole or streamed."""
    said = talk.heard.json["messages"][-1]["content"]
    text = f"Dear {said.removeprefix('Q: I am ')}, hello."
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    if talk.heard.json.get("stream"):
        await events(completion_events(pieces, model="m"))(talk)
    else:
        await whole(completion(text, model="m", prompt_tokens=1))(talk)


async def test_only_the_client_sees_the_person(house: House) -> None:
    serve(house, TOKENS)
    house.upstream.plays["echo"] = echo_tokens
    plain = await house.chat("guarded", messages=ASKING)
    assert plain.json()["choices"][0]["message"]["content"] == f"Dear {EMAIL}, hello."
    streamed = await house.chat("guarded", messages=ASKING, stream=True)
    deltas = [msgspec.json.decode(line[6:]) for line in streamed.content.splitlines() if line.startswith(b"data: {")]
    text = "".join(choice["delta"].get("content") or "" for delta in deltas for choice in delta["choices"])
    assert text == f"Dear {EMAIL}, hello."
    assert EMAIL.encode() not in on_disk(house.folder)
    assert all(EMAIL.encode() not in heard.body for heard in house.upstream.heard)
    assert len(house.upstream.heard) == 2
    for call in house.calls:
        assert call.question.startswith("I am <EMAIL:")
        assert call.answer.startswith("Dear <EMAIL:")
        assert [(verdict.stage, verdict.found) for verdict in call.guards] == [("input", {"email": 1}), ("output", {})]


async def test_a_blocked_request_reaches_no_model(house: House) -> None:
    serve(house, {"check": "pii", "action": "block", "answer": "No addresses, please."}, {**TOKENS, "on": ["input"]})
    for stream in (False, True):
        reply = await house.chat("guarded", messages=ASKING, stream=stream)
        assert reply.status_code == 200
        assert b"No addresses, please." in reply.content
        assert b"content_filter" in reply.content
    assert house.upstream.heard == []
    assert EMAIL.encode() not in on_disk(house.folder)
    assert [call.answer for call in house.calls] == ["No addresses, please."] * 2
    assert house.calls[0].guards[0].action == "block"


async def test_a_route_sends_personal_data_elsewhere(house: House) -> None:
    private = house.model("private")
    serve(house, {"check": "pii", "action": "route", "use": ["private"]}, private=private)
    await house.chat("guarded", messages=ASKING)
    await house.chat("guarded")
    assert [heard.json["model"] for heard in house.upstream.heard] == ["private", "echo"]


async def test_moderation_asks_its_own_address(house: House) -> None:
    mod = house.model("mod")
    serve(house, {"check": "moderation", "model": "mod", "action": "block"}, mod=mod)
    house.upstream.plays["mod"] = whole({"results": [{"flagged": True, "category_scores": {"hate": 0.9}}]})
    reply = await house.chat("guarded", messages=ASKING)
    assert reply.json()["choices"][0]["message"]["content"] == "A colleague takes over."
    (heard,) = house.upstream.heard
    assert (heard.path, heard.json) == ("/v1/moderations", {"model": "mod", "input": f"I am {EMAIL}"})
    assert house.call.guards[0].found == {"hate": 1}


async def test_a_guard_whose_model_is_away_lets_nothing_pass(house: House) -> None:
    mod = house.model("mod", retries=0)
    serve(house, {"check": "moderation", "model": "mod", "action": "block"}, {**TOKENS, "on": ["input"]}, mod=mod)
    house.upstream.plays["mod"] = whole({"error": "down"}, status=500)
    reply = await house.chat("guarded", messages=ASKING)
    assert reply.status_code == 503
    assert "moderation" in reply.json()["error"]["message"]
    assert EMAIL.encode() not in on_disk(house.folder)


async def test_a_client_that_leaves_while_a_guard_looks_leaves_nothing_behind(house: House) -> None:
    mod = house.model("mod")
    serve(house, {"check": "moderation", "model": "mod", "action": "block"}, {**TOKENS, "on": ["input"]}, mod=mod)
    house.upstream.plays["mod"] = stall
    body = msgspec.json.encode({"model": "guarded", "messages": ASKING})
    visitor = Visitor(house, "/v1/chat/completions", body)
    await until(lambda: house.upstream.heard)
    visitor.leave()
    await until(visitor.task.done)
    assert house.call.error_code == "client_closed"
    assert EMAIL.encode() not in on_disk(house.folder)


async def test_a_stream_is_blocked_where_it_stands_and_cut_upstream(house: House) -> None:
    serve(house, {"check": "words", "words": ["acme"], "on": ["output"], "action": "block", "answer": "Not that."})
    parts = completion_events(["Better than all the others there are, say many, is ", "Acme. ", "x" * 60], model="m")[
        :-3
    ]
    house.upstream.plays["echo"] = events(parts, then="stall")
    reply = await house.chat("guarded", stream=True)
    assert b"Acme" not in reply.content
    assert b"Not that." in reply.content
    assert reply.content.endswith(b"data: [DONE]\n\n")
    assert house.call.finish_reason == "content_filter"
    assert house.call.answer.endswith("Not that.")
    assert house.call.guards[0].found == {"word": 1}
    await until(lambda: house.upstream.given_up == 1)


async def test_a_wrong_shape_is_mended(house: House) -> None:
    schema = {"type": "object", "required": ["price"]}
    serve(house, {"check": "schema", "on": ["output"], "json_schema": schema, "action": "block"})
    answers = iter(['{"cost": 3}', '{"price": 3}'])

    async def play(talk: Talk) -> None:
        await whole(completion(next(answers), model="m", prompt_tokens=1))(talk)

    house.upstream.plays["echo"] = play
    reply = await house.chat("guarded")
    assert reply.json()["choices"][0]["message"]["content"] == '{"price": 3}'
    roles = [message["role"] for message in house.upstream.heard[1].json["messages"]]
    assert roles[-2:] == ["assistant", "user"]
    assert house.call.answer == '{"price": 3}'


async def test_an_app_without_guards_is_as_it_was(house: House) -> None:
    await house.chat("bot", messages=ASKING)
    assert house.call.guards == []
    assert EMAIL in house.call.question
