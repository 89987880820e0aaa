"""What the stored calls say of a rollout now: its calls, made into a Reading.

The queries give each metric's callers, in order; everything that is concluded from them is pure, in `verdict.py`,
`guards.py` and `mismatch.py`. No verdict rests on an earlier reading, so a restart changes none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, structs

from rondo import clock
from rondo.evals.goals import Goal
from rondo.rollout.allocation import candidate_share
from rondo.rollout.guards import SPANS_S, Counted, Span, breaches
from rondo.rollout.matched import NOBODY, Observed
from rondo.rollout.mismatch import expected_share, mismatch
from rondo.rollout.model import MEASURES, TOTALS, Breach, GoalVerdict, Reading, Side, Terms, Variant
from rondo.rollout.verdict import judge, level, measure_of
from rondo.store.base import RecordStore

_SECOND = 1_000_000
_SLACK = 86_400 * _SECOND  # how far a clock may jump back; a rollout's id says which calls are its own
_SHOWN = 5
_BUSY_SHARE = 0.1
_LONG_CALL_S = 600
_SOON_S = 0.2
"""A whole reading that takes no longer may come before a rollback."""
_FORGOTTEN_S = 3_600.0
_LESS_IS_BETTER = ("errors.", "latency.", "first_token.", "cost.", "tokens.", "handed_over.")

Callers = Mapping[tuple[str, Variant], Observed]


class _Asked(Struct, frozen=True, kw_only=True):
    """The rollout that is read, and when."""

    store: RecordStore
    project: str
    app: str
    rollout: str
    terms: Terms
    since: int
    now: int

    def query(self, name: str, **params: object) -> list[dict[str, Any]]:
        own: dict[str, object] = {
            "project": self.project,
            "app": self.app,
            "rollout": self.rollout,
            "since": self.since - _SLACK,
        }
        return self.store.query(name, {**own, **params})

    def query_units(self, name: str, **params: object) -> list[dict[str, Any]]:
        return self.query(name, now=self.now, by_session=self.terms.sticky == "session", **params)


def read(
    store: RecordStore,
    project: str,
    app: str,
    rollout: str,
    terms: Terms,
    *,
    since: int,
    now: int,
    candidate_share_bp: int,
) -> Reading:
    """All that is known of a rollout that began at `since`. Raises Unavailable."""
    asked = _Asked(store=store, project=project, app=app, rollout=rollout, terms=terms, since=since, now=now)
    live, shadowed = _spans(asked)
    whole = live[0]
    goals, bandit_share = _goals(asked)
    broken = _breaches(asked, live, shadowed)
    expected = expected_share(terms.steps, candidate_share_bp) if terms.baseline and terms.kind != "bandit" else None
    held = not broken and not any(goal.guarded and goal.verdict == "worse" for goal in goals)
    return Reading(
        at=now,
        candidate=_side(whole.candidate),
        baseline=_side(whole.baseline),
        shadow_calls=shadowed[0].candidate.calls,
        goals=goals,
        breaches=broken,
        mismatch=None if expected is None else mismatch(whole.candidate.units, whole.baseline.units, expected),
        bandit_share=bandit_share if held else None,
    )


def _side(found: Counted) -> Side:
    return Side(calls=found.calls, units=found.units, fresh=found.fresh, immature=found.immature, cached=found.cached)


class Reader:
    """Reads as often as it is asked: the guards each time, all of it only so often that this keeps the store busy for
    a tenth of the time. So a small rollout is known at once, and a huge one costs no more.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[Reading, float, float]] = {}  # and until when it will do, and how long it took

    def __call__(
        self,
        store: RecordStore,
        project: str,
        app: str,
        rollout: str,
        terms: Terms,
        *,
        since: int,
        now: int,
        candidate_share_bp: int,
    ) -> Reading:
        """As `read`."""
        began = clock.monotonic()
        reading, due, took_s = self._known.get(rollout, (None, began, 0.0))
        broken: list[Breach] = []
        if reading is not None and began < due:
            asked = _Asked(store=store, project=project, app=app, rollout=rollout, terms=terms, since=since, now=now)
            broken = _recent_breaches(asked)
            if not broken or took_s > _SOON_S:  # what ends a rollout is told with all numbers, if they are soon there
                return structs.replace(
                    reading, at=now, breaches=broken, bandit_share=None if broken else reading.bandit_share
                )
        reading = read(store, project, app, rollout, terms, since=since, now=now, candidate_share_bp=candidate_share_bp)
        if broken and not reading.breaches:
            reading = structs.replace(reading, breaches=broken, bandit_share=None)
        done = clock.monotonic()
        self._known = {name: each for name, each in self._known.items() if each[1] > done - _FORGOTTEN_S}
        self._known[rollout] = (reading, done + (done - began) / _BUSY_SHARE, done - began)
        return reading


def _recent_breaches(asked: _Asked) -> list[Breach]:
    """Those that the last spans show. The whole rollout is not looked through."""
    recent = asked.now - (max(SPANS_S) + _LONG_CALL_S) * _SECOND
    lately = structs.replace(asked, since=max(asked.since, recent + _SLACK))
    live, shadowed = _spans(lately)
    return _breaches(asked, *([span for span in spans if span.seconds] for spans in (live, shadowed)))


