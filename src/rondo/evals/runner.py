"""Runs an evaluation from whatever state it is in to its end: ask and score, wait for the command line's own scores,
report.

Every step can be cut off anywhere and done again: the catalog says what is there, the records what was said besides. A
fault of the machine (a full disk, a database that is away) is waited out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from weakref import WeakValueDictionary

from msgspec import structs

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.datasets import regressions
from rondo.errors import RondoError, Unavailable
from rondo.evals import store
from rondo.evals.asking import Asking, Evaluate, ModelAsks
from rondo.evals.cases import Cases
from rondo.evals.evaluating import Evaluating, Progress
from rondo.evals.model import Answer, Run, RunStatus
from rondo.evals.recovered import Recorded, Told
from rondo.evals.suites import judges_of, scorers_of, settings_of
from rondo.evals.targets import Subject, Subjects
from rondo.governance.model import Grant

_LONGEST_WAIT_S = 60.0
_LOOK_EVERY_S = 1.0
_RUNNING: tuple[RunStatus, ...] = ("queued", "running")

GrantOf = Callable[[str, str], Grant | None]
"""The live grant of a project's key, by its id; None once it has been revoked."""

_log = logging.getLogger("rondo.evals")


class Runner:
    """All runs of one process."""

    def __init__(
        self, catalog: Catalog, evaluate: Evaluate, grant_of: GrantOf, subjects: Subjects, recorded: Recorded
    ) -> None:
        self._catalog = catalog
        self._evaluate = evaluate
        self._grant_of = grant_of
        self._subjects = subjects
        self._recorded = recorded
        self._under_way: dict[str, Evaluating] = {}
        self._changes: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()

    async def run(self, run_id: str) -> None:
        """Until the run has ended, is paused, or waits for scores; not at all where another server has it in hand."""
        tries = 0
        while True:
            try:
                async with self._held(run_id) as is_ours:
                    while is_ours and await self._run(run_id):
                        pass  # it was stopped, and may have been begun again meanwhile
                return None
            except (Unavailable, OSError) as error:
                tries += 1
                wait = min(_LONGEST_WAIT_S, 2.0 ** min(tries, 8) / 2)
                _log.warning("%s waits %.0f s: %s", run_id, wait, error)
                await asyncio.sleep(wait)
            except RondoError as error:
                return await self.end(run_id, "failed", str(error))
            except Exception:
                _log.exception("%s has failed", run_id)
                return await self.end(
                    run_id, "failed", "Something went wrong inside Rondo; the server's log says what."
                )

    def halt(self, run_id: str) -> None:
        """Ask no more. (The catalog knows already; this is quicker.)"""
        evaluating = self._under_way.get(run_id)
        if evaluating is not None:
            evaluating.halt()
        self._tell(run_id)

    def progress(self, run_id: str) -> Progress | None:
        """How far a run under way is; None for any other."""
        evaluating = self._under_way.get(run_id)
        return None if evaluating is None else evaluating.progress

    def next_change(self, run_id: str) -> asyncio.Event:
        """What is set when the run has new results or another status. Take it before looking at the run, so that no
        change comes between."""
        change = self._changes.get(run_id)
        if change is None:
            change = self._changes[run_id] = asyncio.Event()
        return change

    async def until(self, change: asyncio.Event, run_id: str, timeout_s: float) -> None:
        """Wait for the change, or for this long; of a run that another server has in hand nobody here is told."""
        waiting = timeout_s if run_id in self._under_way else min(_LOOK_EVERY_S / 4, timeout_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(waiting):
                await change.wait()

    def _tell(self, run_id: str) -> None:
        change = self._changes.pop(run_id, None)
        if change is not None:
            change.set()

    async def finish(self, run_id: str) -> None:
        """Make the report, and end the run; it has all its scores."""
        run = await asyncio.to_thread(self._find, run_id)
        if run is None or run.has_ended:
            return
        from rondo.evals import report  # brings NumPy

        made, passed = await asyncio.to_thread(report.build, self._catalog, run)
        await asyncio.to_thread(self._finish, run, report.to_builtins(made), passed)
        self._tell(run_id)

    async def end(self, run_id: str, status: RunStatus, reason: str | None = None) -> None:
        """Stop a run that has not ended."""
        values = {"status": status, "stop_reason": reason, "ended_at": None if status == "paused" else clock.now_us()}
        await self._update(run_id, _RUNNING, **values)

    def is_left(self, run_id: str) -> bool:
        """Whether no server on this catalog has the run in hand. Raises Unavailable."""
        with self._catalog.hold(f"eval:{run_id}") as is_free:
            return is_free

    @asynccontextmanager
    async def _held(self, run_id: str) -> AsyncIterator[bool]:
        """Of several servers on one catalog, one at a time has a run in hand. Raises Unavailable."""
        hold = self._catalog.hold(f"eval:{run_id}")
        is_ours = await asyncio.to_thread(hold.__enter__)
        if not is_ours:
            _log.info("another server has %s in hand", run_id)
        try:
            yield is_ours
        finally:
            await asyncio.to_thread(hold.__exit__, None, None, None)

    async def _run(self, run_id: str) -> bool:
        """One life of the run, where it is to be run; whether somebody has cut it short."""
        run = await asyncio.to_thread(self._find, run_id)
        if run is None or run.status not in _RUNNING:
            return False
        told = await self._recorded.told(run)
        begun = await self._begin(run, told)
        if begun is None:
            return True
        run = begun
        evaluating = await self._evaluating(run, told)
        self._under_way[run_id] = evaluating
        watching = asyncio.create_task(self._watch(run_id, evaluating))
        try:
            await evaluating.run()
        finally:
            del self._under_way[run_id]
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await self._after(run, evaluating)
        return evaluating.is_halted

    async def _begin(self, run: Run, told: Told) -> Run | None:
        """The run, with what is there of it; None where it has been stopped.

        What was said and not stored has been paid for all the same.
        """
        done, failed = await asyncio.to_thread(self._counts, run)
        values: dict[str, Any] = {
            "status": "running",
            "started_at": run.started_at or clock.now_us(),
            "stop_reason": None,
            "spent_usd": max(run.spent_usd, told.spent_usd),
            "done": done,
            "failed": failed,
        }
        if not await self._update(run.id, _RUNNING, **values):
            return None
        return structs.replace(run, **values)

    async def _evaluating(self, run: Run, told: Told) -> Evaluating:
        """Raises RondoError where the run cannot be run at all."""
        suite = settings_of(run)
        subjects = [await asyncio.to_thread(self._subjects.subject, run.project, target) for target in run.targets]
        beside = next((subject for subject in subjects if subject.judges), subjects[0])
        models: dict[str, Subject] = {}

        async def model(name: str) -> Subject:
            if name not in models:
                models[name] = await asyncio.to_thread(self._subjects.model, run.project, name, beside)
            return models[name]

        async def recovered(key: str) -> Answer | None:
            trace_id = told.traces.get(key)
            return None if trace_id is None else await self._recorded.answer(run.project, trace_id)

        async def find(key: str) -> Answer | None:
            return await asyncio.to_thread(self._said, run.project, key)

        user = None if suite.user is None else await model(suite.user.model)
        asking = Asking(
            run,
            self._evaluate,
            lambda: self._grant_of(run.project, run.key_id),
            timeout_s=suite.timeout_s,
            recovered=recovered,
            about={subject.identity for subject in subjects},
        )
        asks = ModelAsks(asking, find, model)
        cases = Cases(self._catalog, run, suite, subjects, user)
        total = await asyncio.to_thread(cases.begin)
        run = structs.replace(run, total=total)
        await self._update(run.id, _RUNNING, total=total)
        return Evaluating(
            self._catalog,
            run,
            suite,
            subjects=subjects,
            cases=cases,
            asking=asking,
            asks=asks,
            scorers=scorers_of(suite, judges_of(run), asks, name=run.name),
            tell=lambda: self._tell(run.id),
        )

    async def _after(self, run: Run, evaluating: Evaluating) -> None:
        if evaluating.refused is not None:
            return await self.end(run.id, "paused", evaluating.refused)
        if evaluating.progress.done < evaluating.progress.total:
            return None  # halted: whoever did it has said why
        if run.own_scorers:
            await self._update(run.id, _RUNNING, status="awaiting_scores")
            return None
        return await self.finish(run.id)

    async def _watch(self, run_id: str, evaluating: Evaluating) -> None:
        """Now and then: look whether the run has been stopped in another way."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_S)
            try:
                run = await asyncio.to_thread(self._find, run_id)
            except RondoError:
                continue
            if run is None or run.status not in _RUNNING:
                evaluating.halt()

    def _finish(self, run: Run, made: dict[str, Any], passed: list[list[str]]) -> None:
        """The last change of a run: its report and its end, with what it shows of regressions. `passed` are the
        must-pass examples that each target passed."""
        now = clock.now_us()
        with self._catalog.begin() as connection:
            ended = store.update_run(
                connection,
                run.id,
                (*_RUNNING, "awaiting_scores"),
                status="finished",
                ended_at=now,
                report=made,
            )
            if not ended:
                return
            for at, target in enumerate(run.targets):
                if target.number is not None and target.hash is not None:
                    for example in passed[at]:
                        regressions.note_fixed(
                            connection, run.project, run.app, example, target.number, target.hash, now
                        )

    def _find(self, run_id: str) -> Run | None:
        with self._catalog.read() as connection:
            return store.find_run(connection, run_id)

    def _counts(self, run: Run) -> tuple[int, int]:
        with self._catalog.read() as connection:
            return store.counts(connection, run.project, run.id)

    def _said(self, project: str, key: str) -> Answer | None:
        with self._catalog.read() as connection:
            return store.said(connection, project, key)

    async def _update(self, run_id: str, statuses: tuple[RunStatus, ...], **values: Any) -> bool:
        """Whether the run had one of these statuses."""

        def update() -> bool:
            with self._catalog.begin() as connection:
                return store.update_run(connection, run_id, statuses, **values)

        changed = await asyncio.to_thread(update)
        self._tell(run_id)
        return changed
