"""What a rollout does to the traffic, alone: shares, a baseline beside them, and nobody who moves without need."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rondo.errors import Conflict
from rondo.gateway.assign import WHOLE
from rondo.releases import state
from rondo.releases.state import NOTHING, Shadow, Traffic, Trial, layout

TRIAL = Trial(rollout="r", candidate=2)


def serving(*releases: int) -> Traffic:
    now = NOTHING
    for number in releases:
        now = state.promote(now, number)
    return now


def begun(share_bp: int = 500, *, baseline_bp: int | None = None, shadow_bp: int = 0) -> Traffic:
    beside = share_bp if baseline_bp is None else baseline_bp
    return state.take_step(serving(1), TRIAL, share_bp=share_bp, baseline_bp=beside, shadow_bp=shadow_bp, salt="s")


def places(now: Traffic) -> list[str]:
    """Who has each of the 10,000 places: candidate, baseline, or nobody of the rollout."""
    flat: list[str] = [place.variant or "stable" for place in layout(now) for _ in range(place.places)]
    return flat + ["stable"] * (WHOLE - len(flat))


def test_a_step_gives_the_candidate_a_share_and_the_baseline_as_many() -> None:
    now = begun(500)
    assert places(now).count("candidate") == places(now).count("baseline") == 500
    assert [(place.release, place.variant) for place in layout(now)] == [(2, "candidate"), (1, "baseline")]
    assert now.served == {1, 2}
    assert (now.stable, now.history, now.salt) == (1, (), "s")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=6))
def test_growing_steps_move_callers_only_from_the_stable_release_as_long_as_it_has_any(shares: list[int]) -> None:
    now = serving(1)
    for share in sorted(shares):
        beside = min(share, WHOLE - share)
        after = state.take_step(now, TRIAL, share_bp=share, baseline_bp=beside, salt="s")
        was, is_ = places(now), places(after)
        assert len(is_) == WHOLE
        assert (is_.count("candidate"), is_.count("baseline")) == (share, beside)
        assert all(b == "candidate" for a, b in zip(was, is_, strict=True) if a == "candidate")
        if share + max(beside, was.count("baseline")) <= WHOLE:
            assert all(a in ("stable", b) for a, b in zip(was, is_, strict=True))
        assert after.salt == "s"
        now = after


def test_beyond_half_of_the_traffic_the_baseline_shrinks() -> None:
    now = state.take_step(begun(5_000), TRIAL, share_bp=7_500, baseline_bp=2_500, salt="x")
    assert (places(now).count("candidate"), places(now).count("baseline")) == (7_500, 2_500)


def test_a_shadow_step_copies_and_gives_no_traffic() -> None:
    by_hand = state.shadow(serving(1), {"2": 50, "main": 5})
    now = state.take_step(by_hand, TRIAL, share_bp=0, shadow_bp=1_000, salt="s")
    assert now.shadows == (Shadow(model="main", share_bp=500), Shadow(release=2, share_bp=1_000))
    assert not now.arms
    assert 2 not in now.served
    after = state.take_step(now, TRIAL, share_bp=500, baseline_bp=500, salt="s")
    assert after.shadows == (Shadow(model="main", share_bp=500),)


def test_while_it_goes_on_nothing_else_moves_the_traffic() -> None:
    now = begun()
    refused: list[Callable[[], object]] = [
        lambda: state.promote(now, 2),
        lambda: state.promote(now, 1),
        lambda: state.split(now, {2: 10}, salt="t"),
        lambda: state.shadow(now, {"main": 1}),
        lambda: state.take_step(now, Trial(rollout="other", candidate=3), share_bp=100, salt="t"),
    ]
    for verb in refused:
        with pytest.raises(Conflict) as caught:
            verb()
        assert "rondo rollout abort" in str(caught.value.remedy)


@pytest.mark.parametrize("to", [None, 1])
def test_a_rollback_by_hand_ends_it(to: int | None) -> None:
    for now in (begun(), begun(0, shadow_bp=1_000), begun(0)):
        back = state.rollback(now, to)
        assert (back.stable, back.arms, back.trial, back.shadows) == (1, (), None, ())


def test_the_end_promotes_or_goes_back() -> None:
    now = begun()
    done = state.end_trial(now, "r", promotes=True)
    assert (done.stable, done.history, done.arms, done.trial) == (2, (1,), (), None)
    back = state.end_trial(now, "r", promotes=False)
    assert (back.stable, back.arms, back.trial) == (1, (), None)
    assert state.end_trial(now, "another", promotes=True) is now
    assert state.end_trial(done, "r", promotes=False) is done


def test_it_begins_only_where_there_is_something_to_roll_out() -> None:
    split = state.split(serving(1), {3: 5}, salt="s")
    with pytest.raises(Conflict, match="split by hand"):
        state.take_step(split, TRIAL, share_bp=100, salt="s")
    with pytest.raises(Conflict, match="serves already"):
        state.take_step(serving(2), TRIAL, share_bp=100, salt="s")
    with pytest.raises(Conflict):
        state.take_step(NOTHING, TRIAL, share_bp=100, salt="s")
