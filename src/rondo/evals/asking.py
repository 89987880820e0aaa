"""Asking for one run: each question to a release or a model goes through the gateway's own pipeline, once.

What is busy or out of reach is asked again later, a little slower, and a few times only: then that is the example's own
error. A model that has been silent for long, whichever example it was asked, is away: it is not waited for again until
it has answered, so that it keeps nobody else waiting. Where all that the run is about are away, nothing more is asked:
it would only be errors, and the run can go on when they are back. Where the run's budget has no room beside what is
under way, it is asked again when that has ended; where there is none even so, OutOfBudget ends the run. What an earlier
life of the run was told, and could not keep, is found in the records, so that nothing is paid twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

import msgspec
from msgspec import structs

from rondo import clock
from rondo.errors import (
    BudgetExceeded,
    ConnectTimeout,
    KeyMissing,
    PriceUnknown,
    RondoError,
    Unauthorized,
    Unavailable,
    UpstreamCut,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from rondo.evals.answers import answer_of, embedding_answer
from rondo.evals.model import Answer, Run
from rondo.evals.requests import ask_key
from rondo.evals.targets import Subject
from rondo.gateway.evaluated import Budget, Evaluated, run_budget
from rondo.gateway.pace import Pace, may_go_well
from rondo.gateway.result import Answered
from rondo.gateway.spending import may_have_cost
from rondo.governance.model import Grant
from rondo.limits.model import to_nano
from rondo.providers.base import Path
from rondo.records import Chunk

RUN, KEY, CASE = "eval_run", "eval_key", "eval_case"
"""Tags of an evaluation's records."""

_MOST_TRIES = 8
_PATIENCE_S = 45.0
_PATIENCE_TIMES = 5
"""Who has given no answer for so long, and so often in a row, to more than one example, is away."""
_LONGEST_WAIT_S = 15
"""For a model that is out of reach: when it is back tells only a try."""

_encode = msgspec.json.Encoder().encode


class Evaluate(Protocol):
    """The gateway's opening for evaluations; see `gateway/endpoint.py`."""

    async def __call__(
        self,
        grant: Grant,
        path: Path,
        body: bytes,
        evaluated: Evaluated,
        tags: dict[str, str],
        *,
        context: Sequence[Chunk] | None = None,
    ) -> Answered: ...


Recover = Callable[[str], Awaitable[Answer | None]]
"""What an earlier life of the run was told under this key, if anything."""


