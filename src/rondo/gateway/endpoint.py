"""The OpenAI-compatible door: plain ASGI, from the socket to the pipeline and back.

Every route needs a key. Errors go out in OpenAI's format. When the client leaves, the work for it is cancelled, and
with it the call to the provider.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from rondo.errors import Forbidden, NotFound, RondoError, TooLarge, Unauthorized, unexpected
from rondo.feedback.scores import parse_feedback
from rondo.gateway import request_body
from rondo.gateway.answer import answer_body, passages
from rondo.gateway.pipeline import CHAT, Answered, Pipeline, Streaming
from rondo.gateway.plan import Plan
from rondo.gateway.turn import Turn
from rondo.gateway.wire import parse_answer, parse_embeddings, status_of
from rondo.gateway.wires.base import ClientWire
from rondo.governance.admit import digest
from rondo.governance.model import Grant
from rondo.journal.append import Journal
from rondo.journal.segment import Kind
from rondo.records import Call, Score, ScoreKind, to_json

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_log = logging.getLogger("rondo.gateway")
_KEY_HEADERS = frozenset((b"authorization", b"x-api-key", b"api-key"))
"""Where clients put their key: OpenAI's, Anthropic's, Azure's."""
_JSON = (b"content-type", b"application/json")
_EVENTS: Headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
_CORS: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"authorization, content-type"),
    (b"access-control-max-age", b"86400"),
]


WIRES: dict[str, ClientWire] = {"/v1/chat/completions": CHAT}
"""The wires in which clients chat, by path."""


def is_gateways(path: str) -> bool:
    """Whether a path is the gateway's to answer; the control plane has the others."""
    return path.startswith("/v1/")


class Gateway:
    """An ASGI application for the paths that are its own."""

    def __init__(self, plan: Plan, journal: Journal, *, max_body_bytes: int) -> None:
        self.plan = plan
        """The plan that new requests begin with; swap it by setting it."""
        self._journal = journal
        self._pipeline = Pipeline(journal)
        self._max_body_bytes = max_body_bytes
        self._doors: dict[tuple[str, str], Callable[[Plan, Grant, bytes], Awaitable[_Reply]]] = {
            **{("POST", path): partial(self._chat, wire) for path, wire in WIRES.items()},
            ("POST", "/v1/embeddings"): self._embeddings,
            ("POST", "/v1/feedback"): self._feedback,
            ("GET", "/v1/models"): self._models,
        }

    @property
    def routes(self) -> list[tuple[str, str]]:
        """Every (method, path) there is, for the test that each needs a key."""
        return [*self._doors, ("POST", "/v1/apps/{app}/answer")]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        leaving: asyncio.Task[None] | None = None
        try:
            try:
                plan = self.plan
                door = self._let_in(plan, scope)
                body = await self._read_body(scope, receive)
                leaving = asyncio.create_task(_cancel_when_gone(receive, asyncio.current_task()))
                reply = await door(body)
            except RondoError as error:
                reply = _refusal(scope, error)
            except Exception:
                _log.exception("unexpected error on %s", scope["path"])
                reply = _refusal(scope, unexpected())
            await reply.send(send)
        except asyncio.CancelledError:
            # Nobody is left to answer. A cancellation that is not the client's doing (shutdown) goes on its way.
            if leaving is None or not leaving.done():
                raise
        finally:
            if leaving is not None:
                leaving.cancel()

    def check(self) -> None:
        """May requests be served? Raises Unavailable while the journal takes no records."""
        self._journal.check()

    async def ask(self, grant: Grant, body: bytes) -> Answered | Streaming:
        """Answer a chat request from someone who has been let in already: the console's playground.

        Raises RondoError, recorded.
        """
        return await self._pipeline.chat(self.plan, grant, CHAT.parse(body))

    async def judge(self, grant: Grant, body: bytes, *, kind: ScoreKind = "user") -> Score:
        """Keep feedback. Raises InvalidRequest, and Unavailable where the journal takes nothing."""
        self._journal.check()
        score = parse_feedback(body, grant.project, grant.key_id, kind=kind)
        await self._journal.write(Kind.SCORE, to_json(score))
        return score

    def _let_in(self, plan: Plan, scope: Scope) -> Callable[[bytes], Awaitable[_Reply]]:
        """The door that this request may go through. Raises Unauthorized, Forbidden, NotFound."""
        method, path = scope["method"], scope["path"]
        if method == "OPTIONS" and path == "/v1/feedback":
            return _preflight
        grant = authenticate(plan, scope["headers"])
        if grant.kind == "feedback" and path != "/v1/feedback":
            raise Forbidden("This key may only send feedback.", remedy="Use a secret key, on a server of yours.")
        door = self._doors.get((method, path))
        if door is not None:
            return partial(door, plan, grant)
        parts = path.split("/")
        if method == "POST" and len(parts) == 5 and parts[1:3] == ["v1", "apps"] and parts[4] == "answer":
            return partial(self._answer, plan, grant, parts[3])
        served = ", ".join(f"{verb} {where}" for verb, where in self.routes)
        raise NotFound(f"There is no {method} {path}.", remedy=f"The gateway serves {served}.")

    async def _chat(self, wire: ClientWire, plan: Plan, grant: Grant, body: bytes) -> _Reply:
        result = await self._pipeline.chat(plan, grant, wire.parse(body), wire=wire)
        return _Stream(result) if isinstance(result, Streaming) else _answered(result.call, result.body)

    async def _embeddings(self, plan: Plan, grant: Grant, body: bytes) -> _Reply:
        result = await self._pipeline.embeddings(plan, grant, parse_embeddings(body))
        return _answered(result.call, result.body)

    async def _answer(self, plan: Plan, grant: Grant, app: str, body: bytes) -> _Reply:
        asked = parse_answer(body)
        if (grant.project, app) not in plan.apps and (grant.project, app) not in plan.faults:
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
        context = None if asked.context is None else passages(asked.context)
        result = await self._pipeline.chat(plan, grant, request, door="answer", context=context)
        assert isinstance(result, Answered)
        return _answered(result.call, answer_body(result.call))

    async def _feedback(self, plan: Plan, grant: Grant, body: bytes) -> _Reply:
        score = await self.judge(grant, body)
        return _Whole(200, msgspec.json.encode({"id": score.id, "trace_id": score.trace_id}), [_JSON, *_CORS])

    async def _models(self, plan: Plan, grant: Grant, body: bytes) -> _Reply:
        names = [name for project, name in plan.apps if project == grant.project]
        if grant.apps:
            names = [name for name in names if name in grant.apps]
        else:
            names += [name for project, name in plan.models if project == grant.project]
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "rondo"} for name in names]
        return _Whole(200, msgspec.json.encode({"object": "list", "data": models}), [_JSON])

    async def _read_body(self, scope: Scope, receive: Receive) -> bytes:
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > self._max_body_bytes:
                raise self._too_large()
        message = await receive()
        body: bytes = message.get("body", b"")
        if not message.get("more_body"):
            return self._bounded(body)
        parts, size = [body], len(body)
        while message.get("more_body"):
            message = await receive()
            part: bytes = message.get("body", b"")
            parts.append(part)
            size += len(part)
            if size > self._max_body_bytes:
                raise self._too_large()
        return b"".join(parts)

    def _bounded(self, body: bytes) -> bytes:
        if len(body) > self._max_body_bytes:
            raise self._too_large()
        return body

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"The body is larger than {self._max_body_bytes >> 20} MB.", remedy="Raise `gateway.max_body_mb`."
        )


