"""The cache at the gateway: what clients get, what upstreams are asked, and what is recorded."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest

from gateway_house import HELLO, House, Visitor, until
from rondo.cache.model import CachePolicy, SemanticPolicy
from rondo.gateway.cached import freshness
from scripted_upstream import COMPLETION, Talk, events, whole

POLICY = CachePolicy(ttl_s=60)
OWN = CachePolicy(ttl_s=60, across_users=False)
ALIKE = CachePolicy(ttl_s=60, semantic=SemanticPolicy(model="embed", at_least=0.9))

STREAM = [
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m-1",'
    b'"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello "},"finish_reason":null}]}\n\n',
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m-1",'
    b'"choices":[{"index":0,"delta":{"content":"there."},"finish_reason":null}]}\n\n',
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m-1",'
    b'"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m-1","choices":[],'
    b'"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}\n\n',
    b"data: [DONE]\n\n",
]


def cached(house: House, policy: CachePolicy = POLICY, **fields: Any) -> None:
    model = house.model("echo")
    house.app("bot", model, cache=policy, models={"echo": model, "embed": house.model("embed")}, **fields)


def text_of(stream: bytes) -> str:
    parts = [json.loads(line[6:]) for line in stream.splitlines() if line.startswith(b"data: {")]
    return "".join(part["choices"][0]["delta"].get("content") or "" for part in parts if part["choices"])


async def ask(house: House, *, headers: dict[str, str] | None = None, **fields: Any) -> httpx2.Response:
    body = {"model": "bot", "messages": HELLO, **fields}
    async with house.client as client:
        return await client.post("/v1/chat/completions", json=body, headers=headers)


async def test_the_second_time_it_costs_nothing(house: House) -> None:
    cached(house)
    first, second = await ask(house, user="a"), await ask(house, user="b")
    assert first.content == second.content == COMPLETION
    assert len(house.upstream.heard) == 1
    made, given = house.calls
    assert (made.cache, made.saved_usd) == (None, None)
    assert made.cost_usd == pytest.approx(25e-6)
    assert (given.cache, given.cost_usd, given.saved_usd) == ("exact", 0.0, made.cost_usd)
    assert (given.input_tokens, given.output_tokens, given.attempts) == (0, 0, 0)
    assert (given.model, given.provider, given.served_model) == ("echo", "openai", "upstream-2026")
    assert (given.answer, given.output, given.finish_reason) == (made.answer, made.output, "stop")
    assert given.trace_id != made.trace_id
    assert second.headers["x-rondo-trace-id"] == given.trace_id
    (span,) = [span for span in given.spans if span.kind == "cache"]
    assert json.loads(span.attributes) == {
        "found_by": "exact",
        "similarity": None,
        "made_by": made.trace_id,
        "age_s": 0,
    }


@pytest.mark.parametrize("side", ["baseline", "candidate"])
async def test_each_side_of_a_rollout_begins_with_an_empty_cache(house: House, side: str) -> None:
    cached(house)
    await ask(house)
    for rollout, variant in (("r1", side), ("r1", side), ("r2", side), (None, None)):
        cached(house, rollout=rollout, variant=variant)
        await ask(house)
    assert [call.cache for call in house.calls] == [None, None, "exact", None, "exact"]


async def test_an_app_without_a_cache_asks_every_time(house: House) -> None:
    await house.chat("bot")
    await house.chat("bot")
    assert len(house.upstream.heard) == 2


async def test_what_differs_is_asked(house: House) -> None:
    cached(house)
    for fields in ({}, {"temperature": 0}, {"messages": [*HELLO, *HELLO]}):
        await ask(house, **fields)
    house.app("bot", house.model("echo"), cache=POLICY, hash="decaf")
    await ask(house)
    assert len(house.upstream.heard) == 4


async def test_streams_and_plain_answers_share(house: House) -> None:
    house.upstream.plays["echo"] = events(STREAM)
    cached(house)
    streamed = await ask(house, stream=True)
    assert text_of(streamed.content) == "Hello there."
    plain = await ask(house)
    assert plain.json()["choices"][0] == {
        "index": 0,
        "message": {"role": "assistant", "content": "Hello there."},
        "finish_reason": "stop",
    }
    assert plain.json()["usage"]["total_tokens"] == 18
    again = await ask(house, stream=True, stream_options={"include_usage": True})
    assert text_of(again.content) == "Hello there."
    assert again.content.endswith(b"data: [DONE]\n\n")
    assert b'"usage":{"prompt_tokens":11' in again.content
    without = await ask(house, stream=True)
    assert b"usage" not in without.content
    assert len(house.upstream.heard) == 1
    made, *given = house.calls
    assert [call.cache for call in given] == ["exact"] * 3
    assert {call.saved_usd for call in given} == {made.cost_usd}
    assert {call.answer for call in given} == {"Hello there."}
    assert [call.stream for call in given] == [False, True, True]


async def test_a_stampede_makes_one_upstream_call(house: House) -> None:
    house.upstream.plays["echo"] = events(STREAM, pause_s=0.02)
    cached(house)
    answers = await asyncio.gather(*(ask(house, stream=True) for _ in range(20)))
    assert {text_of(answer.content) for answer in answers} == {"Hello there."}
    assert len(house.upstream.heard) == 1
    assert sorted(str(call.cache) for call in house.calls) == ["None"] + ["exact"] * 19


async def test_a_leader_whose_client_leaves_hands_over(house: House) -> None:
    cached(house)
    gate = asyncio.Event()

    async def late(talk: Talk) -> None:
        await gate.wait()
        await whole(COMPLETION)(talk)

    house.upstream.plays["echo"] = late
    body = json.dumps({"model": "bot", "messages": HELLO}).encode()
    leader = Visitor(house, "/v1/chat/completions", body)
    await until(lambda: len(house.upstream.heard) == 1)
    followers = [asyncio.create_task(ask(house)) for _ in range(5)]
    await asyncio.sleep(0.05)
    assert len(house.upstream.heard) == 1
    leader.leave()
    await until(lambda: len(house.upstream.heard) == 2)
    gate.set()
    assert {(await each).content for each in followers} == {COMPLETION}
    assert len(house.upstream.heard) == 2
    await leader.task


@pytest.mark.parametrize(
    "play",
    [
        whole({"error": {"message": "no"}}, 500),
        whole(COMPLETION.replace(b'"finish_reason":"stop"', b'"finish_reason":"length"')),
        whole(COMPLETION.replace(b'"finish_reason":"stop"', b'"finish_reason":"content_filter"')),
        events(STREAM[:2], then="cut"),
    ],
)
async def test_what_is_not_kept(house: House, play: Any) -> None:
    house.upstream.plays["echo"] = play
    cached(house)
    stream = play.__qualname__.startswith("events")
    await ask(house, stream=stream)
    await ask(house, stream=stream)
    assert len(house.upstream.heard) == 2
    assert {call.cache for call in house.calls} == {None}


async def test_what_clients_may_say(house: House) -> None:
    cached(house)
    await ask(house)
    await ask(house, headers={"cache-control": "no-store"})
    assert len(house.upstream.heard) == 2
    house.upstream.plays["echo"] = whole(COMPLETION.replace(b"Hello", b"Again"))
    fresh = await ask(house, headers={"cache-control": "no-cache"})
    assert b"Again" in fresh.content
    assert (await ask(house)).content == fresh.content
    assert len(house.upstream.heard) == 3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"", "use"),
        (b"max-age=60", "use"),
        (b"no-cache", "refresh"),
        (b"No-Cache, no-transform", "refresh"),
        (b"max-age=0", "refresh"),
        (b"no-cache, no-store", "none"),
        (b"x-no-cache", "use"),
        (b"\xff,,no-store", "none"),
    ],
)
def test_cache_control(value: bytes, expected: str) -> None:
    assert freshness([(b"host", b"x"), (b"cache-control", value)]) == expected


async def test_users_of_their_own(house: House) -> None:
    cached(house, OWN)
    for user in ("a", "b", "a", None, None):
        await ask(house, user=user)
    assert [call.cache for call in house.calls] == [None, None, "exact", None, None]


def embeddings(vector: list[float]) -> Any:
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    return whole({"data": [{"index": 0, "embedding": vector}], "model": "e-1", "usage": usage})


async def test_questions_that_mean_the_same_never_across_users(house: House) -> None:
    cached(house, ALIKE)
    house.upstream.plays["embed"] = embeddings([0.6, 0.8])
    said = [{"role": "user", "content": text} for text in ("When do you open?", "Your opening hours?")]
    for user, message in [("a", said[0]), ("a", said[1]), ("b", said[1]), ("a", said[0])]:
        await ask(house, user=user, messages=[message])
    await ask(house, messages=[{"role": "user", "content": "When are you there?"}])
    first, alike, other, same, nobody = house.calls
    assert (first.cache, alike.cache, other.cache, same.cache, nobody.cache) == (None, "semantic", None, "exact", None)
    assert alike.answer == first.answer
    assert alike.cost_usd == pytest.approx(5e-6)  # the embedding
    assert alike.saved_usd == pytest.approx(25e-6)
    assert first.cost_usd == pytest.approx(30e-6)
    (span,) = [span for span in alike.spans if span.kind == "cache"]
    assert json.loads(span.attributes)["similarity"] == pytest.approx(1.0, abs=1e-3)
    asked = [heard for heard in house.upstream.heard if heard.path.endswith("/embeddings")]
    assert [heard.json["input"] for heard in asked] == [
        "When do you open?",
        "Your opening hours?",
        "Your opening hours?",
    ]


async def test_across_users_where_it_is_said(house: House) -> None:
    policy = CachePolicy(ttl_s=60, semantic=SemanticPolicy(model="embed", at_least=0.9, across_users=True))
    cached(house, policy)
    house.upstream.plays["embed"] = embeddings([0.6, 0.8])
    await ask(house, user="a", messages=[{"role": "user", "content": "When do you open?"}])
    await ask(house, messages=[{"role": "user", "content": "Your opening hours?"}])
    assert [call.cache for call in house.calls] == [None, "semantic"]


@pytest.mark.parametrize("play", [whole({}, 500), whole({"data": []}), whole(b"["), embeddings([])])
async def test_an_embedding_model_that_fails_costs_no_answer(house: House, play: Any) -> None:
    cached(house, ALIKE)
    house.upstream.plays["embed"] = play
    for question in ("one", "two"):
        response = await ask(house, user="a", messages=[{"role": "user", "content": question}])
        assert response.content == COMPLETION
    assert [call.status for call in house.calls] == [200, 200]
