"""Kept answers in Redis (or Valkey), for all processes and machines.

Redis is never needed: while it is away, nothing is found, nothing is kept and nobody waits for anyone; it is asked
again after a short while. Values are msgpack behind a byte that tells their version, never pickle; what does not read
as an answer of ours is passed over. A lock of a few seconds lets one process ask for what others want too.
"""

from __future__ import annotations

import logging
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from rondo import clock
from rondo.cache.model import MOST_BYTES_EACH, Kept, is_sound

if TYPE_CHECKING:
    from redis.asyncio import Redis

PREFIX = "rondo:cache:"
LOCK_MS = 20_000
"""How long one process may be asking before another does."""

_VERSION = b"\x01"
_MOST_BYTES = MOST_BYTES_EACH + 10_000
_TIMEOUT_S = 0.5
_AWAY_S = 2.0
_UNLOCK = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
_log = logging.getLogger("rondo.cache")
_encode = msgspec.msgpack.Encoder().encode
_kept = msgspec.msgpack.Decoder(Kept)


class Lock(Enum):
    """Who asks for an answer now."""

    OURS = "ours"
    THEIRS = "theirs"
    NONE = "Redis is away: everyone asks"


def connect(url: str, *, prefix: str = PREFIX) -> Shared:
    """The shared cache at a Redis address. Nothing is sent before the first request."""
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    client = Redis.from_url(
        url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=Retry(NoBackoff(), 0)
    )
    return Shared(client, prefix)


class Shared:
    """For one event loop. `prefix` begins every name that is used in Redis."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client = client
        self._prefix = prefix.encode()
        self._unlocked = client.register_script(_UNLOCK)
        self._away_until = 0.0

    async def get(self, key: bytes) -> tuple[Kept, float] | None:
        """The answer, and for how many more seconds it may be given."""
        if self._is_away():
            return None
        name = self._name(key)
        try:
            async with self._client.pipeline(transaction=False) as both:
                both.getrange(name, 0, _MOST_BYTES)
                both.pttl(name)
                value, left_ms = await both.execute()
        except self._faults() as error:
            self._missed(error)
            return None
        kept = _read(value)
        return (kept, left_ms / 1_000) if kept is not None and left_ms > 0 else None

    async def put(self, key: bytes, kept: Kept, ttl_s: float) -> None:
        """Keep it for `ttl_s` seconds."""
        if not self._is_away():
            try:
                await self._client.set(self._name(key), _VERSION + _encode(kept), px=max(1, round(ttl_s * 1_000)))
            except self._faults() as error:
                self._missed(error)

    async def lock(self, key: bytes, token: bytes) -> Lock:
        """Whether the bearer of `token` is the one to ask; it must `unlock` then."""
        if self._is_away():
            return Lock.NONE
        try:
            taken = await self._client.set(self._lock(key), token, nx=True, px=LOCK_MS)
        except self._faults() as error:
            self._missed(error)
            return Lock.NONE
        return Lock.OURS if taken else Lock.THEIRS

    async def unlock(self, key: bytes, token: bytes) -> None:
        """Let the next one ask; nothing happens where the lock is another's by now."""
        if not self._is_away():
            try:
                await self._unlocked(keys=[self._lock(key)], args=[token])
            except self._faults() as error:
                self._missed(error)

    async def close(self) -> None:
        await self._client.aclose()

    def _name(self, key: bytes) -> bytes:
        return self._prefix + key.hex().encode()

    def _lock(self, key: bytes) -> bytes:
        return self._prefix + b"lock:" + key.hex().encode()

    def _is_away(self) -> bool:
        return clock.monotonic() < self._away_until

    def _missed(self, error: Exception) -> None:
        self._away_until = clock.monotonic() + _AWAY_S
        _log.warning("Redis is away, answers are cached in this process alone: %s", type(error).__name__)

    def _faults(self) -> tuple[type[Exception], ...]:
        """Whatever a server that is gone, stuck, full, or no Redis at all can bring about."""
        from redis.exceptions import RedisError

        return (RedisError, OSError, ValueError)


def _read(value: object) -> Kept | None:
    if not isinstance(value, bytes) or not value.startswith(_VERSION) or len(value) > _MOST_BYTES:
        return None
    try:
        kept = _kept.decode(value[1:])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return kept if is_sound(kept) else None
