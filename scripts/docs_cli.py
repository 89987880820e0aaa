"""Writes docs/reference/cli.md and docs/reference/settings.md from the program itself.

python scripts/docs_cli.py           write both
python scripts/docs_cli.py --check   write nothing; exit with 1 where one is not as it would be written
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from rondo.cli.main import COMMANDS, SECTIONS, main
from rondo.cli.settings import Key, file_keys, file_tables
from rondo.settings.environment import ENVIRONMENT

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
COMMON = ("url", "key", "data", "wants_json")
"""Options of every command that talks to a server; explained once."""


def cli_page() -> str:
    lines = [
        "# Command line",
        "",
        "<!-- Made by scripts/docs_cli.py; change the commands, not this page. -->",
        "",
        *paragraphs(main),
        "",
        *common_options(),
        "",
        "Exit codes: 0 done, 1 failed, 2 used wrongly (bad arguments, bad settings). Errors are one line on standard "
        "error. Times are UTC. Colour appears only on a terminal, and not where `NO_COLOR` is set.",
    ]
    for section, names in SECTIONS.items():
        lines += ["", f"## {section}"]
        for name in names:
            lines += command_section(name)
    return "\n".join(lines) + "\n"


def common_options() -> Iterator[str]:
    yield "Every command that needs a server takes these options, to say where it is:"
    yield ""
    status = main.get_command(click.Context(main), "status")
    assert status is not None
    yield from options_table(option for option in status.params if option.name in COMMON)


def command_section(name: str) -> Iterator[str]:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    yield from ("", f"### rondo {name}", "")
    if not isinstance(command, click.Group):
        yield from usage(command, f"rondo {name}")
        return
    yield from paragraphs(command)
    for each in command.commands.values():
        yield from ("", f"#### rondo {name} {each.name}", "")
        yield from usage(each, f"rondo {name} {each.name}")


def usage(command: click.Command, path: str) -> Iterator[str]:
    context = click.Context(command, info_name=path)
    connects = any(each.name == "url" for each in command.params)
    own = [each for each in command.params if isinstance(each, click.Option) and not (connects and each.name in COMMON)]
    arguments = [piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
    words = [path, *arguments, *(["[OPTIONS]"] if own else [])]
    yield from ("```console", f"$ {' '.join(words)}", "```", "")
    yield from paragraphs(command)
    if own:
        yield ""
        yield from options_table(own)


def options_table(options: Iterator[click.Parameter] | list[click.Option]) -> Iterator[str]:
    yield from ("| option | what it does |", "|---|---|")
    for option in options:
        assert isinstance(option, click.Option)
        names = " / ".join([*option.opts, *option.secondary_opts])
        value = "" if option.is_flag else f" {metavar(option)}"
        has_default = option.show_default and option.default is not None and not option.is_flag
        default = f" Default: `{option.default}`." if has_default else ""
        yield f"| `{cell(names + value)}` | {cell(option.help or '')}{default} |"


def metavar(option: click.Option) -> str:
    given = option.make_metavar(click.Context(main))
    return {"DIRECTORY": "DIR", "INTEGER RANGE": "N", "FLOAT": "NUMBER"}.get(given, given)


def settings_page() -> str:
    keys = list(file_keys())
    lines = [
        "# Settings",
        "",
        "<!-- Made by scripts/docs_cli.py from src/rondo/settings/tables.py; change that file, not this page. -->",
        "",
        "`rondo.toml` describes one app. The environment holds only secrets and addresses. `rondo settings` prints "
        "these tables, and `rondo check` says what is wrong with a folder.",
        "",
        "## The environment",
        "",
        "A model may name a further variable for its key with `api_key_env`.",
        "",
        "| variable | what it is |",
        "|---|---|",
        *(f"| `{name}` | {cell(sentence)} |" for name, sentence in ENVIRONMENT.items()),
        "",
        "## rondo.toml",
    ]
    for table, model in file_tables():
        lines += ["", f"### `{table}`", "", inspect.cleandoc(model.__doc__ or "").split("\n\n")[0], ""]
        lines += ["| key | type | default | what it is |", "|---|---|---|---|"]
        lines += [key_row(key) for key in keys if key.table == table]
    return "\n".join(lines) + "\n"


def key_row(key: Key) -> str:
    default = "required" if key.default is None else "" if key.default == "not set" else f"`{cell(key.default)}`"
    return f"| `{key.key}` | {cell(key.kind)} | {default} | {cell(key.sentence)} |"


def paragraphs(command: click.Command) -> list[str]:
    return inspect.cleandoc(command.help or "").splitlines()


def cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def run(check: bool) -> int:
    assert COMMANDS
    stale = []
    for name, text in (("cli.md", cli_page()), ("settings.md", settings_page())):
        path = FOLDER / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if check and stale:
        print(f"stale: {', '.join(stale)}; run `python scripts/docs_cli.py`", file=sys.stderr)
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(run("--check" in sys.argv[1:]))
