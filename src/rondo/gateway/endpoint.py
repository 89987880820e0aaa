"""The gateway's doors: from a request to the pipeline and back, in the wire that the client speaks.

Every route needs a key. Errors go out in the client's wire. When the client leaves, the work for it is cancelled, and
with it the call to the provider.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

import msgspec

from rondo.errors import Forbidden, NotFound, RondoError, TooLarge, unexpected
from rondo.feedback.scores import parse_feedback
from rondo.gateway import request_body
from rondo.gateway.answer import answer_body, passages
from rondo.gateway.keys import authenticate
from rondo.gateway.pipeline import CHAT, Answered, Pipeline, Streaming
from rondo.gateway.plan import Plan
from rondo.gateway.reply import Headers, Parts, Reply, Send, Whole, send_reply
from rondo.gateway.retry import Tries
from rondo.gateway.shadows import Shadows
from rondo.gateway.turn import Turn
from rondo.gateway.wire import parse_answer, parse_embeddings, status_of
from rondo.gateway.wires.base import ClientWire
from rondo.governance.model import Grant
from rondo.journal.append import Journal
from rondo.journal.segment import Kind
from rondo.records import Call, Score, ScoreKind, to_json

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Body = bytes | Callable[[], Awaitable[bytes]]

_log = logging.getLogger("rondo.gateway")
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

    def __init__(
        self,
        plan: Plan,
        journal: Journal,
        *,
        max_body_bytes: int,
        tries: Tries | None = None,
        total_timeout_s: float = 600.0,
    ) -> None:
        self.plan = plan
        """The plan that new requests begin with; swap it by setting it."""
        self._journal = journal
        self.tries = tries or Tries()
        """How each deployment has been doing."""
        self._pipeline = Pipeline(journal, self.tries, total_timeout_s=total_timeout_s)
        self.max_body_bytes = max_body_bytes
        self._doors: dict[tuple[str, str], Callable[[Plan, Grant, bytes], Awaitable[Reply]]] = {
            **{("POST", path): partial(self._chat, wire) for path, wire in WIRES.items()},
            ("POST", "/v1/embeddings"): self._embeddings,
            ("POST", "/v1/feedback"): self._feedback,
            ("GET", "/v1/models"): self._models,
        }

    @property
    def routes(self) -> list[tuple[str, str]]:
        """Every (method, path) there is, for the test that each needs a key."""
        return [*self._doors, ("POST", "/v1/apps/{app}/answer")]

    async def respond(self, method: str, path: str, headers: Headers, body: Body) -> Reply:
        """Answer one request; `body` is its bytes, or brings them once the request has been let in.

        Cancel it when the client leaves: the call to the provider ends with it.
        """
        try:
            door = self._let_in(self.plan, method, path, headers)
            return await door(body if isinstance(body, bytes) else await body())
        except RondoError as error:
            return _refusal(path, error)
        except Exception:
            _log.exception("unexpected error on %s", path)
            return _refusal(path, unexpected())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        leaving: asyncio.Task[None] | None = None

        async def body() -> bytes:
            nonlocal leaving
            data = await self._read_body(scope, receive)
            leaving = asyncio.create_task(_cancel_when_gone(receive, asyncio.current_task()))
            return data

        try:
            await send_reply(await self.respond(scope["method"], scope["path"], scope["headers"], body), send)
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

    @property
    def shadows(self) -> Shadows:
        """The copies of live requests that are under way."""
        return self._pipeline.shadows

    async def close(self) -> None:
        """End what runs in the background. Requests must have ended."""
        await self._pipeline.close()

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

    def _let_in(self, plan: Plan, method: str, path: str, headers: Headers) -> Callable[[bytes], Awaitable[Reply]]:
        """The door that this request may go through. Raises Unauthorized, Forbidden, NotFound."""
        if method == "OPTIONS" and path == "/v1/feedback":
            return _preflight
        grant = authenticate(plan, headers)
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

    async def _chat(self, wire: ClientWire, plan: Plan, grant: Grant, body: bytes) -> Reply:
        result = await self._pipeline.chat(plan, grant, wire.parse(body), wire=wire)
        if isinstance(result, Streaming):
            return Parts(result.parts, [*_EVENTS, *_turn_headers(result.turn)])
        return _answered(result.call, result.body)

    async def _embeddings(self, plan: Plan, grant: Grant, body: bytes) -> Reply:
        result = await self._pipeline.embeddings(plan, grant, parse_embeddings(body))
        return _answered(result.call, result.body)

    async def _answer(self, plan: Plan, grant: Grant, app: str, body: bytes) -> Reply:
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

    async def _feedback(self, plan: Plan, grant: Grant, body: bytes) -> Reply:
        score = await self.judge(grant, body)
        return Whole(200, msgspec.json.encode({"id": score.id, "trace_id": score.trace_id}), [_JSON, *_CORS])

    async def _models(self, plan: Plan, grant: Grant, body: bytes) -> Reply:
        names = [name for project, name in plan.apps if project == grant.project]
        if grant.apps:
            names = [name for name in names if name in grant.apps]
        else:
            names += [name for project, name in plan.models if project == grant.project]
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "rondo"} for name in names]
        return Whole(200, msgspec.json.encode({"object": "list", "data": models}), [_JSON])

    async def _read_body(self, scope: Scope, receive: Receive) -> bytes:
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > self.max_body_bytes:
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
            if size > self.max_body_bytes:
                raise self._too_large()
        return b"".join(parts)

    def _bounded(self, body: bytes) -> bytes:
        if len(body) > self.max_body_bytes:
            raise self._too_large()
        return body

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"The body is larger than {self.max_body_bytes >> 20} MB.", remedy="Raise `gateway.max_body_mb`."
        )


async def _preflight(body: bytes) -> Reply:
    """A browser asks whether it may send feedback; it may."""
    return Whole(204, b"", _CORS)


async def _cancel_when_gone(receive: Receive, task: asyncio.Task[Any] | None) -> None:
    assert task is not None
    while (await receive())["type"] != "http.disconnect":
        pass
    task.cancel()


def _refusal(path: str, error: RondoError) -> Whole:
    headers: Headers = [_JSON]
    if error.trace_id is not None:
        headers.append((b"x-rondo-trace-id", error.trace_id.encode()))
    if error.retry_after is not None:
        headers.append((b"retry-after", str(error.retry_after).encode()))
    if path == "/v1/feedback":
        headers += _CORS
    wire = WIRES.get(path, CHAT)
    return Whole(status_of(error), wire.error(error), headers)


def _answered(call: Call, body: bytes) -> Whole:
    return Whole(200, body, [_JSON, *_call_headers(call)])


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
