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
    for pause, tokens in steps:
        now += pause
        window.look(int(now))
        if window.tokens + tokens <= limit:
            window.take(int(now), tokens)
            taken.append((now, tokens))
        remembered = [each for at, each in taken if int(now) - int(at) <= SPAN_S]
        assert (window.requests, window.tokens) == (len(remembered), sum(remembered))
        assert sum(each for at, each in taken if now - at <= SPAN_S) <= limit


@given(STEPS, st.integers(9, 30))
def test_there_is_room_when_it_said_so_and_not_a_second_before(steps: list[tuple[float, int]], limit: int) -> None:
    window, now = Window(), 1_000
    for pause, tokens in steps:
        now += int(pause)
        window.look(now)
        if window.tokens + tokens <= limit:
            window.take(now, tokens)
            continue
        wait = window.wait_for_tokens(now, tokens, limit)
        assert 1 <= wait <= SPAN_S + 1
        window.look(now + wait - 1)
        assert window.tokens + tokens > limit
        now += wait
        window.look(now)
        assert window.tokens + tokens <= limit
        window.take(now, tokens)


@given(st.lists(st.integers(0, 40), max_size=60), st.integers(1, 9))
def test_a_request_waits_as_tokens_do(pauses: list[int], limit: int) -> None:
    window, now = Window(), 1_000
    for pause in pauses:
        now += pause
        window.look(now)
        if window.requests >= limit:
            wait = window.wait_for_request(now, limit)
            assert wait == window.wait_for_tokens(now, 1, limit)
            window.look(now + wait - 1)
            assert window.requests == limit
            now += wait
            window.look(now)
            assert window.requests < limit
        window.take(now, 1)


def test_a_correction_counts_while_it_is_remembered() -> None:
    window = Window()
    place = window.take(10, 100)
    window.correct(place, 20, -90)
    window.look(70)
    assert (window.requests, window.tokens) == (1, 10)
    window.take(70, 5)
    window.look(71)
    assert (window.requests, window.tokens) == (1, 5)
    window.correct(place, 71, -10)
    assert window.tokens == 5
