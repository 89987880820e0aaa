"""When to leave a deployment alone: a circuit breaker. Pure; whoever asks brings the time.

Closed, calls pass. After so many failures in a row it opens, and for a while nothing passes; a provider that asks to
be left alone longer opens it at once, for as long as it asks. Then it is half-open: one call goes through as a probe,
and what becomes of it closes it or opens it again. Calls that began before it opened say nothing about what came
after, so each call holds the ticket of its time, and a stale one counts for nothing.
"""

from __future__ import annotations

from typing import Literal

State = Literal["closed", "open", "half_open"]


class Breaker:
    """One deployment's. Times are seconds of any clock that never goes back."""

    __slots__ = ("_era", "_limit", "_open_s", "_open_until", "_probing", "failures", "last")

    def __init__(self, limit: int, open_s: float) -> None:
        """`limit` failures in a row open it for `open_s`."""
        self._limit = limit
        self._open_s = open_s
        self._open_until: float | None = None
        self._probing = False
        self._era = 0
        self.failures = 0
        """In a row, up to now."""
        self.last = ""
        """What the last failure was, in a word."""

    def state(self, now: float) -> State:
        if self._open_until is None:
            return "closed"
        return "open" if now < self._open_until else "half_open"

    def passes(self, now: float) -> bool:
        """Whether a call could begin."""
        return self._open_until is None or (now >= self._open_until and not self._probing)

    def wait_s(self, now: float) -> float:
        """How long until a probe may go through; 0 where one may, or is under way."""
        return 0.0 if self._open_until is None else max(0.0, self._open_until - now)

    def begin(self, now: float) -> int | None:
        """The ticket of a call that begins; None where it must not. Each ends in one of the three verbs below."""
        if self._open_until is None:
            return self._era
        if now < self._open_until or self._probing:
            return None
        self._probing = True
        return self._era

    def answered(self, ticket: int) -> None:
        """The answer has begun. It closes after a probe, though only the answer's good end ends a row of failures."""
        if ticket == self._era and self._open_until is not None:
            self._open_until = None
            self._probing = False
            self.failures = 0

    def succeeded(self, ticket: int) -> None:
        self.answered(ticket)
        if ticket == self._era:
            self.failures = 0

    def failed(self, ticket: int, now: float, *, what: str = "", rest_s: float = 0.0) -> None:
        """`rest_s` is how long the provider asks to be left alone."""
        if ticket != self._era:
            return
        self.failures += 1
        self.last = what
        probe = self._open_until is not None
        if probe or self.failures >= self._limit:
            rest_s = max(rest_s, self._open_s)
        if rest_s > 0:
            self._open_until = now + rest_s
            self._probing = False
            self._era += 1

    def forgotten(self, ticket: int) -> None:
        """It ended in a way that says nothing of the deployment: the request's own fault, or the client left."""
        if ticket == self._era:
            self._probing = False
