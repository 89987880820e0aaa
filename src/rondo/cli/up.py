"""`rondo up`: starts the server in the foreground."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from rondo.errors import SettingsError
from rondo.settings.environment import DATA, environment
from rondo.settings.project import FILE


@click.command("up")
@click.option(
    "--project",
    type=click.Path(file_okay=False, path_type=Path),
    help="The project folder; this one by default. An app that has no release yet gets its first one from it.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The data folder; RONDO_DATA or .rondo in the project folder by default.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=4000, show_default=True, help="The port; 0 is any free one."
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Gateway processes on the port. With 1, one process is the whole server but for the record store.",
)
@click.pass_context
def command(ctx: click.Context, *, project: Path | None, data: Path | None, host: str, port: int, workers: int) -> None:
    """Start the server: gateway, API and console on one port, until Ctrl-C.

    The first start makes the data folder and an admin key, and prints both. Commands that run on this machine find
    the server and the key in the data folder.
    """
    folder = project or Path()
    named = environment("RONDO_DATA")
    kept = data or (Path(named) if named else folder / DATA)
    served: Path | None = folder
    if project is None and not (folder / FILE).exists():
        if not kept.is_dir():
            raise SettingsError(
                "no such file.",
                file=FILE,
                remedy="Run this in a project folder, or name one with --project; `rondo init NAME` makes one.",
            )
        served = None
    ctx.exit(import_module("rondo.server.main").up(project=served, data=kept, host=host, port=port, workers=workers))
