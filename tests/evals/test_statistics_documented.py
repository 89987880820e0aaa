"""The example of `docs/statistics.md` runs, and prints what its comments say; so do the figures of its table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rondo.evals.statistics.power import pairs_needed_for_shares

PAGE = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0]
    exec(compile(code, "statistics.md", "exec"), {})
    said = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"0\.9 0\.85\d* 0\.93\d* Wilson", said[0])
    assert said[1] == "met"
    assert said[2].endswith(" better")
    assert said[4] == "not_enough_evidence"


def test_the_table_of_pairs_is_right() -> None:
    rows = re.findall(r"^\| (\d+) %[^|]*\| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 3
    for percent, *needed in rows:
        expected = [pairs_needed_for_shares(int(percent) / 100, margin) for margin in (0.05, 0.02, 0.01)]
        assert [int(each.replace(",", "")) for each in needed] == expected
