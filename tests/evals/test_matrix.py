"""The decision matrix: weights, faults, ties, and how sure a ranking is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.evals.evidence import Estimate, MetricReport, Report, Standing, TargetReport
from rondo.evals.matrix import AskedModel, Contender, Matrix, counts_most, decide
from rondo.evals.selection import Selection


def metric(
    name: str,
    value: float | None,
    *,
    width: float = 0.0,
    higher: bool = True,
    standing: Standing | None = None,
    margin: float | None = None,
    missing: int = 0,
) -> MetricReport:
    low, high = (None, None) if value is None else (value - width, value + width)
    estimate = Estimate(value=value, low=low, high=high, n=100 - missing, clusters=100, missing=missing, method="test")
    return MetricReport(
        metric=name, unit="share", higher_is_better=higher, estimate=estimate, standing=standing, margin=margin
    )


def report(*targets: list[MetricReport], must_pass_failed: tuple[int, ...] = (), failed: int = 0) -> Report:
    """`failed` is how often the last of the targets gave no answer, of a hundred times."""
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
                answered=100 - (failed if at == len(targets) - 1 else 0),
                failed=failed if at == len(targets) - 1 else 0,
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


def rank(seen: Report, weights: dict[str, float], *models: AskedModel, **wanted: Any) -> Matrix:
    """The matrix; candidates without a model of their own have one of which nothing is known."""
    asked = [*models, *(AskedModel(name=f"m{at}") for at in range(len(models), len(seen.targets)))]
    contenders = [Contender(label=f"t{at}", models=[model]) for at, model in enumerate(asked)]
    return decide(seen, Selection(weights=weights, **wanted), contenders)


def ranking(matrix: Matrix) -> list[str]:
    return [row.label for row in matrix.candidates]


def test_weights_decide() -> None:
    seen = report(
        [metric("right", 0.9), metric("cost", 0.02, higher=False)],
        [metric("right", 0.8), metric("cost", 0.01, higher=False)],
    )
    assert ranking(rank(seen, {"right": 3, "cost": 1})) == ["t0", "t1"]
    assert ranking(rank(seen, {"right": 1, "cost": 3})) == ["t1", "t0"]
    totals = [row.total for row in rank(seen, {"right": 3, "cost": 1}).candidates]
    assert totals == [0.75, 0.25]


def test_a_metric_that_nobody_measured_is_left_out() -> None:
    matrix = rank(report([metric("right", 0.9)]), {"right": 1, "kind": 5, "dear": 0})
    assert matrix.weights == {"right": 1.0}
    assert matrix.unmeasured == ["kind"]
    assert matrix.candidates[0].total == 1.0


def test_a_candidate_that_was_not_measured_is_not_ranked_by_what_is_left() -> None:
    seen = report([metric("right", 0.5)], [metric("right", None)], [metric("right", 0.9)])
    matrix = rank(seen, {"right": 1})
    assert ranking(matrix) == ["t2", "t0", "t1"]
    last = matrix.candidates[2]
    assert (last.rank, last.total, last.comes_first, last.faults) == (None, None, None, ["has no right"])


@pytest.mark.parametrize(
    ("wanted", "model", "fault"),
    [
        ({"licences": ["mit"]}, AskedModel(name="m", licence="other"), "has the licence other"),
        ({"licences": ["mit"]}, AskedModel(name="m"), "has no known licence"),
        ({"least_context_window": 8_000}, AskedModel(name="m", context_window=4_096), "reads only 4,096 tokens"),
        ({"least_context_window": 8_000}, AskedModel(name="m"), "has no known context window"),
    ],
)
def test_what_a_candidate_must_have(wanted: dict[str, Any], model: AskedModel, fault: str) -> None:
    good = AskedModel(name="good", licence="mit", context_window=8_000)
    rules = AskedModel(name="rules", rule_based=True)
    seen = report([metric("right", 0.9)], [metric("right", 0.2)], [metric("right", 0.1)])
    matrix = rank(seen, {"right": 1.0}, model, good, rules, **wanted)
    assert ranking(matrix) == ["t1", "t2", "t0"]
    assert [row.faults for row in matrix.candidates] == [[], [], [fault]]
    assert [row.comes_first for row in matrix.candidates] == [1.0, 0.0, None]


def test_every_model_of_a_route_must_have_it() -> None:
    route = [AskedModel(name="one", licence="mit"), AskedModel(name="two", licence="other")]
    selection = Selection(weights={"right": 1}, licences=["mit"])
    matrix = decide(report([metric("right", 1.0)]), selection, [Contender(label="both", models=route)])
    assert matrix.candidates[0].faults == ["two has the licence other"]


def test_missed_goals_and_must_pass_examples_come_last() -> None:
    seen = report(
        [metric("right", 0.9, standing="missed")], [metric("right", 0.5)], [metric("right", 0.8)], must_pass_failed=(2,)
    )
    matrix = rank(seen, {"right": 1})
    assert ranking(matrix) == ["t1", "t0", "t2"]
    assert matrix.candidates[1].faults == ["misses the goal right"]
    assert matrix.candidates[2].faults == ["fails 1 of 1 must-pass examples"]
    assert [row.comes_first for row in matrix.candidates] == [1.0, None, None]


@pytest.mark.parametrize(
    ("failed", "missing", "faults"),
    [
        (5, 5, []),
        (6, 6, ["gave no answer to 6 of 100"]),
        (0, 6, ["has no right for 6 of 100"]),
        (100, 0, ["gave no answer to any of 100"]),
    ],
)
def test_too_few_answers_speak_against_a_candidate(failed: int, missing: int, faults: list[str]) -> None:
    value = None if failed == 100 else 1.0
    matrix = rank(
        report([metric("right", 0.1)], [metric("right", value, missing=missing)], failed=failed), {"right": 1}
    )
    assert next(row.faults for row in matrix.candidates if row.label == "t1") == faults
    assert ranking(matrix) == (["t0", "t1"] if faults else ["t1", "t0"])


def test_how_often_a_candidate_comes_first() -> None:
    apart = rank(report([metric("r", 0.9, width=0.01)], [metric("r", 0.1, width=0.01)]), {"r": 1})
    assert [row.comes_first for row in apart.candidates] == [1.0, 0.0]
    near = rank(report([metric("r", 0.5, width=0.2)], [metric("r", 0.5, width=0.2)]), {"r": 1})
    assert all(0.45 < (row.comes_first or 0) < 0.55 for row in near.candidates)
    assert near == rank(report([metric("r", 0.5, width=0.2)], [metric("r", 0.5, width=0.2)]), {"r": 1})


def test_a_number_is_drawn_from_both_arms_of_its_interval() -> None:
    """A share of 1 cannot be more; one of 0.97 with an interval up to 1 rarely beats it."""
    certain = Estimate(value=1.0, low=0.96, high=1.0, n=100, clusters=100, missing=0, method="test")
    best = MetricReport(metric="r", unit="share", higher_is_better=True, estimate=certain)
    matrix = rank(report([best], [metric("r", 1.0)]), {"r": 1})
    firsts = {row.label: row.comes_first or 0.0 for row in matrix.candidates}
    assert firsts["t1"] == pytest.approx(0.75, abs=0.03), "half the draws tie, the other half are below"


def test_equal_totals_have_the_same_rank() -> None:
    matrix = rank(report([metric("r", 0.2)], [metric("r", 0.9)], [metric("r", 0.9)], [metric("r", 0.9)]), {"r": 1})
    assert [(row.label, row.rank) for row in matrix.candidates] == [("t1", 1), ("t2", 1), ("t3", 1), ("t0", 4)]
    assert [row.comes_first for row in matrix.candidates] == [pytest.approx(1 / 3)] * 3 + [0.0]


def test_a_difference_smaller_than_the_margin_is_not_blown_up() -> None:
    seen = report(
        [metric("right", 0.80), metric("ms", 20.0, higher=False, margin=200.0)],
        [metric("right", 0.79), metric("ms", 10.0, higher=False, margin=200.0)],
    )
    matrix = rank(seen, {"right": 1, "ms": 1})
    shares = {cell.metric: cell.share for cell in matrix.candidates[0].cells}
    assert ranking(matrix) == ["t0", "t1"]
    assert shares == {"right": 1.0, "ms": pytest.approx(0.95)}


def test_a_month_costs_what_its_requests_do() -> None:
    seen = report([metric("cost.per_request_usd", 0.002, higher=False)], [metric("right", 1.0)])
    costs = {row.label: row.usd_per_month for row in rank(seen, {"right": 1}, requests_per_month=5_000.0).candidates}
    assert costs == {"t0": pytest.approx(10.0), "t1": None}
    assert [row.usd_per_month for row in rank(seen, {"right": 1}).candidates] == [None, None]


def test_what_counts_most_is_shown_and_scores_before_costs() -> None:
    seen = report([metric("right", 1.0), metric("kind", None), metric("ms", 3.0)])
    assert counts_most(seen, {"ms": 0.4, "right": 0.4, "kind": 0.9}) == "right"
    assert counts_most(seen, {"ms": 0.5, "right": 0.4}) == "ms"
    assert counts_most(seen, {}) == "right"
    assert counts_most(report([]), {}) is None


def test_no_weights_no_ranking() -> None:
    matrix = rank(report([metric("r", 0.5)]), {"r": 0})
    assert matrix.weights == {}
    assert (matrix.candidates[0].rank, matrix.candidates[0].total) == (None, None)


@given(
    st.lists(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=2), min_size=1, max_size=5),
    st.tuples(st.floats(0.01, 100), st.floats(0.01, 100)),
    st.one_of(st.none(), st.floats(0, 1e7)),
)
def test_totals_are_shares_and_the_best_of_all_wins(
    values: list[list[float]], weights: tuple[float, float], margin: float | None
) -> None:
    seen = report(*[[metric("a", one, margin=margin), metric("b", other, higher=False)] for one, other in values])
    matrix = rank(seen, {"a": weights[0], "b": weights[1]})
    totals = [row.total for row in matrix.candidates]
    assert all(total is not None and -1e-9 <= total <= 1 + 1e-9 for total in totals)
    better = [sum((other or 0) > (total or 0) + 1e-9 for other in totals) for total in totals]
    assert all(
        row.rank is not None and row.rank >= many + 1 for row, many in zip(matrix.candidates, better, strict=True)
    )
    assert [row.rank for row in matrix.candidates] == sorted(row.rank or 0 for row in matrix.candidates)
    best = max(values, key=lambda row: row[0])
    if best[1] == min(row[1] for row in values):
        assert matrix.candidates[0].total == pytest.approx(1.0)
    assert sum(row.comes_first or 0 for row in matrix.candidates) == pytest.approx(1.0)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=5), st.floats(0.1, 50))
def test_who_becomes_better_does_not_fall_behind(values: list[float], gain: float) -> None:
    others = [[metric("a", value), metric("b", 0.0)] for value in values[1:]]

    def place(value: float) -> int:
        matrix = rank(report([metric("a", value), metric("b", 0.0)], *others), {"a": 1, "b": 1})
        return next(row.rank or 0 for row in matrix.candidates if row.label == "t0")

    assert place(values[0] + gain) <= place(values[0])
