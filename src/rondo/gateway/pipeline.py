"""A whole request on one screen: prepare, look in the cache, reserve, call, guard, record.

The endpoint calls it for clients; evaluations call it in-process, so that what is judged is what is served.
Whatever leaves here has been written to the journal before its last byte.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, TypeVar

from msgspec import structs

from rondo.cache.answers import Lead
from rondo.errors import RondoError
from rondo.gateway import request_body
from rondo.gateway.accounts import Accounts
from rondo.gateway.attempt import Opened, let_go, open_stream, whole_answer, whole_embeddings
from rondo.gateway.cached import Cache, Freshness
from rondo.gateway.completion import Said, read_completion
from rondo.gateway.errand import errands
from rondo.gateway.evaluated import Evaluated
from rondo.gateway.guarded import GuardedAnswer, blocked_completion, guard_answer
from rondo.gateway.plan import Plan, ServedApp, ServedModel
from rondo.gateway.prepare import embedding_route, prepare
from rondo.gateway.request import ChatRequest, EmbeddingsRequest
from rondo.gateway.result import Answered, Streaming
from rondo.gateway.retry import Tries
from rondo.gateway.shadows import Copied, Shadows
from rondo.gateway.streaming import AnswerStream, ready
from rondo.gateway.traceparent import Caller
from rondo.gateway.turn import Turn, fault_of
from rondo.gateway.wires.base import ClientWire
from rondo.gateway.wires.chat import Chat
from rondo.gateway.won import Won
from rondo.governance.model import Grant
from rondo.guards.model import Ask
from rondo.journal.append import Journal
from rondo.journal.segment import Kind
from rondo.limits.ledger import Ledger
from rondo.records import Call, Chunk, Wire, to_json

T = TypeVar("T")

CHAT = Chat()


class Pipeline:
    """Runs requests against a plan, and records them."""

    def __init__(
        self, journal: Journal, tries: Tries, ledger: Ledger, cache: Cache, *, total_timeout_s: float = 600.0
    ) -> None:
        self._journal = journal
        self._tries = tries
        self._accounts = Accounts(ledger)
        self._cache = cache
        self._total_timeout_s = total_timeout_s
        self.shadows = Shadows()
        self.on_record: Callable[[Call], None] | None = None
        """Told of every call that has been recorded."""

    async def chat(
        self,
        plan: Plan,
        grant: Grant,
        request: ChatRequest,
        *,
        wire: ClientWire = CHAT,
        door: Wire | None = None,
        context: Sequence[Chunk] | None = None,
        freshness: Freshness = "use",
        pinned: Copied | Evaluated | None = None,
        caller: Caller | None = None,
    ) -> Answered | Streaming:
        """Answer a chat request, on the wire it came by. `context` takes the place of retrieval.

        `door` is what the record says of the wire, where that is not its name; `pinned` makes it a shadow's or an
        evaluation's, `caller` part of the caller's own trace. Raises RondoError, recorded.
        """
        self._journal.check()
        turn = Turn(plan, grant, door or wire.name, request, pinned)
        turn.context = context
        if caller is not None:
            turn.hang_in(caller)
        ask = errands(turn, self._tries, self._accounts)
        lead: Lead | None = None
        try:
            route = await prepare(turn, self._accounts, ask)
            local = _blocked(turn)
            if turn.release is not None and turn.release.cache is not None:
                found = await self._cache.look(turn, route, freshness, ask)
                if isinstance(found, Lead):
                    lead = found
                elif found is not None:
                    local = found
            if local is None:
                await self._accounts.reserve(turn, route)
            if request.stream:
                won = await self._open(turn, route) if local is None else None
                opened = won.value if won is not None else ready(local or b"")
                try:
                    stream = AnswerStream(
                        turn, wire, opened, won, ask=ask, lead=lead, keep=self._cache.keep, record=self._record
                    )
                except BaseException:
                    opened.reply.close()
                    if won is not None:
                        won.abandoned()
                    raise
                return Streaming(turn, stream.parts())
            body = local if local is not None else await self._ask(turn, route)
            if turn.release is not None:
                body = await self._guard(turn, route, body, ask, lead)
            answer = body if wire is CHAT else wire.answer(turn.given(), body)
        except BaseException as error:
            broke = [error]  # emptied below: its traceback has this frame, which must not have it in turn
        else:
            # Outside: a cancellation while this is being synced must not write a second record.
            return Answered(answer, await self._record(turn))
        raise await self._failed(turn, broke.pop(), lead) from None

    async def embeddings(
        self,
        plan: Plan,
        grant: Grant,
        request: EmbeddingsRequest,
        pinned: Evaluated | None = None,
        caller: Caller | None = None,
    ) -> Answered:
        """Embed. Raises RondoError, recorded."""
        self._journal.check()
        turn = Turn(plan, grant, "embeddings", request, pinned)
        if caller is not None:
            turn.hang_in(caller)
        try:
            route = embedding_route(turn)
            await self._accounts.reserve(turn, route)
            won = await self._first(turn, route, partial(whole_embeddings, request))
            won.release()
            body, turn.said = won.value
        except BaseException as error:
            broke = [error]
        else:
            return Answered(body, await self._record(turn))
        raise await self._failed(turn, broke.pop()) from None

    async def close(self) -> None:
        """End what runs in the background."""
        await self.shadows.close()
        await self._cache.close()

    async def _ask(self, turn: Turn, route: Sequence[ServedModel]) -> bytes:
        won: Won[tuple[bytes, Said]] = await self._first(turn, route, partial(whole_answer, turn, turn.chat))
        won.release()
        body, said = won.value
        # What may be recorded of an answer until its guards have looked.
        turn.said = said if not _is_guarded(turn) else Said(served_model=said.served_model, usage=said.usage)
        return body

    def _open(self, turn: Turn, route: Sequence[ServedModel]) -> Coroutine[Any, Any, Won[Opened]]:
        return self._first(turn, route, partial(open_stream, turn, turn.chat), discard=let_go)

    def _first(
        self,
        turn: Turn,
        route: Sequence[ServedModel],
        send: Callable[[ServedModel], Awaitable[T]],
        *,
        discard: Callable[[T], None] | None = None,
    ) -> Coroutine[Any, Any, Won[T]]:
        release = turn.release
        return self._tries.first(
            route,
            send,
            turn,
            total_timeout_s=(release and release.total_timeout_s) or self._total_timeout_s,
            streaming=turn.request.stream,
            discard=discard,
        )

    async def _guard(self, turn: Turn, route: Sequence[ServedModel], body: bytes, ask: Ask, lead: Lead | None) -> bytes:
        """The answer as the client may have it; what is recorded and kept is what the guards leave."""
        if turn.blocked is not None:
            turn.said = read_completion(body)
            return body
        record, client, may_keep = body, body, True
        guards = turn.release.guards if turn.release is not None else None
        if guards is not None and (guards.output or turn.issued):
            issued = len(turn.issued)
            answer = await guard_answer(guards, body, ask, turn.issued, may_repair=bool(route) and turn.hit is None)
            turn.verdicts = [*turn.verdicts, *answer.verdicts]
            if answer.repair is not None:
                answer = await self._repair(turn, route, body, answer, ask)
            record, client = answer.record, answer.client
            # Tokens that this answer brought forth mean nothing to the next one who asks.
            may_keep = not answer.blocked and len(turn.issued) == issued
        if record is not body or turn.hit is not None or _is_guarded(turn):
            turn.said = structs.replace(read_completion(record), usage=turn.said.usage)
        if lead is not None and may_keep:
            self._cache.keep(lead, turn, record)
        else:
            _abandon(lead)
        return client

    async def _repair(
        self, turn: Turn, route: Sequence[ServedModel], body: bytes, answer: GuardedAnswer, ask: Ask
    ) -> GuardedAnswer:
        """Ask the model once to mend its answer; both tries count. Not where that may cost more than is reserved."""
        assert turn.release is not None
        assert turn.release.guards is not None
        assert answer.repair is not None
        guards, usage = turn.release.guards, turn.said.usage
        turn.said = structs.replace(read_completion(answer.record), usage=usage)
        before, turn.rendered = turn.rendered, request_body.with_messages(turn.rendered, answer.repair)
        if not self._accounts.covers(turn, route):
            turn.rendered = before
        else:
            turn.put_aside()
            body = await self._ask(turn, route)
        mended = await guard_answer(guards, body, ask, turn.issued, may_repair=False)
        turn.verdicts = [*turn.verdicts, *mended.verdicts]
        return mended

    async def _failed(self, turn: Turn, error: BaseException, lead: Lead | None = None) -> BaseException:
        """What to raise once it is recorded."""
        _abandon(lead)
        if not isinstance(error, Exception):  # the client left, or we are shutting down
            await self._record(turn, client_closed=True)
            return error
        fault = fault_of(error)
        await self._record(turn, fault)
        fault.trace_id = turn.trace_id
        return fault

    async def _record(self, turn: Turn, error: RondoError | None = None, *, client_closed: bool = False) -> Call:
        usage, cost = turn.bill()
        charged = self._accounts.settle(turn, cost, usage)
        call = turn.recorded = turn.call(usage, cost, charged, error=error, client_closed=client_closed)
        await self._journal.write(Kind.CALL, to_json(call))
        if self.on_record is not None:
            self.on_record(call)
        if turn.app is not None and turn.app.shadows and error is None and not client_closed and turn.blocked is None:
            self._copy(turn, turn.app)
        return call

    def _copy(self, turn: Turn, app: ServedApp) -> None:
        request = turn.chat
        fields = {name: value for name, value in request.fields.items() if name not in ("stream", "stream_options")}
        unstreamed = structs.replace(request, fields=fields, stream=False, wants_usage=False)

        async def answer(copied: Copied) -> object:
            return await self.chat(
                turn.plan, turn.grant, unstreamed, door=turn.wire, context=turn.context, pinned=copied
            )

        self.shadows.copy(app, turn.trace_id, answer, rerouted=turn.rerouted)


def _is_guarded(turn: Turn) -> bool:
    """Whether guards look at the answer."""
    guards = turn.release.guards if turn.release is not None else None
    return guards is not None and bool(guards.output)


def _blocked(turn: Turn) -> bytes | None:
    return None if turn.blocked is None else blocked_completion(turn.blocked, turn.request.model)


def _abandon(lead: Lead | None) -> None:
    if lead is not None:
        lead.abandon()