class OutOfBudget(BudgetExceeded):
    """Nothing more can be asked."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, retry_after=0)


class Halted(BaseException):
    """The run has been told to stop; what was to be asked has not been. No Exception, so that no scorer makes a score
    of it."""


class _Silence(NamedTuple):
    """Since when a model could not be had, how often, for which examples, without an answer between, and why; `since`
    is monotonic."""

    since: float
    times: int
    cases: frozenset[str]
    why: RondoError

    def is_away(self, now: float) -> bool:
        """One example alone proves nothing: it may be that one which cannot be answered."""
        return self.times >= _PATIENCE_TIMES and now - self.since >= _PATIENCE_S and len(self.cases) > 1


class Asking:
    """Everything that one run asks."""

    def __init__(
        self,
        run: Run,
        evaluate: Evaluate,
        grant_of: Callable[[], Grant | None],
        *,
        timeout_s: float,
        recovered: Recover | None = None,
        tries: int = _MOST_TRIES,
        budget: Budget | None = None,
        about: Collection[str] = (),
    ) -> None:
        """`budget` is in the place of the run's own. `about` are the identities of those without whom nothing is worth
        asking, if there are any."""
        self.pace = Pace(run.max_concurrency)
        self.spent_usd = run.spent_usd
        self.refused: str | None = None
        """Why nothing more can be asked, once that is so."""
        self.is_spent = False
        """Whether that is because its own budget is spent, or has no room."""
        self._run = run
        self._evaluate = evaluate
        self._grant_of = grant_of
        self._timeout_s = timeout_s
        self._recovered = recovered
        self._tries = tries
        self._budget = budget or _budget_of(run)
        self._alone = asyncio.Lock()
        self._is_tight = False
        self._busy = 0
        self._about = frozenset(about)
        self._silent: dict[str, _Silence] = {}
        self._away: set[str] = set()
        self._changed = asyncio.Event()

    async def ask(
        self,
        subject: Subject,
        path: Path,
        body: dict[str, Any],
        *,
        key: str,
        case: str,
        context: Sequence[Chunk] | None = None,
    ) -> Answer:
        """What the subject says. Raises RondoError, OutOfBudget, Halted."""
        known = None if self._recovered is None else await self._recovered(key)
        if known is not None:
            return known
        evaluated = Evaluated(subject.served, self._budget)
        encoded = _encode(body)
        tags = {RUN: self._run.id, KEY: key, CASE: case}
        tries = 0
        while await self.pace.enter():
            tries += 1
            try:
                answer = await self._once(path, encoded, evaluated, tags, context)
            except RondoError as error:
                self._note(subject, error, case or key)
                if self.refused is not None and _is_away(error):
                    raise Halted from None
                if tries >= self._tries or not _is_worth_a_wait(error) or subject.identity in self._away:
                    raise
                asked = error.retry_after
                self.pace.sent_back(tries, min(asked, _LONGEST_WAIT_S) if asked and _is_away(error) else asked)
            else:
                self._silent.pop(subject.identity, None)
                self._away.discard(subject.identity)
                return answer
            finally:
                self.pace.leave()
        raise Halted

    def _note(self, subject: Subject, error: RondoError, case: str) -> None:
        """Remember who cannot be had; where nobody can whom this is about, that is the end."""
        who, now = subject.identity, clock.monotonic()
        if not _is_away(error):
            if isinstance(error, UpstreamError):  # it is there, to say so
                self._silent.pop(who, None)
            return
        before = self._silent.get(who, _Silence(now, 0, frozenset(), error))
        why = error if isinstance(error, UpstreamError) else before.why  # the gateway's own says less
        silence = self._silent[who] = _Silence(before.since, before.times + 1, before.cases | {case}, why)
        if silence.is_away(now):
            self._away.add(who)
        if self._about and self._about <= self._away:
            self._refuse(f"{subject.target.label} has answered nothing for {now - silence.since:.0f} s: {why}")

    async def _once(
        self,
        path: Path,
        body: bytes,
        evaluated: Evaluated,
        tags: dict[str, str],
        context: Sequence[Chunk] | None,
    ) -> Answer:
        self._check_budget()
        while True:
            if not self._is_tight:
                answered = await self._sent(path, body, evaluated, tags, context)
            else:  # one at a time, once those under way have ended
                async with self._alone:
                    while self._busy:
                        changed = self._changed
                        await changed.wait()
                    answered = await self._sent(path, body, evaluated, tags, context)
            if answered is not None:
                return self._counted(answered, path)

    async def _sent(
        self,
        path: Path,
        body: bytes,
        evaluated: Evaluated,
        tags: dict[str, str],
        context: Sequence[Chunk] | None,
    ) -> Answered | None:
        """What the gateway answers; None where the budget has no room for it beside what is under way."""
        grant = self._grant_of()
        if grant is None:
            raise Unauthorized(
                "The key that started this run has been revoked.", remedy="Start a run with another key."
            )
        self._busy += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                answered = await self._evaluate(grant, path, body, evaluated, tags, context=context)
        except TimeoutError:
            raise UpstreamTimeout(
                f"There was no answer within {self._timeout_s:g} s.", remedy="`timeout_s` of the suite sets it."
            ) from None
        except PriceUnknown as error:
            raise self._refuse(str(error)) from None
        except BudgetExceeded as error:
            if self._busy == 1:
                raise self._refuse(self._no_room(error)) from None
            self._is_tight = True
            return None
        finally:
            self._busy -= 1
            if self._is_tight:  # only then does anyone wait
                told, self._changed = self._changed, asyncio.Event()
                told.set()
        self.pace.went_well()
        return answered

    def _counted(self, answered: Answered, path: Path) -> Answer:
        call = answered.call
        self.spent_usd += call.charged_usd if call.charged_usd is not None else call.cost_usd or 0.0
        try:
            return (embedding_answer if path == "/embeddings" else answer_of)(answered.body, call)
        except msgspec.DecodeError as error:
            raise UpstreamCut(f"The answer cannot be read: {error}.") from None

    def _check_budget(self) -> None:
        budget = self._run.budget_usd
        if budget is not None and self.spent_usd >= budget:
            self.is_spent = True
            raise self._refuse(f"The budget of ${budget:g} has been spent.")

    def _no_room(self, error: BudgetExceeded) -> str:
        if self._budget is None or not self._budget.refused(error):
            return str(error)
        self.is_spent = True
        return (
            f"What is left of the run's budget of ${self._run.budget_usd:g} has no room for the next request."
            f" `rondo eval --resume {self._run.id} --budget USD` goes on with another one."
        )

    def _refuse(self, reason: str) -> OutOfBudget:
        self.refused = self.refused or reason
        self.pace.halt()
        return OutOfBudget(reason)


class CaseInHand:
    """The case that is being scored: what its judges ask is told apart by how often they ask it."""

    __slots__ = ("asked", "example", "repeat")

    def __init__(self, example: str, repeat: int) -> None:
        self.example = example
        self.repeat = repeat
        self.asked: dict[str, int] = {}


_in_hand: ContextVar[CaseInHand | None] = ContextVar("rondo_case_in_hand", default=None)


def take_in_hand(example: str, repeat: int) -> None:
    """From here on, in this task, whatever is asked of models is for this case, and for a scorer of its own."""
    _in_hand.set(CaseInHand(example, repeat))


class ModelAsks:
    """What judges and played users ask of models (`AskModel`), once for each case however often a run is begun."""

    def __init__(
        self,
        asking: Asking,
        find: Callable[[str], Awaitable[Answer | None]],
        model: Callable[[str], Awaitable[Subject]],
    ) -> None:
        """`find` looks among what was said before, by key; `model` gives a model by its name."""
        self._asking = asking
        self._find = find
        self._model = model
        self._under_way: dict[str, asyncio.Task[Answer]] = {}
        self.to_keep: dict[str, Answer] = {}
        """What was said, and has not been stored yet."""

    async def __call__(self, model: str, request: Mapping[str, Any], *, path: str = "/chat/completions") -> Answer:
        """Raises RondoError, OutOfBudget, Halted."""
        subject = await self._model(model)
        case = _in_hand.get() or CaseInHand("", 0)
        once = ask_key(subject.identity, path, request, case.repeat, 0)
        nth = case.asked.get(once, 0)
        case.asked[once] = nth + 1
        key = once if nth == 0 else ask_key(subject.identity, path, request, case.repeat, nth)
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(self._say(subject, path, request, key, case.example))
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        # Shielded: one who waits for the same answer may leave while the other still wants it.
        return await asyncio.shield(task)

    async def _say(self, subject: Subject, path: str, request: Mapping[str, Any], key: str, case: str) -> Answer:
        known = self.to_keep.get(key) or await self._find(key)
        if known is not None:
            return structs.replace(known, cached=True)
        body = {**request, "model": subject.target.label}
        where: Path = "/embeddings" if path == "/embeddings" else "/chat/completions"
        answer = await self._asking.ask(subject, where, body, key=key, case=case)
        self.to_keep[key] = answer
        return answer


def _is_worth_a_wait(error: RondoError) -> bool:
    """Whether to ask again later: what may go well then, and what has reached nobody, so that it has cost nothing."""
    if isinstance(error, UpstreamUnreachable | ConnectTimeout):
        return not may_have_cost(error) and not isinstance(error, KeyMissing)
    return may_go_well(error)


def _is_away(error: RondoError) -> bool:
    """Whether it is the model that cannot be had, and not this request that cannot be answered."""
    if isinstance(error, UpstreamError) and error.status == 503:
        return True
    return isinstance(error, UpstreamUnreachable | UpstreamTimeout | Unavailable)


def _budget_of(run: Run) -> Budget | None:
    """What is left of the run's budget, for this life of it."""
    if run.budget_usd is None:
        return None
    left = max(0.0, run.budget_usd - run.spent_usd)
    return run_budget(run.project, f"{run.id}.{run.started_at or 0}.{run.done}.{to_nano(run.spent_usd)}", to_nano(left))
