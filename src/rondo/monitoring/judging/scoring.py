"""One app's scoring: a stored call through the app's scorers, paid for by the budget of the day.

Judges are asked through the gateway's own pipeline, as evaluations ask them. The budget is a limit of the day on the
app's own payer, at the ledger that counts all limits: it is reserved before every question, and holds over questions
side by side, releases and restarts. When it is used up, scorers that ask models rest until the next day; those that
only compute go on. What was said before a crash is found in the records, not paid for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from msgspec import Struct, structs

from rondo import clock
from rondo.datasets.calls import example_of_call
from rondo.errors import BudgetExceeded, RondoError
from rondo.evals.answers import error_message, recorded_answer
from rondo.evals.asking import Asking, Evaluate, Halted, ModelAsks, take_in_hand
from rondo.evals.judges import scorer as judges
from rondo.evals.judges.model import Judge
from rondo.evals.model import Answer, AskModel, Case, Run, Scored, Scorer
from rondo.evals.recovered import Recorded
from rondo.evals.scorers import registry
from rondo.evals.scorers.registry import KINDS
from rondo.evals.targets import Subject, Subjects
from rondo.gateway.evaluated import Budget, day_budget
from rondo.governance.model import Grant
from rondo.limits.model import to_nano
from rondo.monitoring.judging.model import KEY, Watched
from rondo.records import Call

TIMEOUT_S = 60.0
RETRY_S = 60.0
"""How long scorers that ask rest where it is not the day's own budget that is used up."""

_TRIES = 2
"""Of one question; the call is tried again later."""

_MOST_KEPT = 4_096
_DAY_US = 86_400 * 1_000_000


class Scoring(Struct, frozen=True, kw_only=True):
    """What came of a call: values to be written, errors to be tried again, and whether scorers rested."""

    scores: list[tuple[Scorer, Scored]]
    errors: dict[str, str]
    rested: bool = False


