"""An answer on its way to the client, event by event: guarded, read for the record, written in the client's wire.

What comes in together goes out together. The last part leaves when the record has been written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from rondo.cache.answers import Lead
from rondo.cache.replay import Collector, events
from rondo.errors import RondoError, UpstreamCut, UpstreamError, UpstreamTimeout
from rondo.gateway.attempt import Opened
from rondo.gateway.guarded_stream import GuardedEvents, Part
from rondo.gateway.stream import DONE, StreamedAnswer, data_of
from rondo.gateway.turn import Turn, fault_of
from rondo.gateway.wires.base import ClientWire
from rondo.gateway.won import Won
from rondo.guards.model import Ask
from rondo.providers.base import ReadyReply
from rondo.records import Call

_TRAILER_S = 0.05


class Record(Protocol):
    """Writes the turn's record."""

    def __call__(
        self, turn: Turn, error: RondoError | None = None, *, client_closed: bool = False
    ) -> Awaitable[Call]: ...


def ready(completion: bytes) -> Opened:
    """A `chat.completion` that is there already, as a stream."""
    return Opened(ReadyReply([]), [*events(completion), DONE], _nothing_more())


class _NoModel:
    """Stands for the deployment of an answer that no model has given."""

    overdue = False

    def watch(self, close: Callable[[], None]) -> None: ...

    def release(self) -> None: ...

    def failed(self, error: RondoError) -> None: ...

    def abandoned(self) -> None: ...


class AnswerStream:
    """One streamed answer. `won` is None for one that no model has given."""

    def __init__(
        self,
        turn: Turn,
        wire: ClientWire,
        opened: Opened,
        won: Won[Opened] | None,
        *,
        ask: Ask,
        lead: Lead | None,
        keep: Callable[[Lead, Turn, bytes], None],
        record: Record,
    ) -> None:
        guards = turn.release.guards if turn.release is not None and turn.blocked is None else None
        self._turn = turn
        self._opened = opened
        self._won = won or _NoModel()
        self._lead = lead
        self._keep = keep
        self._record = record
        self._answer = StreamedAnswer(turn.chat.choices)
        self._writer = wire.stream(turn.given())
        self._guarded = GuardedEvents(guards, ask, turn.issued) if guards and (guards.output or turn.issued) else None
        self._issued = len(turn.issued)
        self._collected = Collector() if lead is not None else None
        self._out: list[bytes] = []

    async def parts(self) -> AsyncGenerator[bytes]:
        """What the client gets. Begin it: one that never began would neither record nor let go upstream."""
        turn, won = self._turn, self._won
        recorded = False
        won.watch(self._opened.reply.close)
        try:
            self._out.append(self._writer.begin())
            async for batch in _chain(self._opened.first, self._opened.rest):
                ended = self._take(batch) if self._guarded is None else await self._take_guarded(batch, self._guarded)
                if turn.first_token_ms is None and self._answer.begun:
                    turn.first_token_ms = turn.elapsed_ms()
                if part := self._written():
                    yield part
                if ended:
                    break
            await self._finish()
            if part := self._written():
                yield part
            won.release()
            recorded = True
            await self._record(turn)
            yield self._writer.end()
            await _to_the_end(self._opened.rest)
        except Exception as error:
            fault = fault_of(_overdue() if won.overdue else error)
            won.failed(fault)
            if not recorded:
                self._settle()
                try:
                    await self._record(turn, fault)
                except RondoError as unrecorded:
                    fault = unrecorded
            yield self._written() + self._writer.error(fault)
        except BaseException:
            won.abandoned()
            if not recorded:
                self._settle()
                await self._record(turn, client_closed=True)
            raise
        finally:
            self._opened.reply.close()

    def _take(self, batch: list[bytes]) -> bool:
        """Read the events, and write them; what was good before a bad one is written when that one raises.

        Whether the answer has ended.
        """
        for event in batch:
            self._pass_on(event, event)
            if self._answer.done:
                return True
        return False

    async def _take_guarded(self, batch: list[bytes], guarded: GuardedEvents) -> bool:
        """The same, by way of the guards."""
        for event in batch:
            if data_of(event) == b"[DONE]":
                self._answer.read(event)
                return True
            self._pass_on_parts(await guarded.read(event))
            if guarded.blocked:
                return True
        return False

    def _pass_on(self, recorded: bytes, sent: bytes) -> None:
        usage_only = self._answer.read(recorded) if recorded else False
        if recorded and self._answer.done and self._guarded is None:
            return
        if self._collected is not None and recorded:
            self._collected.add(recorded)
        if sent and (self._turn.chat.wants_usage or not usage_only):
            self._out.append(self._writer.event(sent))

    def _pass_on_parts(self, parts: list[Part]) -> None:
        for part in parts:
            self._pass_on(part.record, part.client)

    async def _finish(self) -> None:
        """What the guards held back; then the turn has all. Raises UpstreamCut where the answer is not whole."""
        if self._guarded is not None:
            self._pass_on_parts(await self._guarded.end())
        blocked = self._guarded is not None and self._guarded.blocked
        if not self._answer.ended and not blocked:
            raise UpstreamCut("The provider's stream ended before its answer did.")
        # Tokens that this answer brought forth mean nothing to the next one who asks.
        may_keep = not blocked and len(self._turn.issued) == self._issued
        completion = self._collected.completion() if self._collected is not None and may_keep else None
        if self._lead is not None and completion is not None:
            self._settle(abandon=False)
            self._keep(self._lead, self._turn, completion)
        else:
            self._settle()

    def _settle(self, *, abandon: bool = True) -> None:
        """Put into the turn what has been said until now."""
        self._turn.said = self._answer.said()
        if self._guarded is not None:
            self._turn.verdicts = [*self._turn.verdicts, *self._guarded.verdicts]
            self._guarded = None
        if self._lead is not None and abandon:
            self._lead.abandon()

    def _written(self) -> bytes:
        part = b"".join(self._out)
        self._out.clear()
        return part


def _overdue() -> UpstreamTimeout:
    return UpstreamTimeout("The answer took longer than it may.", remedy="Raise `total_timeout_s`.")


async def _to_the_end(rest: AsyncIterator[list[bytes]]) -> None:
    """Read what follows the answer, if it comes at once: a body read to its end leaves its connection for the next."""
    with suppress(TimeoutError, UpstreamError):
        async with asyncio.timeout(_TRAILER_S):
            async for _ in rest:
                pass


async def _chain(first: list[bytes], rest: AsyncIterator[list[bytes]]) -> AsyncIterator[list[bytes]]:
    yield first
    async for batch in rest:
        yield batch


async def _nothing_more() -> AsyncIterator[list[bytes]]:
    return
    yield
