"""What a look asks of models: vectors of questions, and names of groups; through the gateway, with a budget.

The questions are records of evaluations, with the look's id as their run. What is shown to the model that names is
scrubbed, and marked as data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from rondo import clock
from rondo.errors import RondoError
from rondo.evals.asking import Asking, Evaluate, Halted, ModelAsks
from rondo.evals.model import Answer, Run, Scorer, Target
from rondo.evals.scorers.asking import Asker
from rondo.evals.scorers.model import Tools, Unscorable
from rondo.evals.targets import Subject, Subjects
from rondo.governance.model import Grant

if TYPE_CHECKING:  # numpy is loaded by the first look, not by the server
    from rondo.monitoring.drift.vectors import Vectors

KEY = "drift"
TIMEOUT_S = 60.0
LONGEST_S = 240.0
"""For all vectors of a look: others wait for it."""

_AT_ONCE = 64
_LONGEST_TEXT = 4_000
_LONGEST_NAME = 60
_SYSTEM = (
    "You name groups of questions that users asked. For each numbered group you are given words that stand out and some"
    " of its questions. Give each group a name of two to six words that says what its questions are about, in the"
    " questions' own language. Give no names of persons, no numbers of orders or accounts."
)


class Means(Struct, frozen=True):
    """How models are asked at all."""

    evaluate: Evaluate
    subjects: Subjects


class Group(Struct, frozen=True):
    """What a name is asked for."""

    terms: list[str]
    questions: list[str]


class _Names(Struct, frozen=True):
    names: list[str]


class Faulty(Exception):
    """A model could not be asked, or said nothing that could be used."""


class Models:
    """One look's models. `spent_usd` is what they have cost."""

    def __init__(self, means: Means, project: str, app: str | None, look: str, budget_usd: float | None) -> None:
        now = clock.now_us()
        run = Run(
            id=look,
            project=project,
            app=app or "",
            name=KEY,
            suite={},
            suite_hash="",
            dataset=KEY,
            dataset_hash="",
            targets=[Target(label=KEY)],
            baseline=None,
            status="running",
            created_by="rondo",
            created_at=now,
            started_at=now,
            key_id=KEY,
            max_concurrency=2,
            budget_usd=budget_usd,
        )
        grant = Grant(project=project, key_id=KEY, name=KEY, kind="secret")
        self._project = project
        self._subjects = means.subjects
        self._asking = Asking(run, means.evaluate, lambda: grant, timeout_s=TIMEOUT_S)
        self._asks = ModelAsks(self._asking, _nothing, self._model)

    @property
    def spent_usd(self) -> float:
        return self._asking.spent_usd

    async def vectors(self, model: str, texts: Sequence[str]) -> Vectors:
        """A vector of each text, of length one. Raises Faulty."""
        import numpy as np

        from rondo.monitoring.drift.vectors import unit

        asked = self._asker(model).about()
        rows: list[list[float]] = []
        try:
            async with asyncio.timeout(LONGEST_S):
                for start in range(0, len(texts), _AT_ONCE):
                    some = [text[:_LONGEST_TEXT] for text in texts[start : start + _AT_ONCE]]
                    rows += await _told(model, asked.embed(model, some))
                    self._asks.to_keep.clear()
        except TimeoutError:
            raise Faulty(
                f"{model} gave vectors of {len(rows):,} of {len(texts):,} questions in {LONGEST_S:.0f} s."
            ) from None
        if len({len(row) for row in rows}) > 1:
            raise Faulty(f"{model} gave vectors of several lengths.")
        made = np.array(rows, dtype=np.float64)
        if not np.isfinite(made).all():
            raise Faulty(f"{model} gave numbers that are not finite.")
        found = unit(made)
        if not np.linalg.norm(found, axis=1).all():
            raise Faulty(f"{model} gave vectors without a direction: empty ones, or zeros.")
        return found

    async def names(self, model: str, groups: Sequence[Group]) -> list[str]:
        """A name for each group. Raises Faulty."""
        data = {
            f"GROUP {number}": "\n".join([f"Words: {', '.join(group.terms)}", *group.questions])
            for number, group in enumerate(groups, 1)
        }
        fits: Callable[[_Names], bool] = lambda told: (  # noqa: E731
            len(told.names) == len(groups) and all(map(_one_line, told.names))
        )
        told = await _told(model, self._asker(model).about().ask(_SYSTEM, data, _Names, fits))
        return [_one_line(name) for name in told.names]

    def _asker(self, model: str) -> Asker:
        return Asker(Tools(ask=self._asks, make=_no_scorer), KEY, model, {})

    async def _model(self, name: str) -> Subject:
        return await asyncio.to_thread(self._subjects.model, self._project, name, None)


def _one_line(name: str) -> str:
    """A name without line breaks and what else cannot be seen."""
    return " ".join("".join(each if each.isprintable() else " " for each in name).split())[:_LONGEST_NAME]


async def _told(model: str, asked: Any) -> Any:
    try:
        return await asked
    except (RondoError, Unscorable, Halted) as error:
        raise Faulty(f"{model}: {error}") from None


async def _nothing(key: str) -> Answer | None:
    """Nothing is kept from look to look."""
    return None


def _no_scorer(settings: Mapping[str, Any], key: str) -> Scorer:
    raise AssertionError("no scorer is made here")
