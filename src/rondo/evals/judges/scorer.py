"""A judge as scorers of a suite: one for each of its metrics, all fed by the same votes.

Within a run, a judge is asked once about what reads the same: its scorers share the verdict, and so do equal answers.
Only so many verdicts are kept, so that memory does not grow with the run; whole results are kept elsewhere.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from functools import partial

from msgspec.structs import replace

from rondo.evals.judges.asking import Asking
from rondo.evals.judges.deliberate import NO_OTHER, deliberate
from rondo.evals.judges.material import material, pair
from rondo.evals.judges.model import Judge
from rondo.evals.judges.version import version_of
from rondo.evals.model import AskModel, Case, Scored, Scorer

KEPT = 4_096
"""Verdicts that are kept; more than examples can be under way."""


def build(name: str, judge: Judge, ask: AskModel) -> list[Scorer]:
    """The scorers of a judge under the name that the suite gives it.

    `quality` with the criteria accuracy and clarity gives `quality.accuracy`, `quality.clarity` and their mean
    `quality`. What a verdict cost is told once, by the first of them.
    """
    bench = Bench(judge, ask)
    version = version_of(judge)
    aspects = [*judge.aspects, ""] if len(judge.aspects) > 1 else judge.aspects
    return [
        Scorer(
            name=metric,
            kind="judge",
            version=version,
            score=partial(bench.score, aspect),
            unit="score" if judge.scores_criteria else "share",
            is_judge=True,
            judge=judge.name,
        )
        for metric, aspect in zip(judge.metrics(name), aspects, strict=True)
    ]


class Bench:
    """One judge in one run."""

    def __init__(self, judge: Judge, ask: AskModel) -> None:
        self._judge = judge
        self._asking = Asking(judge.name, judge.model.name, ask)
        self._kept: OrderedDict[str, _Verdict] = OrderedDict()

    async def score(self, aspect: str, case: Case) -> Scored:
        """What the judge says of one aspect. Raises BudgetExceeded and PriceUnknown."""
        if self._judge.kind == "pairwise" and case.other is None:
            return Scored(reason=NO_OTHER)
        said = await self.verdict(case)
        found = said.scores[aspect]
        if aspect in said.told:
            return replace(found, cost_usd=0.0)
        said.told.add(aspect)
        return found

    async def verdict(self, case: Case) -> _Verdict:
        """All that the judge says of a case; of the same case once."""
        key = self._key(case)
        kept = self._kept.setdefault(key, _Verdict())
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        async with kept.asking:  # whoever comes meanwhile waits; where asking fails, the next one tries
            if not kept.scores:
                kept.scores = await deliberate(self._judge, case, self._asking)
        return kept

    def _key(self, case: Case) -> str:
        shown = material(case) if case.other is None or self._judge.kind != "pairwise" else pair(case, swapped=False)
        return shown.mark


class _Verdict:
    """`told` are the aspects whose cost has been told."""

    def __init__(self) -> None:
        self.asking = asyncio.Lock()
        self.scores: dict[str, Scored] = {}
        self.told: set[str] = set()
