"""A whole request on one screen: admit, choose, retrieve, render, call, record.

The endpoint calls it for clients; evaluations call it in-process, so that what is judged is what is served.
Whatever leaves here has been written to the journal before its last byte.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import suppress

import msgspec
from msgspec import Struct

from rondo.errors import InvalidRequest, RondoError, UpstreamCut, UpstreamError, unexpected
from rondo.gateway import request_body
from rondo.gateway.choose import choose
from rondo.gateway.completion import read_completion, read_embeddings
from rondo.gateway.plan import Plan, ServedModel, ServedRelease
from rondo.gateway.retry import first_answer
from rondo.gateway.stream import DONE, StreamedAnswer, events
from rondo.gateway.turn import Turn
from rondo.gateway.wire import KEY_REFUSED, ChatRequest, EmbeddingsRequest, error_body
from rondo.governance.model import Grant
from rondo.journal.append import Journal
from rondo.journal.segment import Kind
from rondo.providers.base import ProviderRequest, Reply
from rondo.records import Call, Chunk, Wire, to_json

_log = logging.getLogger("rondo.gateway")
_encode = msgspec.json.Encoder().encode
_TRAILER_S = 0.05


class Answered(Struct, frozen=True):
    """A whole answer, recorded: the provider's bytes, and the record."""

    body: bytes
    call: Call


class Streaming(Struct, frozen=True):
    """An answer under way; `parts` records it before its last part."""

    turn: Turn
    parts: AsyncGenerator[bytes]


class Pipeline:
    """Runs requests against a plan, and records them."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def chat(
        self,
        plan: Plan,
        grant: Grant,
        request: ChatRequest,
        *,
        wire: Wire = "chat",
        context: Sequence[Chunk] | None = None,
    ) -> Answered | Streaming:
        """Answer a chat request. `context` takes the place of retrieval. Raises RondoError, recorded."""
        self._journal.check()
        turn = Turn(grant, wire, request)
        try:
            chosen = choose(plan, grant, request.model, turn.unit)
            if isinstance(chosen, ServedRelease):
                turn.release = chosen
                retrieve(turn, chosen, request, context)
                render(turn, chosen, request)
            route = chosen.route if isinstance(chosen, ServedRelease) else (chosen,)
            if request.stream:
                reply, first, rest = await first_answer(route, lambda model: open_stream(turn, model, request), turn)
                return Streaming(turn, self._stream(turn, request, reply, first, rest))
            body = await first_answer(route, lambda model: whole_answer(turn, model, request), turn)
        except Exception as error:
            raise await self._failed(turn, error) from None
        except BaseException:  # the client left, or we are shutting down
            await self._record(turn, client_closed=True)
            raise
        # Outside: a cancellation while this is being synced must not write a second record.
        return Answered(body, await self._record(turn))

    async def embeddings(self, plan: Plan, grant: Grant, request: EmbeddingsRequest) -> Answered:
        """Embed. Raises RondoError, recorded."""
        self._journal.check()
        turn = Turn(grant, "embeddings", request)
        try:
            model = choose(plan, grant, request.model, turn.unit)
            if isinstance(model, ServedRelease):
                raise InvalidRequest(
                    f"{request.model!r} is an app.", remedy="Embeddings need a model or provider/model.", param="model"
                )
            body = await first_answer((model,), lambda served: whole_embeddings(turn, served, request), turn)
        except Exception as error:
            raise await self._failed(turn, error) from None
        except BaseException:
            await self._record(turn, client_closed=True)
            raise
        return Answered(body, await self._record(turn))

    async def _stream(
        self, turn: Turn, request: ChatRequest, reply: Reply, first: bytes, rest: AsyncIterator[bytes]
    ) -> AsyncGenerator[bytes]:
        """The provider's events, unchanged, but for a usage event that the client did not ask for."""
        answer = StreamedAnswer(request.choices)
        recorded = False
        try:
            async for event in _chain(first, rest):
                usage_only = answer.read(event)
                if answer.done:
                    break
                if turn.first_token_ms is None and answer.begun:
                    turn.first_token_ms = turn.elapsed_ms()
                if request.wants_usage or not usage_only:
                    yield event
            if not answer.ended:
                raise UpstreamCut("The provider's stream ended before its answer did.")
            _take_stream(turn, answer)
            recorded = True
            await self._record(turn)
            yield DONE
            await _to_the_end(rest)
        except Exception as error:
            fault = _fault(error)
            if not recorded:
                _take_stream(turn, answer)
                try:
                    await self._record(turn, fault)
                except RondoError as unrecorded:
                    fault = unrecorded
            yield b"data: " + error_body(fault) + b"\n\n"
        except BaseException:
            if not recorded:
                _take_stream(turn, answer)
                await self._record(turn, client_closed=True)
            raise
        finally:
            reply.close()

    async def _failed(self, turn: Turn, error: Exception) -> RondoError:
        """What to raise once it is recorded."""
        fault = _fault(error)
        await self._record(turn, fault)
        fault.trace_id = turn.trace_id
        return fault

    async def _record(self, turn: Turn, error: RondoError | None = None, *, client_closed: bool = False) -> Call:
        call = turn.call(error=error, client_closed=client_closed)
        await self._journal.write(Kind.CALL, to_json(call))
        return call


