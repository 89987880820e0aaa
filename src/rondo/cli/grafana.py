"""`rondo grafana`: the dashboard for Grafana and the alert rules for Prometheus, as files."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import click

from rondo.errors import Conflict

FILES = ("rondo-dashboard.json", "rondo-alerts.yaml")


@click.group("grafana")
def command() -> None:
    """Export the dashboard for Grafana and the alert rules for Prometheus."""


@command.command("export")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace files that are there.")
def export(folder: Path, force: bool) -> None:
    """Write both into FOLDER: rondo-dashboard.json (import it in Grafana), rondo-alerts.yaml (a rule file)."""
    folder.mkdir(parents=True, exist_ok=True)
    taken = [name for name in FILES if (folder / name).exists()]
    if taken and not force:
        raise Conflict(f"{folder / taken[0]} is there already.", remedy="--force replaces it.")
    for name in FILES:
        text = (files("rondo") / "templates" / "grafana" / name).read_text(encoding="utf-8")
        (folder / name).write_text(text, encoding="utf-8")
        click.echo(f"wrote {folder / name}")
