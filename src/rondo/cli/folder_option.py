"""The option `--project` of commands that read a project folder."""

from __future__ import annotations

from pathlib import Path

import click

project_folder = click.option(
    "--project",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="The project folder; this one by default.",
)
