"""One run under way: asks what has no result yet, scores it, and stores it, until nothing is left or it is halted.

As many units as the run may ask at once are under way; results are stored a few hundred at a time. A unit that is cut
off leaves nothing: it is done again as a whole, and what was said in it is found in the records.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct, structs

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.datasets.model import Example
from rondo.errors import BudgetExceeded, RondoError
from rondo.evals import store
from rondo.evals.answers import error_message, error_name
from rondo.evals.asking import Asking, Halted, ModelAsks, OutOfBudget, take_in_hand
from rondo.evals.cases import Cases, Unit
from rondo.evals.model import Answer, Case, Result, Run, Scored, Scorer
from rondo.evals.played import converse, follow
from rondo.evals.requests import ask_key, body_of, passages_of
from rondo.evals.store import Kept
from rondo.evals.targets import Subject
from rondo.gateway.plan import ServedRelease
from rondo.settings.evaluating import SuiteSettings

GRACE_S = 5.0
"""How long what is under way may take when the server stops."""

_FULL = 200
_FLUSH_S = 0.5


class Progress(Struct, frozen=True, kw_only=True):
    """How far a run is, and how fast: results per second since it was last begun, and seconds until its end."""

    done: int
    total: int
    failed: int
    spent_usd: float
    rate: float | None
    eta_s: float | None


class Evaluating:
    """One run's."""

    def __init__(
        self,
        catalog: Catalog,
        run: Run,
        suite: SuiteSettings,
        *,
        subjects: Sequence[Subject],
        cases: Cases,
        asking: Asking,
        asks: ModelAsks,
        scorers: Sequence[Scorer],
        tell: Callable[[], None],
    ) -> None:
        """`tell` is called when there are new results."""
        self._catalog = catalog
        self._run = run
        self._suite = suite
        self._subjects = subjects
        self._cases = cases
        self._asking = asking
        self._asks = asks
        self._scorers = scorers
        self._group: list[Unit] = []
        self._reading = asyncio.Lock()
        self._writing = asyncio.Lock()
        self._to_store: list[Kept] = []
        self._done, self._failed = run.done, run.failed
        self._since, self._done_before = clock.monotonic(), run.done
        self._halted = False
        self._over = False
        self._tell = tell

    @property
    def is_halted(self) -> bool:
        """Whether it has been told to stop."""
        return self._halted

    @property
    def refused(self) -> str | None:
        """Why nothing more could be asked."""
        return self._asking.refused

    @property
    def progress(self) -> Progress:
        took, new = clock.monotonic() - self._since, self._done - self._done_before
        rate = new / took if new and took > 0 else None
        return Progress(
            done=self._done,
            total=self._run.total,
            failed=self._failed,
            spent_usd=self._asking.spent_usd,
            rate=rate,
            eta_s=(self._run.total - self._done) / rate if rate else None,
        )

    def halt(self) -> None:
        """Ask nothing more; what has been sent comes in."""
        self._halted = True
        self._asking.pace.halt()

    async def run(self) -> None:
        """Until every unit has its results, or it is halted, or out of budget. Raises what the catalog raises."""
        workers = [asyncio.create_task(self._work()) for _ in range(self._run.max_concurrency)]
        storing = asyncio.create_task(self._store_now_and_then())
        try:
            done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
            for worker in done:
                worker.result()
        finally:
            if any(not worker.done() for worker in workers):  # the server stops, or the catalog is away
                self._asking.pace.halt()
                self._over = True
                await asyncio.wait(workers, timeout=GRACE_S)
            for task in (storing, *workers):
                task.cancel()
            await asyncio.gather(storing, *workers, return_exceptions=True)
            await self._store()

    async def _work(self) -> None:
        while not self._halted and not self._over and self.refused is None and (unit := await self._next()) is not None:
            try:
                results = await self._results(unit)
            except (Halted, OutOfBudget):
                continue
            if self.refused is not None and _cut_off(results):
                return
            self._take(unit, results)
            if len(self._to_store) >= _FULL:
                await self._store()

    async def _next(self) -> Unit | None:
        if self._group:
            return self._group.pop()
        async with self._reading:
            if not self._group:
                self._group = (await asyncio.to_thread(self._cases.next_units))[::-1]
            return self._group.pop() if self._group else None

    async def _results(self, unit: Unit) -> list[Result]:
        """Raises Halted, OutOfBudget."""
        order = list(unit.keys)
        turn = unit.position % len(order)
        results = {at: await self._answered(unit, at) for at in order[turn:] + order[:turn]}
        other = await self._baselines(unit, results)
        scored = []
        for at, result in results.items():
            beside = None if at == self._run.baseline else other
            scored.append(await self._scored(unit.example, result, beside))
        return scored

    async def _answered(self, unit: Unit, at: int) -> Result:
        empty = Result(target=at, example=unit.example.id, repeat=unit.repeat)
        if unit.unfit is not None:
            return _failed(empty, unit.unfit)
        if at in unit.known:
            return structs.replace(empty, answer=structs.replace(unit.known[at], cached=True))
        take_in_hand(unit.example.id, unit.repeat)
        try:
            return structs.replace(empty, answer=await self._answer(unit, self._subjects[at], unit.keys[at]))
        except OutOfBudget:
            raise
        except RondoError as error:
            return _failed(empty, error)

    async def _answer(self, unit: Unit, subject: Subject, key: str) -> Answer:
        example = unit.example
        is_app = isinstance(subject.served, ServedRelease)
        name = subject.served.app if isinstance(subject.served, ServedRelease) else subject.target.label
        context = passages_of(example) if is_app else None

        async def ask(messages: list[dict[str, Any]], key: str) -> Answer:
            body = body_of(example, messages, name, app=is_app)
            return await self._asking.ask(subject, "/chat/completions", body, key=key, case=example.id, context=context)

        if example.persona is None and not example.follow_ups:
            return await ask(example.messages, key)

        async def reply(messages: list[dict[str, Any]]) -> Answer:
            return await ask(messages, ask_key(key, "turn", {"messages": messages}, unit.repeat, 0))

        if example.persona is None:
            return await follow(example, reply)
        assert self._suite.user is not None
        user = self._suite.user
        return await converse(example, user.model, self._asks, reply, max_turns=user.max_turns)

    async def _baselines(self, unit: Unit, results: Mapping[int, Result]) -> Answer | None:
        """The baseline's answer: just given, or stored by an earlier life of the run."""
        at = self._run.baseline
        if at is None or not any(scorer.is_judge for scorer in self._scorers):
            return None
        if at in results:
            return results[at].answer

        def read() -> Answer | None:
            with self._catalog.read() as connection:
                found = store.results_of(
                    connection, self._run.project, self._run.id, [unit.example.id], len(self._subjects)
                )
            return next((each.answer for each in found if (each.target, each.repeat) == (at, unit.repeat)), None)

        return await asyncio.to_thread(read)

    async def _scored(self, example: Example, result: Result, other: Answer | None) -> Result:
        if result.answer is None:
            return result
        case = Case(example=example, answer=result.answer, other=other)
        scores: dict[str, Scored] = {}
        for scorer in self._scorers:
            take_in_hand(example.id, result.repeat)
            scores[scorer.name] = await _score(scorer, case)
        return structs.replace(result, scores=scores)

    def _take(self, unit: Unit, results: Sequence[Result]) -> None:
        for result in results:
            self._to_store.append(Kept(result, "" if result.answer is None else unit.keys[result.target]))
            self._done += 1
            self._failed += result.answer is None

    async def _store_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_S)
            try:
                await self._store()
            except RondoError:
                continue  # whoever asks next meets it too

    async def _store(self) -> None:
        """Everything that is waiting, in one transaction. Raises Unavailable; then it waits on."""
        async with self._writing:
            kept, said = self._to_store, dict(self._asks.to_keep)
            if not kept and not said:
                return
            self._to_store = []
            values = {"done": self._done, "failed": self._failed, "spent_usd": self._asking.spent_usd}
            try:
                await asyncio.shield(asyncio.create_task(asyncio.to_thread(self._write, kept, said, values)))
            except BaseException:
                self._to_store = kept + self._to_store
                raise
            for key in said:
                self._asks.to_keep.pop(key, None)
        self._tell()

    def _write(self, kept: list[Kept], said: dict[str, Answer], values: dict[str, Any]) -> None:
        run = self._run
        with self._catalog.begin() as connection:
            store.insert_results(connection, run.project, run.id, kept)
            store.keep_said(connection, run.project, said)
            store.update_run(connection, run.id, ("running", "paused", "cancelled"), **values)


async def _score(scorer: Scorer, case: Case) -> Scored:
    """What the scorer says; what keeps it from saying anything is its error, but for the end of the budget."""
    try:
        scored = await scorer.score(case)
    except BudgetExceeded:
        raise
    except RondoError as error:
        return Scored(error=error_name(error), reason=error_message(error))
    except Exception as error:
        return Scored(error="scorer_failed", reason=f"{type(error).__name__}: {error_message(error)}")
    if scored.value is not None and not math.isfinite(scored.value):
        return structs.replace(scored, value=None, passed=None, error="not_finite", reason=f"{scored.value}")
    return scored


def _failed(empty: Result, error: RondoError) -> Result:
    return structs.replace(empty, error=error_name(error), error_message=error_message(error))


def _cut_off(results: Sequence[Result]) -> bool:
    """Whether a score is missing because the money ran out; the unit is then done again."""
    return any(scored.error == BudgetExceeded.code for result in results for scored in result.scores.values())
