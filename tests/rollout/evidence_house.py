"""Calls of a rollout on both its sides, put into a store and read as evidence."""

from __future__ import annotations

from typing import Any

from record_makers import START, after, entry, make_call
from rondo.evals.goals import Goal
from rondo.records import Call, Score
from rondo.rollout.evidence import read
from rondo.rollout.model import GoalVerdict, Reading, Terms
from rondo.settings.steps import parse_step
from rondo.store.base import RecordStore

SECOND, MINUTE, DAY = 1_000_000, 60_000_000, 86_400_000_000
NOW = START + DAY
CORRECT = Goal(metric="answer.correct", at_least=0.8)
ERRORS = Goal(metric="errors.rate", at_most=0.02)
COST = Goal(metric="cost.per_request_usd", at_most=0.01)
EVERY = [
    Goal(metric=name, at_most=1.0)
    for name in (
        "errors.rate",
        "latency.p50_ms",
        "latency.p95_ms",
        "first_token.p95_ms",
        "cost.per_request_usd",
        "tokens.per_request",
        "handed_over.rate",
    )
] + [Goal(metric=name, at_least=0.5) for name in ("deflection", "feedback.positive_rate", "answer.correct")]


def terms(*goals: Goal, **more: Any) -> Terms:
    return Terms(steps=[parse_step("10% until evidence"), parse_step("100%")], goals=list(goals), **more)


def call(variant: str | None = "candidate", **fields: Any) -> Call:
    return make_call(**{"app": "bot", "rollout": "r", "variant": variant, "started_at": START, **fields})


class Kept:
    """A store that records are put into one batch after the other."""

    def __init__(self, store: RecordStore) -> None:
        self.store = store
        self._count = 0

    def add(self, *records: Call | Score) -> None:
        self._count += len(records)
        self.store.insert("w", [entry(each) for each in records], after(self._count))

    def read(self, *goals: Goal, now: int = NOW, since: int = START, **more: Any) -> Reading:
        return read(self.store, "p", "bot", "r", terms(*goals, **more), since=since, now=now, candidate_share_bp=1000)

    def goal(self, goal: Goal, **more: Any) -> GoalVerdict:
        (found,) = self.read(goal, **more).goals
        return found


def a_pair(number: int, **of_candidate: Any) -> list[Call]:
    """A caller of each side who calls once."""
    at = START + number * SECOND
    plain: dict[str, Any] = {"started_at": at, "cost_usd": 0.002 + 0.0001 * (number % 5), "duration_ms": 100.0 + number}
    return [call(user=f"c{number}", **{**plain, **of_candidate}), call("baseline", user=f"b{number}", **plain)]


def fill(kept: Kept, count: int, **of_candidate: Any) -> None:
    kept.add(*[each for number in range(count) for each in a_pair(number, **of_candidate)])
