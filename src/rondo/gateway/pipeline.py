"""A whole request on one screen: admit, choose, retrieve, render, call, record.

The endpoint calls it for clients; evaluations call it in-process, so that what is judged is what is served.
Whatever leaves here has been written to the journal before its last byte.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

import msgspec
from msgspec import Struct, structs

from rondo.errors import InvalidRequest, RondoError, UpstreamCut, UpstreamError, UpstreamTimeout, unexpected
from rondo.gateway import request_body
from rondo.gateway.attempt import Opened, let_go, open_stream, whole_answer, whole_embeddings
from rondo.gateway.choose import choose, choose_route
from rondo.gateway.plan import Plan, ServedApp, ServedModel, ServedRelease
from rondo.gateway.retry import Tries
from rondo.gateway.shadows import Copied, Shadows
from rondo.gateway.stream import StreamedAnswer
from rondo.gateway.turn import Turn
from rondo.gateway.wire import ChatRequest, EmbeddingsRequest
from rondo.gateway.wires.base import ClientWire, Given, WireStream
from rondo.gateway.wires.chat import Chat
from rondo.gateway.won import Won
from rondo.governance.model import Grant
from rondo.journal.append import Journal
from rondo.journal.segment import Kind
from rondo.records import Call, Chunk, Wire, to_json

T = TypeVar("T")

_log = logging.getLogger("rondo.gateway")
_encode = msgspec.json.Encoder().encode
_TRAILER_S = 0.05
CHAT = Chat()


class Answered(Struct, frozen=True):
    """A whole answer, recorded: the bytes for the client, and the record."""

    body: bytes
    call: Call


class Streaming(Struct, frozen=True):
    """An answer under way; `parts` records it before its last part."""

    turn: Turn
    parts: AsyncGenerator[bytes]


class Pipeline:
    """Runs requests against a plan, and records them."""

    def __init__(self, journal: Journal, tries: Tries, *, total_timeout_s: float = 600.0) -> None:
        self._journal = journal
        self._tries = tries
        self._total_timeout_s = total_timeout_s
        self.shadows = Shadows()

    async def chat(
        self,
        plan: Plan,
        grant: Grant,
        request: ChatRequest,
        *,
        wire: ClientWire = CHAT,
        door: Wire | None = None,
        context: Sequence[Chunk] | None = None,
        copied: Copied | None = None,
    ) -> Answered | Streaming:
        """Answer a chat request, on the wire it came by. `context` takes the place of retrieval.

        `door` is what the record says of the wire, where that is not its name; `copied` makes it a shadow. Raises
        RondoError, recorded.
        """
        self._journal.check()
        turn = Turn(plan, grant, door or wire.name, request, copied)
        try:
            turn.context = context
            route = prepare(turn, request)
            if request.stream:
                opened = await self._first(turn, route, partial(open_stream, turn, request), discard=let_go)
                return Streaming(turn, self._stream(turn, wire, opened))
            won = await self._first(turn, route, partial(whole_answer, turn, request))
            won.release()
            body, turn.said = won.value
            answer = wire.answer(given(turn), body)
        except Exception as error:
            raise await self._failed(turn, error) from None
        except BaseException:  # the client left, or we are shutting down
            await self._record(turn, client_closed=True)
            raise
        # Outside: a cancellation while this is being synced must not write a second record.
        return Answered(answer, await self._record(turn))

    async def embeddings(self, plan: Plan, grant: Grant, request: EmbeddingsRequest) -> Answered:
        """Embed. Raises RondoError, recorded."""
        self._journal.check()
        turn = Turn(plan, grant, "embeddings", request)
        try:
            model = choose(plan, grant, request.model, turn.unit)
            if isinstance(model, ServedRelease):
                raise InvalidRequest(
                    f"{request.model!r} is an app.", remedy="Embeddings need a model or provider/model.", param="model"
                )
            won = await self._first(turn, (model,), partial(whole_embeddings, request))
            won.release()
            body, turn.said = won.value
        except Exception as error:
            raise await self._failed(turn, error) from None
        except BaseException:
            await self._record(turn, client_closed=True)
            raise
        return Answered(body, await self._record(turn))

    async def close(self) -> None:
        """End what runs in the background."""
        await self.shadows.close()

    async def _first(
        self,
        turn: Turn,
        route: Sequence[ServedModel],
        send: Callable[[ServedModel], Awaitable[T]],
        *,
        discard: Callable[[T], None] | None = None,
    ) -> Won[T]:
        release = turn.release
        return await self._tries.first(
            route,
            send,
            turn,
            total_timeout_s=(release and release.total_timeout_s) or self._total_timeout_s,
            streaming=turn.request.stream,
            discard=discard,
        )

    async def _stream(self, turn: Turn, wire: ClientWire, won: Won[Opened]) -> AsyncGenerator[bytes]:
        """The provider's events in the client's wire; what comes in together goes out together."""
        request, opened = turn.request, won.value
        assert isinstance(request, ChatRequest)
        answer = StreamedAnswer(request.choices)
        writer = wire.stream(given(turn))
        out: list[bytes] = []
        recorded = False
        won.watch(opened.reply.close)
        try:
            out.append(writer.begin())
            async for batch in _chain(opened.first, opened.rest):
                _pass_on(batch, answer, writer, out, wants_usage=request.wants_usage)
                if turn.first_token_ms is None and answer.begun:
                    turn.first_token_ms = turn.elapsed_ms()
                part = b"".join(out)
                out.clear()
                if part:
                    yield part
                if answer.done:
                    break
            if not answer.ended:
                raise UpstreamCut("The provider's stream ended before its answer did.")
            turn.said = answer.said()
            won.release()
            recorded = True
            await self._record(turn)
            yield writer.end()
            await _to_the_end(opened.rest)
        except Exception as error:
            fault = _fault(_overdue() if won.overdue else error)
            won.failed(fault)
            if not recorded:
                turn.said = answer.said()
                try:
                    await self._record(turn, fault)
                except RondoError as unrecorded:
                    fault = unrecorded
            yield b"".join(out) + writer.error(fault)
        except BaseException:
            won.abandoned()
            if not recorded:
                turn.said = answer.said()
                await self._record(turn, client_closed=True)
            raise
        finally:
            opened.reply.close()

    async def _failed(self, turn: Turn, error: Exception) -> RondoError:
        """What to raise once it is recorded."""
        fault = _fault(error)
        await self._record(turn, fault)
        fault.trace_id = turn.trace_id
        return fault

    async def _record(self, turn: Turn, error: RondoError | None = None, *, client_closed: bool = False) -> Call:
        call = turn.call(error=error, client_closed=client_closed)
        await self._journal.write(Kind.CALL, to_json(call))
        if turn.app is not None and turn.app.shadows and error is None and not client_closed:
            self._copy(turn, turn.app)
        return call

    def _copy(self, turn: Turn, app: ServedApp) -> None:
        request = turn.request
        assert isinstance(request, ChatRequest)
        fields = {name: value for name, value in request.fields.items() if name not in ("stream", "stream_options")}
        unstreamed = structs.replace(request, fields=fields, stream=False, wants_usage=False)

        async def answer(copied: Copied) -> object:
            return await self.chat(
                turn.plan, turn.grant, unstreamed, door=turn.wire, context=turn.context, copied=copied
            )

        self.shadows.copy(app, turn.trace_id, answer)


def given(turn: Turn) -> Given:
    """What the client's wire may know of the turn."""
    assert isinstance(turn.request, ChatRequest)
    return Given(trace_id=turn.trace_id, created_at=turn.started_at, request=turn.request)


