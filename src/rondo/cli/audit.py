"""`rondo audit`: who did what to what, and when."""

from __future__ import annotations

import json
from typing import Any

import click

from rondo.cli import output
from rondo.cli.client import Api
from rondo.cli.connect import connected
from rondo.cli.output import Column


@click.group("audit")
def command() -> None:
    """Show who did what to what, and when."""


@command.command("list")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many entries to show.")
@connected
async def list_(api: Api, limit: int) -> None:
    """List the newest audit entries, newest first. Each entry's hash covers the one before it."""
    api.show(await api.get("/api/audit", limit=limit), lambda told: _print(told, limit))


@command.command("verify")
@connected
async def verify(api: Api) -> None:
    """Recompute the whole chain of hashes; the exit code is 1 where an entry is not as it was written.

    Someone who can write to the database can still cut off the newest entries: keep the hash printed here elsewhere,
    and compare.
    """
    answer = await api.get("/api/audit/verify")
    api.show(answer, lambda told: click.echo(f"{told['entries']:,} entries, unbroken, up to {told['hash']}"))


def _print(answer: dict[str, Any], limit: int) -> None:
    columns = [
        Column("#", "sequence", right=True),
        Column("WHEN", lambda row: output.when(row["at"])),
        Column("WHO", "actor"),
        Column("WHAT", "action"),
        Column("TO WHAT", "subject"),
        Column("HASH", lambda row: output.short(row["hash"])),
        Column("DETAILS", lambda row: json.dumps(row["details"], ensure_ascii=False), free=True),
    ]
    entries = answer["entries"]
    output.table(entries, columns, none="There are no entries yet.")
    if len(entries) == limit and entries[-1]["sequence"] > 1:
        click.echo(f"These are the newest {limit:,}; --limit shows more.")
