"""The dashboard of quality: scores with their intervals, hand-overs, goals met or missed, and evaluations, over time.

Shares have Wilson's interval, means of numbers a normal one; both at 95 %, and both as if each score were a user's own:
where few users give most of the scores, the truth is wider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any, Literal

from msgspec import Struct

from rondo.feedback.scores import OUTCOME
from rondo.monitoring.dashboards.evaluations import EvaluationSeries
from rondo.monitoring.dashboards.traffic import Values, lined_up
from rondo.monitoring.dashboards.window import Chosen, Window
from rondo.monitoring.goals import OF_CALLS, OUTCOMES, ask_scores, scored
from rondo.monitoring.judging.model import KEY
from rondo.reviews.model import METRIC, WRITER
from rondo.store.at_once import Asked, Rows, ask_at_once
from rondo.store.base import RecordStore

_Z = 1.959964  # the 97.5 % quantile of the normal distribution


class Estimated(Struct, frozen=True, kw_only=True):
    """A mean or a share of `n`, with its 95 % interval; None where there is none."""

    n: int
    value: float | None
    low: float | None
    high: float | None


NOTHING = Estimated(n=0, value=None, low=None, high=None)


class ScoreSeries(Struct, frozen=True, kw_only=True):
    """Scores of one name, kind and type. `points` has one for each bucket; for categories only `n` is known."""

    name: str
    kind: str
    data_type: Literal["boolean", "number", "category"]
    overall: Estimated
    points: list[Estimated]


class GoalSeries(Struct, frozen=True, kw_only=True):
    """A goal of an app over time. `met` is None in buckets in which it was not measured; `lows` and `highs` are 95 %
    intervals, of goals that scores feed."""

    app: str
    metric: str
    at_least: float | None
    at_most: float | None
    value: float | None
    met: bool | None
    values: Values
    lows: Values
    highs: Values
    kept: list[bool | None]


class Quality(Struct, frozen=True, kw_only=True):
    """`handed_over` is the share of answered calls that went on to a person; deflection is the rest. `evaluations` are
    the runs that finished in the window, whatever model or arm was chosen."""

    window: Window
    chosen: Chosen
    buckets: list[int]
    scores: list[ScoreSeries]
    handed_over: list[Estimated]
    handed_over_overall: Estimated
    goals: list[GoalSeries]
    evaluations: list[EvaluationSeries]


class AppGoals(Struct, frozen=True):
    """An app and the goals that its latest release declares; `live_percent` of its calls are scored live, and people
    are given `human_percent` of them."""

    app: str
    goals: Sequence[Mapping[str, Any]]
    live_percent: float = 0.0
    human_percent: float = 0.0


Measured = dict[str, dict[int | None, dict[str, Estimated]]]
"""What was measured, by app, bucket (None: all of the time) and metric."""


class Declared(Struct, frozen=True):
    """What the catalog knows of a project's quality."""

    apps: Sequence[AppGoals]
    evaluations: list[EvaluationSeries]


def quality(store: RecordStore, project: str, window: Window, chosen: Chosen, declared: Declared) -> Quality:
    """Reads the store; blocks. Goals are of live calls of an app, whatever model or arm was chosen."""
    asked = {"project": project, "since": window.since, "until": window.until, "bucket_us": window.bucket_us}
    apps = [each for each in declared.apps if each.goals and chosen.app in (None, each.app)]
    of_goals = ask_goals({**asked, "app": chosen.app, "release": chosen.release}, apps) if apps else []
    rows, scores, *goals = ask_at_once(
        store,
        Asked("dash_traffic", asked, chosen.filters()),
        Asked("dash_scores", asked, chosen.filters()),
        *of_goals,
    )
    buckets = window.buckets
    handed, known = lined_up(rows, buckets, "handed_over", 0), lined_up(rows, buckets, "handed_over_known", 0)
    return Quality(
        window=window,
        chosen=chosen,
        buckets=buckets,
        scores=_scores(scores, buckets),
        handed_over=[share(int(part or 0), int(n or 0)) for part, n in zip(handed, known, strict=True)],
        handed_over_overall=share(int(sum(filter(None, handed))), int(sum(filter(None, known)))),
        goals=_goals(_put_together(goals, apps), buckets, apps) if apps else [],
        evaluations=declared.evaluations,
    )


def share(part: int, n: int) -> Estimated:
    """`part` of `n`, with Wilson's interval."""
    if n == 0:
        return NOTHING
    from rondo.evals.statistics.intervals import wilson  # with NumPy, which a server starts without

    low, high = wilson(part / n, n)
    return Estimated(n=n, value=part / n, low=low, high=high)


