"""What is counted before: the same numbers as counted anew, whatever has been counted when, whatever dies between."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from record_makers import START, after, entry, make_call, make_score
from rondo.errors import InvalidRequest
from rondo.records import Call, Score
from rondo.store import rolled, rollups
from rondo.store.duckdb import DuckDBStore
from rondo.store.rolled import DAY_US, HOUR_US, bounds
from rondo.store.statements import compose

DAY = START // DAY_US * DAY_US
WINDOW: dict[str, object] = {"project": "p", "since": DAY - HOUR_US // 2, "until": DAY + 3 * DAY_US + HOUR_US // 3}
WHOLE = 1_000 * DAY_US


def some_calls(count: int, seed: int = 1) -> list[Call]:
    chance = random.Random(seed)
    return [
        make_call(
            started_at=DAY + chance.randrange(3 * DAY_US),
            app=chance.choice(["a", "b"]),
            release=chance.choice([1, 2]),
            model=chance.choice(["m", "n"]),
            user=chance.choice(["anna", "ben", None]),
            tags={"channel": chance.choice(["web", "mail"])},
            status=chance.choice([200, 200, 500]),
            duration_ms=chance.lognormvariate(5, 1),
            first_token_ms=chance.choice([None, 20.0]),
            cost_usd=chance.choice([None, 0.25]),
            input_tokens=chance.choice([None, 100]),
            arm=chance.choice(["live", "live", "traced", "eval"]),
        )
        for _ in range(count)
    ]


def everything(store: DuckDBStore) -> dict[str, Any]:
    """What the dashboards ask, in a form that can be compared."""
    asked: list[tuple[str, dict[str, object]]] = [
        ("dash_traffic", {"bucket_us": DAY_US}),
        ("dash_errors", {"bucket_us": HOUR_US}),
        ("dash_latency", {"bucket_us": 4 * HOUR_US}),
        ("dash_users", {"bucket_us": DAY_US, "app": "a", "arm": "live"}),
        ("dash_users", {"bucket_us": DAY_US, "app": None, "arm": None}),
        ("dash_users", {"bucket_us": WHOLE, "app": None, "arm": None}),
        ("dash_scores", {"bucket_us": DAY_US}),
        ("cost_by", {"by": "release", "limit": 10}),
        ("cost_by_user", {"limit": 10}),
        ("cost_by_tag", {"limit": 10}),
        ("cost_days", {"by": "all"}),
        ("cost_tokens", {}),
        ("goal_series", {"bucket_us": DAY_US, "app": None, "release": None}),
        ("metrics", {}),
        ("metrics_feedback", {}),
        ("overview_apps", {}),
        ("facets", {}),
    ]
    return {
        f"{name} {more}": [
            {key: pytest.approx(value) if isinstance(value, float) else value for key, value in row.items()}
            for row in store.query(name, {**WINDOW, **more})
        ]
        for name, more in asked
    }


def plainly(store: DuckDBStore) -> dict[str, Any]:
    with store._cursor() as cursor:
        rollups.clear(cursor)
    return everything(store)


@pytest.mark.parametrize("folds", [0, 1, 2, 3])
def test_the_same_numbers_whatever_has_been_counted(database: DuckDBStore, folds: int) -> None:
    calls = some_calls(300)
    scores = [make_score(call, value=float(place % 3 > 0)) for place, call in enumerate(calls[::3])]
    batches: list[list[Call | Score]] = [
        [*calls[:100], *scores[50:]],
        [*calls[100:200], *scores[:50]],
        [*calls[200:]],
    ]
    position = 0
    for place, batch in enumerate(batches):
        position += len(batch)
        database.insert("w", [entry(record) for record in batch], after(position))
        if place < folds:
            while database.fold():
                pass
    if folds == 3:
        while database.compact():
            pass
    counted = everything(database)
    assert any(counted.values())
    assert counted == plainly(database)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 2**32))
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_slices_of_any_size(tmp_path_factory: pytest.TempPathFactory, sizes: list[int], seed: int) -> None:
    database = DuckDBStore(tmp_path_factory.mktemp("store") / "records.duckdb")
    calls = some_calls(60, seed)
    database.insert("w", [entry(call) for call in calls], after(len(calls)))
    for size in sizes:
        with database._cursor() as cursor:
            rollups.fold(cursor, size)
        database.compact()
    counted = everything(database)
    assert counted == plainly(database)
    database.close()


def test_a_slice_that_fails_counts_nothing_twice(database: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = some_calls(50)
    database.insert("w", [entry(call) for call in calls], after(50))
    with monkeypatch.context() as patched:
        patched.setattr(rollups, "_move", lambda *_: (_ for _ in ()).throw(RuntimeError("dead")))
        with pytest.raises(RuntimeError):
            database.fold()
    assert database.fold() == 50
    assert database.fold() == 0
    (row,) = database.query("dash_traffic", {**WINDOW, "bucket_us": WHOLE})
    assert row["calls"] == 50


def test_a_score_that_is_replaced_counts_once(database: DuckDBStore) -> None:
    call = make_call(app="a", release=1, started_at=DAY)
    up = make_score(call, value=1.0)
    down = make_score(call, id=up.id, value=0.0, created_at=up.created_at + 1)

    def feedback() -> tuple[int, int]:
        (row,) = database.query("metrics_feedback", WINDOW)
        return row["positive"], row["negative"]

    database.insert("w", [entry(call), entry(up)], after(2))
    assert feedback() == (1, 0)
    database.fold()
    assert feedback() == (1, 0)
    database.insert("w", [entry(down)], after(3))
    assert feedback() == (0, 1)
    database.fold()
    assert feedback() == (0, 1)


def test_a_score_may_come_before_its_call(database: DuckDBStore) -> None:
    call = make_call(app="a", release=1, started_at=DAY)
    database.insert("w", [entry(make_score(call))], after(1))
    database.fold()
    assert database.query("metrics_feedback", WINDOW) == []
    database.insert("v", [entry(call)], after(1))
    assert database.query("metrics_feedback", WINDOW)[0]["app"] == "a"
    database.fold()
    assert database.query("metrics_feedback", WINDOW)[0]["positive"] == 1


@pytest.mark.parametrize("folds", [True, False])
def test_feedback_is_of_the_gateways_call_whatever_others_tell_of_its_trace(database: DuckDBStore, folds: bool) -> None:
    """An SDK's span around the call begins before it, and arrives after it and after the feedback."""
    call = make_call(app="a", release=1, started_at=DAY + HOUR_US)
    before = make_call(trace_id=call.trace_id, app=None, model="embedder", started_at=DAY + HOUR_US // 2)
    around = make_call(trace_id=call.trace_id, app="shop", arm="traced", started_at=DAY)
    records: list[Call | Score] = [around, make_score(call), before, call]
    for place, record in enumerate(records, 1):
        database.insert("w", [entry(record)], after(place))
        if folds:
            database.fold()
    database.fold()
    (row,) = database.query("metrics_feedback", WINDOW)
    assert (row["app"], row["release"]) == ("a", 1)
    (row,) = database.query("goal_series", {**WINDOW, "bucket_us": WHOLE, "app": "a", "release": None})[1:]
    assert row["feedback.count"] == 1


def test_another_version_counts_anew(database: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = some_calls(20)
    database.insert("w", [entry(call) for call in calls], after(20))
    database.fold()
    database.close()
    monkeypatch.setattr(rolled, "version", lambda _: 7)
    again = DuckDBStore(database.path)
    assert again.fold() == 20
    again.forget_rollups()
    assert again.fold() == 20
    again.close()


def test_tags_of_many_values_are_put_together(database: DuckDBStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollups, "_FEWER_TAG_VALUES", rollups._FEWER_TAG_VALUES.replace("> 1000", "> 2"))
    calls = [make_call(started_at=DAY + place, tags={"id": str(place), "a": "b"}) for place in range(9)]
    calls.append(make_call(started_at=DAY + 2 * DAY_US))
    for place, call in enumerate(calls):
        database.insert("w", [entry(call)], after(place + 1))
        database.fold()
    while database.compact():
        pass
    rows = {row["name"]: row["calls"] for row in database.query("cost_by_tag", {**WINDOW, "limit": 20})}
    assert rows["a=b"] == 9
    assert rows["id=(others)"] == 7
    assert len(rows) == 4


@given(
    st.integers(0, 100 * DAY_US), st.integers(0, 40 * DAY_US), st.sampled_from([None, 1, HOUR_US, 4 * HOUR_US, DAY_US])
)
def test_bounds_are_in_order_and_whole(since: int, length: int, bucket_us: int | None) -> None:
    until = since + length
    found = bounds(since, until, bucket_us)
    hours_from, hours_until, days_from, days_until = (
        found[name] for name in ("hours_from", "hours_until", "days_from", "days_until")
    )
    assert since <= hours_from <= days_from <= days_until <= hours_until <= until
    if hours_from < hours_until:
        assert hours_from % HOUR_US == hours_until % HOUR_US == 0
    if days_from < days_until:
        assert days_from % DAY_US == days_until % DAY_US == 0
        assert bucket_us is None or bucket_us % DAY_US == 0
    if bucket_us is not None and bucket_us % HOUR_US:
        assert hours_from == hours_until == until


@pytest.mark.parametrize("odd", ["now", 1.5, True, None])
def test_times_that_are_none(odd: object) -> None:
    with pytest.raises(InvalidRequest, match="since"):
        compose("totals", {"project": "p", "since": odd, "until": 1}, {})
