"""Questions that the gateway itself has for a model on behalf of a request: a judge's, a moderator's, an embedding.

They are steps of the request's own record, and their cost is part of its cost.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from rondo.errors import RondoError
from rondo.gateway.attempt import read_reply
from rondo.gateway.plan import ServedModel
from rondo.gateway.reading import UNREADABLE, read
from rondo.gateway.retry import Tries
from rondo.gateway.turn import Turn
from rondo.guards.model import Ask
from rondo.providers.base import Path, ProviderRequest
from rondo.traces.cost import cost_usd, is_counted, usage_from

_encode = msgspec.json.Encoder().encode
TIMEOUT_S = 30.0


class _Spent(Struct):
    usage: dict[str, Any] | None = None


_spent = msgspec.json.Decoder(_Spent)


def errands(turn: Turn, tries: Tries) -> Ask:
    """Asks a model of the turn's release by its name. Raises UpstreamError and what else keeps it from being asked."""

    async def ask(name: str, path: Path, request: dict[str, Any]) -> bytes:
        assert turn.release is not None
        model = turn.release.models[name]
        side = Turn(turn.plan, turn.grant, turn.wire, turn.request)
        since = turn.elapsed_ms()

        async def send(served: ServedModel) -> bytes:
            body = _encode({**served.spec.params, **request, "model": served.spec.model})
            return await read_reply(await served.provider.send(ProviderRequest(path=path, body=body)))

        try:
            won = await tries.first((model,), send, side, total_timeout_s=TIMEOUT_S)
        except RondoError as error:
            # The provider's words may repeat the text that is to be looked at, and the record is no place for it.
            unasked = RondoError(f"The model {name!r} could not be asked: {error.code}.")
            turn.add_span("errand", name, since, error=unasked, path=path)
            raise
        won.release()
        asked = won.model
        turn.add_span("errand", name, since, provider=asked.spec.provider, model=asked.spec.model, path=path)
        turn.side_usd += _cost(asked, won.value)
        return won.value

    return ask


def _cost(model: ServedModel, body: bytes) -> float:
    """US dollars; an unknown price or usage counts nothing."""
    try:
        usage = read(_spent, body).usage
    except UNREADABLE:
        return 0.0
    if usage is None or model.price is None or not is_counted(usage):
        return 0.0
    return cost_usd(usage_from(usage), model.price)