def retrieve(turn: Turn, release: ServedRelease, request: ChatRequest, context: Sequence[Chunk] | None) -> None:
    """Put the passages before the model: those given, or the best of the release's knowledge."""
    if context is not None:
        turn.chunks = list(context)
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


async def whole_answer(turn: Turn, model: ServedModel, request: ChatRequest) -> bytes:
    """One try at a plain completion. Raises UpstreamError."""
    reply = await model.provider.send(_provider_request(turn, model, request))
    body = await _read(reply)
    read_completion(turn, body)
    return body


async def whole_embeddings(turn: Turn, model: ServedModel, request: EmbeddingsRequest) -> bytes:
    """One try at embeddings. Raises UpstreamError."""
    body = request_body.for_model(request.fields, model.spec)
    reply = await model.provider.send(ProviderRequest(path="/embeddings", body=body))
    answer = await _read(reply)
    read_embeddings(turn, answer)
    return answer


async def open_stream(
    turn: Turn, model: ServedModel, request: ChatRequest
) -> tuple[Reply, bytes, AsyncIterator[bytes]]:
    """One try at a stream, up to its first event. Raises UpstreamError."""
    reply = await model.provider.send(_provider_request(turn, model, request))
    if reply.status != 200:
        await _read(reply)
    try:
        whole = events(reply.chunks())
        first = await anext(whole, None)
        if first is None:
            raise UpstreamCut("The provider sent an empty stream.")
        StreamedAnswer().read(first)
    except BaseException:
        reply.close()
        raise
    return reply, first, whole


def _provider_request(turn: Turn, model: ServedModel, request: ChatRequest) -> ProviderRequest:
    release = turn.release
    if release is None:
        body = request_body.for_model(request.fields, model.spec, ask_usage=request.stream and not request.wants_usage)
        return ProviderRequest(path="/chat/completions", body=body, stream=request.stream, question=request.question)
    return ProviderRequest(
        path="/chat/completions",
        body=request_body.for_release(request, release, model.spec, turn.rendered),
        stream=request.stream,
        question=request.question,
        chunks=tuple(turn.chunks),
        hand_over=release.hand_over,
    )


async def _read(reply: Reply) -> bytes:
    """The body of a good reply. Raises UpstreamError for a bad one, with the provider's words."""
    try:
        body = await reply.read()
    finally:
        reply.close()
    if reply.status in KEY_REFUSED:
        # Such replies like to repeat the key; neither the client nor the record may learn it.
        raise UpstreamError(
            f"The provider refused the server's key ({reply.status}).",
            status=reply.status,
            remedy="Check the key that the server's environment has for this model.",
        )
    if reply.status != 200:
        message = body[:2_000].decode("utf-8", "replace")
        wait = reply.headers.get("retry-after", "")
        raise UpstreamError(
            f"The provider answered {reply.status}: {message}",
            status=reply.status,
            body=body,
            retry_after=int(wait) if wait.isascii() and wait.isdigit() and len(wait) < 6 else None,
        )
    return body


def _fault(error: Exception) -> RondoError:
    """What the client and the record are told; the log has the rest."""
    if isinstance(error, RondoError):
        return error
    _log.error("unexpected error in a call", exc_info=error)
    return unexpected()


def _take_stream(turn: Turn, answer: StreamedAnswer) -> None:
    turn.answer, turn.output = answer.text, answer.output()
    turn.usage, turn.served_model, turn.finish_reason = answer.usage, answer.served_model, answer.finish_reason


async def _to_the_end(rest: AsyncIterator[bytes]) -> None:
    """Read what follows the answer, if it comes at once: a body read to its end leaves its connection for the next."""
    with suppress(TimeoutError, UpstreamError):
        async with asyncio.timeout(_TRAILER_S):
            async for _ in rest:
                pass


async def _chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for event in rest:
        yield event
