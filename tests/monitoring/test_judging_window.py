"""The cursor of live judging: it never passes a call that is not done with."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rondo.monitoring.judging.window import Window


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=40), st.randoms(use_true_random=False))
def test_everything_up_to_the_cursor_is_done(steps: list[tuple[int, bool]], random: object) -> None:
    window, at, open_ = Window(7), 7, []
    for step, chosen in steps:
        at += step
        if chosen:
            window.begin(at)
            open_.append(at)
        else:
            window.passed(at)
        if open_ and random.random() < 0.5:  # type: ignore[attr-defined]
            window.end(open_.pop(random.randrange(len(open_))))  # type: ignore[attr-defined]
        assert window.read == at
        assert window.done == (min(open_) - 1 if open_ else at)
        assert len(window) == len(open_)
    for place in open_:
        window.end(place)
    assert window.done == at


def test_a_call_comes_once() -> None:
    window = Window(3)
    window.begin(5)
    window.end(5)
    window.end(5)
    with pytest.raises(ValueError, match="comes after"):
        window.begin(5)
