"""What a failed try means, how long to wait, and what a reply asks to wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.errors import (
    Forbidden,
    InvalidRequest,
    KeyMissing,
    RondoError,
    UpstreamCut,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from rondo.gateway import faults

NOON = 1_795_262_400_000_000  # Sat, 21 Nov 2026 12:00:00 GMT


@pytest.mark.parametrize(
    ("error", "then", "counts"),
    [
        *((UpstreamError("x", status=status), "tell", False) for status in (400, 405, 410, 413, 418, 422, 451)),
        *((UpstreamError("x", status=status), "next", True) for status in (301, 307, 204, 401, 407)),
        *((UpstreamError("x", status=status), "next", False) for status in (402, 403, 404)),
        *((UpstreamError("x", status=status), "again", True) for status in (408, 429, 500, 502, 503, 504, 529, 599)),
        (UpstreamError("x", status=409), "again", False),
        (UpstreamError("no JSON"), "again", True),
        (KeyMissing("no key"), "next", False),
        (UpstreamUnreachable("refused"), "again", True),
        (UpstreamTimeout("x"), "again", True),
        (UpstreamCut("x"), "again", True),
        (InvalidRequest("no images here"), "next", False),
        (Forbidden("x"), "tell", False),
    ],
)
def test_whose_fault_it_was(error: RondoError, then: str, counts: bool) -> None:
    assert faults.judge(error) == (then, counts)


@given(tries=st.integers(1, 10_000), chance=st.floats(0, 1), asked=st.none() | st.integers(0, 86_400))
def test_waits_double_up_to_a_bound_and_never_end_before_what_was_asked(
    tries: int, chance: float, asked: int | None
) -> None:
    wait = faults.wait_s(tries, asked, chance)
    assert wait >= (asked or 0)
    assert wait - (asked or 0) <= min(8.0, 0.25 * 2 ** min(tries - 1, 10)) + 1e-6
    assert faults.wait_s(tries, asked, 0.0) == (asked or 0)


def test_full_jitter_is_drawn_from_the_whole_span() -> None:
    assert [faults.wait_s(tries, None, 1.0) for tries in (1, 2, 3, 4, 5, 6, 7, 50)] == [0.25, 0.5, 1, 2, 4, 8, 8, 8]
    assert faults.wait_s(3, None, 0.5) == 0.5


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after": " 7 "}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "1.2"}, 2),
        ({"retry-after-ms": "1500"}, 2),
        ({"retry-after-ms": "20", "retry-after": "9"}, 1),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
        ({"retry-after": "999999999"}, 86_400),
        ({"retry-after": "99999999999999999999"}, None),
        ({"retry-after": "Sat, 21 Nov 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Saturday, 21-Nov-26 12:00:30 GMT"}, 30),
        ({"retry-after": "Sat, 21 Nov 2026 11:00:00 GMT"}, 0),
        ({"retry-after": "Sat, 21 Nov 9999 12:00:30 GMT"}, 86_400),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "1.2.3"}, None),
        ({"retry-after": "1_000"}, None),
        ({"retry-after": "٧"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "later"}, None),
        ({"retry-after": "7" * 4_000}, None),
    ],
)
def test_a_wait_that_is_asked_for(headers: dict[str, str], wait: int | None) -> None:
    assert faults.told_wait(headers, NOON) == wait


@given(text=st.text(max_size=80))
def test_whatever_the_header_holds_is_a_bounded_wait_or_none(text: str) -> None:
    wait = faults.told_wait({"retry-after": text, "retry-after-ms": text}, NOON)
    assert wait is None or 0 <= wait <= 86_400


@pytest.mark.parametrize(
    ("status", "asked", "rest"),
    [(429, None, 0), (429, 4, 0), (429, 5, 5), (503, 60, 60), (500, 60, 0), (429, 80_000, 3_600), (None, 60, 0)],
)
def test_only_a_long_wait_asked_for_by_an_overloaded_provider_is_a_rest_for_all(
    status: int | None, asked: int | None, rest: int
) -> None:
    assert faults.rest_s(UpstreamError("x", status=status, retry_after=asked)) == rest


def test_what_others_hear_of_a_failure_holds_no_words_of_the_provider() -> None:
    assert faults.in_a_word(UpstreamError("you said: my secret", status=500)) == "500"
    assert faults.in_a_word(UpstreamTimeout("my secret")) == "upstream_timeout"