def prepare(turn: Turn, request: ChatRequest) -> Sequence[ServedModel]:
    """Who answers: the models to try in order, with the app's messages put together. Raises RondoError."""
    if turn.release is None:  # a shadow comes with its own
        chosen = choose_route(turn.plan, turn.grant, request.model, request.models, turn.unit)
        if not isinstance(chosen, ServedRelease):
            return chosen
        turn.app = turn.plan.apps[turn.grant.project, request.model]
        turn.release = chosen
    retrieve(turn, turn.release, request)
    render(turn, turn.release, request)
    return turn.release.route


def retrieve(turn: Turn, release: ServedRelease, request: ChatRequest) -> None:
    """Put the passages before the model: those given, or the best of the release's knowledge."""
    if turn.context is not None:
        turn.chunks = list(turn.context)
    elif release.index is not None:
        since = turn.elapsed_ms()
        query = request.question or " ".join(value for value in request.inputs.values() if isinstance(value, str))
        turn.chunks = release.index.search(query, release.top_k)
        turn.add_span("retrieve", release.knowledge or "", since, version=release.knowledge_version, k=release.top_k)


def render(turn: Turn, release: ServedRelease, request: ChatRequest) -> None:
    """The messages that the model gets, from the release's prompt and the client's messages."""
    since = turn.elapsed_ms()
    turn.rendered = _encode(request_body.messages(release, request, turn.chunks))
    turn.add_span("render", release.prompt, since, version=release.prompt_version)


def _fault(error: Exception) -> RondoError:
    """What the client and the record are told; the log has the rest."""
    if isinstance(error, RondoError):
        return error
    _log.error("unexpected error in a call", exc_info=error)
    return unexpected()


def _pass_on(
    batch: list[bytes], answer: StreamedAnswer, writer: WireStream, out: list[bytes], *, wants_usage: bool
) -> None:
    """Read the events into the answer, and write them to `out` in the client's wire; what was good before a bad one
    is in `out` when that one raises."""
    for event in batch:
        usage_only = answer.read(event)
        if answer.done:
            break
        if wants_usage or not usage_only:
            out.append(writer.event(event))


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
