"""The cache as the gateway asks it: an answer that was found, or the duty to make it and say what came of it.

Looked for in this process, then in Redis, then by meaning. Of those who ask the same at the same time one leads: in a
process the others wait for it, between processes a short lock in Redis does the same, as long as Redis is there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from secrets import token_bytes

from rondo import clock
from rondo.cache.flight import Flight, Flights
from rondo.cache.meaning import Meanings, Vector
from rondo.cache.memory import Memory
from rondo.cache.model import Asked, CachePolicy, Hit, Kept, may_be_kept
from rondo.cache.shared import Lock, Shared
from rondo.errors import BudgetExceeded, PriceUnknown, RondoError

Embed = Callable[[str], Awaitable[Vector]]
"""Gives the vector of a question. Raises RondoError where it cannot be had: then there is no search by meaning."""

PATIENCE_S = 30.0
"""How long anyone waits for another's answer before asking as well."""

STREAM_PATIENCE_S = 10.0
"""The same, where that other reads it as a stream."""

_LOOK_EVERY_S = 0.05
_log = logging.getLogger("rondo.cache")


class Lead:
    """The duty to ask: `keep` what came, or `abandon`. The first of these counts; one of them must come."""

    def __init__(self, answers: Answers, asked: Asked, policy: CachePolicy, flight: Flight | None) -> None:
        """`flight` has those who wait; None where nobody does."""
        self._answers = answers
        self._asked = asked
        self._policy = policy
        self._flight = flight
        self._settled = False
        self.token: bytes | None = None
        """The lock in Redis, where it may be held."""
        self.vector: Vector | None = None

    def keep(self, kept: Kept) -> None:
        """Keep the answer and give it to those who wait; where it is cut off or empty, do neither.

        Returns at once; Redis gets it a little later.
        """
        if self._settled:
            return
        self._settled = True
        key, flights = self._asked.key, self._answers.flights
        if may_be_kept(kept.completion):
            self._answers.store(self, self._asked, self._policy, kept)
            if self._flight is not None:
                flights.land(key, Hit(kept=kept))
        else:
            self._answers.unlock(self, self._asked)
            if self._flight is not None:
                flights.scatter(key, self._flight)

    def abandon(self) -> None:
        """There is no answer: the next one who waits asks."""
        if self._settled:
            return
        self._settled = True
        self._answers.unlock(self, self._asked)
        if self._flight is not None:
            self._answers.flights.hand_over(self._asked.key, self._flight)

    def found(self, hit: Hit) -> Hit:
        """It was there after all: those who wait get it too."""
        self._settled = True
        self._answers.unlock(self, self._asked)
        self._answers.flights.land(self._asked.key, hit)
        return hit


class Answers:
    """Every answer that this process keeps. For one event loop; `close` it."""

    def __init__(self, *, most_bytes: int, shared: Shared | None = None) -> None:
        self.memory = Memory(most_bytes)
        self.flights = Flights()
        self._meanings = Meanings(most_bytes // 4)
        self._shared = shared
        self._writing: set[asyncio.Task[None]] = set()

    async def look(
        self,
        asked: Asked,
        policy: CachePolicy,
        *,
        refresh: bool = False,
        stream: bool = False,
        embed: Embed | None = None,
    ) -> Hit | Lead:
        """An answer, or the duty to make one. `refresh` finds nothing and waits for nobody, but keeps what comes.

        `stream`: the answer comes as fast as its client reads, so nobody waits long for it. Whoever is cancelled in
        here owes nothing.
        """
        if refresh:
            return Lead(self, asked, policy, None)
        kept = self.memory.get(asked.key)
        if kept is not None:
            return Hit(kept=kept)
        patience_s = STREAM_PATIENCE_S if stream else PATIENCE_S
        flight: Hit | Flight | None = self.flights.takes_off(asked.key, patience_s)
        if flight is None:
            flight = await self.flights.follow(asked.key, patience_s, PATIENCE_S)
        if isinstance(flight, Hit):
            return flight
        lead = Lead(self, asked, policy, flight)
        if flight is None or (self._shared is None and (embed is None or asked.group is None)):
            return lead
        try:
            hit = await self._elsewhere(lead, asked, policy, embed)
        except BaseException:
            lead.abandon()
            raise
        return lead if hit is None else lead.found(hit)

    async def close(self) -> None:
        """Let what is on its way to Redis arrive."""
        if self._writing:
            await asyncio.wait(self._writing, timeout=2)
        if self._shared is not None:
            await self._shared.close()

    async def _elsewhere(self, lead: Lead, asked: Asked, policy: CachePolicy, embed: Embed | None) -> Hit | None:
        shared = self._shared
        if shared is not None and (hit := await self._in_redis(shared, asked.key)):
            return hit
        if embed is not None and asked.group is not None and (hit := await self._alike(lead, asked, policy, embed)):
            return hit
        return None if shared is None else await self._locked(shared, lead, asked.key)

    async def _in_redis(self, shared: Shared, key: bytes) -> Hit | None:
        found = await shared.get(key)
        if found is None:
            return None
        kept, left_s = found
        self.memory.put(key, kept, left_s)
        return Hit(kept=kept)

    async def _locked(self, shared: Shared, lead: Lead, key: bytes) -> Hit | None:
        """The answer that another process is making; None once it is ours to make."""
        token = lead.token = token_bytes(16)
        patient_until = clock.monotonic() + PATIENCE_S
        while (lock := await shared.lock(key, token)) is Lock.THEIRS and clock.monotonic() < patient_until:
            await asyncio.sleep(_LOOK_EVERY_S)
            if hit := await self._in_redis(shared, key):
                return hit
        # It may have been made between our look and our lock.
        return await self._in_redis(shared, key) if lock is Lock.OURS else None

    async def _alike(self, lead: Lead, asked: Asked, policy: CachePolicy, embed: Embed) -> Hit | None:
        """The answer of a question that means the same, if there is one."""
        semantic = policy.semantic
        assert semantic is not None
        assert asked.group is not None
        try:
            lead.vector = await embed(asked.question)
        except (BudgetExceeded, PriceUnknown):  # the request's own limit, not a failure of the cache
            raise
        except RondoError as error:
            _log.warning("questions cannot be compared by meaning: %s", error)
            return None
        near = self._meanings.find(asked.group, lead.vector, semantic.at_least)
        kept = self.memory.get(near[0]) if near else None
        return Hit(kept=kept, found_by="semantic", similarity=near[1]) if near and kept else None

    def store(self, lead: Lead, asked: Asked, policy: CachePolicy, kept: Kept) -> None:
        self.memory.put(asked.key, kept, policy.ttl_s)
        if asked.group is not None and lead.vector is not None:
            self._meanings.add(asked.group, lead.vector, asked.key, policy.ttl_s)
        if self._shared is not None:
            self._write(self._share(self._shared, asked.key, kept, policy.ttl_s, lead.token))

    def unlock(self, lead: Lead, asked: Asked) -> None:
        if lead.token is not None and self._shared is not None:
            self._write(self._shared.unlock(asked.key, lead.token))

    async def _share(self, shared: Shared, key: bytes, kept: Kept, ttl_s: float, token: bytes | None) -> None:
        await shared.put(key, kept, ttl_s)
        if token is not None:
            await shared.unlock(key, token)

    def _write(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
