"""A call's place at a deployment: taken before the try, given back with word of how it went."""

from __future__ import annotations

from collections.abc import Callable

from rondo.errors import RondoError, UpstreamError
from rondo.gateway import faults
from rondo.gateway.deployments import Candidate, Candidates, host_of
from rondo.gateway.turn import Turn


class Place:
    """One try at one deployment: the ticket of its breaker, and what became of it."""

    __slots__ = (
        "_ended",
        "candidate",
        "candidates",
        "hedge",
        "noted",
        "now",
        "queue_ms",
        "retry",
        "since",
        "since_ms",
        "ticket",
    )

    def __init__(
        self, candidates: Candidates, candidate: Candidate, ticket: int, since: float, now: Callable[[], float]
    ) -> None:
        """Its place at the gate has been taken already. `now` tells the time that `since` is in."""
        self.candidates = candidates
        self.candidate = candidate
        self.ticket = ticket
        self.since = since
        self.now = now
        self.retry = 0
        self.queue_ms = self.since_ms = 0.0
        self.hedge = self.noted = self._ended = False
        candidate.state.in_flight += 1

    def answered(self) -> None:
        self.candidate.state.breaker.answered(self.ticket)

    def end(self, error: RondoError | None, *, forget: bool) -> None:
        """Give the place back, and say how it went. Only the first time counts."""
        if self._ended:
            return
        self._ended = True
        now = self.now()
        state = self.candidate.state
        state.in_flight -= 1
        if forget:
            state.breaker.forgotten(self.ticket)
        elif error is None:
            state.breaker.succeeded(self.ticket)
        else:
            state.breaker.failed(self.ticket, now, what=faults.in_a_word(error), rest_s=faults.rest_s(error))
        self.candidates.gate.give_back(None if forget or error else now - self.since)

    def note(self, turn: Turn, error: RondoError | None, *, lost: bool = False) -> None:
        """Make the try a span. `lost`: it was called off, since the other of two answered first."""
        self.noted = True
        spec = self.candidate.served.spec
        if error is None and not (self.retry or self.queue_ms or self.hedge or lost) and len(self.candidates.all) == 1:
            turn.keep_span("model", spec.name, self.since_ms, self.candidate.plain)
            return
        more: dict[str, object] = {}
        if len(self.candidates.all) > 1:
            more["deployment"] = host_of(spec.base_url) or spec.region or spec.model
        if self.retry:
            more["retry"] = self.retry
        if self.queue_ms:
            more["queue_ms"] = round(self.queue_ms, 3)
        if self.hedge or lost:
            more["hedge"] = "lost" if lost else "won" if error is None else "failed"
        status = None if lost else 200 if error is None else error.status if isinstance(error, UpstreamError) else None
        turn.add_span(
            "model",
            spec.name,
            self.since_ms,
            error=error,
            provider=spec.provider,
            model=spec.model,
            status=status,
            **more,
        )
