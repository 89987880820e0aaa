"""Asking a judge's model for one verdict: sent, read strictly, sent once more where the reply could not be read.

A reply that cannot be read twice is an error, and so is a model that could not be asked; neither is ever a score.
Models that know nothing of structured output or of token probabilities are asked without, from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from msgspec import Struct

from rondo.errors import BudgetExceeded, InvalidRequest, PriceUnknown, RondoError, UpstreamError
from rondo.evals.judges import prompt
from rondo.evals.judges.verdict import Unreadable
from rondo.evals.model import Answer, AskModel

T = TypeVar("T")

_OPTIONAL = ("response_format", "logprobs", "top_logprobs")
_ENDS_THE_RUN = (BudgetExceeded, PriceUnknown)
_SHOWN = 200


class Vote(Struct, Generic[T], frozen=True, kw_only=True):
    """One verdict, or the error in its place. `repaired`: it took the second try. `cost_usd` is of all tries."""

    verdict: T | None
    error: RondoError | None = None
    repaired: bool = False
    cost_usd: float = 0.0


class Asking:
    """One judge's requests to its model. `name` is the judge's, for the tags of the records."""

    def __init__(self, name: str, model: str, ask: AskModel) -> None:
        self._name = name
        self._model = model
        self._ask = ask
        self._plain = False

    async def vote(
        self, request: Mapping[str, Any], read: Callable[[Answer], T], *, form: str, number: int = 1
    ) -> Vote[T]:
        """The verdict that `read` finds in the reply; `form` says what one looks like.

        Raises BudgetExceeded and PriceUnknown, which end more than this vote.
        """
        cost = 0.0
        tags = {"judge": self._name, "vote": str(number)}
        body = {**request, "metadata": tags}
        try:
            answer = await self._send(body)
            cost += _paid(answer)
            try:
                return Vote(verdict=_read(answer, read), cost_usd=cost)
            except Unreadable as error:
                problem = error.message
            body = {**prompt.repaired(body, answer.text, problem, form), "metadata": {**tags, "repair": "1"}}
            answer = await self._send(body)
            cost += _paid(answer)
            return Vote(verdict=_read(answer, read), repaired=True, cost_usd=cost)
        except _ENDS_THE_RUN:
            raise
        except RondoError as error:
            return Vote(verdict=None, error=error, cost_usd=cost)

    async def _send(self, body: dict[str, Any]) -> Answer:
        bare = {name: value for name, value in body.items() if name not in _OPTIONAL}
        if self._plain:
            return await self._ask(self._model, bare)
        try:
            return await self._ask(self._model, body)
        except (InvalidRequest, UpstreamError) as error:
            refused = isinstance(error, InvalidRequest) or error.status in (400, 422)
            if not refused or isinstance(error, _ENDS_THE_RUN) or len(bare) == len(body):
                raise
        answer = await self._ask(self._model, bare)
        self._plain = True
        return answer


def _paid(answer: Answer) -> float:
    return 0.0 if answer.cached else answer.cost_usd or 0.0


def _read(answer: Answer, read: Callable[[Answer], T]) -> T:
    refusal = answer.message.get("refusal")
    if isinstance(refusal, str) and refusal and not answer.text.strip():
        raise Unreadable(f"The judge refused: {refusal:.{_SHOWN}}")
    try:
        return read(answer)
    except Unreadable as error:
        said = " ".join(answer.text.split())
        more = f" It said: {said:.{_SHOWN}}" if said else ""
        cut = " It was cut off: give it more `max_tokens`." if answer.finish_reason == "length" else ""
        raise Unreadable(error.message + cut + more) from None