class Scorers:
    """One app's, as it is released now."""

    def __init__(self, watched: Watched, evaluate: Evaluate, recorded: Recorded, subjects: Subjects) -> None:
        self.watched = watched
        self._evaluate = evaluate
        self._recorded = recorded
        self._subjects = subjects
        self._grant = Grant(project=watched.project, key_id=payer(watched.app), name="live judging", kind="secret")
        self._told: Mapping[str, str] = {}
        self._not_before = 0.0
        self._day = -1
        self._asking: Asking | None = None
        self._asks: ModelAsks | None = None
        self.scorers: list[Scorer] = []

    async def begin(self, before: Scorers | None, *, resumes: bool) -> None:
        """Take over from what scored the app before, or, where an earlier process scored today, from the records.

        Raises RondoError where the scorers cannot be made.
        """
        self._day = clock.now_us() // _DAY_US
        if before is not None and before._day == self._day:
            self._told = before._told
            self._open(before.spent_usd, before._asking if before.watched.pays_as(self.watched) else None)
        elif resumes:
            told = await self._recorded.told(self._run())
            self._told = told.traces
            self._open(told.spent_usd)
        else:
            self._open(0.0)
        self.scorers = self._made()

    @property
    def spent_usd(self) -> float:
        """What was spent this day."""
        return 0.0 if self._asking is None or self._day != clock.now_us() // _DAY_US else self._asking.spent_usd

    @property
    def resting(self) -> str | None:
        """Why scorers that ask models rest."""
        asking = self._asking
        if asking is None or asking.refused is None or self._day != clock.now_us() // _DAY_US:
            return None
        if not asking.is_spent:
            return asking.refused
        budget = self.watched.settings.budget_usd_per_day or 0.0
        left = "is spent" if asking.spent_usd >= budget else "has no room for the next question"
        return f"The budget of ${budget:g} for this day (UTC) {left}; scorers that ask models rest until the next one."

    @property
    def is_spent(self) -> bool:
        """Whether they rest because it is the app's wish."""
        return self._asking is not None and self._asking.is_spent

    async def score(self, call: Call, only: frozenset[str] | None = None, attempt: int = 0) -> Scoring:
        """What the scorers (`only` those of these names) say of a call. Another attempt asks anew."""
        self._renew()
        answer, example = recorded_answer(call), example_of_call(call)
        if answer is None or example is None:
            return Scoring(scores=[], errors={})
        if not answer.text and call.answer:
            answer = structs.replace(answer, text=call.answer)
        case = Case(example=example, answer=answer)
        scores: list[tuple[Scorer, Scored]] = []
        errors: dict[str, str] = {}
        rested = False
        for scorer in self.scorers if attempt == 0 else self._made():
            if only is not None and scorer.name not in only:
                continue
            if self.resting is not None and asks(scorer):
                rested = True
                continue
            try:
                scored = await self._scored(scorer, case, call.trace_id, attempt)
            except (BudgetExceeded, Halted):
                rested = True
                continue
            if scored.error is not None:
                errors[scorer.name] = f"{scored.error}: {scored.reason}"[:500]
            else:
                scores.append((scorer, scored))
        return Scoring(scores=scores, errors=errors, rested=rested)

    async def _scored(self, scorer: Scorer, case: Case, trace_id: str, attempt: int) -> Scored:
        take_in_hand(trace_id, attempt)
        try:
            return await scorer.score(case)
        except BudgetExceeded:
            raise
        except RondoError as error:
            return Scored(error=error.code, reason=error_message(error))
        except Exception as error:  # one scorer that throws costs its own score only
            return Scored(error="scorer_failed", reason=f"{type(error).__name__}: {error_message(error)}")

    async def _ask(self, model: str, request: Mapping[str, object], *, path: str = "/chat/completions") -> Answer:
        """What judges ask; of another day by its own budget."""
        models = self._asks
        assert models is not None
        answer = await models(model, request, path=path)
        while len(models.to_keep) > _MOST_KEPT:  # what was said of the same words is not asked again soon
            models.to_keep.pop(next(iter(models.to_keep)))
        return answer

    def _renew(self) -> None:
        """A new day has a new budget; and what others' limits refused is tried again after a while."""
        day = clock.now_us() // _DAY_US
        asking = self._asking
        assert asking is not None
        if day != self._day:
            self._day, self._told = day, {}
            self._open(0.0)
        elif asking.refused is not None and not asking.is_spent:
            if not self._not_before:
                self._not_before = clock.monotonic() + RETRY_S
            elif clock.monotonic() >= self._not_before:
                self._open(asking.spent_usd)

    def _open(self, spent: float, asking: Asking | None = None) -> None:
        """With what is left of the day's budget, or with the purse that is open already."""
        self._not_before = 0.0
        self._asking = asking or Asking(
            structs.replace(self._run(), spent_usd=spent),
            self._evaluate,
            lambda: self._grant,
            timeout_s=TIMEOUT_S,
            recovered=self._recover,
            tries=_TRIES,
            budget=self._budget(),
        )
        self._asks = ModelAsks(self._asking, _nothing, self._model)

    def _budget(self) -> Budget | None:
        watched = self.watched
        usd = watched.settings.budget_usd_per_day
        if usd is None:
            return None
        return day_budget(
            watched.project, payer(watched.app), to_nano(usd), words=f"The budget of live judging of {watched.app}"
        )

    async def _recover(self, key: str) -> Answer | None:
        trace_id = self._told.get(key)
        return None if trace_id is None else await self._recorded.answer(self.watched.project, trace_id)

    async def _model(self, name: str) -> Subject:
        watched = self.watched
        return await asyncio.to_thread(self._subjects.model, watched.project, name, watched.subject)

    def _made(self) -> list[Scorer]:
        """New ones know no verdict of before."""
        watched = self.watched
        made = {
            name: partial(_scorers_of, judge=judge, ask=self._ask) for name, judge in watched.subject.judges.items()
        }
        return registry.build(watched.settings.scorers, ask=self._ask, judges=made, file=f"live of {watched.app}")

    def _run(self) -> Run:
        """What asks: a run of this day that is never stored, whose id the records of its questions bear."""
        watched = self.watched
        return Run(
            id=f"live_{watched.app}_{clock.iso(self._day * _DAY_US)[:10]}",
            project=watched.project,
            app=watched.app,
            name="live judging",
            suite={},
            suite_hash="",
            dataset="live",
            dataset_hash="",
            targets=[watched.subject.target],
            baseline=None,
            status="running",
            created_by="rondo",
            created_at=self._day * _DAY_US,
            started_at=self._day * _DAY_US,
            key_id=payer(watched.app),
            max_concurrency=watched.settings.max_concurrency,
            budget_usd=watched.settings.budget_usd_per_day,
        )


def payer(app: str) -> str:
    """The key id that an app's judges are asked under. No key has it, and nothing else is paid by it."""
    return f"{KEY}:{app}"


def asks(scorer: Scorer) -> bool:
    """Whether a scorer asks a model."""
    return scorer.is_judge or KINDS[scorer.kind].asks


def _scorers_of(name: str, *, judge: Judge, ask: AskModel) -> list[Scorer]:
    return judges.build(name, judge, ask)


async def _nothing(key: str) -> Answer | None:
    """Nothing is kept beside the records."""
    return None
