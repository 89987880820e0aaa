"""`rondo init`: a new project folder, copied from the template."""

from __future__ import annotations

import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import click

from rondo.cli import output
from rondo.errors import Conflict, InvalidRequest
from rondo.settings.environment import DATA

TEMPLATE = "support-bot"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@click.command("init")
@click.argument("name")
@click.option(
    "--dir", "folder", type=click.Path(file_okay=False, path_type=Path), help="The folder to fill; ./NAME by default."
)
@click.option(
    "--force", is_flag=True, help="Write into a folder that is not empty; files of the same name are replaced."
)
@click.option("--json", "wants_json", is_flag=True, help="Print the folder and its files as JSON.")
def command(name: str, folder: Path | None, force: bool, wants_json: bool) -> None:
    """Make a project folder for the app NAME: rondo.toml, a prompt, documents to answer from.

    The example is a support assistant that answers from a handbook. It needs no LLM and no key to start.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidRequest(
            f"{name!r} cannot be the name of an app.",
            remedy="Names have 1 to 64 characters of a-z, 0-9, '.', '_' and '-', and begin with a letter or digit.",
        )
    target = folder or Path(name)
    if target.exists() and (not target.is_dir() or any(target.iterdir())) and not force:
        raise Conflict(f"{target} exists and is not empty.", remedy="Choose another folder with --dir, or use --force.")
    try:
        written = _copy(files("rondo") / "templates" / TEMPLATE, target, name)
        if not (target / ".gitignore").exists():
            (target / ".gitignore").write_text(f"{DATA}/\n", encoding="utf-8")  # it holds the admin key
            written.append(target / ".gitignore")
    except OSError as error:
        raise Conflict(f"{error.filename} cannot be written: {error.strerror}.") from None
    if wants_json:
        output.as_json({"folder": str(target), "files": [str(path) for path in written]})
        return
    click.echo(f"Made {target} with {len(written)} files for the app {name}.\n\nNext:")
    click.echo(f"  cd {target}\n  rondo up            # gateway, API and console on http://127.0.0.1:4000")
    click.echo("  rondo eval          # how good the answers are; needs no server")
    click.echo("  rondo release       # after you changed the prompt, the documents or rondo.toml")


def _copy(source: Traversable, target: Path, name: str) -> list[Path]:
    """Copy a folder of the package; the paths written, sorted."""
    target.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for entry in sorted(source.iterdir(), key=lambda each: each.name):
        if entry.is_dir():
            written += _copy(entry, target / entry.name, name)
            continue
        content = entry.read_bytes()
        if entry.name == "rondo.toml":
            content = content.replace(f'name = "{TEMPLATE}"'.encode(), f'name = "{name}"'.encode())
        (target / entry.name).write_bytes(content)
        written.append(target / entry.name)
    return written
