"""Tables, times and money; and that no text drives the terminal."""

from __future__ import annotations

import json
import sys
import unicodedata

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rondo.cli import output
from rondo.cli.output import Column

COLUMNS = [Column("NAME", "name"), Column("TEXT", "text", free=True), Column("N", "n", right=True)]


def printed(capsys: pytest.CaptureFixture[str], rows: list[dict[str, object]]) -> list[str]:
    output.table(rows, COLUMNS, none="Nothing.")
    return capsys.readouterr().out.splitlines()


def test_columns_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, [{"name": "a", "text": "long words", "n": 1}, {"name": "bcd", "text": None, "n": 100}])
    assert lines == ["NAME  TEXT          N", "a     long words    1", "bcd   -           100"]


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, []) == ["Nothing."]


def test_nothing_is_cut_where_it_is_not_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, [{"name": "a", "text": "x" * 500, "n": 1}])
    assert "x" * 500 in lines[1]


def test_a_terminal_cuts_free_text_and_shows_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("NO_COLOR", "1")
    lines = printed(capsys, [{"name": "a" * 10, "text": "x" * 500, "n": 1}])
    assert all(output.width(line) <= 40 for line in lines)
    assert "…" in lines[1]
    assert lines[1].startswith("a" * 10)


def test_colour_only_on_a_terminal_and_without_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert output.paint("x", "red") == "x"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert output.paint("x", "red") == click.style("x", fg="red")
    monkeypatch.setenv("NO_COLOR", "1")
    assert output.paint("x", "red") == "x"


@given(st.text())
def test_no_text_drives_the_terminal(text: str) -> None:
    shown = output.plain(text)
    assert all(unicodedata.category(character) not in ("Cc", "Cf") for character in shown if character not in "\n\t")
    assert "\n" not in output.one_line(text)


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Mn", "Me"])), st.integers(1, 30))
def test_cut_keeps_to_its_width_and_marks_what_is_missing(text: str, columns: int) -> None:
    short = output.cut(text, columns)
    assert output.width(short) <= columns
    assert short == text or short.endswith("…")


def test_wide_characters_take_two_columns() -> None:
    assert output.width("日本") == 4
    assert output.cut("日本語", 5) == "日本…"
    assert output.width("é") == 1


def test_times_are_utc_seconds() -> None:
    assert output.when(1_795_256_551_123_456) == "2026-11-21T10:22:31Z"
    assert output.when("2026-11-21T11:22:31+01:00") == "2026-11-21T10:22:31Z"
    assert output.when(None) == "-"


def test_unknown_money_is_not_zero() -> None:
    assert output.money(None) == "unknown"
    assert output.money(0) == "$0.000000"
    assert output.money(0.00123) == "$0.001230"
    assert output.money(-0.5) == "-$0.500000"


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "-"), (0.5, "0.50 ms"), (12.4, "12 ms"), (9_999, "9999 ms"), (12_345, "12.35 s")]
)
def test_durations(value: float | None, shown: str) -> None:
    assert output.milliseconds(value) in (shown, shown.replace("12.35", "12.34"))


def test_json_keeps_letters(capsys: pytest.CaptureFixture[str]) -> None:
    output.as_json({"name": "Zoë"})
    told = capsys.readouterr().out
    assert "Zoë" in told
    assert json.loads(told) == {"name": "Zoë"}
