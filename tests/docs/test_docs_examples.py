"""What README and documentation show can be typed: settings parse, prompts parse, commands and options exist."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

import rondo
from rondo.cli.default_command import DefaultCommand
from rondo.cli.main import COMMANDS, main
from rondo.prompts.source import parse_prompt
from rondo.settings.evaluating import SuiteSettings
from rondo.settings.project import parse
from rondo.settings.tables import ProjectSettings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TEMPLATE = Path(rondo.__file__).parent / "templates" / "support-bot"

_FENCE = re.compile(r"^(?P<fence>`{3,})(?P<language>[a-z]*)\n(?P<text>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(rondo(?: [^`\n]+)?)`")
_PROMPT = re.compile(r"^\$ (?P<command>rondo\b.*)", re.MULTILINE)
_WORD = re.compile(r"[a-z][a-z-]*")


class Example(NamedTuple):
    """A fenced block, and where it stands."""

    page: str
    line: int
    language: str
    text: str


def blocks(page: Path) -> Iterator[Example]:
    whole = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(whole):
        line = whole.count("\n", 0, found.start()) + 1
        yield Example(page.relative_to(ROOT).as_posix(), line, found["language"], found["text"])


def examples(language: str) -> list[Any]:
    found = [each for page in PAGES for each in blocks(page) if each.language == language]
    return [pytest.param(each, id=f"{each.page}:{each.line}") for each in found]


def commands() -> list[Any]:
    """Every `rondo ...` in console blocks and in running text, once per page."""
    found: dict[tuple[str, str], None] = {}
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        consoles = "\n".join(each.text for each in blocks(page) if each.language == "console")
        prose = _FENCE.sub("", page.read_text(encoding="utf-8"))
        joined = consoles.replace("\\\n", " ")
        for line in [*(each["command"] for each in _PROMPT.finditer(joined)), *_INLINE.findall(prose)]:
            found[name, line] = None
    return [pytest.param(line, id=f"{page}: {line}") for page, line in found]


def merged(base: dict[str, Any], fragment: dict[str, Any]) -> dict[str, Any]:
    """The base with the fragment's keys in their tables."""
    return {
        **base,
        **{
            key: merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
            for key, value in fragment.items()
        },
    }


@pytest.mark.parametrize("example", examples("toml"))
def test_settings_parse(example: Example) -> None:
    """A block that names the app is a whole file, one with scorers a suite; any other a part of the template's."""
    values = tomllib.loads(example.text)
    if "scorers" in values:
        SuiteSettings.model_validate({"dataset": "questions", **values})
        return
    if "name" in values.get("app", {}):
        parse(example.text)
        return
    whole = merged(tomllib.loads((TEMPLATE / "rondo.toml").read_text(encoding="utf-8")), values)
    ProjectSettings.model_validate(whole)


@pytest.mark.parametrize("example", examples("markdown"))
def test_prompts_parse(example: Example) -> None:
    assert parse_prompt(example.text, file="example.md").version


def test_there_are_examples_to_check() -> None:
    assert len(examples("toml")) >= 3
    assert examples("markdown")
    assert len(commands()) > 40


@pytest.mark.parametrize("line", commands())
def test_commands_exist(line: str) -> None:
    """The command, its subcommand, and every option that stands in the line."""
    words = shlex.split(line.split(" | ", maxsplit=1)[0], comments=True)[1:]
    command: click.Command = main
    if words and _WORD.fullmatch(words[0]):
        assert words[0] in COMMANDS, f"there is no command {words[0]!r}"
        command = _of(main, words.pop(0))
    if isinstance(command, click.Group) and command is not main and words and _WORD.fullmatch(words[0]):
        assert words[0] in command.commands, f"{command.name} has no subcommand {words[0]!r}"
        command = command.commands[words.pop(0)]
    elif isinstance(command, DefaultCommand):
        command = command.commands[command.default]
    known = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help", "-h"}
    for word in words:
        if word.startswith("-"):
            assert word.partition("=")[0] in known, f"{line!r}: there is no option {word}"


def _of(group: click.Group, name: str) -> click.Command:
    command = group.get_command(click.Context(group), name)
    assert command is not None
    return command
