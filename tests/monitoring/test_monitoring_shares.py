"""Shares as people read them: exact, and nothing for who has nothing."""

from rondo.monitoring.overview import shares
from rondo.releases import state
from rondo.releases.state import NOTHING


def test_candidates_that_have_everything_leave_the_stable_release_nothing() -> None:
    split = state.split(state.promote(NOTHING, 1), {2: 35.85, 3: 37.66, 4: 26.49}, salt="s")
    assert shares(split) == {2: 35.85, 3: 37.66, 4: 26.49}


def test_the_rest_is_the_stable_releases() -> None:
    assert shares(state.split(state.promote(NOTHING, 1), {2: 39.01, 3: 11.87}, salt="s")) == {
        1: 49.12,
        2: 39.01,
        3: 11.87,
    }
    assert shares(state.promote(NOTHING, 1)) == {1: 100}
    assert shares(NOTHING) == {}
