"""The traffic state machine, alone."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rondo.errors import Conflict, InvalidRequest
from rondo.gateway.assign import WHOLE, assign, place
from rondo.releases import state
from rondo.releases.state import NOTHING, Traffic, basis_points, layout, percent_text


def serving(*releases: int) -> Traffic:
    now = NOTHING
    for number in releases:
        now = state.promote(now, number)
    return now


def served_to(now: Traffic, unit: str) -> int | None:
    """Which release a caller gets, exactly as the gateway finds it."""
    places = layout(now)
    position = assign(now.salt, unit, (place.places for place in places))
    return now.stable if position is None else places[position].release


def test_the_first_release_serves_at_once_and_later_ones_wait() -> None:
    first = state.release(NOTHING, 1)
    assert first.stable == 1
    assert state.release(first, 2) == first


def test_promote_ends_a_split() -> None:
    now = state.promote(state.split(serving(1), {2: 10, 3: 20}, salt="s"), 2)
    assert now == Traffic(stable=2, history=(1,), served=frozenset({1, 2, 3}))


def test_promoting_the_stable_release_ends_the_split_and_nothing_else() -> None:
    split = state.split(serving(1, 2), {3: 10}, salt="s")
    assert state.promote(split, 2) == state.Traffic(stable=2, history=(1,), served=frozenset({1, 2, 3}))
    now = serving(1, 2)
    assert state.promote(now, 2) is now


def test_split_gives_shares_and_leaves_the_rest_to_stable() -> None:
    now = state.split(serving(1), {3: "12.5", 2: 0.25}, salt="s")
    assert [(arm.release, arm.share_bp) for arm in now.arms] == [(2, 25), (3, 1250)]
    assert layout(now) == ((2, 25, None), (3, 1250, None))
    assert state.split(now, {2: 0.25, 3: 12.5}, salt="t") is now


def test_the_salt_stays_with_the_same_candidates() -> None:
    now = state.split(serving(1), {2: 5}, salt="one")
    assert now.salt == "one"
    assert state.split(now, {2: 25}, salt="two").salt == "one"
    assert state.split(now, {2: 5, 3: 5}, salt="two").salt == "two"
    assert state.split(now, {3: 5}, salt="two").salt == "two"
    assert state.split(state.rollback(now), {2: 5}, salt="two").salt == "two"


def test_growing_shares_redraws_nobody_who_is_in() -> None:
    now = state.split(serving(1), {2: 5, 3: 5}, salt="s")
    for shares in ({2: 10, 3: 5}, {2: 10, 3: 25}, {2: 50, 3: 25}, {2: 75, 3: 25}):
        grown = state.split(now, shares, salt="other")
        for unit in map(str, range(2_000)):
            before = served_to(now, unit)
            assert before in (1, served_to(grown, unit))
        now = grown


SHARES = st.dictionaries(st.sampled_from([2, 3, 4]), st.integers(1, 3_333), min_size=1, max_size=3)


@settings(max_examples=50, deadline=None)
@given(st.lists(SHARES, min_size=1, max_size=6))
def test_slots_are_the_shares_and_only_what_must_move_moves(steps: list[dict[int, int]]) -> None:
    now = serving(1)
    for step, shares in enumerate(steps):
        percents = {number: Decimal(share) / 100 for number, share in shares.items()}
        after = state.split(now, percents, salt=str(step))
        flat = [each for number, count, _ in layout(after) for each in [number] * count]
        flat += [1] * (WHOLE - len(flat))
        assert len(flat) == WHOLE
        assert {number: flat.count(number) for number in shares} == shares
        for arm in after.arms:
            assert sum(end - start for start, end in arm.slots) == arm.share_bp
        if after.salt == now.salt:
            old = [each for number, count, _ in layout(now) for each in [number] * count]
            old += [1] * (WHOLE - len(old))
            moved = [(a, b) for a, b in zip(old, flat, strict=True) if a != b]
            shares_before = {arm.release: arm.share_bp for arm in now.arms}
            kept = {n: min(shares[n], shares_before[n]) for n in shares}
            assert {n: sum(a == b == n for a, b in zip(old, flat, strict=True)) for n in shares} == kept
            if sum(max(shares[n], shares_before[n]) for n in shares) <= WHOLE:
                assert all(1 in pair for pair in moved)  # nobody goes from one candidate to another
        now = after


def test_the_layout_is_what_the_gateway_counts_through() -> None:
    now = state.split(state.split(serving(1), {2: 30, 3: 30}, salt="s"), {2: 10, 3: 30}, salt="s")
    assert layout(now) == ((2, 1000, None), (1, 2000, None), (3, 3000, None))
    for unit in map(str, range(500)):
        at = place(now.salt, unit)
        assert served_to(now, unit) == (2 if at < 1000 else 3 if 3000 <= at < 6000 else 1)


def test_a_rollback_ends_a_split_first() -> None:
    now = state.rollback(state.split(serving(1, 2), {3: 50}, salt="s"))
    assert (now.stable, now.arms, now.history) == (2, (), (1,))
    assert state.rollback(now).stable == 1


def test_rolling_back_again_goes_further_back_not_to_and_fro() -> None:
    now = serving(1, 2, 3)
    now = state.rollback(now)
    assert now.stable == 2
    now = state.rollback(now)
    assert now.stable == 1
    with pytest.raises(Conflict) as caught:
        state.rollback(now)
    assert caught.value.remedy
    now = serving(1, 2, 1)
    now = state.rollback(now)
    assert now.stable == 2
    with pytest.raises(Conflict):
        state.rollback(now)


def test_a_release_that_was_promoted_again_can_be_gone_back_to() -> None:
    now = state.promote(state.promote(state.rollback(serving(1, 2)), 2), 3)
    assert state.rollback(now).stable == 2


def test_rollback_to_a_release_that_has_served() -> None:
    now = state.rollback(serving(1, 2, 3, 4), to=2)
    assert (now.stable, now.history) == (2, (1,))
    assert state.rollback(now, to=4).stable == 4
    assert state.rollback(now, to=4).history == (1,)
    assert state.rollback(now, to=2) is now
    tried = state.rollback(state.split(serving(1), {2: 5}, salt="s"))
    assert state.rollback(tried, to=2).stable == 2


def test_rollback_to_what_never_served_is_refused() -> None:
    with pytest.raises(Conflict, match="never served") as caught:
        state.rollback(serving(1, 2), to=3)
    assert caught.value.param == "to"


def test_nothing_can_be_split_or_rolled_back_before_the_first_release() -> None:
    with pytest.raises(Conflict):
        state.split(NOTHING, {1: 5}, salt="s")
    with pytest.raises(Conflict):
        state.rollback(NOTHING)
    with pytest.raises(Conflict):
        state.rollback(NOTHING, to=1)


@pytest.mark.parametrize(
    ("shares", "param"),
    [
        ({}, "shares"),
        ({1: 5}, "shares.1"),
        ({2: 60, 3: 40.01}, "shares"),
        *[
            ({2: wrong}, "shares.2")
            for wrong in (
                *(0, -1, 100.01, 0.001, "", "x", "5%", "nan", "sNaN", "inf", True, None, [5], 10**5000),
                *("1e999999999", "5.0000000000000000000000000000000000001", float("nan"), float("inf"), "1_0e-9"),
            )
        ],
    ],
)
def test_bad_shares_are_refused_with_their_field(shares: Mapping[int, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        state.split(serving(1), shares, salt="s")
    assert caught.value.param == param
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("percent", "share"), [(5, 500), ("5", 500), (0.01, 1), (33.33, 3333), (Decimal("12.50"), 1250), ("1e2", 10_000)]
)
def test_percents_are_basis_points(percent: object, share: int) -> None:
    assert basis_points(percent, param="p") == share


@given(st.integers(1, 10_000))
@settings(max_examples=50, deadline=None)
def test_percents_read_back(share: int) -> None:
    assert basis_points(percent_text(share), param="p") == share
    assert basis_points(share / 100, param="p") == share


class TrafficMachine(RuleBasedStateMachine):
    """Any verbs in any order."""

    @initialize()
    def start(self) -> None:
        self.now = NOTHING
        self.releases = 0
        self.rolled_back_from: set[int] = set()

    @rule()
    def release(self) -> None:
        self.releases += 1
        self.now = state.release(self.now, self.releases)

    @rule(data=st.data())
    def promote(self, data: st.DataObject) -> None:
        if self.releases:
            number = data.draw(st.integers(1, self.releases))
            self.now = state.promote(self.now, number)
            self.rolled_back_from.discard(number)

    @rule(shares=st.dictionaries(st.integers(1, 6), st.integers(1, 4_000), max_size=3), salt=st.text(max_size=3))
    def split(self, shares: dict[int, int], salt: str) -> None:
        shares = {number: share for number, share in shares.items() if number <= self.releases}
        percents = {number: Decimal(share) / 100 for number, share in shares.items()}
        try:
            after = state.split(self.now, percents, salt=salt)
        except (InvalidRequest, Conflict):
            assert not shares or self.now.stable in shares or sum(shares.values()) > 10_000
        else:
            self.now = after

    @rule()
    def rollback(self) -> None:
        before = self.now
        try:
            after = state.rollback(before)
        except Conflict:
            assert not before.arms
            assert not before.history
            return
        if before.arms:
            assert after.stable == before.stable
        else:
            assert after.stable not in self.rolled_back_from
            assert before.stable is not None
            self.rolled_back_from.add(before.stable)
        self.now = after

    @rule(to=st.integers(1, 8))
    def rollback_to(self, to: int) -> None:
        try:
            self.now = state.rollback(self.now, to)
        except Conflict:
            assert to not in self.now.served
        else:
            self.rolled_back_from.discard(to)

    @invariant()
    def holds(self) -> None:
        now = self.now
        assert (now.stable is not None) == (self.releases > 0)
        assert sum(arm.share_bp for arm in now.arms) <= 10_000
        assert now.stable not in {arm.release for arm in now.arms}
        assert now.stable not in now.history
        assert len(set(now.history)) == len(now.history)
        assert {*now.history, *(arm.release for arm in now.arms)} <= now.served
        assert all(arm.share_bp > 0 for arm in now.arms)


TrafficMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestTrafficMachine = TrafficMachine.TestCase
