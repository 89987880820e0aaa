"""The terms that an app's settings make: what a step `until evidence` may wait for."""

from __future__ import annotations

import pytest

from rondo.errors import InvalidRequest
from rondo.rollout.terms import terms_for

SETTINGS = {"rollout": {"steps": ["25% until evidence", "100%"]}}


def untold(*metrics: str, **settings: object) -> list[str]:
    goals = [{"metric": metric, "at_least": 0.5} for metric in ("deflection", *metrics)]
    return terms_for({**SETTINGS, "goals": goals, **settings}, {}).untold


def test_what_only_a_suite_measures_is_the_gates_to_judge() -> None:
    assert untold("answer.correct") == ["answer.correct"]
    told = ("errors.rate", "feedback.positive_rate", "human.accuracy", "outcome.ticket_closed", "cost.total_usd")
    assert untold(*told) == []


def test_what_live_judging_scores_is_told_by_calls() -> None:
    scorers = [{"kind": "judge", "judge": "quality"}, {"kind": "contains", "name": "answer.correct"}, {"kind": "words"}]
    assert untold("quality", "quality.accuracy", "words", "answer.correct", live={"scorers": scorers}) == []
    assert untold("qualities", live={"scorers": scorers}) == ["qualities"]


def test_a_rollout_that_could_only_wait_is_refused() -> None:
    settings = {**SETTINGS, "goals": [{"metric": "answer.correct", "at_least": 0.8}]}
    with pytest.raises(InvalidRequest, match="no guarded goal"):
        terms_for(settings, {})
