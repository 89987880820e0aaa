"""The requests of one batch, asked through the gateway until each has its result.

A request that meets a limit, or a model with no room, is asked again later; any other refusal is its result. Nothing
is asked twice whose result has been kept; what was under way when the process died is asked again, and may be paid
twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from rondo import clock
from rondo.batches.lines import Request, Requests
from rondo.batches.model import Batch
from rondo.batches.results import Results, Unasked
from rondo.errors import InvalidRequest, RondoError, Unauthorized
from rondo.gateway.doors import refusal
from rondo.gateway.pace import Pace, may_go_well
from rondo.gateway.reply import Whole
from rondo.governance.model import Grant

Ask = Callable[[Grant, str, bytes, dict[str, str]], Awaitable[Whole]]
"""The gateway: a grant, a path, a body, and tags for the record. Raises RondoError."""

GrantOf = Callable[[str, str], Grant | None]
"""The live grant of a project's key, by its id; None once it has been revoked."""

GRACE_S = 5.0
"""How long requests under way may take when the server stops."""

_TRACE_ID = b"x-rondo-trace-id"


class Answering:
    """One batch's."""

    def __init__(
        self, batch: Batch, results: Results, requests: Requests, ask: Ask, grant_of: GrantOf, *, at_once: int
    ) -> None:
        self._batch = batch
        self._results = results
        self._requests = requests
        self._ask = ask
        self._grant_of = grant_of
        self._at_once = at_once
        self._pace = Pace(at_once)
        self._group: list[Request] = []
        self._reading = asyncio.Lock()
        self._stopping = False
        self._halted: Unasked | None = None

    def halt(self, why: Unasked) -> None:
        """Ask no more; what is under way ends."""
        self._halted = self._halted or why
        self._pace.halt()

    def check_window(self) -> None:
        """Halt where the time is over."""
        if clock.now_us() >= self._batch.expires_at:
            self.halt("batch_expired")

    async def run(self) -> None:
        """Until every request has its result. Raises OSError, and Unfit where the input is not what was checked."""
        workers = [asyncio.create_task(self._work()) for _ in range(self._at_once)]
        try:
            done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            for worker in done:
                worker.result()
        except asyncio.CancelledError:
            self._stopping = True
            self._pace.halt()
            await asyncio.wait(workers, timeout=GRACE_S)
            raise
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _work(self) -> None:
        while not self._stopping and (request := await self._next()) is not None:
            if self._results.has(request.number):
                continue
            self.check_window()
            if self._halted is None and await self._answered(request):
                continue
            if self._stopping:
                return
            assert self._halted is not None
            self._results.not_asked(request.number, request.custom_id, self._halted)

    async def _next(self) -> Request | None:
        async with self._reading:
            if not self._group:
                self._group = (await asyncio.to_thread(self._requests.next_group))[::-1]
            return self._group.pop() if self._group else None

    async def _answered(self, request: Request) -> bool:
        """Ask until there is a result; False where asking has to end before."""
        tries = 0
        while await self._pace.enter():
            tries += 1
            try:
                reply = await self._reply(request)
            except RondoError as error:
                if may_go_well(error):
                    self._pace.sent_back(tries, error.retry_after)
                    self.check_window()
                    continue
                reply = refusal(self._batch.endpoint, error)
            finally:
                self._pace.leave()
            self._pace.went_well()
            trace_id = next((value.decode() for name, value in reply.headers if name == _TRACE_ID), None)
            self._results.answered(
                request.number, request.custom_id, status=reply.status, trace_id=trace_id, body=reply.body
            )
            return True
        return False

    async def _reply(self, request: Request) -> Whole:
        if request.streams:
            raise InvalidRequest("A batch does not stream.", remedy="Leave `stream` out.", param="stream")
        grant = self._grant_of(self._batch.project, self._batch.key_id)
        if grant is None:
            raise Unauthorized(
                "The key that made this batch has been revoked.", remedy="Make a batch of the rest with another key."
            )
        tags = {"batch": self._batch.id, "custom_id": request.custom_id}
        return await self._ask(grant, self._batch.endpoint, request.body, tags)
