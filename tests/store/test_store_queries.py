"""The numbers of the overview, goals, totals, series and facets, against the same numbers counted in Python."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from typing import Any

import pytest

from record_makers import START, after, entry, make_call, make_score
from record_stores import behind
from rondo.records import Call, Score
from rondo.store.base import RecordStore
from rondo.store.rolled import LATENCY_ERROR

HOUR = 3_600_000_000
SINCE, UNTIL = START, START + 10 * HOUR
WINDOW: dict[str, object] = {"project": "p", "since": SINCE, "until": UNTIL}


def percentile(values: list[float], share: float) -> float | None:
    """Linear between the two nearest, as spreadsheets and NumPy do it."""
    if not values:
        return None
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def failed(call: Call) -> bool:
    return call.status >= 400 or call.error_code is not None


class World:
    """Random calls and scores, in and out of the window and the project."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        self.calls = [self.call(chance) for _ in range(200)]
        self.scores: list[Score] = []
        for call in chance.sample(self.calls, 80):
            value: dict[str, Any] = chance.choice(
                [
                    {"data_type": "boolean", "value": 1.0},
                    {"data_type": "boolean", "value": 0.0},
                    {"data_type": "number", "value": -2.0},
                    {"data_type": "number", "value": 0.0},
                    {"data_type": "category", "value": None, "label": "rude"},
                ]
            )
            kind = chance.choice(["user", "user", "judge"])
            self.scores.append(make_score(call, kind=kind, **value))

    @staticmethod
    def call(chance: random.Random) -> Call:
        app = chance.choice(["a", "b", None])
        return make_call(
            project=chance.choice(["p", "p", "p", "q"]),
            started_at=chance.randrange(SINCE - HOUR, UNTIL + HOUR),
            app=app,
            release=chance.choice([1, 2]) if app else None,
            model=chance.choice(["m", "n"]),
            status=chance.choice([200, 200, 200, 500]),
            error_code=chance.choice([None, None, None, "upstream_cut"]),
            duration_ms=chance.uniform(1, 1000),
            first_token_ms=chance.choice([None, chance.uniform(1, 100)]),
            cost_usd=chance.choice([None, chance.uniform(0, 0.1)]),
            handed_over=chance.choice([None, True, False]),
            input_tokens=chance.choice([None, 7]),
            output_tokens=chance.choice([None, 3]),
        )

    def shown(self, **wanted: object) -> list[Call]:
        return [
            call
            for call in self.calls
            if call.project == "p"
            and SINCE <= call.started_at < UNTIL
            and all(getattr(call, name) == value for name, value in wanted.items())
        ]

    def verdicts(self, calls: list[Call]) -> Counter[int]:
        traces = {call.trace_id for call in calls}
        signs: Counter[int] = Counter()
        for score in self.scores:
            if score.trace_id in traces and score.kind == "user" and score.data_type == "boolean":
                signs[1 if score.value else -1] += 1
        return signs


@pytest.fixture(params=[(1, False), (2, False), (1, True), (2, True)], ids=str)
def world(request: pytest.FixtureRequest, store: RecordStore) -> World:
    """In a store that has counted nothing before it is asked, and in one that has counted a part."""
    seed, is_rolled = request.param
    made = World(seed)
    batch = [*map(entry, made.scores[:20]), *map(entry, made.calls), *map(entry, made.scores[20:])]
    first = 150
    store.insert("w", batch[:first], after(first))
    if is_rolled:
        behind(store).fold()
    store.insert("w", batch[first:], after(len(batch)))
    return made


def near(value: float | None) -> Any:
    return None if value is None else pytest.approx(value)


def roughly(value: float | None) -> Any:
    """As near as latencies are told."""
    return None if value is None else pytest.approx(value, rel=LATENCY_ERROR * 1.001)


def known_sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def test_overview(store: RecordStore, world: World) -> None:
    rows = store.query("overview_apps", WINDOW)
    assert {(row["app"], row["release"]) for row in rows} == {(call.app, call.release) for call in world.shown()}
    for row in rows:
        calls = world.shown(app=row["app"], release=row["release"])
        answered = [call for call in calls if not failed(call)]
        signs = world.verdicts(calls)
        tokens = [
            None
            if call.input_tokens is None and call.output_tokens is None
            else (call.input_tokens or 0) + (call.output_tokens or 0)
            for call in calls
        ]
        assert row == {
            "app": row["app"],
            "release": row["release"],
            "arm": "live",
            "shadow_model": None,
            "calls": len(calls),
            "errors": len(calls) - len(answered),
            "p50_ms": roughly(percentile([call.duration_ms for call in answered], 0.5)),
            "p95_ms": roughly(percentile([call.duration_ms for call in answered], 0.95)),
            "p95_first_token_ms": roughly(
                percentile([call.first_token_ms for call in answered if call.first_token_ms is not None], 0.95)
            ),
            "tokens": known_sum(tokens),  # type: ignore[arg-type]
            "cost_usd": near(known_sum([call.cost_usd for call in calls])),
            "cost_known": sum(call.cost_usd is not None for call in calls),
            "cost_unknown": sum(call.cost_usd is None for call in calls),
            "handed_over": sum(call.handed_over is True for call in calls),
            "positive_feedback": signs[1],
            "negative_feedback": signs[-1],
            "last_call_at": max(call.started_at for call in calls),
        }


