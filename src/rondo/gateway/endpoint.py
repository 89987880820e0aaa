"""The gateway's doors: from a request to the pipeline and back, in the wire that the client speaks.

Every route needs a key. Errors go out in the client's wire. When the client leaves, the work for it is cancelled, and
with it the call to the provider.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from rondo.cache.answers import Answers
from rondo.errors import RondoError, TooLarge, unexpected
from rondo.gateway.cached import Cache
from rondo.gateway.doors import Doors, preflight, refusal
from rondo.gateway.evaluated import Evaluated
from rondo.gateway.keys import RecentKeys
from rondo.gateway.pipeline import CHAT, Pipeline
from rondo.gateway.plan import Plan
from rondo.gateway.recall import Lookup, RecentCalls
from rondo.gateway.reply import Headers, Reply, Send, Whole, send_reply
from rondo.gateway.result import Answered, Streaming
from rondo.gateway.retry import Tries
from rondo.gateway.shadows import Shadows
from rondo.gateway.visitor import Visitor
from rondo.gateway.wire import parse_embeddings
from rondo.governance.admit import require_secret
from rondo.governance.model import Grant
from rondo.journal.append import Journal
from rondo.limits.ledger import Ledger
from rondo.limits.memory import MemoryLedger
from rondo.providers.base import Path
from rondo.records import Call, Chunk, Score, ScoreKind

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Body = bytes | Callable[[], Awaitable[bytes]]

_log = logging.getLogger("rondo.gateway")
_ELSEWHERE = ("/v1/files", "/v1/batches", "/v1/traces", "/v1/logs")


def is_gateways(path: str) -> bool:
    """Whether a path is the gateway's to answer; the control plane has the others."""
    return path.startswith("/v1/") and not path.startswith(_ELSEWHERE)


class Gateway:
    """An ASGI application for the paths that are its own."""

    def __init__(
        self,
        plan: Plan,
        journal: Journal,
        *,
        max_body_bytes: int,
        tries: Tries | None = None,
        ledger: Ledger | None = None,
        answers: Answers | None = None,
        lookup: Lookup | None = None,
        total_timeout_s: float = 600.0,
    ) -> None:
        self.plan = plan
        """The plan that new requests begin with; swap it by setting it."""
        self._journal = journal
        self._keys = RecentKeys()
        self.tries = tries or Tries()
        """How each deployment has been doing."""
        self.ledger: Ledger = ledger or MemoryLedger()
        """What has been used of limits and budgets."""
        cache = Cache(answers or Answers(most_bytes=1 << 20))
        self._pipeline = Pipeline(journal, self.tries, self.ledger, cache, total_timeout_s=total_timeout_s)
        self.max_body_bytes = max_body_bytes
        recent = RecentCalls(lookup or _nobody)
        self._pipeline.on_record = recent.keep
        self._doors = Doors(self._pipeline, journal, recent, max_body_bytes=max_body_bytes)

    @property
    def routes(self) -> list[tuple[str, str]]:
        """Every (method, path) there is, for the test that each needs a key."""
        return self._doors.routes

    async def respond(self, method: str, path: str, headers: Headers, body: Body, *, query: bytes = b"") -> Reply:
        """Answer one request; `body` is its bytes, or brings them once the request has been let in.

        Cancel it when the client leaves: the call to the provider ends with it.
        """
        try:
            if method == "OPTIONS" and path == "/v1/feedback":
                return preflight()
            plan = self.plan
            grant = self._keys.authenticate(plan, headers)
            if path != "/v1/feedback":
                require_secret(grant)
            door = self._doors.find(method, path)
            if not isinstance(body, bytes):
                body = await body()
            return await door(Visitor(plan, grant, headers, query), body)
        except RondoError as error:
            return refusal(path, error)
        except Exception:
            _log.exception("unexpected error on %s", path)
            return refusal(path, unexpected())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        leaving: asyncio.Task[None] | None = None

        async def body() -> bytes:
            nonlocal leaving
            data = await self._read_body(scope, receive)
            leaving = asyncio.create_task(_cancel_when_gone(receive, asyncio.current_task()))
            return data

        try:
            query = scope.get("query_string", b"")
            reply = await self.respond(scope["method"], scope["path"], scope["headers"], body, query=query)
            await send_reply(reply, send)
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

    async def evaluate(
        self,
        grant: Grant,
        path: Path,
        body: bytes,
        evaluated: Evaluated,
        tags: dict[str, str],
        *,
        context: Sequence[Chunk] | None = None,
    ) -> Answered:
        """Answer a chat or embeddings request, which must not stream, by whom an evaluation asks.

        `tags` are put over the request's own; `context` takes the place of retrieval. Raises RondoError, recorded.
        """
        if path == "/embeddings":
            embedding = parse_embeddings(body)
            embedding.tags = embedding.tags | tags
            return await self._pipeline.embeddings(self.plan, grant, embedding, evaluated)
        request = CHAT.parse(body)
        request.tags = request.tags | tags
        answered = await self._pipeline.chat(self.plan, grant, request, context=context, pinned=evaluated)
        assert isinstance(answered, Answered)
        return answered

    async def carry_out(self, grant: Grant, path: str, body: bytes, tags: dict[str, str]) -> Whole:
        """Answer a request, which must not stream, from someone who has been let in already: a line of a batch.

        `tags` are put beside the request's own. Raises RondoError, recorded.
        """
        try:
            reply = await self._doors.find("POST", path)(Visitor(self.plan, grant, [], b"", tags), body)
        except RondoError:
            raise
        except Exception:
            _log.exception("unexpected error on %s", path)
            raise unexpected() from None
        assert isinstance(reply, Whole)
        return reply

    async def judge(self, grant: Grant, body: bytes, *, kind: ScoreKind = "user") -> Score:
        """Keep feedback. Raises InvalidRequest, and Unavailable where the journal takes nothing."""
        return await self._doors.judge(grant, body, kind=kind)

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


async def _cancel_when_gone(receive: Receive, task: asyncio.Task[Any] | None) -> None:
    assert task is not None
    while (await receive())["type"] != "http.disconnect":
        pass
    task.cancel()


async def _nobody(project: str, trace_id: str) -> Call | None:
    """Where there are no records to look in."""
    return None
