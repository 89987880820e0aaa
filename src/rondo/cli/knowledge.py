"""`rondo knowledge`: indexes of documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rondo.cli import output
from rondo.cli.check import require_sound
from rondo.cli.client import Api, segment
from rondo.cli.connect import connected
from rondo.cli.folder_option import project_folder
from rondo.cli.output import Column
from rondo.errors import NotFound
from rondo.settings.table import nearest


@click.group("knowledge")
def command() -> None:
    """Build, list and search indexes of documents. An index version is immutable and named by its hash."""


@command.command("list")
@click.argument("name", required=False)
@connected
async def list_(api: Api, name: str | None) -> None:
    """List the index versions on the server, of the knowledge NAME or of all."""
    columns = [
        Column("KNOWLEDGE", "name"),
        Column("VERSION", lambda row: output.short(row["version"])),
        Column("DOCUMENTS", lambda row: output.count(row["documents"]), right=True),
        Column("CHUNKS", lambda row: output.count(row["chunks"]), right=True),
        Column("BYTES", lambda row: output.count(row["bytes"]), right=True),
        Column("CREATED", lambda row: output.when(row["created_at"])),
    ]
    api.show(
        await api.get("/api/knowledge", name=name),
        lambda told: output.table(told["versions"], columns, none="No index yet: `rondo release` builds one."),
    )


@command.command("build")
@click.argument("name", required=False)
@project_folder
@connected
async def build(api: Api, name: str | None, project: Path) -> None:
    """Build the index NAME of a project folder without releasing it; the app's own knowledge by default.

    Documents that did not change are not parsed again, and the same content gives the same version.
    """
    from rondo.releases.bundle import read_folder, to_zip

    settings = require_sound(project)
    wanted = name or settings.app.knowledge
    if wanted is None:
        raise NotFound("The app has no knowledge.", remedy="Name one of `[knowledge.NAME]` in rondo.toml.")
    if wanted != settings.app.knowledge:
        hint = nearest(wanted, [settings.app.knowledge] if settings.app.knowledge else [])
        raise NotFound(f"The app does not use a knowledge called {wanted!r}.{hint}")
    answer = await api.upload(f"/api/knowledge/{segment(wanted)}", to_zip(read_folder(project)))
    api.show(answer, _print_built)


@command.command("search")
@click.argument("name")
@click.argument("query")
@click.option("--k", type=click.IntRange(1, 50), default=5, show_default=True, help="How many passages to show.")
@click.option("--version", help="Search this version; the newest by default. Its first digits are enough.")
@connected
async def search(api: Api, name: str, query: str, k: int, version: str | None) -> None:
    """Show the passages of the knowledge NAME that match QUERY best, as the gateway would find them."""
    answer = await api.get(f"/api/knowledge/{segment(name)}/search", q=query, k=k, version=version)
    api.show(answer, _print_passages)


def _print_built(built: dict[str, Any]) -> None:
    click.echo(f"{output.one_line(built['name'])}  {built['version']}")
    output.facts(
        [
            ("documents", output.count(built["documents"])),
            ("chunks", output.count(built["chunks"])),
            ("bytes", output.count(built["bytes"])),
            ("reused", f"{built.get('reused', 0):,} documents were not parsed again"),
        ],
        indent=2,
    )
    for path in built.get("skipped", []):
        click.echo(f"  skipped {output.one_line(path)}: not a document")


def _print_passages(answer: dict[str, Any]) -> None:
    if not answer["chunks"]:
        click.echo("No passage matches.")
    for chunk in answer["chunks"]:
        where = " > ".join(part for part in (chunk["title"], chunk["heading"]) if part)
        click.echo(
            output.paint(f"[{chunk['number']}] {output.one_line(where)}", "cyan")
            + f"  {output.one_line(chunk['source'])}  score {chunk['score']:.2f}"
        )
        output.block(chunk["text"], indent=4)
