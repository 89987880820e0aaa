"""Queries are files, filters a fixed table, values bound, and the project is in every one."""

from __future__ import annotations

import itertools
import re

import pytest

from record_makers import after, entry, make_call, make_score
from rondo.errors import InvalidRequest
from rondo.records import Call, Score
from rondo.store import statements
from rondo.store.base import RecordStore
from rondo.store.columns import columns, required
from rondo.store.rolled import PARTS
from rondo.store.statements import (
    ALSO_FILTERS,
    CALL_FILTERS,
    PLACE_FILTERS,
    SAME_FILTERS,
    SCORE_FILTERS,
    TOLD_FILTERS,
    compose,
    names,
    text,
)

HOSTILE = ["' OR 1=1 --", "x'); DROP TABLE calls; --", "%", "\x00", "$project", "{where:calls}", "🎉"]


@pytest.mark.parametrize("name", names())
def test_every_query_is_bound_to_a_project(name: str) -> None:
    sql = re.sub(r"--[^\n]*", "", text(name))
    for part, counted in PARTS.items():
        sql = sql.replace(f"{{{part}}}", counted)
    tables = len(re.findall(r"\b(?:FROM|JOIN) (?:calls|spans|scores|trace_spans|rollup_[a-z]+)\b", sql))
    assert 0 < tables <= len(re.findall(r"\bproject = (?:\$project|scores\.project)", sql))
    assert text(name).startswith("-- ")


def test_filters_that_look_elsewhere_stay_in_the_project() -> None:
    traces = [TOLD_FILTERS, PLACE_FILTERS, SAME_FILTERS, ALSO_FILTERS]
    for fragment in itertools.chain(*(each.values() for each in [CALL_FILTERS, SCORE_FILTERS, *traces])):
        assert fragment.count("SELECT") == fragment.count("project = $project")


def test_values_are_bound_never_written() -> None:
    for value in HOSTILE:
        sql, bound = compose("calls_list", {"project": "p", "limit": 1}, {"app": value, "tag": (value, value)})
        assert value == "$project" or value not in sql
        assert (bound["f_app"], bound["f_tag_1"], bound["f_tag_2"]) == (value, value, value)


@pytest.mark.parametrize(
    ("name", "params", "filters", "named"),
    [
        ("nothing", {}, {}, "query"),
        ("../duckdb", {}, {}, "query"),
        ("calls_list", {"project": "p"}, {}, "limit"),
        ("calls_list", {"project": "p", "limit": 1, "x": 1}, {}, "x"),
        ("calls_list", {"project": "p", "limit": 1}, {"1=1 OR app": "x"}, "1=1 OR app"),
        ("totals", {"project": "p", "since": 0, "until": 1}, {"app": "x"}, "app"),
    ],
)
def test_what_a_query_does_not_know_is_named(
    name: str, params: dict[str, object], filters: dict[str, object], named: str
) -> None:
    with pytest.raises(InvalidRequest) as wrong:
        compose(name, params, filters)
    assert wrong.value.param == named


def sample(name: str, value: object) -> object:
    return {"tag": (value, value), "before": (1, value, value), "feedback_verdict": (value, 1)}.get(name, value)


@pytest.mark.parametrize("name", sorted(CALL_FILTERS))
def test_every_filter_of_calls_runs(store: RecordStore, name: str) -> None:
    store.insert("w", [entry(make_call())], after(1))
    number = name in ("release", "status", "since", "until", "verdict") or name.startswith(("min", "max"))
    for value in [1] if number else [True] if name in ("failed", "handed_over") else HOSTILE:
        store.query("calls_list", {"project": "p", "limit": 5}, {name: sample(name, value)})
    assert len(store.query("calls_list", {"project": "p", "limit": 5})) == 1


@pytest.mark.parametrize("name", sorted(SCORE_FILTERS))
def test_every_filter_of_scores_runs(store: RecordStore, name: str) -> None:
    call = make_call()
    store.insert("w", [entry(call), entry(make_score(call))], after(2))
    for value in [1] if name in ("release", "since", "until", "verdict") else HOSTILE:
        given = (1, value) if name == "before" else value
        store.query("scores_list", {"project": "p", "limit": 5}, {name: given})


@pytest.mark.parametrize("name", sorted({**TOLD_FILTERS, **PLACE_FILTERS, **SAME_FILTERS, **ALSO_FILTERS}))
def test_every_filter_of_traces_runs(store: RecordStore, name: str) -> None:
    call = make_call()
    store.insert("w", [entry(call)], after(1))
    newest = name in TOLD_FILTERS or name in PLACE_FILTERS
    one = {"traces": [call.trace_id], "places": [call.started_at], "before_us": 0, "after_us": 9}
    more = {"reach": 5, "gap_us": 9} if newest else one
    plain = name.removeprefix("also_").removeprefix("same_").removeprefix("no_")
    for value in [1] if plain in ("since", "until") else [True] if plain in ("failed", "from_outside") else HOSTILE:
        about = {"project": "p", **more}
        store.query("traces_newest" if newest else "traces_list", about, {name: sample(plain, value)})


def test_a_value_of_the_wrong_kind_is_the_callers_mistake(store: RecordStore) -> None:
    store.insert("w", [entry(make_call())], after(1))
    for value in ("many", "\ud800"):
        with pytest.raises(InvalidRequest):
            store.query("calls_list", {"project": "p", "limit": 5}, {"release": value})


def test_columns_are_the_fields_of_the_records() -> None:
    assert columns(Call)["cost_usd"] == "DOUBLE"
    assert columns(Call)["chunks"] == "JSON"
    assert columns(Call)["tags"] == "MAP(VARCHAR, VARCHAR)"
    assert columns(Call)["spans"].startswith('STRUCT("span_id" VARCHAR')
    assert {"trace_id", "project", "started_at", "status"} <= required(Call)
    assert set(columns(Score)) == set(Score.__struct_fields__)


def test_names_and_texts() -> None:
    assert "overview_apps" in names()
    assert statements.text("totals") is statements.text("totals")
