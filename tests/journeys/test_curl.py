"""The README's own commands, run as they stand there, on a fresh project."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from journeys.running import Running

README = Path(__file__).parents[2] / "README.md"


def commands(name: str) -> list[str]:
    """Every command of the README's console blocks that begins with `name`, continuation lines included."""
    blocks = re.findall(r"```console\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    found = [command for block in blocks for command in re.findall(r"^\$ ((?:.*\\\n)*.*)$", block, re.MULTILINE)]
    return [command for command in found if command.startswith(f"{name} ")]


def python_examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def support(tmp_path: Path, serve: Callable[..., Running]) -> Running:
    """A server on what `rondo init support-bot` makes."""
    subprocess.run(
        [sys.executable, "-m", "rondo.cli.main", "init", "support-bot"], cwd=tmp_path, check=True, capture_output=True
    )
    return serve(project=tmp_path / "support-bot")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_readmes_curl(support: Running) -> None:
    found = commands("curl")
    assert found
    for command in found:
        line = command.replace("http://127.0.0.1:4000", support.url).replace("curl ", "curl --silent --fail ", 1)
        done = subprocess.run(
            ["bash", "-c", line], cwd=support.project, capture_output=True, text=True, timeout=20, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "£" in done.stdout
        answer = json.loads(done.stdout)
        assert "answer" in answer or answer["object"] == "chat.completion"


def test_the_readmes_python(support: Running) -> None:
    found = [example for example in python_examples() if "OpenAI(" in example]
    assert found
    for example in found:
        program = example.replace("http://127.0.0.1:4000", support.url) + "\nprint(answer.choices[0].message.content)\n"
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=support.project,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "days" in done.stdout
