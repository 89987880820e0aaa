"""Goals on scores of live judging: a mean over the calls that are drawn anyway, as sure as its users make it."""

from __future__ import annotations

from statistics import mean
from typing import Any

import pytest
from msgspec import structs

from record_makers import after, entry, make_call, make_score
from rondo.monitoring.alerts.model import Rule
from rondo.monitoring.alerts.numbers import Numbers
from rondo.monitoring.dashboards.quality import AppGoals, ask_goals, measured
from rondo.monitoring.goals import OF_CALLS, Evaluated, GoalStatus, live_percent, standing
from rondo.records import Call, Score
from rondo.reviews.model import is_sampled
from rondo.store.base import RecordStore

GOAL = {"metric": "polite", "at_least": 0.5}


def keep(store: RecordStore, *records: Call | Score) -> None:
    store.insert("w", [entry(each) for each in records], after(len(records)))


def judged(call: Call, value: float, **fields: Any) -> Score:
    about = {"name": "polite", "kind": "judge", "key_id": "live", "data_type": "number", **fields}
    return make_score(call, value=value, **{"created_at": call.started_at + 1, **about})


def now(store: RecordStore, goal: dict[str, Any] = GOAL, **more: Any) -> GoalStatus:
    given: dict[str, Any] = {"since": 0, "until": 1 << 61, "live_percent": 100, **more}
    (found,) = standing(store, "p", "bot", [goal], **given)
    return found


def test_a_mean_over_calls_with_an_interval_over_users(store: RecordStore) -> None:
    calls = [make_call(app="bot", user=f"u{at % 3}") for at in range(12)]
    values = [float(at % 3 != 0) for at in range(12)]  # one user is never served politely
    keep(store, *calls, *(judged(call, value) for call, value in zip(calls, values, strict=True)))
    found = now(store)
    assert found.value == pytest.approx(8 / 12)
    assert found.scored is not None
    assert (found.scored.calls, found.scored.users) == (12, 3)
    assert found.scored.low is not None
    assert found.scored.high is not None
    assert found.scored.low < 0.2, "three users say little, however much they ask"
    assert found.scored.high > 0.9
    assert found.met


def test_what_does_not_count(store: RecordStore) -> None:
    live, shadow, other = make_call(app="bot"), make_call(app="bot", arm="shadow"), make_call(app="else")
    keep(
        store,
        live,
        shadow,
        other,
        judged(live, 1.0),
        judged(shadow, 0.0),
        judged(other, 0.0),
        judged(live, 0.0, key_id="k", kind="judge"),  # sent by a client under the same name
        judged(live, 0.0, kind="user"),
    )
    found = now(store)
    assert found.value == 1.0
    assert found.scored is not None
    assert found.scored.calls == 1
    assert now(store, live_percent=0).value is None, "the app is not judged live any more"


def test_only_the_base_sample(store: RecordStore) -> None:
    calls = [make_call(app="bot") for _ in range(80)]
    values = [float(at % 4 == 0) for at in range(80)]
    keep(store, *calls, *(judged(call, value) for call, value in zip(calls, values, strict=True)))
    drawn = [value for call, value in zip(calls, values, strict=True) if is_sampled(call.trace_id, 30)]
    found = now(store, live_percent=30)
    assert found.value == pytest.approx(mean(drawn))
    assert found.scored is not None
    assert found.scored.calls == len(drawn)


def test_live_numbers_come_before_evaluations(store: RecordStore) -> None:
    evaluated = {
        "polite": Evaluated(run="r", release=1, value=0.2, low=0.1, high=0.3, unit="share", n=50, created_at=0)
    }
    assert now(store, evaluated=evaluated).evaluated is not None
    call = make_call(app="bot")
    keep(store, call, judged(call, 0.9))
    found = now(store, evaluated=evaluated)
    assert (found.value, found.met, found.evaluated) == (0.9, True, None)


def test_scores_without_bounds(store: RecordStore) -> None:
    calls = [make_call(app="bot") for _ in range(4)]
    keep(store, *calls, *(judged(call, float(at)) for at, call in enumerate(calls)))
    found = now(store, {"metric": "polite", "at_most": 2.0})
    assert found.scored is not None
    assert found.value == 1.5
    assert found.scored.low is not None
    assert found.scored.low < 0 < 3 < (found.scored.high or 0)


def test_how_much_is_drawn() -> None:
    assert live_percent({}) == 0
    assert live_percent({"live": {"sample_percent": 7, "scorers": []}}) == 0
    assert live_percent({"live": {"sample_percent": 7, "scorers": [{"kind": "words"}]}}) == 7


def test_over_time_for_dashboards_and_prometheus(store: RecordStore) -> None:
    early = [make_call(app="bot", started_at=at) for at in (10, 20)]
    late = make_call(app="bot", started_at=150)
    keep(store, *early, late, judged(early[0], 1.0), judged(early[1], 0.5), judged(late, 0.0))
    asked = {"project": "p", "app": None, "release": None, "since": 0, "until": 200, "bucket_us": 100}
    found = measured(store, asked, [AppGoals("bot", [GOAL, {"metric": "errors.rate", "at_most": 0.1}], 100)])["bot"]
    assert {bucket: row["polite"].value for bucket, row in found.items()} == {None: 0.5, 0: 0.75, 100: 0.0}
    assert found[None]["errors.rate"].value == 0
    whole, one = found[None]["polite"], found[100]["polite"]
    assert (whole.n, one.n) == (3, 1)
    assert whole.low is not None
    assert whole.high is not None
    assert 0 <= whole.low < 0.5 < whole.high <= 1
    assert (one.low or 0.0, (one.high or 0.0) > 0.5) == (0.0, True), "one call says next to nothing"
    unjudged = measured(store, asked, [AppGoals("bot", [GOAL])])["bot"]
    assert all("polite" not in row for row in unjudged.values())