def mean(value: float, variance: float, n: int) -> Estimated:
    """A mean with its normal interval; one value alone has none."""
    if n < 2:
        return Estimated(n=n, value=value, low=None, high=None)
    half = _Z * sqrt(variance / n)
    return Estimated(n=n, value=value, low=value - half, high=value + half)


def _estimated(row: Mapping[str, Any] | None) -> Estimated:
    if row is None:
        return NOTHING
    if row["data_type"] == "boolean":
        return share(row["positive"], row["scores"])
    if row["data_type"] == "number" and row["mean"] is not None:
        return mean(row["mean"], row["variance"], row["scores"])
    return Estimated(n=row["scores"], value=None, low=None, high=None)


def _scores(rows: Rows, buckets: Sequence[int]) -> list[ScoreSeries]:
    overall = [row for row in rows if row["bucket_at"] is None]
    by_place = {(_identity(row), row["bucket_at"]): row for row in rows}
    return [
        ScoreSeries(
            name=row["name"],
            kind=row["kind"],
            data_type=row["data_type"],
            overall=_estimated(row),
            points=[_estimated(by_place.get((_identity(row), bucket))) for bucket in buckets],
        )
        for row in sorted(overall, key=lambda row: (row["kind"] != "user", -row["scores"], row["name"]))
    ]


def _identity(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["name"], row["kind"], row["data_type"]


def _goals(rows: Measured, buckets: Sequence[int], apps: Sequence[AppGoals]) -> list[GoalSeries]:
    found = []
    for each in apps:
        mine = rows.get(each.app, {})
        for goal in each.goals:
            metric = goal["metric"]
            points = [mine.get(bucket, {}).get(metric, NOTHING) for bucket in buckets]
            value = mine.get(None, {}).get(metric, NOTHING).value
            found.append(
                GoalSeries(
                    app=each.app,
                    metric=metric,
                    at_least=goal.get("at_least"),
                    at_most=goal.get("at_most"),
                    value=value,
                    met=is_met(goal, value),
                    values=[point.value for point in points],
                    lows=[point.low for point in points],
                    highs=[point.high for point in points],
                    kept=[is_met(goal, point.value) for point in points],
                )
            )
    return found


def measured(store: RecordStore, asked: Mapping[str, Any], apps: Sequence[AppGoals]) -> Measured:
    """What goals are held against; `asked` as of `goal_series`.

    Goals named `human.<criterion>` are means of what people said, those named `outcome.<name>` of what clients said
    became of calls, and others that no metric of calls has, of scores that live judging gave; all with their intervals.
    """
    return _put_together(ask_at_once(store, *ask_goals(asked, apps)), apps)


def ask_goals(asked: Mapping[str, Any], apps: Sequence[AppGoals]) -> list[Asked]:
    """The questions whose rows tell how the apps' goals stand: metrics of calls first, then scores."""
    within = {name: value for name, value in asked.items() if name != "app"}
    live: dict[str, float] = {}
    human: dict[str, float] = {}
    outcomes: dict[str, float] = {}
    for each in apps:
        names = {goal["metric"] for goal in each.goals} - OF_CALLS
        said = {name for name in names if name.startswith(METRIC)}
        became = {name for name in names if name.startswith(OUTCOME)}
        if said:
            human[each.app] = each.human_percent
        if became:
            outcomes[each.app] = 100.0
        if names - said - became:
            live[each.app] = each.live_percent
    scores = [ask_scores(within, *of) for of in ((KEY, live), (WRITER, human), (OUTCOMES, outcomes))]
    return [Asked("goal_series", asked), *(each for each in scores if each is not None)]


def _put_together(answers: Sequence[Rows], apps: Sequence[AppGoals]) -> Measured:
    series, *scores = answers
    names = {each.app: {goal["metric"] for goal in each.goals} for each in apps}
    found: Measured = {}
    for row in series:
        n = int(row["calls.count"] or 0)
        found.setdefault(row["app"], {})[row["bucket_at"]] = {
            name: Estimated(n=n, value=row[name], low=None, high=None)
            for name in names.get(row["app"], ())
            if name in row
        }
    of_scores = {app: names[app] - buckets.get(None, {}).keys() for app, buckets in found.items() if app in names}
    for row in (row for rows in scores for row in rows):
        if row["name"] in of_scores.get(row["app"], ()):
            told = scored(row)
            estimated = Estimated(n=told.calls, value=told.value, low=told.low, high=told.high)
            found[row["app"]].setdefault(row["bucket_at"], {})[row["name"]] = estimated
    return found


def is_met(goal: Mapping[str, Any], value: float | None) -> bool | None:
    """None where it was not measured."""
    if value is None:
        return None
    at_least, at_most = goal.get("at_least"), goal.get("at_most")
    return bool(value >= at_least if at_least is not None else value <= at_most)  # type: ignore[operator]
