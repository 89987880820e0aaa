"""Ordered fallback: the models of a route are tried in turn until one answers.

A model that cannot be reached, is overloaded, fails, talks nonsense or refuses our key hands over to the next.
A request that is itself at fault (400, 413, 422, ...) goes back to the client at once. Once the client has seen a
byte, nothing is tried again; that is why `send` must bring back the first event of a stream.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from rondo.errors import UpstreamError
from rondo.gateway.plan import ServedModel
from rondo.gateway.turn import Turn
from rondo.gateway.wire import passes_on

T = TypeVar("T")

_TRY_NEXT = frozenset((404, 408, 409, 429))


async def first_answer(route: Sequence[ServedModel], send: Callable[[ServedModel], Awaitable[T]], turn: Turn) -> T:
    """The first good result of `send` along `route`; each try becomes a span. Raises the last UpstreamError."""
    for position, model in enumerate(route):
        since = turn.elapsed_ms()
        turn.model = model
        turn.attempts += 1
        try:
            result = await send(model)
        except UpstreamError as error:
            _note(turn, model, since, error)
            own_fault = error.status is not None and passes_on(error.status) and error.status not in _TRY_NEXT
            if own_fault or position == len(route) - 1:
                raise
        else:
            _note(turn, model, since, None)
            return result
    raise AssertionError("a route has at least one model")


def _note(turn: Turn, model: ServedModel, since: float, error: UpstreamError | None) -> None:
    status = 200 if error is None else error.status
    turn.add_span(
        "model",
        model.spec.name,
        since,
        error=error,
        provider=model.spec.provider,
        model=model.spec.model,
        status=status,
    )
