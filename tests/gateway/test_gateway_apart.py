"""What a provider says in an error to one request is in no answer, record or line of the log of another.

An error knows which other was being handled when it was raised (`__context__`), and compiled coroutines can get that
wrong (see `test_compiled.py`). So requests, each with a secret of its own in whatever its provider says, fail and
succeed in every way at the same time, while a bystander looks whether any of their errors is being handled in public.
`RONDO_TEST_ROUNDS` makes it longer.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pytest
from msgspec import structs

from gateway_house import House, Visitor
from guarded_house import limit
from rondo.journal.replay import Reader
from rondo.providers.base import ProviderRequest, Reply
from rondo.records import Call, Kind
from scripted_upstream import Play, Talk, events, gone, raw, whole

ROUNDS = int(os.environ.get("RONDO_TEST_ROUNDS", "4"))
_SECRET = re.compile(rb"secret-\d+-x")
_JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"

Saying = Callable[[str], Play]
"""From a request's secret to what its provider does."""


def _completion(secret: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": f"Well: {secret}"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}


def _event(secret: str) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": secret}}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


def _error(status: int, **headers: str) -> Saying:
    return lambda secret: whole({"error": {"message": f"No, {secret}."}}, status, **headers)


def _slow(secret: str) -> Play:
    async def play(talk: Talk) -> None:
        await asyncio.sleep(0.06)
        await whole(_completion(secret))(talk)

    return play


WHOLE: dict[str, Saying] = {
    "answers": lambda secret: whole(_completion(secret)),
    "answers late": _slow,
    "400": _error(400),
    "401": _error(401),
    "429": _error(429, retry_after="30"),
    "500": _error(500),
    "a page": lambda secret: whole(f"<h1>{secret}</h1>".encode(), 502),
    "no JSON": lambda secret: whole(f"{{{secret}".encode()),
    "no HTTP": lambda secret: raw(f"{secret}\r\n\r\n".encode()),
    "a status below 100": lambda secret: raw(f"HTTP/1.1 099 {secret}\r\ncontent-length: 0\r\n\r\n".encode()),
    "an unknown coding": lambda secret: raw(_JSON + f"transfer-encoding: {secret}, chunked\r\n\r\n".encode()),
    "a cut": lambda secret: raw(_JSON + f"content-length: 99\r\n\r\n{secret}".encode()),
    "silence": lambda secret: gone,
}
STREAMS: dict[str, Saying] = {
    "streams": lambda secret: events([_event(secret), b"data: [DONE]\n\n"]),
    "a streamed error": lambda secret: events([b'data: {"error": {"message": "%b"}}\n\n' % secret.encode()]),
    "an error after all": lambda secret: events([_event(secret), b'data: {"error": "%b"}\n\n' % secret.encode()]),
    "a streamed cut": lambda secret: events([_event(secret)], then="cut"),
    "a stall": lambda secret: events([_event(secret)], then="stall"),
    "refuses the stream": _error(500),
}
BODIES: dict[str, Callable[[str], dict[str, Any]]] = {
    "/v1/chat/completions": lambda secret: {"messages": [{"role": "user", "content": secret}]},
    "/v1/messages": lambda secret: {"messages": [{"role": "user", "content": secret}], "max_tokens": 9},
    "/v1/responses": lambda secret: {"input": secret},
    "/v1/completions": lambda secret: {"prompt": secret},
}
SPECS: list[dict[str, Any]] = [
    {},
    {"retries": 1},
    {"hedge_after_s": 0.005},
    {"first_token_timeout_s": 0.03},
    {"try_timeout_s": 0.03, "retries": 1},
]


class Faulty:
    """A provider with a fault of its own, in the middle of another."""

    async def send(self, request: ProviderRequest) -> Reply:
        await asyncio.sleep(random.random() / 500)
        (secret, *_) = _SECRET.findall(request.body)
        try:
            raise KeyError(secret)
        except KeyError:
            await asyncio.sleep(random.random() / 500)
            raise LookupError(secret) from None


class Asked(NamedTuple):
    """One request, and all that its client has seen."""

    secret: bytes
    saying: str
    seen: bytes


async def _ask(house: House, number: int) -> Asked:
    """One request of its own model, so that no failure of another keeps it from its provider."""
    stream = number % 3 == 0
    sayings = [*(STREAMS if stream else WHOLE), "a fault of ours"]
    saying = sayings[number // 3 % len(sayings)]
    secret, name = f"secret-{number}-x", f"m{number}"
    model = house.model(name, model=name, timeout_s=0.1, **random.choice(SPECS))
    if saying == "a fault of ours":
        faulty = structs.replace(model, provider=Faulty())
        house.gateway.plan = structs.replace(
            house.gateway.plan, models={**house.gateway.plan.models, ("p", name): faulty}
        )
    else:
        house.upstream.plays[name] = _late((STREAMS if stream else WHOLE)[saying](secret))
    path = random.choice(list(BODIES))
    body: dict[str, Any] = {"model": name, "stream": stream, **BODIES[path](secret)}
    if path == "/v1/chat/completions" and number % 2:
        body["models"] = ["echo"]
    await asyncio.sleep(random.random() / 50)
    # A task of its own, as in the server: within another coroutine's, that one's place for errors would be used.
    visitor = Visitor(house, path, msgspec.json.encode(body))
    if number % 11 == 0:
        await asyncio.sleep(random.random() / 50)
        visitor.leave()
        saying = "left"
    await asyncio.wait([visitor.task])
    return Asked(secret.encode(), saying, str(visitor.sent).encode())


def _late(play: Play) -> Play:
    async def later(talk: Talk) -> None:
        await asyncio.sleep(random.random() / 100)
        await play(talk)

    return later


async def _stand_by(until_done: asyncio.Event) -> int:
    """Handle an error of its own, again and again, where no other is being handled; how often."""
    times = 0
    while not until_done.is_set():
        with pytest.raises(LookupError) as raised:
            raise LookupError
        assert raised.value.__context__ is None
        times += 1
        await asyncio.sleep(0.0005)
    return times


async def test_no_request_learns_what_anothers_provider_said(house: House, caplog: pytest.LogCaptureFixture) -> None:
    limit(house, nano_per_month=1 << 60, tokens_per_minute=1 << 40)
    reader, position, number = Reader(house.folder), None, 0
    told: set[str] = set()
    for _ in range(ROUNDS):
        done = asyncio.Event()
        bystander = asyncio.create_task(_stand_by(done))
        asked = await asyncio.gather(*(_ask(house, number + each) for each in range(60)))
        number += len(asked)
        done.set()
        assert await bystander > 10
        for each in asked:
            found = set(_SECRET.findall(each.seen))
            assert found <= {each.secret}, each
            if found:
                told.add(each.saying)
        records = 0
        while batch := (read := reader.read(position)).entries:
            position = read.end
            for entry in batch:
                if entry.kind == Kind.CALL:
                    records += 1
                    question = msgspec.json.decode(entry.payload, type=Call).question.encode()
                    assert set(_SECRET.findall(entry.payload)) == {question}
        assert records == len(asked)
        house.upstream.plays.clear()
    lines = [logging.Formatter().format(record).encode() for record in caplog.records]
    assert all(len(set(_SECRET.findall(line))) <= 1 for line in lines)
    assert any(b"LookupError" in line for line in lines)
    assert {"answers", "400", "500", "a page", "streams", "a streamed error", "refuses the stream"} <= told
