"""What was measured becomes rows: repeats averaged, missing ones counted, what is no number refused by name."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.errors import InvalidRequest
from rondo.evals.statistics.sample import SHARE, Mean, Quantile, Ratio, Sums, paired, sample, sample_of
from rondo.evals.statistics.sums import unit_sums, value_of


def test_repeats_are_averaged_within_their_example() -> None:
    made = sample({"a": [1, 1, 0, 0], "b": [1]})
    assert made.per_example()[:, 0].tolist() == [0.5, 1.0]
    assert value_of(made) == 0.75


def test_a_quantile_keeps_every_answer() -> None:
    made = sample({"a": [1.0, 9.0], "b": [2.0, 3.0]}, Quantile(0.75))
    assert value_of(made) == 3.0


def test_what_has_no_score_is_missing_and_not_zero() -> None:
    made = sample({"a": [1, None], "b": [None, None], "c": []})
    assert (made.n, made.missing, value_of(made)) == (1, 2, 1.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused_by_the_examples_name(bad: float) -> None:
    with pytest.raises(InvalidRequest, match="example 'b'") as error:
        sample({"a": [1.0], "b": [2.0, bad]}, Mean())
    assert error.value.param == "values"


def test_a_value_out_of_bounds_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"1\.2, outside of 0 to 1"):
        sample({"a": [1.2]}, SHARE)


def test_rows_must_be_equally_long() -> None:
    with pytest.raises(InvalidRequest, match="equally many"):
        sample({"a": [[1.0, 2.0]], "b": [[1.0]]}, Sums(lambda sums: sums[:, 0], "first"))


def test_a_ratio_needs_two_numbers_and_no_negative_denominator() -> None:
    with pytest.raises(InvalidRequest, match="has 2 numbers"):
        sample({"a": [1.0]}, Ratio())
    with pytest.raises(InvalidRequest, match="negative"):
        sample({"a": [[1.0, -1.0]]}, Ratio())


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, math.nan])
def test_a_level_is_inside_of_0_and_1(level: float) -> None:
    with pytest.raises(InvalidRequest):
        Quantile(level)


def test_clusters_are_added_up_and_an_example_without_one_is_its_own() -> None:
    made = sample({"a": [1], "b": [0], "c": [1]}, SHARE, {"a": "talk", "b": "talk"})
    assert made.unit_count == 2
    assert unit_sums(made).tolist() == [[1.0, 2.0], [1.0, 1.0]]


def test_an_examples_id_is_no_clusters_name() -> None:
    assert sample({"a": [1], "b": [0]}, SHARE, {"a": None, "b": "a"}).unit_count == 2


def test_a_slice_keeps_its_examples_and_its_missing_ones() -> None:
    whole = sample({"a": [1, 0], "b": [1], "c": [None], "d": [None]}, SHARE, {"a": "x", "b": "y"})
    part = whole.only({"b", "c", "unknown"})
    assert (part.keys, part.absent, part.clusters) == (("b",), ("c",), ("g:y",))
    assert part.rows.tolist() == [[1.0]]


def test_an_empty_slice_has_no_value() -> None:
    empty = sample({"a": [1]}, SHARE, {"a": "x"}).only([])
    assert (empty.n, empty.unit_count, value_of(empty)) == (0, 0, None)


def test_pairs_are_the_examples_that_both_have_in_one_order() -> None:
    target = sample({"a": [1], "b": [0, 1], "c": [None], "d": [0]})
    baseline = sample({"d": [1], "b": [0], "a": [0], "c": [1]})
    ours, theirs = paired(target, baseline)
    assert ours.keys == theirs.keys == ("a", "b", "d")
    assert theirs.per_example()[:, 0].tolist() == [0.0, 0.0, 1.0]


def test_repeats_follow_their_example_when_the_order_differs() -> None:
    target = sample({"a": [1], "b": [0]})
    baseline = sample({"b": [0, 1], "a": [1, 1, 1]})
    _, theirs = paired(target, baseline)
    assert theirs.per_example()[:, 0].tolist() == [1.0, 0.5]


def test_only_the_same_metric_is_paired() -> None:
    with pytest.raises(InvalidRequest, match="same metric"):
        paired(sample({"a": [1]}, SHARE), sample({"a": [1]}, Mean()))


def test_only_the_same_clusters_are_paired() -> None:
    with pytest.raises(InvalidRequest, match="same cluster"):
        paired(sample({"a": [1]}, SHARE, {"a": "x"}), sample({"a": [1]}, SHARE, {"a": "y"}))


def test_functions_of_one_name_are_one_metric() -> None:
    one, other = (sample({"a": [[1.0]]}, Sums(lambda sums: sums[:, 0], "first")) for _ in range(2))
    assert paired(one, other)[0].keys == ("a",)


@given(st.dictionaries(st.text(max_size=3), st.lists(st.none() | st.floats(0, 1), max_size=4), max_size=12))
def test_every_example_is_either_measured_or_missing(values: dict[str, list[float | None]]) -> None:
    made = sample(values)
    assert set(made.keys) | set(made.absent) == set(values)
    assert made.n + made.missing == len(values)
    for key, row in zip(made.keys, made.per_example()[:, 0], strict=True):
        assert row == pytest.approx(np.mean([value for value in values[key] if value is not None]))


@given(
    st.lists(st.tuples(st.integers(0, 6), st.none() | st.floats(0, 1)), max_size=30),
    st.booleans(),
)
def test_numbers_with_places_make_the_same_sample(answers: list[tuple[int, float | None]], grouped: bool) -> None:
    keys = tuple("abcdefg")
    values: dict[str, list[float | None]] = {}
    for place, value in sorted(answers, key=lambda answer: answer[0]):
        values.setdefault(keys[place], []).append(value)
    clusters = {"a": "x", "b": "x"} if grouped else None
    numbers = np.array([math.nan if value is None else value for _, value in answers])
    made = sample_of(keys, np.array([place for place, _ in answers], np.int64), numbers, SHARE, clusters)
    wanted = sample(values, SHARE, clusters)
    assert (made.keys, made.clusters, made.absent) == (wanted.keys, wanted.clusters, wanted.absent)
    assert made.example.tolist() == wanted.example.tolist()
    assert made.rows.tolist() == wanted.rows.tolist()


def test_numbers_out_of_bounds_are_refused_by_the_examples_name() -> None:
    with pytest.raises(InvalidRequest, match="example 'b'"):
        sample_of(("a", "b"), np.array([0, 1]), np.array([0.5, 1.5]))
