"""Questions that the gateway itself has for a model on behalf of a request: a judge's, a moderator's, an embedding.

They are steps of the request's own record, and their cost is part of its cost. Where a budget applies, each is
reserved before it is sent, like a request.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from rondo.errors import RondoError
from rondo.gateway.accounts import Accounts, matched_by
from rondo.gateway.attempt import read_reply
from rondo.gateway.completion import Said
from rondo.gateway.plan import ServedModel
from rondo.gateway.reading import UNREADABLE, read
from rondo.gateway.request import ChatRequest, ClientRequest, EmbeddingsRequest
from rondo.gateway.retry import Tries
from rondo.gateway.spending import bound_to_send
from rondo.gateway.turn import Turn
from rondo.guards.model import Ask
from rondo.providers.base import Path, ProviderRequest

_encode = msgspec.json.Encoder().encode
TIMEOUT_S = 30.0


class _Spent(Struct):
    usage: dict[str, Any] | None = None


_spent = msgspec.json.Decoder(_Spent)


def errands(turn: Turn, tries: Tries, accounts: Accounts) -> Ask:
    """Asks a model of the turn's release by its name.

    Raises UpstreamError and what else keeps it from being asked: BudgetExceeded and PriceUnknown among it.
    """

    async def ask(name: str, path: Path, request: dict[str, Any]) -> bytes:
        assert turn.release is not None
        model = turn.release.models[name]
        errand = Turn(turn.plan, turn.grant, turn.wire, turn.request)
        since = turn.elapsed_ms()

        async def send(served: ServedModel) -> bytes:
            body = _encode({**served.spec.params, **request, "model": served.spec.model})
            return await read_reply(await served.provider.send(ProviderRequest(path=path, body=body)))

        try:
            matched = matched_by(turn)
            if matched is not None and matched.money is not None:
                errand.request = _as_a_clients(path, request, name)
                bound = bound_to_send(matched.money, errand.request, model)
                request = request if bound is None else {**request, bound[0]: bound[1]}
                await accounts.reserve_errand(turn, errand, matched.money, model)
            won = await tries.first((model,), send, errand, total_timeout_s=TIMEOUT_S)
        except RondoError as error:
            # The provider's words may repeat the text that is to be looked at, and the record is no place for it.
            unasked = RondoError(f"The model {name!r} could not be asked: {error.code}.")
            turn.add_span("errand", name, since, error=unasked, path=path)
            raise
        won.release()
        asked = won.model
        turn.add_span("errand", name, since, provider=asked.spec.provider, model=asked.spec.model, path=path)
        errand.said = Said(usage=_usage(won.value))
        turn.side_usd += errand.bill()[1] or 0.0  # an unknown price or usage counts nothing
        return won.value

    return ask


def _as_a_clients(path: Path, request: dict[str, Any], model: str) -> ClientRequest:
    """The errand as a request whose worst case can be told."""
    fields = {name: Raw(_encode(value)) for name, value in request.items()}
    if path == "/chat/completions":
        return ChatRequest(fields=fields, model=model, messages=[])
    return EmbeddingsRequest(fields=fields, model=model)


def _usage(body: bytes) -> dict[str, Any] | None:
    try:
        return read(_spent, body).usage
    except UNREADABLE:
        return None