def authenticate(plan: Plan, headers: Headers) -> Grant:
    """The grant of the request's key. Raises Unauthorized."""
    secret: str | None = None
    for name, value in headers:
        if name in _KEY_HEADERS:
            found = value.decode("latin-1").strip()
            if name == b"authorization":
                scheme, _, found = found.partition(" ")
                found = found.strip() if scheme.lower() == "bearer" else ""
            if secret is not None and found != secret:
                raise Unauthorized("The request has two different keys.", remedy="Send one of them.")
            secret = found
    if secret is None:
        raise Unauthorized(
            "There is no key in the request.",
            remedy="Send `Authorization: Bearer <key>`; `rondo keys create` makes one.",
        )
    grant = plan.grants.get(digest(secret))
    if grant is None:
        raise Unauthorized("This key is not valid.", remedy="`rondo keys list` shows the keys there are.")
    return grant


class _Whole(Struct, frozen=True):
    """A reply that is known whole."""

    status: int
    body: bytes
    headers: Headers

    async def send(self, send: Send) -> None:
        headers = [(b"content-length", str(len(self.body)).encode()), *self.headers]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body})


class _Stream(Struct, frozen=True):
    """A reply in parts."""

    streaming: Streaming

    async def send(self, send: Send) -> None:
        headers = [*_EVENTS, *_turn_headers(self.streaming.turn)]
        async with aclosing(self.streaming.parts) as parts:
            # Begun before anything is sent: a generator that never began would neither record nor let go upstream.
            first = await anext(parts)
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": first, "more_body": True})
            async for part in parts:
                await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


_Reply = _Whole | _Stream


async def _preflight(body: bytes) -> _Reply:
    """A browser asks whether it may send feedback; it may."""
    return _Whole(204, b"", _CORS)


async def _cancel_when_gone(receive: Receive, task: asyncio.Task[Any] | None) -> None:
    assert task is not None
    while (await receive())["type"] != "http.disconnect":
        pass
    task.cancel()


def _refusal(scope: Scope, error: RondoError) -> _Whole:
    headers: Headers = [_JSON]
    if error.trace_id is not None:
        headers.append((b"x-rondo-trace-id", error.trace_id.encode()))
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if scope["path"] == "/v1/feedback":
        headers += _CORS
    wire = WIRES.get(scope["path"], CHAT)
    return _Whole(status_of(error), wire.error(error), headers)


def _answered(call: Call, body: bytes) -> _Whole:
    return _Whole(200, body, [_JSON, *_call_headers(call)])


def _turn_headers(turn: Turn) -> Headers:
    headers = [(b"x-rondo-trace-id", turn.trace_id.encode())]
    if turn.release is not None:
        headers.append((b"x-rondo-release", turn.release.label.encode()))
    return headers


def _call_headers(call: Call) -> Headers:
    headers = [(b"x-rondo-trace-id", call.trace_id.encode())]
    if call.release is not None:
        headers.append((b"x-rondo-release", f"{call.app}#{call.release}".encode()))
    if call.cost_usd is not None:
        headers.append((b"x-rondo-cost-usd", f"{call.cost_usd:.8f}".encode()))
    return headers
