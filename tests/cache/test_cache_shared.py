"""The cache in Redis: shared by processes, never needed, and never believed blindly."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from secrets import token_hex
from typing import Any

import msgspec
import pytest

from answer_makers import asked, completion, kept
from rondo.cache import answers as answers_module
from rondo.cache import shared as shared_module
from rondo.cache.answers import Answers, Lead
from rondo.cache.model import CachePolicy, Hit
from rondo.cache.shared import Lock, Shared, connect

URL = os.environ.get("RONDO_TEST_REDIS_URL")
POLICY = CachePolicy(ttl_s=60)

needs_redis = pytest.mark.skipif(URL is None, reason="RONDO_TEST_REDIS_URL is not set")


class OwnRedis:
    """A client, and what it and the processes call their own in Redis."""

    def __init__(self) -> None:
        from redis.asyncio import Redis

        assert URL is not None
        self.client = Redis.from_url(URL)
        self.prefix = f"rondo:test:{token_hex(6)}:"

    def name(self, request: str) -> str:
        return self.prefix + asked(request).key.hex()

    async def names(self) -> list[bytes]:
        return [name async for name in self.client.scan_iter(match=f"{self.prefix}*")]

    def process(self) -> Answers:
        """The cache of a process of its own."""
        assert URL is not None
        return Answers(most_bytes=1 << 20, shared=connect(URL, prefix=self.prefix))


@pytest.fixture
async def redis() -> AsyncIterator[OwnRedis]:
    own = OwnRedis()
    yield own
    for name in await own.names():
        await own.client.delete(name)
    await own.client.aclose()


async def lead_of(cache: Answers, name: str) -> Lead:
    found = await cache.look(asked(name), POLICY)
    assert isinstance(found, Lead)
    return found


@needs_redis
async def test_one_process_finds_what_another_kept(redis: OwnRedis) -> None:
    one, other = redis.process(), redis.process()
    (await lead_of(one, "a")).keep(kept("from one"))
    await one.close()
    found = await other.look(asked("a"), POLICY)
    assert isinstance(found, Hit)
    assert found.kept == kept("from one")
    (name,) = await redis.names()  # the lock is gone
    assert 0 < await redis.client.pttl(name) <= 60_000
    await redis.client.delete(name)
    assert isinstance(await other.look(asked("a"), POLICY), Hit)  # it is in the process's own memory now
    await other.close()


@needs_redis
async def test_a_stampede_over_processes_makes_one_call(redis: OwnRedis) -> None:
    processes = [redis.process() for _ in range(4)]
    calls = 0

    async def ask(cache: Answers) -> bytes:
        nonlocal calls
        found = await cache.look(asked("a"), POLICY)
        if isinstance(found, Hit):
            return found.kept.completion
        calls += 1
        await asyncio.sleep(0.1)
        found.keep(kept("the one"))
        return completion("the one")

    answers = await asyncio.gather(*(ask(cache) for cache in processes for _ in range(10)))
    assert set(answers) == {completion("the one")}
    assert calls == 1
    for cache in processes:
        await cache.close()


@needs_redis
async def test_a_process_that_fails_lets_the_next_one_ask(redis: OwnRedis) -> None:
    one, other = redis.process(), redis.process()
    lead = await lead_of(one, "a")
    waiting = asyncio.create_task(other.look(asked("a"), POLICY))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    lead.abandon()
    found = await asyncio.wait_for(waiting, 2)
    assert isinstance(found, Lead)
    found.abandon()
    await one.close()
    await other.close()


@needs_redis
async def test_a_process_that_died_is_not_waited_for_longer_than_its_lock(
    redis: OwnRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_module, "LOCK_MS", 100)
    one, other = redis.process(), redis.process()
    await lead_of(one, "a")  # and nothing more is heard of it
    assert isinstance(await asyncio.wait_for(other.look(asked("a"), POLICY), 2), Lead)
    await one.close()
    await other.close()


@needs_redis
async def test_patience_ends_before_a_lock_does(redis: OwnRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_module, "PATIENCE_S", 0.1)
    one, other = redis.process(), redis.process()
    lead = await lead_of(one, "a")
    assert isinstance(await asyncio.wait_for(other.look(asked("a"), POLICY), 2), Lead)
    lead.keep(kept())
    await one.close()
    await other.close()


@needs_redis
async def test_a_lock_is_opened_by_its_holder_only(redis: OwnRedis) -> None:
    shared = redis.process()._shared
    assert shared is not None
    assert await shared.lock(b"a", b"mine") is Lock.OURS
    assert await shared.lock(b"a", b"yours") is Lock.THEIRS
    await shared.unlock(b"a", b"yours")
    assert await shared.lock(b"a", b"yours") is Lock.THEIRS
    await shared.unlock(b"a", b"mine")
    assert await shared.lock(b"a", b"yours") is Lock.OURS
    await shared.close()


@needs_redis
async def test_whoever_leaves_while_it_waits_for_the_lock_leaves_none_behind(redis: OwnRedis) -> None:
    for delay in (0.0, 0.001, 0.002, 0.004):
        one = redis.process()
        task = asyncio.create_task(one.look(asked("a"), POLICY))
        await asyncio.sleep(delay)
        task.cancel()
        found = (await asyncio.gather(task, return_exceptions=True))[0]
        if isinstance(found, Lead):
            found.abandon()
        await one.close()
        assert await redis.names() == []


def garbled() -> dict[str, bytes]:
    good = kept()
    packed = b"\x01" + msgspec.msgpack.encode(good)

    def changed(**fields: Any) -> bytes:
        return b"\x01" + msgspec.msgpack.encode({**msgspec.to_builtins(good, builtin_types=(bytes,)), **fields})

    return {
        "nothing": b"",
        "another version": b"\x02" + packed[1:],
        "no version": packed[1:],
        "cut off": packed[:-3],
        "a pickle": b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.",
        "no completion": changed(completion=b"{}"),
        "an error": changed(completion=b'{"error": {}}'),
        "a cut answer": changed(completion=completion("x", finish="length")),
        "a cost that is none": changed(cost_usd=float("nan")),
        "a negative cost": changed(cost_usd=-1.0),
        "a text for a number": changed(made_at="now"),
        "endless": b"\x01" + b"\xc6\xff\xff\xff\xff" + b"x" * 100,
        "deep": b"\x01" + b"\x91" * 5_000,
        "too large": b"\x01" + b"x" * 3_000_000,
    }


@needs_redis
@pytest.mark.parametrize("what", garbled())
async def test_what_is_no_answer_of_ours_is_passed_over(redis: OwnRedis, what: str) -> None:
    cache = redis.process()
    await redis.client.set(redis.name("a"), garbled()[what], px=60_000)
    lead = await lead_of(cache, "a")
    lead.keep(kept("good"))
    await cache.close()
    other = redis.process()
    assert isinstance(await other.look(asked("a"), POLICY), Hit)
    await other.close()


@needs_redis
async def test_another_kind_of_value_or_one_without_an_end(redis: OwnRedis) -> None:
    await redis.client.lpush(redis.name("a"), b"x")
    cache = redis.process()
    (await lead_of(cache, "a")).abandon()
    await cache.close()
    await redis.client.delete(redis.name("a"))
    await redis.client.set(redis.name("a"), b"\x01" + msgspec.msgpack.encode(kept()))  # no TTL: not ours
    cache = redis.process()
    (await lead_of(cache, "a")).abandon()
    await cache.close()


async def ends_quickly(cache: Answers) -> None:
    """Everything works without Redis, and nobody waits for it twice."""
    for name in "abc":
        async with asyncio.timeout(5):
            (await lead_of(cache, name)).keep(kept(name))
        assert isinstance(await cache.look(asked(name), POLICY), Hit)
    await cache.close()


async def test_redis_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("redis")
    await ends_quickly(Answers(most_bytes=1 << 20, shared=connect("redis://:secret@127.0.0.1:1/0")))
    assert "Redis is away" in caplog.text
    assert len(caplog.records) == 1
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "says", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-LOADING not yet\r\n", b"$-17\r\n", b"\xff" * 200]
)
async def test_something_else_at_redis_address(says: bytes) -> None:
    """A server that says nothing, or nothing that Redis would say."""
    pytest.importorskip("redis")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(1_000):
                writer.write(says)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await ends_quickly(Answers(most_bytes=1 << 20, shared=connect(f"redis://127.0.0.1:{port}/0")))
    server.close()


@needs_redis
async def test_redis_that_comes_back(redis: OwnRedis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_module, "_AWAY_S", 0.05)
    cache = redis.process()
    shared: Shared | None = cache._shared
    assert shared is not None
    there, shared._client = shared._client, connect("redis://127.0.0.1:1/0")._client
    (await lead_of(cache, "a")).keep(kept("while away"))
    await asyncio.sleep(0.1)
    shared._client = there
    lead = await lead_of(cache, "b")
    lead.keep(kept("back"))
    await cache.close()
    other = redis.process()
    assert isinstance(await other.look(asked("b"), POLICY), Hit)
    await other.close()
