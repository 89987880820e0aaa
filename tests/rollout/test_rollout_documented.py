"""The example of `docs/rollout_statistics.md` runs, and prints what its comment says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "rollout_statistics.md").read_text(encoding="utf-8")


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    code = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[0]
    exec(compile(code, "rollout_statistics.md", "exec"), {})
    assert re.fullmatch(r"worse -0\.14\d* -0\.24\d* -0\.04\d*", capsys.readouterr().out.strip())
