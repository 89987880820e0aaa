"""From a request to the models that are asked: choose, guard, rule, retrieve, render.

What a guard takes out of a request is out of the turn from here on, and so out of the record, the cache and every
prompt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec

from rondo.errors import InvalidRequest, RondoError
from rondo.gateway import request_body
from rondo.gateway.accounts import Accounts
from rondo.gateway.choose import choose, choose_route
from rondo.gateway.evaluated import Evaluated
from rondo.gateway.guarded import guard_request, withheld
from rondo.gateway.plan import ServedModel, ServedRelease
from rondo.gateway.request import ChatRequest
from rondo.gateway.routed import routed
from rondo.gateway.turn import Turn
from rondo.guards.chain import LARGE
from rondo.guards.model import Ask
from rondo.rules.chain import Decision

_encode = msgspec.json.Encoder().encode


async def prepare(turn: Turn, accounts: Accounts, ask: Ask) -> Sequence[ServedModel]:
    """The models to try, in order, with the app's messages put together; none where a guard has blocked the request.

    Raises RondoError.
    """
    request = turn.chat
    if turn.release is None:  # a shadow comes with its own
        if turn.evaluated is not None:
            return models_asked(turn.evaluated)
        try:
            chosen = choose_route(turn.plan, turn.grant, request, request.models, turn.trace_id)
        except RondoError:
            if _is_an_apps(turn):  # whose guards will never look at it
                turn.request = withheld(request)
            raise
        if not isinstance(chosen, ServedRelease):
            return chosen
        turn.app = turn.plan.apps[turn.grant.project, request.model]
        turn.release = chosen
    release = turn.release
    route: Sequence[ServedModel] = release.route
    if release.guards is not None:
        route = await _guard(turn, release, ask) or route
    if release.rules:
        route = await _rule(turn, release, request, accounts, route)
    turn.rerouted = route is not release.route
    if turn.blocked is not None:
        return ()
    retrieve(turn, release)
    render(turn, release)
    return route


def _is_an_apps(turn: Turn) -> bool:
    place = turn.grant.project, turn.request.model
    return place in turn.plan.apps or place in turn.plan.faults


def embedding_route(turn: Turn) -> Sequence[ServedModel]:
    """The model that embeds. Raises NotFound, Forbidden, InvalidRequest."""
    request = turn.request
    if turn.evaluated is not None:
        return models_asked(turn.evaluated)
    model = choose(turn.plan, turn.grant, request, turn.trace_id)
    if isinstance(model, ServedRelease):
        raise InvalidRequest(
            f"{request.model!r} is an app.", remedy="Embeddings need a model or provider/model.", param="model"
        )
    return (model,)


def models_asked(evaluated: Evaluated) -> tuple[ServedModel, ...]:
    """The models that an evaluation asks by themselves."""
    assert not isinstance(evaluated.served, ServedRelease)
    return evaluated.served


async def _guard(turn: Turn, release: ServedRelease, ask: Ask) -> Sequence[ServedModel]:
    """The request as the guards leave it; the models that they send it to, if they do."""
    request = turn.chat
    assert release.guards is not None
    turn.request = withheld(request)  # what is recorded if the client leaves meanwhile
    guarded = await guard_request(release.guards, request, ask, context=turn.context)
    turn.request, turn.context = guarded.request, guarded.context
    turn.verdicts, turn.issued = guarded.verdicts, guarded.issued
    if guarded.failure is not None:
        raise guarded.failure
    turn.blocked = guarded.blocked
    return tuple(release.models[name] for name in guarded.route)


async def _rule(
    turn: Turn, release: ServedRelease, request: ChatRequest, accounts: Accounts, route: Sequence[ServedModel]
) -> Sequence[ServedModel]:
    """The models of the first rule that holds for the request as it came. A guard's route goes before any rule."""
    since = turn.elapsed_ms()
    left = await accounts.budget_left(turn) if release.rules.asks(("budget",)) else None
    decide = partial(routed, release, request, lambda: left)
    large = sum(map(len, request.fields.values())) > LARGE
    found = await asyncio.to_thread(decide) if large else decide()  # others are not to wait for a long one's facts
    if found.decision is None or route is not release.route:
        return route
    _note(turn, found.decision, since)
    return found.route


def _note(turn: Turn, decision: Decision, since: float) -> None:
    turn.rule = decision.when
    turn.add_span("rule", decision.when, since, use=decision.use, why=decision.why)


def retrieve(turn: Turn, release: ServedRelease) -> None:
    """Put the passages before the model: those given, or the best of the release's knowledge."""
    request = turn.chat
    if turn.context is not None:
        turn.chunks = list(turn.context)
    elif release.index is not None:
        since = turn.elapsed_ms()
        query = request.question or " ".join(value for value in request.inputs.values() if isinstance(value, str))
        turn.chunks = release.index.search(query, release.top_k)
        turn.add_span("retrieve", release.knowledge or "", since, version=release.knowledge_version, k=release.top_k)


def render(turn: Turn, release: ServedRelease) -> None:
    """The messages that the model gets, from the release's prompt and the client's messages."""
    since = turn.elapsed_ms()
    turn.rendered = _encode(request_body.messages(release, turn.chat, turn.chunks))
    turn.add_span("render", release.prompt, since, version=release.prompt_version)
