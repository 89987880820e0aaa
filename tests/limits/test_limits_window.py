"""The count over a minute: never more than it should be, never forgotten too late."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rondo.limits.window import SPAN_S, Window

STEPS = st.lists(st.tuples(st.floats(0, 40), st.integers(1, 9)), max_size=60)


@given(STEPS, st.integers(1, 30))
def test_no_minute_has_more_than_the_limit(steps: list[tuple[float, int]], limit: int) -> None:
    window, now = Window(), 1_000.0
    taken: list[tuple[float, int]] = []
    for pause, units in steps:
        now += pause
        if window.look(now) + units <= limit:
            window.take(now, units)
            taken.append((now, units))
        assert window.total == sum(each for at, each in taken if int(now) - int(at) <= SPAN_S)
        assert sum(each for at, each in taken if now - at <= SPAN_S) <= limit


@given(STEPS, st.integers(9, 30))
def test_there_is_room_when_it_said_so_and_not_a_second_before(steps: list[tuple[float, int]], limit: int) -> None:
    window, now = Window(), 1_000.0
    for pause, units in steps:
        now += pause
        if window.look(now) + units <= limit:
            window.take(now, units)
            continue
        wait = window.wait(now, units, limit)
        assert 1 <= wait <= SPAN_S + 1
        assert window.look(int(now) + wait - 0.001) + units > limit
        now = int(now) + wait
        assert window.look(now) + units <= limit
        window.take(now, units)


def test_a_correction_counts_while_it_is_remembered() -> None:
    window = Window()
    place = window.take(10.5, 100)
    window.correct(place, 20.0, -90)
    assert window.look(70.9) == 10
    window.take(70.9, 5)
    assert window.look(71.0) == 5
    window.correct(place, 71.0, -10)
    assert window.look(71.0) == 5