def test_what_people_said_over_time(store: RecordStore) -> None:
    calls = [make_call(app="bot", started_at=at) for at in (10, 20, 150)]
    said = {"name": "human.tone", "kind": "human", "key_id": "reviews"}
    theirs = [judged(call, value, **said) for call, value in zip(calls, (1.0, 0.5, 0.0), strict=True)]
    another, sent_by_a_client = judged(calls[0], 0.0, **said), judged(calls[1], 0.9, name="human.tone")
    keep(store, *calls, *theirs, another, sent_by_a_client)
    goal = {"metric": "human.tone", "at_least": 0.5}
    asked = {"project": "p", "app": None, "release": None, "since": 0, "until": 200, "bucket_us": 100}
    found = measured(store, asked, [AppGoals("bot", [goal], human_percent=100)])["bot"]
    assert {bucket: (row["human.tone"].value, row["human.tone"].n) for bucket, row in found.items()} == {
        None: (pytest.approx(1 / 3), 3), 0: (0.5, 2), 100: (0.0, 1),
    }  # fmt: skip
    unread = measured(store, asked, [AppGoals("bot", [goal])])["bot"]
    assert all("human.tone" not in row for row in unread.values())


def test_a_goal_on_what_people_said_is_as_sure_as_its_users_make_it(store: RecordStore) -> None:
    calls = [make_call(app="bot", user=f"u{at % 3}") for at in range(12)]
    said = {"name": "human.tone", "kind": "human", "key_id": "reviews"}
    keep(store, *calls, *(judged(call, float(at % 3 != 0), **said) for at, call in enumerate(calls)))
    goal = {"metric": "human.tone", "at_least": 0.5}
    found = now(store, goal, live_percent=0, sample_percent=100)
    assert found.value == pytest.approx(8 / 12)
    assert found.scored is not None
    assert (found.scored.calls, found.scored.users) == (12, 3)
    assert now(store, goal, live_percent=100, sample_percent=0).value is None
    numbers = Numbers(store, "p")
    numbers.begin(1 << 52)
    rule = Rule(name="tone", app="bot", on="goal", metric="human.tone", below=0.5, window_s=1e12, sample_percent=100)
    value, n = numbers.measured(rule)
    assert value == pytest.approx(8 / 12)
    assert n == 12
    assert numbers.measured(structs.replace(rule, metric="human.else")) == (None, 0)


def test_the_metrics_of_calls_are_those_that_are_measured(store: RecordStore) -> None:
    keep(store, make_call(app="bot"))
    asked = {"project": "p", "app": "bot", "release": None, "since": 0, "until": 1 << 61}
    assert store.query("goal_metrics", asked)[0].keys() == OF_CALLS
    assert store.query("goal_series", {**asked, "bucket_us": 1 << 61})[0].keys() >= OF_CALLS


@pytest.mark.parametrize(
    ("metrics", "writers"),
    [
        (["errors.rate", "latency.p95_ms"], []),
        (["errors.rate", "polite"], ["live"]),
        (["human.tone"], ["reviews"]),
        (["deflection", "polite", "human.tone"], ["live", "reviews"]),
        (["outcome.ticket_closed"], ["outcomes"]),
    ],
)
def test_scores_are_asked_for_where_a_goal_needs_them(metrics: list[str], writers: list[str]) -> None:
    goals = [{"metric": metric, "at_least": 0.5} for metric in metrics]
    asked = ask_goals({"app": None}, [AppGoals("bot", goals, live_percent=5, human_percent=5)])
    assert [each.params.get("writer") for each in asked] == [None, *writers]


def test_what_became_of_calls(store: RecordStore) -> None:
    calls = [make_call(app="bot", user=f"u{at}", started_at=at + 10) for at in range(4)]
    closed = {"name": "outcome.ticket_closed", "kind": "outcome", "key_id": "k"}
    told = [judged(call, value, **closed) for call, value in zip(calls, (1.0, 1.0, 0.0), strict=False)]
    opinion = judged(calls[3], 0.0, **{**closed, "kind": "user"})
    keep(store, *calls, *told, opinion)
    goal: dict[str, Any] = {"metric": "outcome.ticket_closed", "at_least": 0.6}
    found = now(store, goal, live_percent=0)
    assert found.value == pytest.approx(2 / 3)
    assert found.met
    assert found.scored is not None
    assert (found.scored.calls, found.scored.users) == (3, 3)
    asked = {"project": "p", "app": None, "release": None, "since": 0, "until": 200, "bucket_us": 100}
    assert measured(store, asked, [AppGoals("bot", [goal])])["bot"][None][goal["metric"]].n == 3
    numbers = Numbers(store, "p")
    numbers.begin(1 << 52)
    rule = Rule(name="closed", app="bot", on="goal", metric=goal["metric"], below=0.5, window_s=1e12)
    value, calls_told = numbers.measured(rule)
    assert value == pytest.approx(2 / 3)
    assert calls_told == 3
