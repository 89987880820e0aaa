"""Calibrations as the doors see them: from labels to a kept calibration, asked through the gateway.

What the judge has said is kept soon after it is known, so that a calibration that broke off, or the next one with a few
labels more, pays for nothing twice: what a server that died had no time to keep is in the records, and who asks again
while the same judge is still being asked waits for its turn. A client that leaves stops nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakValueDictionary

from msgspec import Struct, structs

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.errors import InvalidRequest, NotFound, RondoError
from rondo.evals import store
from rondo.evals.asking import Asking, Evaluate, ModelAsks, OutOfBudget
from rondo.evals.judges import calibrate, correct
from rondo.evals.judges.calibration_store import Calibration
from rondo.evals.judges.labels import Label, Labelled, checked
from rondo.evals.judges.model import Judge
from rondo.evals.judges.reviewed import labels_of
from rondo.evals.judges.version import version_of
from rondo.evals.model import Answer, Run, Scored, Target
from rondo.evals.recovered import Recorded
from rondo.evals.targets import Subject, Subjects
from rondo.governance.model import Grant
from rondo.store.base import RecordStore

AT_ONCE = 8
KEEP_EVERY_S = 0.5
TIMEOUT_S = 120.0
MOST_USD = 100_000.0
_LOOKED_BACK_US = 86_400_000_000  # for what an earlier calibration was told and could not keep

GrantOf = Callable[[str, str], Grant | None]
"""The live grant of a project's key, by its id; None once it has been revoked."""


