"""One try at one model: the request it gets, and what comes back up to the first event or the whole body.

Nothing here decides what happens next: `retry.py` tries again or goes on to the next model.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from rondo import clock
from rondo.errors import UpstreamCut, UpstreamError
from rondo.gateway import request_body
from rondo.gateway.completion import Said, read_completion, read_embeddings
from rondo.gateway.faults import told_wait, words_of
from rondo.gateway.plan import ServedModel
from rondo.gateway.request import ChatRequest, EmbeddingsRequest
from rondo.gateway.spending import bound_to_send
from rondo.gateway.stream import StreamedAnswer, batches, is_comment
from rondo.gateway.turn import Turn
from rondo.gateway.wire import KEY_REFUSED
from rondo.gateway.within import within
from rondo.providers.base import ProviderRequest, Reply


class Opened(NamedTuple):
    """A stream under way: its first events, and the rest in batches as they arrive."""

    reply: Reply
    first: list[bytes]
    rest: AsyncIterator[list[bytes]]


async def whole_answer(turn: Turn, request: ChatRequest, model: ServedModel) -> tuple[bytes, Said]:
    """One try at a plain completion: its bytes, and what they say. Raises UpstreamError."""
    spec = model.spec
    sent = model.provider.send(_provider_request(turn, model, request))
    reply = await (sent if spec.first_token_timeout_s is None else within(spec.first_token_timeout_s, sent, spec.name))
    body = await read_reply(reply)
    return body, read_completion(body)


async def whole_embeddings(request: EmbeddingsRequest, model: ServedModel) -> tuple[bytes, Said]:
    """One try at embeddings. Raises UpstreamError."""
    body = request_body.for_model(request.fields, model.spec)
    reply = await model.provider.send(ProviderRequest(path="/embeddings", body=body))
    answer = await read_reply(reply)
    return answer, read_embeddings(answer)


async def open_stream(turn: Turn, request: ChatRequest, model: ServedModel) -> Opened:
    """One try at a stream, up to its first event that is no comment. Raises UpstreamError."""
    reply = await model.provider.send(_provider_request(turn, model, request))
    if reply.status != 200:
        await read_reply(reply)
    try:
        rest = batches(reply.chunks())
        first: list[bytes] = []
        async for batch in rest:
            first += batch
            if not all(map(is_comment, batch)):
                break
        else:
            raise UpstreamCut("The provider sent an empty stream.")
        StreamedAnswer().read(next(event for event in first if not is_comment(event)))
    except BaseException:
        reply.close()
        raise
    return Opened(reply, first, rest)


def let_go(opened: Opened) -> None:
    """Close a stream that nobody will read."""
    opened.reply.close()


def _provider_request(turn: Turn, model: ServedModel, request: ChatRequest) -> ProviderRequest:
    release = turn.release
    bound = bound_to_send(turn.matched, request, model, release) if turn.matched is not None else None
    terms = request_body.Terms(
        ask_usage=request.stream and not request.wants_usage, bound=bound, translated=turn.wire != "chat"
    )
    if release is None:
        return ProviderRequest(
            path="/chat/completions",
            body=request_body.for_model(request.fields, model.spec, terms),
            stream=request.stream,
            extended=request.extended,
            question=request.question,
        )
    return ProviderRequest(
        path="/chat/completions",
        body=request_body.for_release(request, release, model.spec, turn.rendered, terms),
        stream=request.stream,
        extended=request.extended,
        question=request.question,
        chunks=tuple(turn.chunks),
        hand_over=release.hand_over,
    )


async def read_reply(reply: Reply) -> bytes:
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
        raise UpstreamError(
            f"The provider answered {reply.status}: {words_of(body)}",
            status=reply.status,
            body=body,
            retry_after=told_wait(reply.headers, clock.now_us()),
        )
    return body
