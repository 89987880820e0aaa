"""The suite `must-pass`: the failures of an app that became must-pass examples. No file declares it; every app that has
such examples has it, one run for each dataset that holds some.

It scores by what is in the examples themselves: their checks, and whether to hand over. Where that is not enough, a
suite of the project with `regressions = true` and scorers of its own stands in for it, once a gate names that suite.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from sqlalchemy import Connection

from rondo.datasets import regressions
from rondo.evals.model import MustPassOutcome, Result
from rondo.evals.suites import suite_hash
from rondo.settings.evaluating import OF_FAILURES, ScorerSettings, SuiteSettings


class MustPass(Struct, frozen=True, kw_only=True):
    """The part of the suite that one dataset holds: so many examples, and the suite's settings for a run."""

    name: str = OF_FAILURES
    dataset: str
    examples: int
    suite: dict[str, object]


def settings(dataset: str) -> SuiteSettings:
    """The suite over this dataset."""
    scorers = [ScorerSettings(kind="expect"), ScorerSettings(kind="hand_over")]
    return SuiteSettings(dataset=dataset, regressions=True, scorers=scorers)


def hash_of_suite() -> str:
    """What its runs bear, whatever the dataset: nobody's own scorers are evidence in its place."""
    return suite_hash(settings(""), {})


def of_app(connection: Connection, project: str, app: str) -> list[MustPass]:
    """What a whole run of the suite takes, by dataset."""
    return [
        MustPass(
            dataset=dataset,
            examples=len(examples),
            suite=settings(dataset).model_dump(mode="json", exclude_none=True),
        )
        for dataset, examples in regressions.required(connection, project, app).items()
    ]


def outcome(results: Sequence[Result]) -> MustPassOutcome:
    """What all repeats of one example say together. Without a line drawn by any scorer, nothing is known."""
    found = {_outcome(each) for each in results}
    order: tuple[MustPassOutcome, ...] = ("failed", "unknown", "passed")
    return next((each for each in order if each in found), "not_asked")


def _outcome(result: Result) -> MustPassOutcome:
    lines = [scored.passed for scored in result.scores.values() if scored.passed is not None]
    if not all(lines):
        return "failed"
    is_whole = result.answer is not None and all(scored.error is None for scored in result.scores.values())
    return "passed" if is_whole and lines else "unknown"
