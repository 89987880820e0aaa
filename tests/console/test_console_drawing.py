"""Formats, charts and citations: the pure parts of the console."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rondo import clock
from rondo.console import charts, formats
from rondo.console.cites import cite

NOW = 1_790_000_000_000_000
values = st.lists(st.floats(0, 1e9), max_size=40)


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (None, "unknown"),
        (0, "$0"),
        (0.000_000_1, "<$0.000001"),
        (0.000_34, "$0.00034"),
        (0.0049, "$0.0049"),
        (0.01, "$0.01"),
        (1.254, "$1.25"),
        (12_345.6, "$12,346"),
        (-0.053, "-$0.05"),
        (-0.000_34, "-$0.00034"),
    ],
)
def test_money(usd: float | None, text: str) -> None:
    assert formats.money(usd) == text


@pytest.mark.parametrize(
    ("ms", "text"),
    [(None, "–"), (0.42, "0.42 ms"), (5.25, "5.2 ms"), (812, "812 ms"), (1_240, "1.24 s"), (125_000, "2 min 5 s")],
)
def test_duration(ms: float | None, text: str) -> None:
    assert formats.duration(ms) == text


def test_numbers() -> None:
    assert [formats.count(n) for n in (None, 0, 99_999, 123_456, 1_234_567)] == ["–", "0", "99,999", "123.5k", "1.2M"]
    assert [formats.percent(x) for x in (None, 0, 0.0001, 0.123, 1)] == ["–", "0 %", "<0.1 %", "12.3 %", "100 %"]
    assert [formats.share(bp) for bp in (25, 1_000, 1_250)] == ["0.25 %", "10 %", "12.5 %"]
    assert [formats.size(n) for n in (None, 12, 3_400, 1_200_000, 62_911_400_000)] == [
        "–", "12 B", "3.4 kB", "1.2 MB", "62.9 GB",
    ]  # fmt: skip
    assert formats.metric(None, "answer.correct") == "not measured yet"
    assert formats.metric(2_000, "latency.p95_ms") == "2.00 s"
    assert formats.metric(0.01, "cost.per_request_usd") == "$0.01"
    assert formats.metric(0.4, "deflection") == "40 %"
    assert formats.metric(1_240, "tokens.per_request") == "1,240"
    assert formats.metric(4.25, "human.tone") == "4.25"


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        (None, "latency.p95_ms", "–"),
        (0.000_034_6, "cost.per_request_usd", "+$0.000035"),
        (-0.000_12, "cost.per_request_usd", "−$0.00012"),
        (-120.0, "latency.p95_ms", "−120 ms"),
        (1e308, "latency.p95_ms", "+∞"),
        (0.0, "errors.rate", "±0 pts"),
        (-0.032, "errors.rate", "−3.2 pts"),
        (0.000_01, "answer.correct", "+<0.01 pts"),
        (1.5, "human.tone", "+1.5"),
        (-20.0, "tokens.per_request", "−20"),
    ],
)
def test_changes_have_a_sign_and_a_unit(value: float | None, name: str, text: str) -> None:
    assert formats.change(value, name) == text


def test_how_long_ago() -> None:
    with clock.at(NOW):
        told = [formats.ago(NOW - seconds * 1_000_000) for seconds in (0, 5, 120, 7_200, 3 * 86_400, 90 * 86_400)]
    assert told[:5] == ["now", "5 s ago", "2 min ago", "2 h ago", "3 d ago"]
    assert told[5] == clock.iso(NOW - 90 * 86_400 * 1_000_000)[:10]


def test_how_long_until() -> None:
    with clock.at(NOW):
        told = [formats.until(NOW + seconds * 1_000_000) for seconds in (-9, 0, 5, 120, 86_399, 90 * 86_400)]
    assert told[:5] == ["now", "now", "in 5 s", "in 2 min", "in 23 h"]
    assert told[5] == clock.iso(NOW + 90 * 86_400 * 1_000_000)[:10]
    assert formats.until(None) == "–"


def test_json_that_is_none_stays_text() -> None:
    assert formats.pretty("{oops") == "{oops"
    assert formats.pretty('{"a":1}') == '{\n  "a": 1\n}'


@settings(max_examples=50)
@given(values)
def test_bars_stay_inside(numbers: list[float]) -> None:
    chart = charts.bars(numbers, [number / 2 for number in numbers], ["x"] * len(numbers), width=200, height=40)
    for bar in chart.bars:
        assert -0.01 <= bar.x <= bar.x + bar.width <= 200.01
        assert -0.01 <= bar.bad_y <= 40.01
        assert bar.height >= 0
        assert bar.bad_height >= 0
        assert bar.y + bar.height <= 40.02


@settings(max_examples=50)
@given(st.lists(st.none() | st.floats(0, 1e9), max_size=40))
def test_lines_stay_inside_and_leave_gaps(numbers: list[float | None]) -> None:
    chart = charts.line(numbers, width=100, height=20)
    drawn = [float(word.strip("ML")) for word in chart.path.split()]
    assert all(-0.01 <= number <= 100.01 for number in drawn)
    known = sum(number is not None for number in numbers)
    assert len(drawn) // 2 + len(chart.dots) == known


@settings(max_examples=50)
@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=8))
def test_parts_make_a_whole(shares: list[float]) -> None:
    stretches = charts.parts(shares)
    assert sum(each.length for each in stretches) == pytest.approx(100, abs=0.1)
    assert all(
        after.start == pytest.approx(before.start + before.length, abs=0.05) for before, after in pairwise(stretches)
    )


@settings(max_examples=50)
@given(st.floats(-10, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_a_stretch_stays_on_its_scale(start: float, length: float, whole: float) -> None:
    stretch = charts.on_scale(start, length, whole)
    assert stretch.start >= 0
    assert stretch.length > 0
    assert stretch.start + stretch.length <= 100.02


def test_no_data_draws_nothing() -> None:
    assert charts.bars([], [], [], width=10, height=10).bars == ()
    assert charts.line([], width=10, height=10).path == ""
    assert charts.parts([]) == []


def test_citations_become_links_to_what_there_is() -> None:
    cited = cite("Thirty days [1], see [2, 3] and [9].", [1, 2, 4])
    assert [(piece.text, piece.number) for piece in cited.pieces if piece.number] == [("[1]", 1), ("2", 2)]
    assert cited.numbers == {1, 2}


@settings(max_examples=80)
@given(st.text(alphabet="[]123, ab", max_size=40), st.sets(st.integers(1, 30)))
def test_no_letter_of_an_answer_is_lost(answer: str, given_numbers: set[int]) -> None:
    cited = cite(answer, given_numbers)
    assert "".join(piece.text for piece in cited.pieces) == answer
    assert cited.numbers <= given_numbers