class Wanted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A calibration that is asked for. Without `labels`, what reviewers said of the app's calls since then.

    `run` is an evaluation run whose means are to be corrected by the labels; `since` is in microseconds.
    """

    labels: list[Label] | None = None
    since: int | None = None
    run: str | None = None
    budget_usd: float | None = None


class Calibrations:
    """The calibrations of all projects."""

    def __init__(
        self,
        catalog: Catalog,
        records: RecordStore,
        recorded: Recorded,
        *,
        evaluate: Evaluate,
        subjects: Subjects,
        grant_of: GrantOf,
    ) -> None:
        self._catalog = catalog
        self._records = records
        self._recorded = recorded
        self._evaluate = evaluate
        self.subjects = subjects
        self._grant_of = grant_of
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def calibrate(self, grant: Grant, target: Target, judge: Judge, wanted: Wanted) -> Calibration:
        """Ask the judge, as `target` was frozen with it, about what people have labelled; and keep how well it did.

        Raises InvalidRequest for labels that cannot be used or a budget that does not reach, NotFound, and whatever
        keeps its model from being asked.
        """
        _check_budget(wanted.budget_usd)
        app = target.app
        assert app is not None
        subject = await asyncio.to_thread(self.subjects.subject, grant.project, target)
        labelled = await asyncio.to_thread(self._labelled, grant.project, app, judge, wanted)
        run = _as_run(grant, judge, subject, len(labelled), wanted.budget_usd)
        async with self._turns.setdefault(f"{run.project}/{run.id}", asyncio.Lock()):
            said = await self._asked(grant, judge, subject, labelled, run)

        def finish() -> Calibration:
            from rondo.evals.judges.measure import measure  # NumPy, which a server without evaluations never loads

            source = "reviews" if wanted.labels is None else "labels"
            measured = measure(judge, labelled, said, source=source)
            if wanted.run is not None:
                with self._catalog.read() as connection:
                    found = correct.corrected(connection, grant.project, wanted.run, judge, measured)
                measured = structs.replace(measured, run=wanted.run, corrected=found)
            return calibrate.keep(self._catalog, grant.project, app, judge, measured, actor=grant.name)

        return await asyncio.to_thread(finish)

    def _labelled(self, project: str, app: str, judge: Judge, wanted: Wanted) -> list[Labelled]:
        if wanted.run is not None:
            with self._catalog.read() as connection:
                store.get_run(connection, project, wanted.run)
        if wanted.labels is not None:
            return checked(judge, ((f"label {number}", label) for number, label in enumerate(wanted.labels, 1)))
        if judge.kind == "pairwise":
            raise InvalidRequest(
                "Reviews say nothing of two answers.", remedy="Send labels with `other` and `better`.", param="labels"
            )
        found = list(labels_of(self._records, project, app, judge, since=wanted.since))
        if not found:
            raise NotFound(
                f"Nobody has reviewed an answer of {app!r:.100} by what {judge.name!r} judges.",
                remedy="Review calls in the console, or send a file of labels.",
                param="labels",
            )
        return checked(judge, found)

    async def _asked(
        self, grant: Grant, judge: Judge, subject: Subject, labelled: list[Labelled], run: Run
    ) -> list[dict[str, Scored]]:
        told = await self._recorded.told(run)

        async def recovered(key: str) -> Answer | None:
            trace_id = told.traces.get(key)
            return None if trace_id is None else await self._recorded.answer(run.project, trace_id)

        asking = Asking(
            run,
            self._evaluate,
            lambda: self._grant_of(grant.project, grant.key_id),
            timeout_s=TIMEOUT_S,
            recovered=recovered,
        )

        async def model(name: str) -> Subject:
            return await asyncio.to_thread(self.subjects.model, grant.project, name, subject)

        asks = ModelAsks(asking, lambda key: asyncio.to_thread(self._known, grant.project, key), model)
        keeping = asyncio.create_task(self._keep_now_and_then(grant.project, asks))
        try:
            return await calibrate.verdicts(judge, labelled, asks, at_once=AT_ONCE)
        except OutOfBudget as error:
            raise InvalidRequest(
                f"The calibration of {len(labelled):,} answers would cost more than it may: {error.message}",
                remedy="Raise the budget. What has been asked already is not paid for again.",
                param="budget_usd",
            ) from None
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await self._keep(grant.project, asks)

    def _known(self, project: str, key: str) -> Answer | None:
        with self._catalog.read() as connection:
            return store.said(connection, project, key)

    async def _keep_now_and_then(self, project: str, asks: ModelAsks) -> None:
        """So that a server that dies has little to ask again."""
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            try:
                await self._keep(project, asks)
            except RondoError:
                continue  # it is tried again, and in the end whoever asked is told

    async def _keep(self, project: str, asks: ModelAsks) -> None:
        said = dict(asks.to_keep)
        if said:
            await asyncio.to_thread(self._write, project, said)
        for key in said:
            asks.to_keep.pop(key, None)

    def _write(self, project: str, said: dict[str, Answer]) -> None:
        with self._catalog.begin() as connection:
            store.keep_said(connection, project, said)


def _as_run(grant: Grant, judge: Judge, subject: Subject, total: int, budget: float | None) -> Run:
    """What asks: a run that is never stored, whose id the records of its questions bear. All calibrations of a judge's
    version share it."""
    now = clock.now_us()
    return Run(
        id=f"calibration_{subject.target.app}_{judge.name}_{version_of(judge)[:12]}",
        project=grant.project,
        app=subject.target.app or "",
        name=f"judge {judge.name}",
        suite={},
        suite_hash="",
        dataset="labels",
        dataset_hash="",
        targets=[subject.target],
        baseline=None,
        status="running",
        created_by=grant.name,
        created_at=now,
        started_at=now - _LOOKED_BACK_US,
        done=now,  # names this one's dollars
        key_id=grant.key_id,
        max_concurrency=AT_ONCE,
        budget_usd=budget,
        total=total,
    )


def _check_budget(usd: float | None) -> None:
    if usd is not None and not 0 < usd <= MOST_USD:
        raise InvalidRequest(
            f"`budget_usd` is {usd:g}.", remedy=f"Give more than 0 and at most {MOST_USD:,.0f}.", param="budget_usd"
        )
