"""The cache in the gateway's words: which request may be cached and how, what a hit brings, how a question is embedded.

An app without `[cache]` never comes here. What is kept is the model's own answer, as it was before pseudonyms were put
back; so a hit goes through the same output guards, and to the same wire, as an answer that a model gave just now.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from rondo import clock
from rondo.cache.answers import Answers, Embed, Lead
from rondo.cache.key import asked
from rondo.cache.meaning import Vector
from rondo.cache.model import Asked, CachePolicy, Hit, Kept
from rondo.errors import UpstreamCut
from rondo.gateway.plan import ServedModel, ServedRelease
from rondo.gateway.reading import UNREADABLE, read
from rondo.gateway.request import ChatRequest
from rondo.gateway.turn import Turn
from rondo.guards.model import Ask

Freshness = Literal["use", "refresh", "none"]
"""What a client's `cache-control` asks: a kept answer if there is one, a new one to be kept, or neither."""

Headers = Sequence[tuple[bytes, bytes]]


def freshness(headers: Headers) -> Freshness:
    """`no-store` neither reads nor keeps; `no-cache` and `max-age=0` ask anew, and keep what comes."""
    found: Freshness = "use"
    for name, value in headers:
        if name == b"cache-control":
            directives = {each.strip() for each in value.lower().split(b",")}
            if b"no-store" in directives:
                return "none"
            if b"no-cache" in directives or b"max-age=0" in directives:
                found = "refresh"
    return found


class Cache:
    """The cache of this process, for the turns of the pipeline."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    async def look(
        self, turn: Turn, route: Sequence[ServedModel], freshness: Freshness, ask: Ask
    ) -> bytes | Lead | None:
        """A completion that was kept, which the turn then knows of; or the duty to make one; or None: not to be cached.

        `route` are the models that would be tried, as rules and guards left it. A shadow is to show what a model says
        now, and so is an evaluation, so neither comes from here.
        """
        policy = turn.release.cache if turn.release is not None else None
        if policy is None or freshness == "none" or not route:
            return None
        if turn.shadow_of is not None or turn.evaluated is not None:
            return None
        asked = asked_of(policy, turn, route)
        if asked is None:
            return None
        since = turn.elapsed_ms()
        semantic = policy.semantic if asked.group is not None else None
        found = await self._answers.look(
            asked,
            policy,
            refresh=freshness == "refresh",
            stream=turn.request.stream,
            embed=None if semantic is None else embedder(ask, semantic.model),
        )
        if isinstance(found, Lead):
            return found
        turn.hit = found
        turn.add_span("cache", found.found_by, since, **about(found))
        return found.kept.completion

    def keep(self, lead: Lead, turn: Turn, completion: bytes) -> None:
        """Keep the turn's answer, as it may be given to others."""
        if turn.model is None:
            lead.abandon()
        else:
            _, cost = turn.bill()
            saved = None if cost is None else max(0.0, cost - turn.side_usd)
            lead.keep(kept_of(completion, turn.model, saved, turn.trace_id))

    async def close(self) -> None:
        """Let what is on its way to Redis arrive."""
        await self._answers.close()


def asked_of(policy: CachePolicy, turn: Turn, route: Sequence[ServedModel]) -> Asked | None:
    """The turn's request as the cache knows it; None where it must not be cached."""
    release, request, context = turn.release, turn.chat, turn.context
    assert release is not None
    return asked(
        policy,
        place=(turn.grant.project, release.app, release.hash, *_arm(release), *(model.spec.name for model in route)),
        messages=turn.rendered,
        fields=request.fields,
        frozen=release.params,
        question=request.question,
        passages=[chunk.text for chunk in turn.chunks],
        given=None if context is None else [chunk.text for chunk in context],
        inputs=request.inputs,
        who=_who(request),
    )


def _arm(release: ServedRelease) -> Sequence[str]:
    """Both sides of a rollout begin with an empty cache: what a release has kept so far would make it look quicker and
    cheaper."""
    return () if release.rollout is None else (release.variant or "", release.rollout)


def _who(request: ChatRequest) -> str | None:
    """The user, else the conversation, never one mistaken for the other."""
    if request.user:
        return f"user {request.user}"
    return f"session {request.session}" if request.session else None


def kept_of(completion: bytes, model: ServedModel, cost: float | None, trace_id: str) -> Kept:
    """An answer to keep, made just now."""
    spec = model.spec
    return Kept(
        completion=completion,
        model=spec.name,
        provider=spec.provider,
        cost_usd=cost,
        trace_id=trace_id,
        made_at=clock.now_us(),
    )


def about(hit: Hit) -> dict[str, Any]:
    """What the record's span says of a hit."""
    return {
        "found_by": hit.found_by,
        "similarity": None if hit.similarity is None else round(hit.similarity, 4),
        "made_by": hit.kept.trace_id,
        "age_s": max(0, clock.now_us() - hit.kept.made_at) // 1_000_000,
    }


def embedder(ask: Ask, model: str) -> Embed:
    """Vectors of questions by the model of this name. They raise what `ask` does, and UpstreamCut."""

    async def embed(question: str) -> Vector:
        answer = await ask(model, "/embeddings", {"input": question})
        try:
            return read(_embeddings, answer).data[0].embedding
        except (*UNREADABLE, IndexError):
            raise UpstreamCut(f"The answer of the embedding model {model!r} cannot be read.") from None

    return embed


class _Embedding(Struct):
    embedding: list[float]


class _Embeddings(Struct):
    data: list[_Embedding]


_embeddings = msgspec.json.Decoder(_Embeddings)