def _spans(asked: _Asked) -> tuple[list[Span], list[Span]]:
    """Of the live calls, and of the copies for a shadow."""
    spans = "\n".join(str(seconds * _SECOND) for seconds in SPANS_S)
    counts_s = asked.terms.window_s + asked.terms.settle_s
    after = {"counts_after": counts_s, "matures_after": counts_s + asked.terms.maturity_s}
    times = {name: round(seconds * _SECOND) for name, seconds in after.items()}
    rows = asked.query_units("rollout_sides", spans=spans, **times)
    found = {
        (row["arm"], row["span"] // _SECOND, row["variant"]): Counted(
            **{name: row[name] for name in Counted.__struct_fields__}
        )
        for row in rows
    }

    def of(arm: str, seconds: int) -> Span:
        sides = [found.get((arm, seconds, variant), Counted()) for variant in ("candidate", "baseline")]
        return Span(seconds=seconds, candidate=sides[0], baseline=sides[1])

    live, shadow = ([of(arm, seconds) for seconds in SPANS_S] for arm in ("live", "shadow"))
    return live, shadow


def _breaches(asked: _Asked, live: list[Span], shadowed: list[Span]) -> list[Breach]:
    """By the live calls; what they do not show, by the copies, whose baseline is what is live."""
    guards, false_alarms = asked.terms.guards, asked.terms.false_alarms
    copies = [structs.replace(span, baseline=beside.baseline) for span, beside in zip(shadowed, live, strict=True)]
    found = {each.guard: each for each in breaches(guards, copies, false_alarms)}
    found |= {each.guard: each for each in breaches(guards, live, false_alarms)}
    return [structs.replace(each, traces=_bad_calls(asked, each)) for each in found.values()]


def _bad_calls(asked: _Asked, breach: Breach) -> list[str]:
    if breach.guard == "cost":
        return _traces(asked, "cost.per_request_usd", 0.0, more_is_bad=True)
    return _traces(asked, "errors.rate" if breach.guard == "errors" else "timeouts", 0.5, more_is_bad=True)


def _goals(asked: _Asked) -> tuple[list[GoalVerdict], float | None]:
    """The verdicts, and what share of the callers a bandit gives the candidate."""
    terms = asked.terms
    reward = _reward(terms)
    wanted = {goal.metric for goal in [*terms.goals, *([reward] if reward is not None else [])]} - TOTALS
    callers = _callers(asked, wanted)
    alpha = level(terms.goals, terms.false_alarms)
    verdicts = [judge(goal, *_sides(callers, goal.metric), alpha) for goal in terms.goals]
    share = None
    if reward is not None:
        candidate, baseline = _sides(callers, reward.metric)
        measure = measure_of(reward.metric, candidate, baseline)
        share = candidate_share(candidate, baseline, measure, higher_is_better=reward.at_least is not None)
    return [_shown(asked, _noted(each, terms), goal) for each, goal in zip(verdicts, terms.goals, strict=True)], share


def _noted(verdict: GoalVerdict, terms: Terms) -> GoalVerdict:
    """That nothing waits for a goal that no call tells of."""
    if verdict.metric not in terms.untold or verdict.candidate_units or verdict.baseline_units:
        return verdict
    return structs.replace(verdict, note="No live call tells of it, so no step waits for it.")


def _reward(terms: Terms) -> Goal | None:
    """What a bandit goes by: a goal, or a metric that is none, whose name tells its direction."""
    if terms.kind != "bandit":
        return None
    if terms.reward is None:
        return terms.goals[0] if terms.goals else None
    for goal in terms.goals:
        if goal.metric == terms.reward:
            return goal
    if terms.reward.startswith(_LESS_IS_BETTER):
        return Goal(metric=terms.reward, at_most=0.0)
    return Goal(metric=terms.reward, at_least=0.0)


def _callers(asked: _Asked, wanted: set[str]) -> Callers:
    own, scored = sorted(wanted & MEASURES.keys()), sorted(wanted - MEASURES.keys())
    times: dict[str, object] = {
        "window": round(asked.terms.window_s * _SECOND),
        "settle": round(asked.terms.settle_s * _SECOND),
    }
    found: dict[tuple[str, Variant], Observed] = {}
    for row in asked.query_units("rollout_units", metrics="\n".join(own), **times) if own else ():
        found |= {(name, row["variant"]): Observed.of(row["entered"], row[name], row["place"]) for name in own}
    if scored:
        times["maturity"] = round(asked.terms.maturity_s * _SECOND)
        for row in asked.query_units("rollout_scores", metrics="\n".join(scored), **times):
            found[row["metric"], row["variant"]] = Observed.of(row["entered"], row["values"], row["place"])
    return found


def _sides(callers: Callers, metric: str) -> tuple[Observed, Observed]:
    return callers.get((metric, "candidate"), NOBODY), callers.get((metric, "baseline"), NOBODY)


def _shown(asked: _Asked, verdict: GoalVerdict, goal: Goal) -> GoalVerdict:
    """A worse verdict with the candidate's newest calls that are worse than the baseline is."""
    if verdict.verdict != "worse" or verdict.baseline is None:
        return verdict
    more_is_bad = goal.at_most is not None
    return structs.replace(verdict, traces=_traces(asked, goal.metric, verdict.baseline, more_is_bad=more_is_bad))


def _traces(asked: _Asked, metric: str, beyond: float, *, more_is_bad: bool) -> list[str]:
    rows = asked.query("rollout_traces", metric=metric, beyond=beyond, more_is_bad=more_is_bad, limit=_SHOWN)
    return [row["trace_id"] for row in rows]
