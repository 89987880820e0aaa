"""One request's way along its route: which model and deployment is asked, how often, and when the next one is.

`retry.py` starts it and bounds it in time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence, Set
from math import ceil
from typing import Any, Generic, NamedTuple, TypeVar

from rondo.errors import (
    InvalidRequest,
    Overloaded,
    RateLimited,
    RondoError,
    Unavailable,
    UpstreamError,
    UpstreamTimeout,
)
from rondo.gateway import faults
from rondo.gateway.deadlines import Alarm, Deadlines
from rondo.gateway.deployments import Candidates, Deployments, DeploymentState
from rondo.gateway.hedge import hedged
from rondo.gateway.place import Place
from rondo.gateway.plan import ServedModel
from rondo.gateway.spending import may_have_cost
from rondo.gateway.turn import Turn
from rondo.gateway.within import within
from rondo.gateway.won import Won
from rondo.providers.base import ModelSpec

T = TypeVar("T")
_NONE: Set[DeploymentState] = frozenset()


class Means(NamedTuple):
    """What all requests of a process share: the deployments, the deadlines, chance (0 to 1), and the time."""

    deployments: Deployments
    deadlines: Deadlines
    chance: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]]
    now: Callable[[], float]


class AlongRoute(Generic[T]):
    """Its steps, each saying what comes next."""

    _alarm: Alarm
    """Set when it begins to run."""

    __slots__ = (
        "_alarm",
        "_busy",
        "_deadline",
        "_discard",
        "_error",
        "_means",
        "_route",
        "_send",
        "_streaming",
        "_total_s",
        "_tried",
        "_turn",
    )

    def __init__(
        self,
        means: Means,
        route: Sequence[ServedModel],
        send: Callable[[ServedModel], Awaitable[T]],
        turn: Turn,
        *,
        total_s: float,
        streaming: bool,
        discard: Callable[[T], None] | None,
    ) -> None:
        self._means = means
        self._route = route
        self._send = send
        self._turn = turn
        self._total_s = total_s
        self._deadline = means.now() + total_s
        self._streaming = streaming
        self._discard = discard
        self._error: RondoError | None = None
        self._tried: Set[DeploymentState] = _NONE
        """Deployments that have failed this request."""
        self._busy: tuple[ServedModel, ...] = ()
        """Models passed by for want of a place."""

    async def run(self, task: asyncio.Task[object]) -> Won[T]:
        """`task` is the one that runs; it is cancelled when `total_s` have passed, which then is an UpstreamTimeout."""
        cancelling = task.cancelling()
        alarm = self._alarm = self._means.deadlines.after(self._total_s, task.cancel, task.get_loop())
        route = self._route
        try:
            for position, model in enumerate(route):
                won = await self._model(model, route[position + 1 :])
                if won is not None:
                    return won
            for model in self._busy:  # none of the others was good, so a place in the queue it is
                won = await self._model(model, ())
                if won is not None:
                    return won
        except asyncio.CancelledError:
            if alarm.rang and task.uncancel() <= cancelling:
                raise self._out_of_time() from None
            raise
        finally:
            alarm.off()
        assert self._error is not None, "a route has at least one model"
        raise self._error

    def _out_of_time(self) -> RondoError:
        return UpstreamTimeout(
            f"There was no answer within {self._total_s:.3g} s, the longest this request may take.",
            remedy="`total_timeout_s` sets it.",
        )

    async def _model(self, model: ServedModel, rest: Sequence[ServedModel]) -> Won[T] | None:
        """What one model answers; None where the next one should be asked. Raises what the client must be told."""
        spec = model.spec
        failed = 0
        while True:
            candidates = self._means.deployments.of(self._turn.grant.project, model)
            now = self._means.now()
            place = self._at(candidates, now) if candidates.gate.take_now(spec.max_concurrent) else None
            if place is None:
                place = await self._when_free(candidates, rest, now)
                if place is None:
                    return None
            place.retry = failed
            try:
                if spec.hedge_after_s is None:
                    value = await self._one(place)
                else:
                    value, place = await self._two(place, spec.hedge_after_s)
            except RondoError as error:
                verdict = faults.judge(error)
                if verdict.then == "tell":
                    raise
                self._keep(error)
                failed += 1
                if verdict.then == "next" or failed > spec.retries:
                    return None
                failure = error
            else:
                self._turn.model = place.candidate.served
                return Won(value, place, self._end_of(place), self._means.deadlines)
            if not await self._wait(candidates, failed, failure, rest):
                return None

    async def _when_free(self, candidates: Candidates, rest: Sequence[ServedModel], now: float) -> Place | None:
        """A place after a wait in the queue; None where the next model is the better way, with the reason noted."""
        if not candidates.available(now):
            self._skip(candidates, self._left_alone(candidates, now))
            return None
        if self._any_free(rest, now):
            self._busy = (*self._busy, candidates.model)
            self._skip(candidates, Overloaded(f"The model {candidates.model.spec.name!r} is busy."), keep=False)
            return None
        since = self._turn.elapsed_ms()
        try:
            await self._queue(candidates, now)
        except (RateLimited, Overloaded) as error:
            self._skip(candidates, error, since)
            return None
        now = self._means.now()
        place = self._at(candidates, now)
        if place is None:
            self._skip(candidates, self._left_alone(candidates, now))
            return None
        place.queue_ms = self._turn.elapsed_ms() - since
        return place

    async def _queue(self, candidates: Candidates, now: float) -> None:
        spec = candidates.model.spec
        assert spec.max_concurrent is not None, "without a limit there is always room"
        timeout_s = max(0.0, min(spec.queue_timeout_s, self._deadline - now))
        await candidates.gate.take(spec.name, limit=spec.max_concurrent, queue=spec.queue, timeout_s=timeout_s)

    def _at(self, candidates: Candidates, now: float, *, beside: Place | None = None) -> Place | None:
        """A place at one of the deployments; the gate has let us in, and is told where none of them is open."""
        candidate = candidates.pick(now, self._tried if beside is None else {*self._tried, beside.candidate.state})
        ticket = None if candidate is None else candidate.state.breaker.begin(now)
        if candidate is None or ticket is None:
            candidates.gate.give_back(None)
            return None
        return Place(candidates, candidate, ticket, now, self._means.now)

    async def _one(self, place: Place) -> T:
        """One try. Unless it goes well, its place has been given back."""
        turn = self._turn
        served = place.candidate.served
        place.since_ms = turn.elapsed_ms()
        turn.model = served
        turn.attempts += 1
        try:
            turn.unsure = (*turn.unsure, place.candidates.model)
            if len(turn.unsure) > 1 and turn.make_room is not None:
                await turn.make_room(turn)
            bound = self._bound(served.spec)
            sent = self._send(served)
            value = await (sent if bound is None else within(bound, sent, served.spec.name))
        except RondoError as error:
            if not may_have_cost(error):
                turn.not_billed(served)
            place.end(error, forget=not faults.judge(error).counts)
            self._tried = {*self._tried, place.candidate.state}
            place.note(turn, error)
            raise
        except BaseException:
            if self._alarm.rang:
                had_its_time = self._means.now() - place.since >= self._total_s / 2
                place.end(self._out_of_time(), forget=not had_its_time)
                place.note(turn, self._out_of_time())
            place.end(None, forget=True)
            raise
        place.answered()
        place.note(turn, None)
        return value

    async def _two(self, place: Place, after_s: float) -> tuple[T, Place]:
        """One try, and another where it is slow. Also who won; the loser has given its place back."""
        places = [place]

        async def run(which: Place) -> tuple[T, Place]:
            return await self._one(which), which

        def second() -> Coroutine[Any, Any, tuple[T, Place]] | None:
            other = self._beside(place)
            if other is None:
                return None
            places.append(other)
            return run(other)

        winner: Place | None = None
        try:
            won = await hedged(run(place), second, after_s=after_s, decides=_is_the_requests_own, discard=self._let_go)
            winner = won[1]
            return won
        finally:
            for each in places:
                if each is not winner:
                    each.end(None, forget=True)
                    if winner is not None and not each.noted:
                        each.note(self._turn, None, lost=True)

    def _beside(self, place: Place) -> Place | None:
        """A second try, at another deployment where there is one; only if there is room for it at once."""
        candidates = place.candidates
        if not candidates.gate.take_now(candidates.model.spec.max_concurrent):
            return None
        other = self._at(candidates, self._means.now(), beside=place)
        if other is not None:
            other.retry, other.hedge = place.retry, True
        return other

    def _let_go(self, late: tuple[T, Place]) -> None:
        if self._discard is not None:
            self._discard(late[0])

    def _bound(self, spec: ModelSpec) -> float | None:
        """How long one try may take."""
        bound = spec.try_timeout_s
        if self._streaming and spec.first_token_timeout_s is not None:
            return spec.first_token_timeout_s if bound is None else min(bound, spec.first_token_timeout_s)
        return bound

    async def _wait(self, candidates: Candidates, failed: int, error: RondoError, rest: Sequence[ServedModel]) -> bool:
        """Wait before the next try at this model; False where that makes no sense."""
        now = self._means.now()
        if candidates.has_other(now, self._tried):
            return True
        asked = error.retry_after if isinstance(error, UpstreamError) else None
        if asked is not None and asked > faults.LONGEST_WAIT_S:
            return False
        wait_s = faults.wait_s(failed, asked, self._means.chance())
        if wait_s > faults.PATIENCE_S and self._any_free(rest, now):
            return False
        if now + wait_s >= self._deadline or not candidates.available(now + wait_s):
            return False
        await self._means.sleep(wait_s)
        return True

    def _any_free(self, models: Sequence[ServedModel], now: float) -> bool:
        """Whether one of them would take a call at once."""
        for model in models:
            candidates = self._means.deployments.of(self._turn.grant.project, model)
            if candidates.gate.has_room(model.spec.max_concurrent) and candidates.available(now):
                return True
        return False

    def _end_of(self, place: Place) -> float:
        try_s = place.candidate.served.spec.try_timeout_s
        return self._deadline if try_s is None else min(self._deadline, place.since + try_s)

    def _left_alone(self, candidates: Candidates, now: float) -> RondoError:
        wait_s = candidates.wait_s(now)
        breaker = min((each.state.breaker for each in candidates.all), key=lambda each: each.wait_s(now))
        how_long = f"for {wait_s:.3g} s" if wait_s else "while one call probes it"
        message = (
            f"The model {candidates.model.spec.name!r} is left alone {how_long}: failures in a row: {breaker.failures},"
            f" the last one: {breaker.last}."
        )
        remedy = "Try again then, or put another model behind it in the route."
        retry_after = max(1, ceil(wait_s))
        if breaker.last == "429":  # what a client of a busy provider understands, also while nobody asks it
            return RateLimited(message, retry_after=retry_after, remedy=remedy)
        error = Unavailable(message, remedy=remedy)
        error.retry_after = retry_after
        return error

    def _skip(
        self, candidates: Candidates, error: RondoError, since_ms: float | None = None, *, keep: bool = True
    ) -> None:
        """Go on to the next model without a try, and say why in a span."""
        if keep:
            self._keep(error)
        spec = candidates.model.spec
        since_ms = self._turn.elapsed_ms() if since_ms is None else since_ms
        self._turn.add_span(
            "model", spec.name, since_ms, error=error, provider=spec.provider, model=spec.model, skipped=error.code
        )

    def _keep(self, error: RondoError) -> None:
        """Remember the error that says most: what a provider said, before what kept us from asking one."""
        if self._error is None or _weight(error) >= _weight(self._error):
            self._error = error


def _is_the_requests_own(error: BaseException) -> bool:
    """Whether the other of two tries would only end the same."""
    return not isinstance(error, RondoError) or faults.judge(error).then == "tell"


def _weight(error: RondoError) -> int:
    return 2 if isinstance(error, UpstreamError) else 0 if isinstance(error, InvalidRequest) else 1
