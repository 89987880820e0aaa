"""Evaluations over time: what runs found of releases and drafts, with intervals, by suite and metric."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from releases.gate_house import add_release, add_run
from releases.gate_makers import target
from rondo.catalog.engine import Catalog
from rondo.evals import store as runs
from rondo.governance import projects
from rondo.monitoring.dashboards.evaluations import EvaluationSeries, evaluations
from rondo.monitoring.dashboards.window import Chosen, Window

WINDOW = Window(name="custom", words="", since=100, until=200, bucket_us=10)


@pytest.fixture
def house(catalog: Catalog) -> Catalog:
    """Releases 1 and 2 of `bot`."""
    projects.create(catalog, "p", actor="tests")
    with catalog.begin() as connection:
        add_release(connection)
        add_release(connection, marker=2)
    return catalog


def found(catalog: Catalog, **chosen: Any) -> list[EvaluationSeries]:
    with catalog.read() as connection:
        return evaluations(connection, "p", WINDOW, Chosen(**chosen))


def test_each_run_is_a_point_at_its_end(house: Catalog) -> None:
    late = add_run(house, 2, ended_at=150)
    early = add_run(house, 2, ended_at=100, against=None)
    add_run(house, 2, ended_at=200)
    add_run(house, 2, ended_at=99)
    add_run(house, 2, ended_at=120, status="cancelled")
    series = next(each for each in found(house) if each.metric == "answer.correct")
    assert (series.app, series.suite, series.at_least) == ("bot", "answers", 0.8)
    assert [(point.at, point.run, point.release, point.is_baseline) for point in series.points] == [
        (100, early, 2, False), (150, late, 2, False), (150, late, 1, True),
    ]  # fmt: skip
    for point in series.points:
        assert point.low is not None
        assert point.high is not None
        assert point.low < point.value < point.high
    (only,) = {point.release for each in found(house, app="bot", release=1) for point in each.points}
    assert only == 1
    assert found(house, app="else") == []


def test_what_has_no_value_or_cannot_be_read_is_left_out(house: Catalog) -> None:
    unknown = target()
    metrics = [structs.replace(each, estimate=structs.replace(each.estimate, value=None)) for each in unknown.metrics]
    add_run(house, 2, ended_at=150, against=None, report=structs.replace(unknown, metrics=metrics))
    unread = add_run(house, 2, ended_at=150)
    with house.begin() as connection:
        runs.update_run(connection, unread, ["finished"], report={"format": "of another Rondo"})
    assert found(house) == []
