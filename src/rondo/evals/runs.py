"""The verbs of evaluation runs: create, show, pause, resume, cancel, own scores; and what begins with the server."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from msgspec import Struct, structs

from rondo import clock
from rondo.catalog.engine import Catalog
from rondo.catalog.text import check_name
from rondo.datasets import store as datasets
from rondo.datasets.model import Example
from rondo.errors import Conflict, InvalidRequest
from rondo.evals import store
from rondo.evals.cases import chosen
from rondo.evals.choosing import matrix_of, require_measured
from rondo.evals.evaluating import Progress
from rondo.evals.matrix import Matrix
from rondo.evals.model import MOST_USD, Result, Run, RunStatus, Scored
from rondo.evals.ordering import Order, dataset_of, judges_of, no_example, require_keys, targets_of
from rondo.evals.runner import Runner
from rondo.evals.scorers.registry import own_settings
from rondo.evals.selection import Selection
from rondo.evals.store import Place
from rondo.evals.suites import kept, scored_by, scorers_of, suite_hash
from rondo.evals.targets import Subjects
from rondo.governance import audit
from rondo.governance.admit import may_call
from rondo.governance.model import Grant
from rondo.jobs.durable import Jobs

MOST_SCORES = 2_000
_KIND = "eval"
_AT_ONCE = 4
_RUNNING: tuple[RunStatus, ...] = ("queued", "running")

_log = logging.getLogger("rondo.evals")


class Row(Struct, frozen=True, kw_only=True):
    """A result beside its example, for people and for scorers of their own."""

    result: Result
    example: Example


class Runs:
    """Evaluation runs, as the doors see them. Of all processes on a data folder, one has them."""

    def __init__(self, catalog: Catalog, jobs: Jobs, runner: Runner, subjects: Subjects) -> None:
        self._catalog = catalog
        self._jobs = jobs
        self._runner = runner
        self._subjects = subjects
        self._submitted: set[str] = set()
        jobs.define(_KIND, runner.run, at_once=_AT_ONCE)

    async def resume_all(self) -> None:
        """Go on with the runs that an earlier process left. Costs nothing where there were never any."""
        try:
            for run_id in await asyncio.to_thread(self._left):
                _log.info("going on with %s", run_id)
                self._submitted.add(run_id)
                await self._jobs.submit(_KIND, run_id)
        except Exception:
            _log.exception("evaluation runs of an earlier start wait for the next one")

    async def create(self, grant: Grant, order: Order) -> Run:
        """Begin a run. Raises NotFound, InvalidRequest, SettingsError, Forbidden, and Unavailable where no jobs run."""
        may_call(grant, order.app)
        run = await asyncio.to_thread(self._create, grant, order)
        await self._submit(run.id)
        return run

    async def get(self, project: str, run_id: str) -> Run:
        """Raises NotFound."""
        return await asyncio.to_thread(self._get, project, run_id)

    async def wait(self, project: str, run_id: str, *, done: int, status: str, timeout_s: float) -> Run:
        """The run, as soon as it is further than the caller knows, or after this long. Raises NotFound."""
        until = clock.monotonic() + timeout_s
        while True:
            change = self._runner.next_change(run_id)
            run = await self.get(project, run_id)
            left = until - clock.monotonic()
            if run.done > done or run.status != status or run.has_ended or left <= 0:
                return run
            await self._runner.until(change, run_id, left)

    def progress(self, run: Run) -> Progress:
        """How far the run is."""
        known = self._runner.progress(run.id) if not run.has_ended else None
        return known or Progress(
            done=run.done, total=run.total, failed=run.failed, spent_usd=run.spent_usd, rate=None, eta_s=None
        )

    def is_cut_off(self, run: Run) -> bool:
        """Whether it is under way by its status, and nobody has it in hand: the process that had was killed."""
        if run.status not in _RUNNING or run.id in self._submitted or self._runner.progress(run.id) is not None:
            return False
        return self._catalog.is_sqlite or (run.status == "running" and self._runner.is_left(run.id))

    async def pause(self, grant: Grant, run_id: str, reason: str | None = None) -> Run:
        """Ask nothing more for now. What has been sent comes in, and is kept. Raises NotFound, Conflict."""
        return await self._stop(grant, run_id, "paused", reason or f"paused by {grant.name}")

    async def cancel(self, grant: Grant, run_id: str) -> Run:
        """Ask nothing more, for good; results so far are kept. Raises NotFound, Conflict."""
        return await self._stop(grant, run_id, "cancelled", f"cancelled by {grant.name}")

    async def resume(self, grant: Grant, run_id: str, *, budget_usd: float | None = None, again: bool = False) -> Run:
        """Go on with a paused run, or with one that failed, was cancelled or cut off; `budget_usd` is the new budget of
        the whole run, `again` asks once more what ended in an error. Raises NotFound, Conflict."""
        run = await asyncio.to_thread(self._resume, grant, run_id, budget_usd, again)
        await self._submit(run_id)
        return run

    async def add_scores(
        self,
        grant: Grant,
        run_id: str,
        scores: Mapping[Place, Mapping[str, Scored]],
        *,
        versions: Mapping[str, str] | None = None,
        last: bool,
    ) -> Run:
        """Scores that the command line's own scorers gave, in their `versions`; with the `last` of them the run is
        finished.

        Raises NotFound, InvalidRequest, and Conflict where a scorer has changed since it gave the run its first scores.
        """
        run = await asyncio.to_thread(self._add_scores, grant, run_id, scores, versions or {}, last)
        if last and not run.has_ended:
            await self._runner.finish(run_id)
        return await self.get(grant.project, run_id)

    async def rows(
        self,
        project: str,
        run_id: str,
        *,
        target: int | None,
        after: Place | None,
        limit: int,
        doubtful: bool = False,
    ) -> list[Row]:
        """A page of results with their examples; `doubtful` leaves out most that have not failed. Raises NotFound."""
        return await asyncio.to_thread(self._rows, project, run_id, target, after, limit=limit, doubtful=doubtful)

    async def rows_of(self, project: str, run_id: str, examples: Sequence[str]) -> list[Row]:
        """The results of these examples, of all targets. Raises NotFound."""

        def read() -> list[Row]:
            with self._catalog.read() as connection:
                run = store.get_run(connection, project, run_id)
                found = store.results_of(connection, project, run_id, examples, len(run.targets))
                known = {each.id: each for each in _examples(connection, project, {r.example for r in found})}
                return [Row(result=result, example=known[result.example]) for result in found]

        return await asyncio.to_thread(read)

    async def matrix(self, project: str, run_id: str, said: Selection) -> Matrix:
        """The run's targets, ranked by the goals' weights, the run's own selection, and what is said now.

        Raises NotFound, Conflict, InvalidRequest.
        """
        return await asyncio.to_thread(self._matrix, project, run_id, said)

    async def _submit(self, run_id: str) -> None:
        self._submitted.add(run_id)
        try:
            await self._jobs.submit(_KIND, run_id)
        except Exception:
            await self._runner.end(run_id, "failed", "The run could not be started.")
            raise

    async def _stop(self, grant: Grant, run_id: str, status: RunStatus, reason: str) -> Run:
        def stop() -> Run:
            with self._catalog.begin() as connection:
                run = store.get_run(connection, grant.project, run_id)
                if run.has_ended or (run.status == "paused" and status == "paused"):
                    raise Conflict(f"{run_id} is {run.status}.", remedy="There is nothing to stop.")
                ended = None if status == "paused" else clock.now_us()
                store.update_run(connection, run_id, (run.status,), status=status, stop_reason=reason, ended_at=ended)
                audit.record(connection, grant.project, grant.name, f"run.{_VERBS[status]}", f"run:{run_id}", {})
                return store.get_run(connection, grant.project, run_id)

        run = await asyncio.to_thread(stop)
        self._runner.halt(run_id)
        return run

    def _create(self, grant: Grant, order: Order) -> Run:
        check_name(order.app, param="app")
        check_name(order.name, param="name")
        targets, baseline = targets_of(self._subjects, grant.project, order)
        if any(target.hash is None for target in targets):
            may_call(grant, None)
        subjects = [self._subjects.subject(grant.project, target) for target in targets]
        judges = judges_of(subjects)
        scorers_of(order.suite, judges, None, name=order.name)  # what is wrong with them is told now
        require_keys(self._subjects, grant.project, order, subjects)
        own = [each.name or each.kind for each in own_settings(order.suite.scorers, file=f"suites/{order.name}.toml")]
        with self._catalog.begin() as connection:
            dataset, hash_ = dataset_of(connection, grant.project, order)
            run = Run(
                id=f"run_{secrets.token_hex(8)}",
                project=grant.project,
                app=order.app,
                name=order.name,
                suite=kept(
                    order.suite,
                    judges,
                    goals=order.goals,
                    guarded_slices=order.guarded_slices,
                    least_slice=order.least_slice,
                    fresh=order.fresh,
                    selection=order.selection,
                    same_as=targets[0].label if order.against is not None and baseline is None else None,
                ),
                suite_hash=suite_hash(order.suite, judges),
                dataset=dataset,
                dataset_hash=hash_,
                targets=targets,
                baseline=baseline,
                status="queued",
                created_by=grant.name,
                created_at=clock.now_us(),
                key_id=grant.key_id,
                max_concurrency=order.suite.max_concurrency,
                budget_usd=order.suite.budget_usd,
                own_scorers=own,
            )
            if order.selection is not None:
                require_measured(order.selection, run)
            examples = len(chosen(connection, run, order.suite))
            if not examples:
                raise no_example(order)
            run = structs.replace(run, total=examples * order.suite.repeats * len(targets))
            store.insert_run(connection, run)
            details = {"app": run.app, "suite": run.name, "targets": [target.label for target in targets]}
            audit.record(connection, grant.project, grant.name, "run.create", f"run:{run.id}", details)
            return run

    def _matrix(self, project: str, run_id: str, said: Selection) -> Matrix:
        return matrix_of(self._get(project, run_id), said, self._subjects)

    def _resume(self, grant: Grant, run_id: str, budget_usd: float | None, again: bool) -> Run:
        if budget_usd is not None and not 0 < budget_usd < inf:
            raise InvalidRequest("`budget_usd` must be more than 0.", param="budget_usd")
        with self._catalog.begin() as connection:
            run = store.get_run(connection, grant.project, run_id)
            stands = run.status in ("paused", "failed", "cancelled") or (again and run.status == "finished")
            if not stands and not self.is_cut_off(run):
                raise Conflict(f"{run_id} is {run.status}.", remedy="There is nothing to go on with.")
            values: dict[str, Any] = {"status": "queued", "stop_reason": None, "ended_at": None, "report": None}
            if budget_usd is not None:
                values["budget_usd"] = budget_usd
            if again:
                failed = store.delete_failed(connection, grant.project, run_id)
                values |= {"done": run.done - failed, "failed": 0}
            store.update_run(connection, run_id, (run.status,), **values)
            audit.record(connection, grant.project, grant.name, "run.resume", f"run:{run_id}", {})
            return store.get_run(connection, grant.project, run_id)

    def _add_scores(
        self,
        grant: Grant,
        run_id: str,
        scores: Mapping[Place, Mapping[str, Scored]],
        versions: Mapping[str, str],
        last: bool,
    ) -> Run:
        if len(scores) > MOST_SCORES:
            raise InvalidRequest(f"Send at most {MOST_SCORES:,} results at a time.", param="scores")
        if any(not 0 <= scored.cost_usd <= MOST_USD for each in scores.values() for scored in each.values()):
            raise InvalidRequest("`cost_usd` of a score is not dollars.", param="scores")
        with self._catalog.begin() as connection:
            run = store.get_run(connection, grant.project, run_id)
            if run.status != "awaiting_scores":
                raise Conflict(f"{run_id} is {run.status}, and waits for no scores.")
            unknown = {name for each in (*scores.values(), versions) for name in each} - set(run.own_scorers)
            if unknown:
                raise InvalidRequest(f"The suite has no scorer {min(unknown)!r:.80} of its own.", param="scores")
            found, cost = store.add_scores(connection, grant.project, run_id, scores)
            if found != len(scores):
                raise InvalidRequest(f"{len(scores) - found:,} of the results are not in {run_id}.", param="scores")
            store.update_run(
                connection, run_id, (run.status,), suite=scored_by(run, versions), spent_usd=run.spent_usd + cost
            )
        if last:
            with self._catalog.read() as connection:
                missing = sum(_lacks(result, run) for result in store.every_result(connection, run.project, run_id))
            if missing:
                raise Conflict(
                    f"{missing:,} results of {run_id} still lack scores.", remedy="Send them, and the last again."
                )
        return run

    def _rows(
        self, project: str, run_id: str, target: int | None, after: Place | None, *, limit: int, doubtful: bool
    ) -> list[Row]:
        with self._catalog.read() as connection:
            store.get_run(connection, project, run_id)
            found = store.results(
                connection, project, run_id, target=target, after=after, limit=limit, doubtful=doubtful
            )
            examples = {each.id: each for each in _examples(connection, project, {each.example for each in found})}
        return [Row(result=result, example=examples[result.example]) for result in found]

    def _get(self, project: str, run_id: str) -> Run:
        with self._catalog.read() as connection:
            return store.get_run(connection, project, run_id)

    def _left(self) -> list[str]:
        with self._catalog.read() as connection:
            return store.unfinished(connection)


_VERBS: dict[RunStatus, str] = {"paused": "pause", "cancelled": "cancel"}


def _examples(connection: Any, project: str, ids: set[str]) -> list[Example]:
    return list(datasets.read_examples(connection, project, [(id_, None) for id_ in sorted(ids)]))


def _lacks(result: Result, run: Run) -> bool:
    return result.answer is not None and any(name not in result.scores for name in run.own_scorers)


class ShownRun(Run, frozen=True, kw_only=True):
    """A run, and how far it is now. `cut_off`: the process that had it in hand was killed; it can be resumed."""

    progress: Progress
    cut_off: bool = False


def shown(run: Run, runs: Runs) -> ShownRun:
    """A run as the API has it."""
    return ShownRun(**structs.asdict(run), progress=runs.progress(run), cut_off=runs.is_cut_off(run))
