"""Divisions: what must stay together does, ratios are met where they can be, a seed gives one division."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rondo.datasets.division import RATIOS, Unit, divide, parse_ratios, units_of
from rondo.errors import InvalidRequest


def divided(
    ids: list[str],
    clusters: list[int] | None = None,
    groups: list[str | None] | None = None,
    strata: list[str] | None = None,
    *,
    ratios: tuple[float, float, float] = RATIOS,
    seed: int = 0,
) -> list[str | None]:
    units = units_of(ids, clusters or list(range(len(ids))), groups or [None] * len(ids))
    divide(units, strata or [""] * len(ids), ratios, seed=seed)
    splits: list[str | None] = [None] * len(ids)
    for unit in units:
        for place in unit.places:
            splits[place] = unit.split
    return splits


IDS = [f"{number:032x}" for number in range(1_000)]


def test_seventy_fifteen_fifteen() -> None:
    assert Counter(divided(IDS)) == {"train": 700, "validation": 150, "test": 150}


def test_a_seed_gives_one_division_whatever_the_order() -> None:
    first = dict(zip(IDS, divided(IDS, seed=3), strict=True))
    again = dict(zip(IDS[::-1], divided(IDS[::-1], seed=3), strict=True))
    other = dict(zip(IDS, divided(IDS, seed=4), strict=True))
    assert first == again
    assert first != other


def test_strata_keep_their_ratios_and_so_does_the_whole() -> None:
    strata = [("rare" if number % 10 == 0 else "common" if number % 3 else "odd") for number in range(1_000)]
    splits = divided(IDS, strata=strata)
    for stratum, size in Counter(strata).items():
        found = Counter(split for split, own in zip(splits, strata, strict=True) if own == stratum)
        for split, share in zip(("train", "validation", "test"), RATIOS, strict=True):
            assert abs(found[split] - share * size) <= 2, (stratum, split, found)


def test_many_strata_of_one_do_not_all_go_to_train() -> None:
    assert Counter(divided(IDS[:100], strata=IDS[:100])) == {"train": 70, "validation": 15, "test": 15}


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.one_of(st.none(), st.integers(0, 10)), st.sampled_from("abc")),
        min_size=1,
        max_size=120,
    ),
    st.integers(0, 5),
)
@settings(deadline=None)
def test_no_cluster_and_no_group_is_in_two_splits(rows: list[tuple[int, int | None, str]], seed: int) -> None:
    first: dict[int, int] = {}
    clusters = [first.setdefault(cluster, place) for place, (cluster, _, _) in enumerate(rows)]
    groups = [None if group is None else str(group) for _, group, _ in rows]
    splits = divided(IDS[: len(rows)], clusters, groups, [stratum for _, _, stratum in rows], seed=seed)
    assert None not in splits
    for keys in (clusters, groups):
        of: dict[object, set[str | None]] = {}
        for key, split in zip(keys, splits, strict=True):
            if key is not None:
                of.setdefault(key, set()).add(split)
        assert all(len(found) == 1 for found in of.values())


@given(st.lists(st.integers(1, 6), min_size=30, max_size=200), st.integers(0, 3))
@settings(deadline=None)
def test_ratios_are_met_to_within_the_largest_unit(sizes: list[int], seed: int) -> None:
    clusters: list[int] = []
    for size in sizes:
        clusters += [len(clusters)] * size
    ids = [f"{number:032x}" for number in range(len(clusters))]
    found = Counter(divided(ids, clusters, seed=seed))
    for split, share in zip(("train", "validation", "test"), RATIOS, strict=True):
        assert abs(found[split] - share * len(ids)) <= max(sizes), found


def test_what_is_placed_counts_towards_the_ratios() -> None:
    units = units_of(IDS[:100], list(range(100)), [None] * 100)
    for unit in units[:30]:
        unit.split = "test"
    divide(units, [""] * 100, RATIOS)
    found = Counter(unit.split for unit in units)
    assert found["test"] == 30
    assert abs(found["train"] - 70 * 70 / 85) <= 1


def test_one_big_unit_goes_where_most_is_wanted() -> None:
    units = [Unit("a", list(range(10)))]
    divide(units, [""] * 10, RATIOS)
    assert units[0].split == "train"


def test_ratios_in_words() -> None:
    assert parse_ratios([70, 15, 15]) == pytest.approx(RATIOS)
    assert parse_ratios([0.8, 0.2]) == pytest.approx((0.8, 0.0, 0.2))
    assert "validation" not in divided(IDS, ratios=parse_ratios([80, 20]))
    for wrong in ([], [1], [1, 2, 3, 4], [0, 0, 0], [-1, 1, 1], [float("nan"), 1], [float("inf"), 1]):
        with pytest.raises(InvalidRequest, match="ratios"):
            parse_ratios(wrong)
