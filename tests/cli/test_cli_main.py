"""The list of commands, and how errors end a command."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest

from cli_doors import Run
from rondo.cli.main import COMMANDS, main
from rondo.errors import Conflict


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\n"
        "from rondo.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'pydantic', 'httpx2', 'sqlalchemy', 'duckdb', 'starlette', 'asyncio', 'msgspec', 'jinja2'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "HEAVY []" in told
    assert all(name in told for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_name_and_help(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name
    assert command.help
    for each in command.commands.values() if isinstance(command, click.Group) else [command]:
        assert each.help, each.name
        assert each.help.split("\n\n")[0].endswith(".")
        for option in each.params:
            if isinstance(option, click.Option) and option.name not in ("help",):
                assert option.help, f"{name} {each.name} {option.name}"


def test_an_unknown_command_is_wrong_use_and_names_the_nearest(rondo: Run) -> None:
    result = rondo("relese")
    assert result.exit_code == 2
    assert "release" in result.stderr


def test_an_error_is_one_line_on_stderr(rondo: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from rondo.cli import settings

    def fail(**_: object) -> None:
        raise Conflict("It does not\nfit \x1b[31m.", remedy="Do another thing.")

    monkeypatch.setattr(settings.command, "callback", fail)
    result = rondo("settings")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == "error: It does not fit \\x1b[31m. Do another thing.\n"
