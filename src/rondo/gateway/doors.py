"""What each path of the gateway does, once its visitor has been let in."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from rondo.errors import NotFound, RateLimited, RondoError
from rondo.feedback.scores import parse_feedback
from rondo.gateway import request_body
from rondo.gateway.answer import answer_body, passages
from rondo.gateway.cached import freshness
from rondo.gateway.completion import read_completion
from rondo.gateway.pipeline import CHAT, Pipeline
from rondo.gateway.recall import RecentCalls, continued, stored
from rondo.gateway.reply import Headers, Parts, Reply, Whole
from rondo.gateway.result import Answered, Streaming
from rondo.gateway.traceparent import caller_of
from rondo.gateway.turn import Turn
from rondo.gateway.visitor import Door, Visitor
from rondo.gateway.wire import parse_answer, parse_embeddings, status_of
from rondo.gateway.wires.base import ClientWire
from rondo.gateway.wires.completions import Completions
from rondo.gateway.wires.messages import Messages
from rondo.gateway.wires.messages_count import count_tokens
from rondo.gateway.wires.responses import Responses
from rondo.gateway.wires.responses_request import ResponsesRequest
from rondo.gateway.wires.responses_stored import stored_input, stored_response
from rondo.governance.model import Grant
from rondo.journal.append import Journal
from rondo.records import Call, Kind, Score, ScoreKind, to_json

_MESSAGES = Messages()
WIRES: dict[str, ClientWire] = {
    "/v1/chat/completions": CHAT,
    "/v1/responses": Responses(),
    "/v1/messages": _MESSAGES,
    "/v1/completions": Completions(),
}
"""The wires in which clients chat, by path."""

_JSON = (b"content-type", b"application/json")
_EVENTS: Headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
_CORS: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"authorization, content-type"),
    (b"access-control-max-age", b"86400"),
]


class Doors:
    """Every path of the gateway."""

    def __init__(self, pipeline: Pipeline, journal: Journal, recent: RecentCalls, *, max_body_bytes: int) -> None:
        self._pipeline = pipeline
        self._journal = journal
        self._recent = recent
        self._max_body_bytes = max_body_bytes
        self._fixed: dict[tuple[str, str], Door] = {
            **{("POST", path): partial(self._chat, wire) for path, wire in WIRES.items()},
            ("POST", "/v1/messages/count_tokens"): self._count_tokens,
            ("POST", "/v1/embeddings"): self._embeddings,
            ("POST", "/v1/feedback"): self._feedback,
            ("GET", "/v1/models"): self._models,
        }
        self._named: dict[tuple[str, str], Callable[[str, Visitor, bytes], Awaitable[Reply]]] = {
            ("POST", "/v1/apps/{app}/answer"): self._answer,
            ("GET", "/v1/models/{model}"): self._model,
            ("GET", "/v1/responses/{id}"): self._response,
            ("GET", "/v1/responses/{id}/input_items"): self._response_input,
        }
        self._patterns = [
            (method, re.compile(re.sub(r"\{\w+\}", "([^/]+)" if "model" not in path else "(.+)", path)), door)
            for (method, path), door in self._named.items()
        ]

    @property
    def routes(self) -> list[tuple[str, str]]:
        """Every (method, path) there is."""
        return [*self._fixed, *self._named]

    def find(self, method: str, path: str) -> Door:
        """Raises NotFound."""
        door = self._fixed.get((method, path))
        if door is not None:
            return door
        for verb, pattern, named in self._patterns:
            found = pattern.fullmatch(path)
            if found is not None and verb == method:
                return partial(named, found[1])
        served = ", ".join(f"{verb} {where}" for verb, where in self.routes)
        raise NotFound(f"There is no {method} {path:.200}.", remedy=f"The gateway serves {served}.")

    async def judge(self, grant: Grant, body: bytes, *, kind: ScoreKind = "user") -> Score:
        """Keep feedback. Raises InvalidRequest, and Unavailable where the journal takes nothing."""
        self._journal.check()
        score = parse_feedback(body, grant.project, grant.key_id, kind=kind)
        await self._journal.write(Kind.SCORE, to_json(score))
        return score

    async def _chat(self, wire: ClientWire, visitor: Visitor, body: bytes) -> Reply:
        request = wire.parse(body)
        if visitor.tags:
            request.tags = visitor.tags | request.tags
        if isinstance(request, ResponsesRequest):
            request = await continued(request, visitor.grant, self._recent, max_bytes=self._max_body_bytes)
        result = await self._pipeline.chat(
            visitor.plan,
            visitor.grant,
            request,
            wire=wire,
            freshness=freshness(visitor.headers),
            caller=caller_of(visitor.headers),
        )
        if isinstance(result, Streaming):
            return Parts(result.parts, [*_EVENTS, *_turn_headers(result.turn)])
        return _answered(result.call, result.body)

    async def _embeddings(self, visitor: Visitor, body: bytes) -> Reply:
        request = parse_embeddings(body)
        if visitor.tags:
            request.tags = visitor.tags | request.tags
        result = await self._pipeline.embeddings(
            visitor.plan, visitor.grant, request, caller=caller_of(visitor.headers)
        )
        return _answered(result.call, result.body)

    async def _answer(self, app: str, visitor: Visitor, body: bytes) -> Reply:
        asked, plan, place = parse_answer(body), visitor.plan, (visitor.grant.project, app)
        if place not in plan.apps and place not in plan.faults:
            raise NotFound(f"There is no app called {app!r:.100}.", remedy="GET /v1/models lists the apps.")
        request = request_body.as_chat(
            asked.question,
            asked.conversation_history,
            app,
            user=asked.user,
            session=asked.session,
            tags=asked.metadata,
            inputs=asked.inputs,
        )
        result = await self._pipeline.chat(
            plan,
            visitor.grant,
            request,
            door="answer",
            context=None if asked.context is None else passages(asked.context),
            freshness=freshness(visitor.headers),
            caller=caller_of(visitor.headers),
        )
        assert isinstance(result, Answered)
        return _answered(result.call, answer_body(result.call, read_completion(result.body).text))

    async def _count_tokens(self, visitor: Visitor, body: bytes) -> Reply:
        return Whole(200, await count_tokens(visitor.plan, visitor.grant, body), [_JSON])

    async def _response(self, name: str, visitor: Visitor, body: bytes) -> Reply:
        call = await stored(name, visitor.grant, self._recent)
        return Whole(200, stored_response(call), [_JSON])

    async def _response_input(self, name: str, visitor: Visitor, body: bytes) -> Reply:
        call = await stored(name, visitor.grant, self._recent)
        return Whole(200, stored_input(call, visitor.query), [_JSON])

    async def _feedback(self, visitor: Visitor, body: bytes) -> Reply:
        score = await self.judge(visitor.grant, body)
        return Whole(200, msgspec.json.encode({"id": score.id, "trace_id": score.trace_id}), [_JSON, *_CORS])

    async def _models(self, visitor: Visitor, body: bytes) -> Reply:
        models = [_model(name) for name in _callable(visitor)]
        return Whole(200, msgspec.json.encode({"object": "list", "data": models}), [_JSON])

    async def _model(self, name: str, visitor: Visitor, body: bytes) -> Reply:
        if name not in _callable(visitor):
            raise NotFound(f"There is no model called {name!r:.100}.", remedy="GET /v1/models lists them.")
        return Whole(200, msgspec.json.encode(_model(name)), [_JSON])


def _callable(visitor: Visitor) -> list[str]:
    """Names of the apps and models that the key may call."""
    plan, grant = visitor.plan, visitor.grant
    names = [name for project, name in plan.apps if project == grant.project]
    if grant.apps:
        return [name for name in names if name in grant.apps]
    return [*names, *(name for project, name in plan.models if project == grant.project)]


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "rondo"}


def preflight() -> Whole:
    """A browser asks whether it may send feedback; it may."""
    return Whole(204, b"", _CORS)


def refusal(path: str, error: RondoError) -> Whole:
    """An error in the wire of the path."""
    headers: Headers = [_JSON]
    if error.trace_id is not None:
        headers.append((b"x-rondo-trace-id", error.trace_id.encode()))
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
        if isinstance(error, RateLimited) and error.retry_after > _WORTH_WAITING_S:
            headers.append((b"x-should-retry", b"false"))  # the SDKs of OpenAI and Anthropic would try at once
    if path == "/v1/feedback":
        headers += _CORS
    wire = _MESSAGES if path.startswith("/v1/messages") else WIRES.get(path, CHAT)
    return Whole(status_of(error), wire.error(error), headers)


_WORTH_WAITING_S = 60


def _answered(call: Call, body: bytes) -> Whole:
    headers = [_JSON, (b"x-rondo-trace-id", call.trace_id.encode())]
    if call.release is not None:
        headers.append((b"x-rondo-release", f"{call.app}#{call.release}".encode()))
    if call.cost_usd is not None:
        headers.append((b"x-rondo-cost-usd", b"%.8f" % call.cost_usd))
    if call.cache is not None:
        headers.append((b"x-rondo-cache", call.cache.encode()))
    return Whole(200, body, headers)


def _turn_headers(turn: Turn) -> Headers:
    headers = [(b"x-rondo-trace-id", turn.trace_id.encode())]
    if turn.release is not None:
        headers.append((b"x-rondo-release", turn.release.label.encode()))
    if turn.hit is not None:
        headers.append((b"x-rondo-cache", turn.hit.found_by.encode()))
    return headers