@pytest.mark.parametrize("release", [None, 1, 99])
def test_goal_metrics(store: RecordStore, world: World, release: int | None) -> None:
    (row,) = store.query("goal_metrics", {**WINDOW, "app": "a", "release": release})
    calls = world.shown(app="a", release=release) if release else world.shown(app="a")
    answered = [call for call in calls if not failed(call)]
    known = [call.cost_usd for call in calls if call.cost_usd is not None]
    told = [call.handed_over for call in answered if call.handed_over is not None]
    signs = world.verdicts(calls)
    judged = signs[1] + signs[-1]
    handed_over = sum(told) / len(told) if told else None
    assert row == {
        "calls.count": len(calls),
        "errors.rate": near((len(calls) - len(answered)) / len(calls)) if calls else None,
        "latency.p50_ms": roughly(percentile([call.duration_ms for call in answered], 0.5)),
        "latency.p95_ms": roughly(percentile([call.duration_ms for call in answered], 0.95)),
        "first_token.p95_ms": roughly(
            percentile([call.first_token_ms for call in answered if call.first_token_ms is not None], 0.95)
        ),
        "cost.total_usd": near(sum(known) if known else None),
        "cost.per_request_usd": near(statistics.fmean(known) if known else None),
        "cost.unknown_count": len(calls) - len(known),
        "handed_over.rate": near(handed_over),
        "deflection": near(None if handed_over is None else 1 - handed_over),
        "handed_over.known_count": len(told),
        "feedback.positive_rate": near(signs[1] / judged if judged else None),
        "feedback.count": judged,
    }


def test_totals(store: RecordStore, world: World) -> None:
    (row,) = store.query("totals", WINDOW)
    calls = world.shown()
    assert (row["calls"], row["errors"]) == (len(calls), sum(map(failed, calls)))
    assert row["cost_usd"] == near(known_sum([call.cost_usd for call in calls]))
    assert row["cost_known"] + row["cost_unknown"] == len(calls)
    assert row["first_call_at"] == min(call.started_at for call in calls)
    (nothing,) = store.query("totals", {**WINDOW, "project": "nobody"})
    assert (nothing["calls"], nothing["cost_usd"], nothing["tokens"], nothing["feedback"]) == (0, None, None, 0)


@pytest.mark.parametrize("app", [None, "a"])
def test_traffic_has_every_bucket(store: RecordStore, world: World, app: str | None) -> None:
    rows = store.query("traffic_series", {**WINDOW, "bucket_us": HOUR, "app": app})
    assert [row["bucket_at"] for row in rows] == list(range(SINCE // HOUR * HOUR, UNTIL, HOUR))
    calls = world.shown(app=app) if app else world.shown()
    counted = Counter(call.started_at // HOUR * HOUR for call in calls)
    assert {row["bucket_at"]: row["calls"] for row in rows if row["calls"]} == counted
    for row in rows:
        mine = [call for call in calls if call.started_at // HOUR * HOUR == row["bucket_at"]]
        assert row["errors"] == sum(map(failed, mine))
        assert row["p95_ms"] == roughly(percentile([call.duration_ms for call in mine if not failed(call)], 0.95))
        assert row["cost_usd"] == near(known_sum([call.cost_usd for call in mine]))


def test_facets(store: RecordStore, world: World) -> None:
    rows = store.query("facets", WINDOW)
    found = {(row["facet"], row["value"]): row["calls"] for row in rows}
    calls = world.shown()
    expected: Counter[tuple[str, str]] = Counter()
    for call in calls:
        expected["status", str(call.status)] += 1
        expected["arm", call.arm] += 1
        for facet, value in (("app", call.app), ("model", call.model), ("error_code", call.error_code)):
            if value is not None:
                expected[facet, value] += 1
        if call.app is not None:
            expected["release", f"{call.app}#{call.release}"] += 1
    assert found == expected


def test_shadows_count_for_nothing_but_themselves(store: RecordStore) -> None:
    live = make_call(app="a", release=1, started_at=SINCE, cost_usd=0.5)
    copy = make_call(
        app="a", release=1, started_at=SINCE, cost_usd=8.0, arm="shadow", shadow_of=live.trace_id, model="m"
    )
    store.insert("w", [entry(live), entry(copy)], after(2))
    window = {"project": "p", "since": SINCE, "until": SINCE + 1}
    rows = store.query("overview_apps", window)
    assert [(row["arm"], row["shadow_model"], row["calls"], row["cost_usd"]) for row in rows] == [
        ("live", None, 1, 0.5),
        ("shadow", "m", 1, 8.0),
    ]
    assert store.query("totals", window)[0]["cost_usd"] == 0.5
    assert store.query("goal_metrics", {**window, "app": "a", "release": None})[0]["calls.count"] == 1
    series = store.query("traffic_series", {**window, "bucket_us": 1_000_000, "app": None})
    assert [row["calls"] for row in series] == [1]
    counted = [
        (row["arm"], row["calls"], row["cost_usd"])
        for row in store.query("metrics", {"project": "p", "since": 0, "until": 1 << 60})
    ]
    assert sorted(counted) == [("live", 1, 0.5), ("shadow", 1, 8.0)]


def test_a_trace_of_several_calls_counts_its_feedback_once(store: RecordStore) -> None:
    first = make_call(app="a", release=1)
    second = make_call(app="a", release=1, trace_id=first.trace_id)
    batch = [entry(first), entry(second), entry(make_score(first))]
    store.insert("w", batch, after(3))
    window = {"project": "p", "since": SINCE, "until": 1 << 60}
    (row,) = store.query("overview_apps", window)
    assert (row["calls"], row["positive_feedback"]) == (2, 1)
    (goals,) = store.query("goal_metrics", {**window, "app": "a", "release": None})
    assert goals["feedback.count"] == 1
