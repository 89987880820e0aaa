"""The decision matrix: weights, faults, ties, and how sure a ranking is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.evals.evidence import Estimate, MetricReport, Report, Standing, TargetReport
from rondo.evals.matrix import Facts, Matrix, Wish, decide

NOTHING = Facts()


def metric(
    name: str, value: float | None, *, width: float = 0.0, higher: bool = True, standing: Standing | None = None
) -> MetricReport:
    low, high = (None, None) if value is None else (value - width, value + width)
    estimate = Estimate(value=value, low=low, high=high, n=100, clusters=100, missing=0, method="test")
    return MetricReport(metric=name, unit="share", higher_is_better=higher, estimate=estimate, standing=standing)


def report(*targets: list[MetricReport], must_pass_failed: tuple[int, ...] = ()) -> Report:
    return Report(
        run="run_1",
        app="bot",
        suite="answers",
        dataset="questions@1",
        dataset_hash="0" * 64,
        baseline=None,
        warnings=[],
        targets=[
            TargetReport(
                label=f"t{at}",
                hash=None,
                answered=100,
                failed=0,
                errors={},
                metrics=metrics,
                must_pass=1,
                must_pass_failed=["x"] if at in must_pass_failed else [],
                cost_usd=None,
                seconds=None,
            )
            for at, metrics in enumerate(targets)
        ],
    )


def ranking(matrix: Matrix) -> list[str]:
    return [row.label for row in matrix.candidates]


def test_weights_decide() -> None:
    seen = report(
        [metric("right", 0.9), metric("cost", 0.02, higher=False)],
        [metric("right", 0.8), metric("cost", 0.01, higher=False)],
    )
    facts = [NOTHING, NOTHING]
    assert ranking(decide(seen, Wish(weights={"right": 3, "cost": 1}), facts)) == ["t0", "t1"]
    assert ranking(decide(seen, Wish(weights={"right": 1, "cost": 3}), facts)) == ["t1", "t0"]
    totals = [row.total for row in decide(seen, Wish(weights={"right": 3, "cost": 1}), facts).candidates]
    assert totals == [0.75, 0.25]


def test_a_metric_that_nobody_measured_is_left_out() -> None:
    matrix = decide(report([metric("right", 0.9)]), Wish(weights={"right": 1, "kind": 5}), [NOTHING])
    assert matrix.weights == {"right": 1.0}
    assert matrix.candidates[0].total == 1.0


def test_a_candidate_that_was_not_measured_is_not_ranked_by_what_is_left() -> None:
    seen = report([metric("right", 0.5)], [metric("right", None)], [metric("right", 0.9)])
    matrix = decide(seen, Wish(weights={"right": 1}), [NOTHING] * 3)
    assert ranking(matrix) == ["t2", "t0", "t1"]
    assert matrix.candidates[2].total is None
    assert matrix.candidates[2].comes_first is None


@pytest.mark.parametrize(
    ("wish", "facts", "fault"),
    [
        ({"licences": ["mit"]}, Facts(licence="other"), "has the licence other"),
        ({"licences": ["mit"]}, Facts(), "has no known licence"),
        ({"least_context_window": 8_000}, Facts(context_window=4_096), "reads only 4,096 tokens"),
        ({"least_context_window": 8_000}, Facts(), "has no known context window"),
    ],
)
def test_what_a_candidate_must_have(wish: dict[str, object], facts: Facts, fault: str) -> None:
    good = Facts(licence="mit", context_window=8_000)
    seen = report([metric("right", 0.9)], [metric("right", 0.1)])
    matrix = decide(seen, Wish(weights={"right": 1.0}, **wish), [facts, good])  # type: ignore[arg-type]
    assert ranking(matrix) == ["t1", "t0"]
    assert matrix.candidates[1].faults == [fault]
    assert matrix.candidates[0].faults == []


def test_missed_goals_and_must_pass_examples_come_last() -> None:
    seen = report(
        [metric("right", 0.9, standing="missed")], [metric("right", 0.5)], [metric("right", 0.8)], must_pass_failed=(2,)
    )
    matrix = decide(seen, Wish(weights={"right": 1}), [NOTHING] * 3)
    assert ranking(matrix) == ["t1", "t0", "t2"]
    assert matrix.candidates[1].faults == ["misses the goal right"]
    assert matrix.candidates[2].faults == ["fails 1 must-pass examples"]


def test_how_often_a_candidate_comes_first() -> None:
    apart = decide(
        report([metric("r", 0.9, width=0.01)], [metric("r", 0.1, width=0.01)]), Wish(weights={"r": 1}), [NOTHING] * 2
    )
    assert [row.comes_first for row in apart.candidates] == [1.0, 0.0]
    near = decide(
        report([metric("r", 0.5, width=0.2)], [metric("r", 0.5, width=0.2)]), Wish(weights={"r": 1}), [NOTHING] * 2
    )
    assert all(0.45 < (row.comes_first or 0) < 0.55 for row in near.candidates)


def test_no_weights_no_ranking() -> None:
    matrix = decide(report([metric("r", 0.5)]), Wish(weights={"r": 0}), [NOTHING])
    assert matrix.weights == {}
    assert matrix.candidates[0].total is None


@given(
    st.lists(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2), min_size=1, max_size=5),
    st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)),
)
def test_totals_are_shares_and_the_best_of_all_wins(values: list[list[float]], weights: tuple[float, float]) -> None:
    seen = report(*[[metric("a", one), metric("b", other, higher=False)] for one, other in values])
    matrix = decide(seen, Wish(weights={"a": weights[0], "b": weights[1]}), [NOTHING] * len(values))
    totals = [row.total for row in matrix.candidates]
    assert all(total is not None and -1e-9 <= total <= 1 + 1e-9 for total in totals)
    assert [row.rank for row in matrix.candidates] == list(range(1, len(values) + 1))
    best = max(values, key=lambda row: row[0])
    if best[1] == min(row[1] for row in values):
        assert matrix.candidates[0].total == pytest.approx(1.0)
    assert sum(row.comes_first or 0 for row in matrix.candidates) == pytest.approx(1.0)
