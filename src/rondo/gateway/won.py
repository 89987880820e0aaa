"""A good result on its way to the client, and the place that is kept for it until the answer has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from rondo.errors import RondoError
from rondo.gateway import faults
from rondo.gateway.deadlines import Alarm, Deadlines
from rondo.gateway.place import Place
from rondo.gateway.plan import ServedModel

T = TypeVar("T")


class Won(Generic[T]):
    """A result, and the place that its deployment keeps for it until one of the three verbs is called."""

    __slots__ = ("_alarm", "_deadlines", "_place", "deadline", "model", "overdue", "value")

    def __init__(self, value: T, place: Place, deadline: float, deadlines: Deadlines) -> None:
        self.value = value
        self.model: ServedModel = place.candidate.served
        """The deployment that answered."""
        self.deadline = deadline
        """When the answer must have ended, in the time of `clock.monotonic`."""
        self.overdue = False
        self._place = place
        self._deadlines = deadlines
        self._alarm: Alarm | None = None

    def watch(self, close: Callable[[], None]) -> None:
        """Call `close` at the deadline, which `overdue` then tells; until the end of the answer."""

        def ring() -> None:
            self.overdue = True
            close()

        left = max(0.0, self.deadline - self._place.now())
        self._alarm = self._deadlines.after(left, ring, asyncio.get_running_loop())

    def release(self) -> None:
        """The answer came to its good end. Whatever is called first counts; the rest does nothing."""
        self._end(None, forget=False)

    def failed(self, error: RondoError) -> None:
        """The answer broke off. At the deadline, that may be for want of a client who reads: nobody's fault."""
        self._end(error, forget=self.overdue or not faults.judge(error).counts)

    def abandoned(self) -> None:
        """The client left, or the fault is our own: it says nothing of the deployment."""
        self._end(None, forget=True)

    def _end(self, error: RondoError | None, *, forget: bool) -> None:
        if self._alarm is not None:
            self._alarm.off()
        self._place.end(error, forget=forget)
